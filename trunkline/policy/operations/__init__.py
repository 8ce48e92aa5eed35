"""All operations of the admin API, a file per part of it. A new part is listed in `PARTS`."""

from types import ModuleType
from typing import Final

from trunkline.policy.operations import (
    accounts,
    alerts,
    announcements,
    audit,
    billing,
    channels,
    codes,
    explain,
    exports,
    health,
    identity,
    imports,
    keys,
    ledger,
    live,
    logins,
    members,
    models,
    payments,
    playground,
    prices,
    probes,
    public_prices,
    savings,
    spending,
    square,
    supply,
    system,
    terms,
    usage_explorer,
    users,
)
from trunkline.policy.operations.operation import Operation

PARTS: Final[tuple[ModuleType, ...]] = (
    accounts,
    alerts,
    announcements,
    audit,
    billing,
    channels,
    codes,
    explain,
    exports,
    health,
    identity,
    imports,
    keys,
    ledger,
    live,
    logins,
    members,
    models,
    payments,
    playground,
    prices,
    probes,
    public_prices,
    savings,
    spending,
    square,
    supply,
    system,
    terms,
    usage_explorer,
    users,
)

ALL: Final[tuple[Operation, ...]] = tuple(operation for part in PARTS for operation in part.OPERATIONS)

BY_ID: Final = {operation.id: operation for operation in ALL}
