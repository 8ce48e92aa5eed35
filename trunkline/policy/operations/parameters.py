"""Values of queries that several operations take."""

from typing import Any, Final

from trunkline.policy.operations.operation import Parameter

BOOLEAN: Final[dict[str, Any]] = {"type": "boolean", "default": False}

MONTH: Final = Parameter(
    "month",
    "A month such as 2030-01, in UTC; the present one if left out.",
    {"type": "string", "pattern": r"^\d{4}-\d{2}$"},
)
SINCE: Final = Parameter("since", "First day or moment, in UTC unless it names another zone; 30 days ago if left out.")
UNTIL: Final = Parameter("until", "Day or moment at which it ends; now if left out.")
AFTER_NAME: Final = Parameter("after", "Only those after this name: the page that follows.")
LIMIT: Final = Parameter("limit", "How many at most; all if left out.", {"type": "integer"})
DRY_RUN: Final = Parameter("dry_run", "Whether only to say what would change.", BOOLEAN)
WITHDRAW_KEYS: Final = Parameter(
    "withdraw_keys",
    "Whether to block all keys of this person in the same step: theirs, and those whose secret they were shown.",
    BOOLEAN,
)


def choice(name: str, help_: str, *values: str) -> Parameter:
    """Return a parameter that takes one of some values; the first of them if it is left out."""
    return Parameter(name, help_, {"type": "string", "enum": list(values), "default": values[0]})
