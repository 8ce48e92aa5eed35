"""Tables of accounts, users, keys, and their limits and budgets. Pure."""

from collections.abc import Sequence

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from trunkline.cli.render import listed, moment_text, printable, table, usd
from trunkline.policy.admin_accounts import AccountView, KeyView, UserView
from trunkline.policy.meters import LIMIT_KINDS, NO_BUDGETS, NO_LIMITS, Budgets, Limits, ModelBudget
from trunkline.policy.terms_text import budgets_text, limits_text

ALL = "all models"


def accounts(views: Sequence[AccountView]) -> Table:
    """Return accounts with their balances."""
    money = ("balance USD", "daily USD", "monthly USD")
    return table(
        ("account", "tier", *money, "users", "keys", "time zone", "since"),
        (
            (
                view.name,
                view.tier or "-",
                usd(view.balance_nano),
                usd(view.budgets.daily_nano),
                usd(view.budgets.monthly_nano),
                str(view.users),
                str(view.keys),
                view.time_zone,
                moment_text(view.created_at),
            )
            for view in views
        ),
        right=frozenset({*money, "users", "keys"}),
    )


def account(view: AccountView, users_: Sequence[UserView], keys_: Sequence[KeyView]) -> list[RenderableType]:
    """Return all that can be known of one account."""
    terms = Text(printable(f"\nlimits: {limits_text(view.limits)}\nbudgets: {budgets_text(view.budgets)}\n"))
    return [accounts([view]), terms, *((users(users_), Text()) if users_ else ()), keys(keys_)]


def users(views: Sequence[UserView]) -> Table:
    """Return users with their terms."""
    return table(
        ("user", "keys", "limits", "budgets", "since"),
        (
            (
                f"{view.account}/{view.name}",
                str(view.keys),
                limits_text(view.limits) if view.limits != NO_LIMITS else "-",
                budgets_text(view.budgets) if view.budgets != NO_BUDGETS else "-",
                moment_text(view.created_at),
            )
            for view in views
        ),
        right=frozenset({"keys"}),
    )


def keys(views: Sequence[KeyView]) -> Table:
    """Return keys by what can be known of them."""
    return table(
        ("key", "secret", "state", "user", "groups", "models", "endpoints", "from", "expires"),
        (
            (
                f"{view.account}/{view.name}",
                _secrets(view),
                _state(view),
                view.user or "-",
                listed(view.groups),
                listed(view.models),
                listed(view.endpoints),
                listed(view.allow_ips),
                moment_text(view.expires_at),
            )
            for view in views
        ),
    )


def _state(view: KeyView) -> str:
    if not view.blocked:
        return "active"
    return f"blocked by {view.blocked_by}" if view.blocked_by else "blocked"


def key(view: KeyView) -> list[RenderableType]:
    """Return all that can be known of one key."""
    terms = f"\nlimits: {limits_text(view.limits)}\nbudgets: {budgets_text(view.budgets)}"
    strategy = "" if view.strategy is None else f"\nstrategy: {view.strategy}"
    return [keys([view]), Text(printable(f"{terms}{strategy}"))]


def _secrets(view: KeyView) -> str:
    ending = (f"{secret.prefix}… until {moment_text(secret.expires_at)}" for secret in view.ending)
    return ", ".join((f"{view.prefix}…", *ending))


def limits(found: Limits) -> RenderableType:
    """Return a set of limits, a family of models a line."""
    if found == NO_LIMITS:
        return Text("No limits.")
    return table(
        ("models", *LIMIT_KINDS),
        (
            (models, *("-" if getattr(part, name) is None else str(getattr(part, name)) for name in LIMIT_KINDS))
            for models, part in ((ALL, found), *((", ".join(family.models), family) for family in found.families))
        ),
        right=frozenset(LIMIT_KINDS),
    )


def budgets(found: Budgets) -> list[RenderableType]:
    """Return a set of budgets, a family of models a line, and what takes over."""
    if found == NO_BUDGETS:
        return [Text("No budgets.")]
    amounts = ("daily USD", "monthly USD")
    everything = ModelBudget((), found.daily_nano, found.monthly_nano)
    parts: list[RenderableType] = [
        table(
            ("models", *amounts),
            (
                (", ".join(part.models) or ALL, usd(part.daily_nano), usd(part.monthly_nano))
                for part in (everything, *found.models)
            ),
            right=frozenset(amounts),
        )
    ]
    if found.cheaper:
        parts += [Text(), table(("when it is used up", "takes over"), sorted(found.cheaper.items()))]
    return parts
