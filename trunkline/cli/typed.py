"""What people type on the command line, as values; a CLIError says in one line what is wrong with it."""

from collections.abc import Callable, Iterable
from decimal import Decimal, InvalidOperation
from typing import TypeVar

from msgspec import UNSET, UnsetType

from trunkline.cli.failure import CLIError
from trunkline.policy.configuration import BudgetsEntry, ModelBudgetEntry
from trunkline.policy.meters import LIMIT_KINDS, FamilyLimits, Limits

V = TypeVar("V")


def amount(text: str) -> Decimal:
    """Return an amount of money."""
    try:
        return Decimal(text)
    except InvalidOperation as error:
        raise CLIError(f"not an amount in USD: {text}") from error


def count(text: str) -> int:
    """Return a whole number."""
    try:
        return int(text)
    except ValueError as error:
        raise CLIError(f"not a whole number: {text}") from error


def split_name(text: str, what: str = "a key") -> tuple[str, str]:
    """Return account and name of ``ACCOUNT/NAME``."""
    account, slash, name = text.partition("/")
    if not slash or not account or not name:
        raise CLIError(f"{what} is named ACCOUNT/NAME, not {text!r}")
    return account, name


def either(option: str, value: V | None, cleared: bool, nothing: V) -> V | UnsetType:
    """Return what an option and its opposite say of a field together."""
    if value is not None and cleared:
        raise CLIError(f"--{option} and its opposite exclude each other")
    if cleared:
        return nothing
    return UNSET if value is None else value


def limits(families: Iterable[str] | None, **bounds: int | None) -> Limits:
    """Return limits from the options of `trunkline limits set`; ``bounds`` are by the names of `Limits`' fields."""
    found = [FamilyLimits(models, **settings) for models, settings in _families(families, tuple(LIMIT_KINDS), count)]
    return Limits(**bounds, families=tuple(found))


def budgets(
    daily: str | None,
    monthly: str | None,
    families: Iterable[str] | None = None,
    cheaper: Iterable[str] | None = None,
) -> BudgetsEntry:
    """Return budgets from the options of `trunkline budgets set`."""
    found = _families(families, ("daily", "monthly"), amount)
    pairs = [text.partition("=") for text in cheaper or ()]
    for model, equals, other in pairs:
        if not model or not equals or not other:
            raise CLIError(f"a cheaper model is written MODEL=CHEAPER, not {model + equals + other!r}")
    return BudgetsEntry(
        daily=None if daily is None else amount(daily),
        monthly=None if monthly is None else amount(monthly),
        models=tuple(ModelBudgetEntry(models=models, **settings) for models, settings in found),
        cheaper={model: other for model, _, other in pairs},
    )


def _families(
    texts: Iterable[str] | None, names: tuple[str, ...], read: Callable[[str], V]
) -> list[tuple[tuple[str, ...], dict[str, V]]]:
    found = []
    for text in texts or ():
        # The last colon: names of models may hold some.
        models, colon, settings = text.rpartition(":")
        pairs = [part.partition("=") for part in settings.split(",")]
        if not models or not colon or not all(name in names and value for name, _, value in pairs):
            raise CLIError(f"a family is written PATTERN,…:{names[0]}=…, with any of {', '.join(names)}; not {text!r}")
        found.append((tuple(models.split(",")), {name: read(value) for name, _, value in pairs}))
    return found
