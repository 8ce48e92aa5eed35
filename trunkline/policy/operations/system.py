"""Operations on the configuration as a whole, on the projection and on usage, and what the console sees."""

from typing import Any, Final

from trunkline.policy.access import Access
from trunkline.policy.admin_api import Applied, ConfigurationFile, HealthReport, Offers, Rebuilt, UsageRow
from trunkline.policy.configuration import Configuration, Names
from trunkline.policy.configuration_text import ConfigurationText
from trunkline.policy.operations.operation import Operation, Parameter, get
from trunkline.policy.operations.parameters import BOOLEAN, DRY_RUN, SINCE, UNTIL

YAML: Final = "application/yaml"

APPLY: Final = Operation(
    id="apply_configuration",
    method="POST",
    path="/apply",
    access=Access.OPERATOR,
    summary="Make the system hold what a configuration says; what it does not name is left alone.",
    body=Configuration,
    answer=Applied,
    query=(DRY_RUN,),
)
READ: Final = Operation(
    id="read_configuration",
    method="POST",
    path="/configuration/read",
    access=Access.OPERATOR,
    summary="Show what a configuration file in YAML or JSON says, for `apply_configuration`, and change nothing.",
    body=ConfigurationFile,
    answer=ConfigurationText,
    audited=False,
)
EXPORT: Final = Operation(
    id="export_configuration",
    method="GET",
    path="/configuration",
    access=Access.OPERATOR,
    summary="Write what there is as a configuration file, without secrets: applied here it changes nothing.",
    media=YAML,
    query=(Parameter("accounts", "Whether with accounts and their users.", BOOLEAN),),
    long=True,
)
SHOW_OFFERS: Final = get(
    "show_offers", "/offers", Access.OPERATOR, "Show the free trial of new accounts, and volume discounts.", Offers
)
NAMES: Final = get("list_names", "/names", Access.OPERATOR, "List the names that a configuration may refer to.", Names)
REBUILD_PROJECTION: Final = Operation(
    id="rebuild_projection",
    method="POST",
    path="/projection/rebuild",
    access=Access.OPERATOR,
    summary="Write every snapshot anew from the database, and delete those that should not be there.",
    answer=Rebuilt,
)
USAGE: Final = get(
    "sum_usage",
    "/usage",
    Access.OPERATOR,
    "Sum up what was used, charged and paid.",
    list[UsageRow],
    Parameter("by", "What to sum by: day, account, key, model, channel, group; separated by commas."),
    Parameter("account", "Only of this account."),
    Parameter("key", "Only of this key of the account."),
    SINCE,
    UNTIL,
)
HEALTH: Final = get(
    "show_health",
    "/health",
    Access.OPERATOR,
    "Show the state of what the console depends on, and the processes that it hears.",
    HealthReport,
)

OPENAPI: Final = get(
    "show_openapi", "/openapi.json", Access.PUBLIC, "Show what the admin API can do, as OpenAPI.", dict[str, Any]
)

OPERATIONS: Final = (APPLY, READ, EXPORT, SHOW_OFFERS, NAMES, REBUILD_PROJECTION, USAGE, HEALTH, OPENAPI)
