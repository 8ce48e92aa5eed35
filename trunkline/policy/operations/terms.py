"""Operations on limits and budgets. Each holder's are shown, and replaced as a whole."""

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from trunkline.policy.access import Access
from trunkline.policy.admin_accounts import BUDGET_HOLDERS, HolderKind, holder_path
from trunkline.policy.configuration import BudgetsEntry
from trunkline.policy.meters import Budgets, Limits
from trunkline.policy.operations.operation import Operation, get

PLACES: Final[Mapping[HolderKind, tuple[str, ...]]] = {
    HolderKind.ACCOUNT: ("account",),
    HolderKind.USER: ("account", "user"),
    HolderKind.KEY: ("account", "key"),
    HolderKind.TIER: ("name",),
    HolderKind.GROUP: ("name",),
}
"""Which places of the path name a holder."""


class Terms(NamedTuple):
    """The two operations on the limits, or on the budgets, of one kind of holder."""

    show: Operation
    put: Operation


class _Accesses(NamedTuple):
    """What is needed to read and to write."""

    read: Access
    write: Access


_LIMITS: Final = {
    # What an account may do at most is between the site and the account, so its own people only see it.
    HolderKind.ACCOUNT: _Accesses(Access.ACCOUNT_READ, Access.OPERATOR),
    HolderKind.USER: _Accesses(Access.MEMBERS_READ, Access.MEMBERS_WRITE),
    HolderKind.KEY: _Accesses(Access.KEYS_READ, Access.KEYS_WRITE),
    HolderKind.TIER: _Accesses(Access.OPERATOR, Access.OPERATOR),
    HolderKind.GROUP: _Accesses(Access.OPERATOR, Access.OPERATOR),
}
_BUDGETS: Final = {
    **{kind: _LIMITS[kind] for kind in BUDGET_HOLDERS},
    # What it spends at most is its own matter.
    HolderKind.ACCOUNT: _Accesses(Access.MONEY_READ, Access.MONEY_WRITE),
}


def _terms(what: str, kind: HolderKind, accesses: _Accesses, *, body: Any, answer: Any) -> Terms:
    path = "/".join(("", *holder_path(kind, tuple(f"{{{place}}}" for place in PLACES[kind])), what))
    whose = f"an {kind}" if kind is HolderKind.ACCOUNT else f"a {kind}"
    shown = get(f"show_{kind}_{what}", path, accesses.read, f"Show the {what} of {whose}.", answer)
    put = Operation(
        id=f"put_{kind}_{what}",
        method="PUT",
        path=path,
        access=accesses.write,
        summary=f"Replace all {what} of {whose}.",
        body=body,
        answer=answer,
        shows=shown.id,
    )
    return Terms(shown, put)


LIMITS: Final[Mapping[HolderKind, Terms]] = {
    kind: _terms("limits", kind, accesses, body=Limits, answer=Limits) for kind, accesses in _LIMITS.items()
}
BUDGETS: Final[Mapping[HolderKind, Terms]] = {
    kind: _terms("budgets", kind, accesses, body=BudgetsEntry, answer=Budgets) for kind, accesses in _BUDGETS.items()
}

OPERATIONS: Final = tuple(operation for terms in (*LIMITS.values(), *BUDGETS.values()) for operation in terms)
