"""Settings: declared once, beside what they set; read from the environment or from files.

A service declares a frozen dataclass whose fields are made by `setting`. `load` reads them all and reports all
errors together. ``NAME_FILE`` names a file that holds the value, as container platforms mount secrets. The
docs' table of settings is made from the same declarations.
"""

import dataclasses
import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NoReturn, Protocol, TypeVar, get_type_hints, runtime_checkable

EXIT_USAGE = 64
"""``EX_USAGE`` of sysexits.h: the configuration is wrong; restarting will not help."""

_REQUIRED = dataclasses.MISSING
_TRUE = frozenset({"1", "true", "yes", "on"})
_FALSE = frozenset({"0", "false", "no", "off"})

S = TypeVar("S")


@runtime_checkable
class _Whole(Protocol):
    """Settings that can be wrong together, though each of them is well-formed."""

    def faults(self) -> list[str]:
        """Return what is wrong, one sentence each."""


class SettingsError(Exception):
    """Every fault found in the settings.

    Attributes:
        faults: one sentence each.
    """

    def __init__(self, faults: list[str]) -> None:
        super().__init__("\n".join(faults))
        self.faults = faults


@dataclasses.dataclass(frozen=True)
class Declaration:
    """What is known of a setting beside its type and default."""

    name: str
    help: str
    secret: bool
    check: Callable[[Any], str | None] | None


def setting(
    name: str,
    default: Any = _REQUIRED,
    *,
    help: str,  # noqa: A002 - the word people know from every option parser
    secret: bool = False,
    check: Callable[[Any], str | None] | None = None,
) -> Any:
    """Declare a setting as a dataclass field.

    Args:
        name: of the environment variable.
        default: none makes it required.
        help: one sentence for the docs.
        secret: its value is shown nowhere.
        check: returns what is wrong with a value, or None.
    """
    metadata = {"declaration": Declaration(name, help, secret, check)}
    if default is _REQUIRED:
        return dataclasses.field(metadata=metadata, repr=not secret)
    return dataclasses.field(default=default, metadata=metadata, repr=not secret)


def at_least(bound: float) -> Callable[[Any], str | None]:
    """Return a check that a number is no smaller than ``bound``."""
    return lambda value: None if value >= bound else f"must be at least {bound:g}"


def _parse_bool(text: str) -> bool:
    lowered = text.strip().lower()
    if lowered in _TRUE:
        return True
    if lowered in _FALSE:
        return False
    raise ValueError("must be true or false")


def _parse_names(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",") if part.strip())


_PARSERS: dict[Any, tuple[Callable[[str], Any], str]] = {
    str: (str, "text"),
    int: (int, "a whole number"),
    float: (float, "a number"),
    bool: (_parse_bool, "true or false"),
    tuple[str, ...]: (_parse_names, "names separated by commas"),
    Path: (Path, "a path"),
}


def _raw(declaration: Declaration, environ: Mapping[str, str]) -> str | None:
    if (text := environ.get(declaration.name)) is not None:
        return text
    if (path := environ.get(f"{declaration.name}_FILE")) is not None:
        try:
            return Path(path).read_text().strip()
        except OSError as error:
            raise ValueError(f"its file cannot be read: {error.strerror}") from error
    return None


def load(settings: type[S], environ: Mapping[str, str] | None = None) -> S:
    """Read a settings dataclass from ``environ`` (the process's own by default).

    If it has a method ``faults``, that is asked once each setting by itself is well-formed.

    Raises:
        SettingsError: names every setting that is missing or wrong.
    """
    environ = os.environ if environ is None else environ
    hints = get_type_hints(settings)
    values: dict[str, Any] = {}
    faults: list[str] = []
    for field in dataclasses.fields(settings):  # type: ignore[arg-type]  # S is always a settings dataclass
        declaration: Declaration = field.metadata["declaration"]
        parse, wanted = _PARSERS[hints[field.name]]
        try:
            text = _raw(declaration, environ)
            if text is None:
                if field.default is _REQUIRED:
                    faults.append(f"{declaration.name} is not set: {declaration.help}")
                continue
            try:
                value = parse(text)
            except ValueError as error:
                raise ValueError(f"must be {wanted}") from error
            if declaration.check is not None and (wrong := declaration.check(value)):
                raise ValueError(wrong)
            values[field.name] = value
        except ValueError as error:
            faults.append(f"{declaration.name} {error}")
    if faults:
        raise SettingsError(faults)
    loaded = settings(**values)
    if isinstance(loaded, _Whole) and (faults := loaded.faults()):
        raise SettingsError(faults)
    return loaded


def load_or_exit(settings: type[S]) -> S:
    """As `load`, but tell the operator and exit with `EXIT_USAGE` when something is wrong."""
    try:
        return load(settings)
    except SettingsError as error:
        exit_with_faults(error.faults)


def exit_with_faults(faults: list[str]) -> NoReturn:
    """Print every fault, one a line, and exit with `EXIT_USAGE`."""
    for fault in faults:
        sys.stderr.write(f"configuration: {fault}\n")
    sys.exit(EXIT_USAGE)


def environment() -> dict[str, str]:
    """Return a copy of the process's environment, to hand to child processes or to `load`."""
    return dict(os.environ)
