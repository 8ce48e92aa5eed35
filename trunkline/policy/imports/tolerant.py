"""Values of other gateways' files as they are meant: numbers that are text, lists in one line, JSON within JSON."""

import re
from collections.abc import Iterable, Mapping
from decimal import Decimal, InvalidOperation
from typing import Any, Final

import msgspec

from trunkline.policy.configuration import ConfigurationError
from trunkline.policy.configuration_values import AMOUNT_USD_MAX, NAME_CHARS_MAX
from trunkline.policy.imports.reading import read_json
from trunkline.policy.list_prices import Serving

_SECRET: Final = re.compile(r"auth|key|token|secret|cookie|password|credential", re.ASCII)

_NANO: Final = Decimal("0.000000001")

_DIGITS_MAX: Final = 40
"""Of a number that is text; more are no number that anybody has written."""


def text(value: object) -> str:
    """Return a text without the spaces around it; empty if it is none."""
    return value.strip() if isinstance(value, str) else ""


def mapping(value: object) -> dict[str, Any]:
    """Return a mapping, also one that is JSON within a text; empty if it is none."""
    found = decoded(value)
    return found if isinstance(found, dict) else {}


def decoded(value: object) -> Any:
    """Return what a text of JSON holds; any other value as it is, and a text that is no JSON, too."""
    if isinstance(value, str) and value.strip()[:1] in {"{", "["}:
        try:
            return read_json(value.strip().encode())
        except ConfigurationError:
            return value
    return value


def listing(value: object) -> list[Any]:
    """Return a list; empty if it is none."""
    return value if isinstance(value, list) else []


def parts(value: object, separator: str = ",") -> list[str]:
    """Return the parts of a text that say something, in order, each once."""
    return list(dict.fromkeys(part for piece in text(value).split(separator) if (part := piece.strip())))


def number(value: object) -> Decimal | None:
    """Return a finite number, also one that is text; None if it is none."""
    if isinstance(value, bool) or not isinstance(value, int | float | str) or value == "":
        return None
    written = str(value)
    if len(written) > _DIGITS_MAX:
        return None
    try:
        found = Decimal(written)
    except InvalidOperation:
        return None
    return found if found.is_finite() else None


def whole(value: object, low: int, high: int) -> int | None:
    """Return a whole number, moved within its bounds; None if it is no number."""
    found = number(value)
    return None if found is None else int(min(max(found, Decimal(low)), Decimal(high)))


def truth(value: object) -> bool:
    """Return whether a value says yes: databases write it in many ways."""
    return value is True or value == 1 or (isinstance(value, str) and value.lower() in {"1", "true", "t"})


def amount(usd: Decimal) -> int | float | None:
    """Return an amount in USD to the nano-USD, as a configuration file has it; None if there is no such amount."""
    if not 0 <= usd <= AMOUNT_USD_MAX:
        return None
    return plain_number(usd.quantize(_NANO))


def plain_number(value: Decimal) -> int | float:
    """Return a number as YAML and JSON have it."""
    return int(value) if value == value.to_integral_value() else float(value)


def may_be_secret(header: str) -> bool:
    """Return whether a header line of that name is likely to hold a secret, which a header rule must not."""
    return _SECRET.search(header.lower()) is not None


def tidy_name(name: str, fallback: str) -> str:
    """Return a name as accounts, keys and channels may have it."""
    printable = "".join(letter if letter.isprintable() and letter != "/" else "-" for letter in name).strip()
    return printable[:NAME_CHARS_MAX].strip() or fallback


class UniqueNames:
    """Gives each thing a name that no other of its kind has."""

    def __init__(self) -> None:
        self._taken: set[str] = set()

    def take(self, name: str) -> str:
        """Return the name, with a number behind it if it is taken."""
        found, count = name, 1
        while found in self._taken:
            count += 1
            tail = f"-{count}"
            found = name[: NAME_CHARS_MAX - len(tail)] + tail
        self._taken.add(found)
        return found


def servings(model: str, channels: Iterable[Mapping[str, Any]]) -> list[Serving]:
    """Return how the channels of a configuration that serve a model do so."""
    return [
        Serving(channel["dialect"], channel["base_url"], channel["models"][model])
        for channel in channels
        if model in channel["models"]
    ]


def json_bytes(value: object) -> bytes:
    """Return plain data as JSON in one form, to be compared."""
    return msgspec.json.encode(value, order="sorted")
