"""Changes a form field by field, in place: `splice.BodyChanges` for forms. Called by `media_form`.

A field of a list (``name[]``) counts under its plain name. What is set to a JSON string becomes its text, anything else
its JSON.
"""

import re
from collections.abc import Mapping, Sequence

import msgspec

from trunkline.protocol.endpoints.multipart import Part, edit_form
from trunkline.protocol.rules import clamped
from trunkline.protocol.splice import PRIVATE_FIELDS

TEXT_BYTES_MAX = 1024
"""Of a field that is read: a model's name in the longest encoding, a word, a number."""

_FIELD_NAME = re.compile(r"[A-Za-z0-9_.\[\]-]{1,64}", re.ASCII)
_decode = msgspec.json.Decoder().decode


class FormChanges:
    """Collects what changes in a form; for rules see `protocol.rules.Ruled`.

    Args:
        body: the form; kept, not copied.
        parts: all of its parts.
    """

    __slots__ = ("_body", "_inserted", "_parts", "_removed", "_renamed", "_replaced")

    def __init__(self, body: bytes, parts: Sequence[Part]) -> None:
        self._body = body
        self._parts = parts
        self._replaced: dict[int, bytes] = {}
        self._removed: set[int] = set()
        self._renamed: dict[int, str] = {}
        self._inserted: dict[str, bytes] = {}

    def result(self) -> bytes:
        """Return the changed form; the very same object when nothing has changed.

        Raises:
            FaultError: ``client_bad_request``: what is put in holds the form's boundary.
        """
        return edit_form(
            self._body,
            self._parts,
            replaced=self._replaced,
            removed=self._removed,
            renamed=self._renamed,
            inserted=self._inserted,
        )

    def text(self, name: str) -> str | None:
        """Return the text of a field as it stands now; None if it is not there once, as a short text."""
        found = [index for index in self._present(name) if self._name(index) == name]
        if not found and name in self._inserted:
            return self._inserted[name].decode(errors="replace")
        if len(found) != 1 or self._parts[found[0]].filename is not None:
            return None
        try:
            return self._short(found[0]).decode()
        except UnicodeDecodeError:
            return None

    def drop_private(self) -> None:
        """Drop what is meant for the gateway."""
        for index, part in enumerate(self._parts):
            if base_name(part.name) in PRIVATE_FIELDS:
                self._removed.add(index)

    def put_text(self, name: str, content: bytes) -> None:
        """Give a field a text; it takes the place of a list as well."""
        kept = False
        for index in self._present(name):
            if self._name(index) != name:
                self._removed.add(index)
                continue
            kept = True
            part = self._parts[index]
            if content != self._body[part.start : part.end]:
                self._replaced[index] = content
            else:
                self._replaced.pop(index, None)  # what another rule has put there meanwhile
        if not kept and _FIELD_NAME.fullmatch(name):
            self._inserted[name] = content

    # --- by rules ----------------------------------------------------------------------------------------------

    def drop(self, name: str) -> None:
        """Remove a field."""
        self._removed.update(self._present(name))
        self._inserted.pop(name, None)

    def put(self, name: str, value: bytes) -> None:
        """Give a field a value."""
        self.put_text(name, _form_text(value))

    def default(self, name: str, value: bytes) -> None:
        """Give a field a value where the form has none of that name."""
        if not self._present(name) and name not in self._inserted:
            self.put_text(name, _form_text(value))

    def clamp(self, name: str, lowest: float | None, highest: float | None) -> None:
        """Keep a number within bounds, where it is there and a number."""
        for index in self._present(name):
            if self._parts[index].filename is not None:
                continue
            if (bound := clamped(self._short(index), lowest, highest)) is not None:
                self._replaced[index] = bound
        if (bound := clamped(self._inserted.get(name, b""), lowest, highest)) is not None:
            self._inserted[name] = bound

    def rename(self, names: Mapping[str, str]) -> None:
        """Give fields other names, files as well; in place of those that have these already."""
        moves = []
        for old, new in names.items():
            present, inserted = self._present(old), self._inserted.get(old)
            if (present or inserted is not None) and _FIELD_NAME.fullmatch(new):
                moves.append((new, present, inserted))
                self._inserted.pop(old, None)
        moving = {index for _, present, _ in moves for index in present}
        for new, present, inserted in moves:
            self._removed.update(set(self._present(new)) - moving)
            moving -= set(present)
            self._inserted.pop(new, None)
            if inserted is not None:
                self._inserted[new] = inserted
            for index in present:
                brackets = self._parts[index].name.removeprefix(base_name(self._parts[index].name))
                self._renamed[index] = new if "[" in new else new + brackets

    def _present(self, name: str) -> list[int]:
        return [
            index
            for index in range(len(self._parts))
            if index not in self._removed and name in {self._name(index), base_name(self._name(index))}
        ]

    def _name(self, index: int) -> str:
        return self._renamed.get(index, self._parts[index].name)

    def _short(self, index: int) -> bytes:
        """Return a field's content as it stands now; empty where it is too long to be read."""
        part = self._parts[index]
        if index in self._replaced or part.end - part.start > TEXT_BYTES_MAX:
            return self._replaced.get(index, b"")
        return self._body[part.start : part.end]


def base_name(name: str) -> str:
    """Return a field's name without the brackets of a list or an object."""
    return name.partition("[")[0]


def _form_text(value: bytes) -> bytes:
    try:
        text = _decode(value)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return value
    return text.encode() if isinstance(text, str) else value
