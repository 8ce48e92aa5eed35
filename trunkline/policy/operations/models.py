"""Operations on models, groups and tiers. Names in bodies may be left out; those in paths count."""

from typing import Final

from trunkline.policy.access import Access
from trunkline.policy.admin_api import ModelView
from trunkline.policy.configuration import GroupEntry, ModelEntry, TierEntry
from trunkline.policy.entities import Group, Tier
from trunkline.policy.operations.operation import Operation, get

_MODEL: Final = "/models/{name}"

LIST: Final = get("list_models", "/models", Access.OPERATOR, "List all models.", list[ModelView])
SHOW: Final = get(
    "show_model", _MODEL, Access.OPERATOR, "Show a model's prices, who serves it, and its routing.", ModelView
)
PUT: Final = Operation(
    id="put_model",
    method="PUT",
    path=_MODEL,
    access=Access.OPERATOR,
    summary="Make a model, or replace it.",
    body=ModelEntry,
    answer=ModelView,
    shows="show_model",
)
DELETE: Final = Operation(
    id="delete_model",
    method="DELETE",
    path=_MODEL,
    access=Access.OPERATOR,
    summary="Delete a model that no channel serves.",
    status=204,
    shows="show_model",
)
LIST_GROUPS: Final = get("list_groups", "/groups", Access.OPERATOR, "List all groups.", list[Group])
PUT_GROUP: Final = Operation(
    id="put_group",
    method="PUT",
    path="/groups/{name}",
    access=Access.OPERATOR,
    summary="Make a group, or replace it; answers with all groups.",
    body=GroupEntry,
    answer=list[Group],
    shows="list_groups",
)
LIST_TIERS: Final = get("list_tiers", "/tiers", Access.OPERATOR, "List all tiers.", list[Tier])
PUT_TIER: Final = Operation(
    id="put_tier",
    method="PUT",
    path="/tiers/{name}",
    access=Access.OPERATOR,
    summary="Make a tier, or replace it; answers with all tiers.",
    body=TierEntry,
    answer=list[Tier],
    shows="list_tiers",
)

OPERATIONS: Final = (LIST, SHOW, PUT, DELETE, LIST_GROUPS, PUT_GROUP, LIST_TIERS, PUT_TIER)
