"""Changes a request body member by member, in place: every other byte stays as the client wrote it.

Where a key is repeated, each of its values is treated alike, so that it does not matter which one the upstream takes.
Called by the relay sides of the dialects whose requests are JSON objects.
"""

from collections.abc import Callable, Mapping
from typing import TypeVar

import msgspec

from trunkline.core.errors import ErrorType, Fault, FaultError
from trunkline.protocol.json_span import MalformedJSONError, edit_object, top_level_spans
from trunkline.protocol.routing_wish import BODY_FIELDS
from trunkline.protocol.rules import RequestRules, clamped

PRIVATE_FIELDS = frozenset({*BODY_FIELDS, "usage"})
"""Wishes of the client that are ours to fulfil, for routing and for the cost in the answer: no provider sees them."""

_LIST_OR_NULL = b"[n"
"""How ``models`` begins where it is a wish; a provider may have a field of that name and another kind."""

Result = TypeVar("Result")

_encode = msgspec.json.Encoder().encode
_decode_text = msgspec.json.Decoder(str).decode


class BodyChanges:
    """Collects what changes in a body.

    To rules a name with dots is a path: ``generationConfig.topP`` is the member ``topP`` of ``generationConfig``.

    Args:
        body: a JSON object.
        spelling: brings the spellings of a key to one, where the dialect has several; keys are found by it.

    Raises:
        FaultError: ``client_bad_json``: it is none.
    """

    __slots__ = ("_body", "_members", "_spelling", "inserted", "removed", "replaced")

    def __init__(self, body: bytes, spelling: Callable[[str], str] | None = None) -> None:
        try:
            self._members = top_level_spans(body)
        except MalformedJSONError:
            raise FaultError(Fault(ErrorType.CLIENT_BAD_JSON, "The request body must be a JSON object.")) from None
        self._body = body
        self._spelling = spelling
        self.replaced: dict[int, bytes] = {}
        self.removed: set[int] = set()
        self.inserted: dict[str, bytes] = {}

    def result(self) -> bytes:
        """Return the changed body; the very same object when nothing has changed."""
        return edit_object(
            self._body,
            self._members,
            replaced=self.replaced,
            removed=self.removed,
            inserted=[_encode(key) + b":" + value for key, value in self.inserted.items()],
        )

    def ruled(self, rules: RequestRules | None) -> bytes:
        """Return `result` with what a channel's rules change. They come last: they mean the request as it would be."""
        if rules is not None:
            rules.apply(self)
        return self.result()

    def present(self, key: str) -> list[int]:
        """Return where a key stands in the body that was not dropped."""
        if self._spelling is not None:
            spelled = self._spelling
            key = spelled(key)
            found = [index for index, member in enumerate(self._members) if spelled(member.key) == key]
            return [index for index in found if index not in self.removed]
        return [index for index, member in enumerate(self._members) if member.key == key and index not in self.removed]

    def value(self, index: int) -> bytes:
        """Return a member's JSON as it stands now."""
        member = self._members[index]
        return self.replaced.get(index, self._body[member.value_start : member.value_end])

    def sent(self, key: str) -> bytes:
        """Return the JSON of a key as it stands now, the last where it is repeated; empty where it is not there."""
        present = self.present(key)
        return self.value(present[-1]) if present else self.inserted.get(key, b"")

    def drop_private(self) -> None:
        """Drop what is meant for the gateway."""
        for index, member in enumerate(self._members):
            key = member.key
            if key in PRIVATE_FIELDS and (key != "models" or self._body[member.value_start] in _LIST_OR_NULL):
                self.removed.add(index)

    def put_text(self, key: str, text: str) -> None:
        """Give a member a string; an escaped spelling of the same one stays as the client wrote it."""
        present = self.present(key)
        value = _encode(text)
        for index in present:
            current = self.value(index)
            if current != value and not (b"\\" in current and _text(current) == text):
                self.replaced[index] = value
        if not present:
            self.inserted[key] = value

    # --- by rules, see `protocol.rules.Ruled` --------------------------------------------------------------------

    def drop(self, name: str) -> None:
        """Drop a member."""
        self.take(name)

    def take(self, name: str) -> bytes:
        """Drop a member and return its value, the last where it is repeated; empty where there is none."""
        outer, nested, rest = name.partition(".")
        if nested:
            taken = self._within(outer, lambda inner: inner.take(rest))
            return next(filter(None, reversed(taken)), b"")
        present = self.present(name)
        value = self.value(present[-1]) if present else self.inserted.pop(name, b"")
        self.removed.update(present)
        return value

    def put(self, name: str, value: bytes) -> None:
        """Give a member a value, as JSON; objects on the way to it are made where they are missing."""
        outer, nested, rest = name.partition(".")
        if nested:
            self._within(outer, lambda inner: inner.put(rest, value), make=True)
            return
        present = self.present(name)
        for index in present:
            if self.value(index) != value:
                self.replaced[index] = value
        if not present:
            self.inserted[name] = value

    def default(self, name: str, value: bytes) -> None:
        """Give a member a value unless it has one that is not null."""
        outer, nested, rest = name.partition(".")
        if nested:
            self._within(outer, lambda inner: inner.default(rest, value), make=True)
            return
        present = self.present(name)
        for index in present:
            if self.value(index) == b"null":
                self.replaced[index] = value
        if not present:
            self.inserted.setdefault(name, value)

    def clamp(self, name: str, lowest: float | None, highest: float | None) -> None:
        """Keep a number within bounds, where it is present and a number."""
        outer, nested, rest = name.partition(".")
        if nested:
            self._within(outer, lambda inner: inner.clamp(rest, lowest, highest))
            return
        for index in self.present(name):
            if (bound := clamped(self.value(index), lowest, highest)) is not None:
                self.replaced[index] = bound
        if name in self.inserted and (bound := clamped(self.inserted[name], lowest, highest)) is not None:
            self.inserted[name] = bound

    def rename(self, names: Mapping[str, str]) -> None:
        """Give members other names, in place of those that have these already."""
        taken = [(new, self.take(old)) for old, new in names.items()]
        for new, value in taken:
            if value:
                self.put(new, value)

    def _within(self, outer: str, change: Callable[["BodyChanges"], Result], *, make: bool = False) -> list[Result]:
        """Change the objects that stand under a key, and return what ``change`` did.

        Args:
            outer: the key. What is no object there is passed over.
            change: changes an object.
            make: whether an object is made where there is none, or null.
        """
        results = []
        present = self.present(outer)
        if make and not present:
            self.inserted.setdefault(outer, b"{}")
        for index in present:
            source = self.value(index)
            inner = self._inner(source, make=make)
            if inner is not None:
                results.append(change(inner))
                changed = inner.result()
                if changed is not source:
                    self.replaced[index] = changed
        inner = self._inner(self.inserted.get(outer, b""), make=make)
        if inner is not None:
            results.append(change(inner))
            self.inserted[outer] = inner.result()
        return results

    def _inner(self, source: bytes, *, make: bool) -> "BodyChanges | None":
        try:
            return BodyChanges(b"{}" if make and source == b"null" else source, self._spelling)
        except FaultError:
            return None


def prepare_body(body: bytes, *, upstream_model: str | None) -> BodyChanges:
    """Return the changes that every dialect with its model in the body needs.

    More may be added before `BodyChanges.ruled` ends them.

    Args:
        body: of a client.
        upstream_model: the provider's model name; None leaves the client's.

    Raises:
        FaultError: ``client_bad_json``: the body is not a JSON object.
    """
    changes = BodyChanges(body)
    changes.drop_private()
    if upstream_model is not None:
        changes.put_text("model", upstream_model)
    return changes


def ruled(body: bytes, rules: RequestRules) -> bytes:
    """Return a body that was written here, with what a channel's rules change in it."""
    return body if rules.empty else BodyChanges(body).ruled(rules)


def _text(value: bytes) -> str | None:
    try:
        return _decode_text(value)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
