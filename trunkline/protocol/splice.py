"""Changes a request body member by member, in place: every other byte stays as the client wrote it.

Where a key is repeated, each of its values is treated alike, so that it does not matter which one the upstream takes.
Called by the relay sides of the dialects whose requests are JSON objects.
"""

import msgspec

from trunkline.core.errors import ErrorType, Fault, FaultError
from trunkline.protocol.json_span import MalformedJSONError, edit_object, top_level_spans
from trunkline.protocol.rules import RequestRules

PRIVATE_FIELDS = frozenset({"fallback_models", "models", "usage", "zenmux-route"})
"""Wishes of the client that are ours to fulfil, for routing and for the cost in the answer: no provider sees them."""

_encode = msgspec.json.Encoder().encode
_decode_number = msgspec.json.Decoder(int | float).decode
_decode_text = msgspec.json.Decoder(str).decode


class BodyChanges:
    """Collects what changes in a body.

    Args:
        body: a JSON object.

    Raises:
        FaultError: ``client_bad_json``: it is none.
    """

    __slots__ = ("_body", "_members", "inserted", "removed", "replaced")

    def __init__(self, body: bytes) -> None:
        try:
            self._members = top_level_spans(body)
        except MalformedJSONError:
            raise FaultError(Fault(ErrorType.CLIENT_BAD_JSON, "The request body must be a JSON object.")) from None
        self._body = body
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
            inserted=list(self.inserted.values()),
        )

    def present(self, key: str) -> list[int]:
        """Return where a key stands that was not dropped."""
        return [index for index, member in enumerate(self._members) if member.key == key and index not in self.removed]

    def value(self, index: int) -> bytes:
        """Return a member's JSON as it stands now."""
        member = self._members[index]
        return self.replaced.get(index, self._body[member.value_start : member.value_end])

    def drop_private(self) -> None:
        """Drop what is meant for the gateway."""
        for index, member in enumerate(self._members):
            if member.key in PRIVATE_FIELDS:
                self.removed.add(index)

    def drop(self, key: str) -> None:
        """Drop a member."""
        self.removed.update(self.present(key))

    def put(self, key: str, value: bytes) -> None:
        """Give a member a value, as JSON."""
        present = self.present(key)
        for index in present:
            if self.value(index) != value:
                self.replaced[index] = value
        if not present:
            self.inserted[key] = _encode(key) + b":" + value

    def put_text(self, key: str, text: str) -> None:
        """Give a member a string; an escaped spelling of the same one stays as the client wrote it."""
        present = self.present(key)
        value = _encode(text)
        for index in present:
            current = self.value(index)
            if current != value and not (b"\\" in current and _text(current) == text):
                self.replaced[index] = value
        if not present:
            self.inserted[key] = _encode(key) + b":" + value

    def clamp(self, key: str, lowest: float | None, highest: float | None) -> None:
        """Keep a number within bounds, where it is present and a number."""
        for index in self.present(key):
            try:
                number = _decode_number(self.value(index))
            except msgspec.DecodeError:
                continue
            if lowest is not None and number < lowest:
                self.replaced[index] = _number(lowest)
            elif highest is not None and number > highest:
                self.replaced[index] = _number(highest)

    def apply(self, rules: RequestRules | None) -> None:
        """Do what a channel's rules say: drop, set, clamp."""
        if rules is None:
            return
        for key in rules.drop:
            self.drop(key)
        for key, value in rules.set.items():
            self.put(key, value)
        for key, (lowest, highest) in rules.clamp.items():
            self.clamp(key, lowest, highest)


def prepare_body(body: bytes, *, upstream_model: str | None, rules: RequestRules | None) -> BodyChanges:
    """Return the changes that every dialect with its model in the body needs; more may be added before `result`.

    Args:
        body: of a client.
        upstream_model: the provider's model name; None leaves the client's.
        rules: the channel's.

    Raises:
        FaultError: ``client_bad_json``: the body is not a JSON object.
    """
    changes = BodyChanges(body)
    changes.drop_private()
    if upstream_model is not None:
        changes.put_text("model", upstream_model)
    changes.apply(rules)
    return changes


def _text(value: bytes) -> str | None:
    try:
        return _decode_text(value)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None


def _number(bound: float) -> bytes:
    """Return a bound as JSON; a whole one without a fraction, as many fields take only integers."""
    return _encode(int(bound) if float(bound).is_integer() else bound)
