"""What an import has made of each part of a file: its result, and a remark for every place.

No remark quotes a value that may be a secret.
"""

from collections import Counter
from collections.abc import Mapping
from enum import StrEnum
from typing import Any, Final

import msgspec

REMARKS_MAX: Final = 5000
"""Of each fate, so that what is to be done is not lost among what was taken. Those beyond are counted in a last one."""

PLACE_CHARS_MAX: Final = 200
"""Places hold names out of the file, which may be of any length."""

MESSAGE_CHARS_MAX: Final = 8000
"""Some name all that was left out; New API has some two hundred options."""


class Fate(StrEnum):
    """What became of a part of a file."""

    TAKEN = "taken"
    CHANGED = "changed"
    """Taken with a change."""
    LEFT_OUT = "left_out"
    TO_DO = "to_do"
    """The operator is to add something before the result can be applied, such as a variable or a price."""


class Remark(msgspec.Struct, frozen=True):
    """What became of one place of a file.

    Attributes:
        place: such as ``model_list[0].litellm_params.rpm``.
        fate: see there.
        message: what was made of it, or why nothing was.
    """

    place: str
    fate: Fate
    message: str


class Imported(msgspec.Struct, frozen=True):
    """What came of an import.

    Attributes:
        configuration: as in a configuration file; `policy.configuration_file.load` takes it.
        remarks: in the order of the file.
        variables: names of the environment variables that it refers to as secrets.
    """

    configuration: dict[str, Any]
    remarks: tuple[Remark, ...]
    variables: tuple[str, ...]


class RemarkList:
    """Collects remarks, at most `REMARKS_MAX` of each fate."""

    def __init__(self) -> None:
        self._remarks: list[Remark] = []
        self._counts: Counter[Fate] = Counter()

    def taken(self, place: str, message: str) -> None:
        """Note that a part was taken as it is."""
        self._add(place, Fate.TAKEN, message)

    def changed(self, place: str, message: str) -> None:
        """Note that a part was taken with a change."""
        self._add(place, Fate.CHANGED, message)

    def left_out(self, place: str, message: str) -> None:
        """Note that a part was not taken, and why."""
        self._add(place, Fate.LEFT_OUT, message)

    def to_do(self, place: str, message: str) -> None:
        """Note what the operator is to add."""
        self._add(place, Fate.TO_DO, message)

    def others(self, place: str, fields: Mapping[str, object], known: frozenset[str], why: str) -> None:
        """Note all the fields together that are not known; those that say nothing need no remark."""
        names = [name for name, value in fields.items() if name not in known and value not in (None, "", [], {})]
        if names:
            self.left_out(place, f"{', '.join(names)}: {why}")

    def all(self) -> tuple[Remark, ...]:
        """Return what was noted."""
        beyond = [(fate, count - REMARKS_MAX) for fate, count in self._counts.items() if count > REMARKS_MAX]
        return (*self._remarks, *(Remark("", fate, f"{more} further parts are not listed") for fate, more in beyond))

    def _add(self, place: str, fate: Fate, message: str) -> None:
        self._counts[fate] += 1
        if self._counts[fate] <= REMARKS_MAX:
            self._remarks.append(Remark(place[:PLACE_CHARS_MAX], fate, message[:MESSAGE_CHARS_MAX]))
