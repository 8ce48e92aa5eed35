"""Where the members of a JSON object stand in its source, so that one is changed and no other byte is touched.

Dialects splice requests and answers with it instead of decoding and encoding them, which would lose the digits of
long numbers, the order of keys and the upstream's prompt cache. Pure functions over bytes.
"""

import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import TypeVar

import msgspec

# Possessive quantifiers: no backtracking, so that no input costs more than one pass.
_STRING = rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"'
_SPACE = rb"[ \t\n\r]*+"

_MEMBER = re.compile(
    _SPACE + rb"[{,]" + _SPACE + rb"(" + _STRING + rb")" + _SPACE + rb":" + _SPACE
    # The value itself where it is a string, a number or a word; empty where it is an array or an object.
    + rb"(" + _STRING + rb"|[^\s,\]}{\[\"]*+)",
    re.DOTALL,
)  # fmt: skip
_BRACKET = re.compile(_STRING + rb"|([\[{])|[\]}]", re.DOTALL)
_SURROGATE_PAIR_OR_ESCAPE = re.compile(
    rb"\\(?:u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|(u[dD][89a-fA-F][0-9a-fA-F]{2})|.)", re.DOTALL
)
_ESCAPED_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")

_QUOTE = 0x22

EARLY_MEMBERS_MAX = 6
"""Members that may stand before one that is found without a walk over all: in answers, an id, a kind and a date."""

LONE_SURROGATES_SOURCE_BYTES_MAX = 1024 * 1024
"""Larger sources are not searched for them: each escape costs a step of the interpreter, 0.2 s at this size."""

_decode_values = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_decode_text = msgspec.json.Decoder(str).decode


Decoded = TypeVar("Decoded")


class MalformedJSONError(ValueError):
    """A source that is not one JSON object, or is nested too deeply to be read."""


class Member(msgspec.Struct, frozen=True, gc=False):
    """One member of an object: offsets into its source, ends exclusive.

    Attributes:
        key: decoded.
        start: of the key's opening quote.
        value_start, value_end: of the value, without the white space around it.
    """

    key: str
    start: int
    value_start: int
    value_end: int


def without_lone_surrogates(source: bytes) -> bytes:
    r"""Return JSON in which each unpaired escape such as ``\ud83d`` reads ``\ufffd``: same length, same offsets.

    Strict decoders refuse such an escape, but JavaScript clients produce it when they cut a text inside an emoji,
    and RFC 8259 section 8.2 leaves it to the receiver. So it is read with this and relayed as it came. Returns
    the very same object where there is none, or where the source is over `LONE_SURROGATES_SOURCE_BYTES_MAX`.
    """
    if len(source) > LONE_SURROGATES_SOURCE_BYTES_MAX or _ESCAPED_SURROGATE.search(source) is None:
        return source
    return _SURROGATE_PAIR_OR_ESCAPE.sub(lambda found: rb"\ufffd" if found[1] else found[0], source)


def decode_cleaned(decode: Callable[[bytes], Decoded], source: bytes) -> Decoded:
    """Return what a decoder of msgspec's makes of JSON, read `without_lone_surrogates` where it refuses them.

    Raises:
        msgspec.DecodeError, UnicodeDecodeError, RecursionError: as the decoder.
    """
    try:
        return decode(source)
    except msgspec.ValidationError:
        raise
    except msgspec.DecodeError:
        cleaned = without_lone_surrogates(source)
        if cleaned is source:
            raise
        return decode(cleaned)


def top_level_spans(source: bytes) -> list[Member]:
    """Return the members of a JSON object in the order of its source, duplicates of a key included.

    Raises:
        MalformedJSONError: the source is not one valid JSON object.
    """
    source, values = _values(source)
    members = []
    position = 0
    while (found := _MEMBER.match(source, position)) is not None:
        quoted = found[1]
        key = _decode_text(quoted)
        start, position = found.span(2)
        if position == start:
            position = _container_end(source, start, values[key])
        members.append(Member(key, found.start(1), start, position))
    return members


def early_text(source: bytes, key: str) -> tuple[int, int] | None:
    """Return where the text of a key stands, quotes included: one among an object's first members, and not repeated.

    None where only a walk over all of it would tell.

    Args:
        source: JSON that was found valid.
        key: of plain letters.
    """
    quoted = b'"%b"' % key.encode()
    position = 0
    for _ in range(EARLY_MEMBERS_MAX):
        found = _MEMBER.match(source, position)
        if found is None or b"\\" in found[1]:
            return None  # an escape may stand for a letter of the key
        start, position = found.span(2)
        if found[1] == quoted:
            # A text has its quotes escaped, so only a key (or a text that says just this) looks like it.
            unique = source.find(quoted, position) < 0 and source.find(b"\\u", position) < 0
            return (start, position) if unique and source[start] == _QUOTE else None
        if position == start:
            return None  # behind an array or an object
    return None


def _values(source: bytes) -> tuple[bytes, dict[str, msgspec.Raw]]:
    """Return the source to walk along and the values by key; the last one where a key is repeated."""
    try:
        try:
            return source, _decode_values(source)
        except msgspec.DecodeError:
            cleaned = without_lone_surrogates(source)
            if cleaned is source:
                raise
            return cleaned, _decode_values(cleaned)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise MalformedJSONError("not a JSON object") from error


def _container_end(source: bytes, start: int, value: msgspec.Raw) -> int:
    """Return where the array or object at ``start`` ends, given the last value that its key has.

    No array or object is the beginning of another, so if the source goes on with ``value`` that is what stands
    there. It does not only where the key is repeated with another value; then brackets are counted.
    """
    if source.startswith(value, start):
        return start + len(memoryview(value))
    depth = 0
    for found in _BRACKET.finditer(source, start):
        if found[1] is not None:
            depth += 1
        elif source[found.start()] != _QUOTE:
            depth -= 1
            if depth == 0:
                return found.end()
    raise MalformedJSONError("an array or object does not end")


def edit_object(
    source: bytes,
    members: Sequence[Member],
    *,
    replaced: Mapping[int, bytes] | None = None,
    removed: Collection[int] = (),
    inserted: Sequence[bytes] = (),
) -> bytes:
    """Return an object with some members changed; with nothing to change, the very same bytes object.

    Args:
        source: the object's JSON.
        members: all of its members, from `top_level_spans`.
        replaced: new values, as JSON, by index into ``members``.
        removed: indices into ``members``; each goes with one comma. Wins over ``replaced``.
        inserted: whole new members, as JSON (``b'"key":value'``), put before the first one.
    """
    replaced = replaced or {}
    if not replaced and not removed and not inserted:
        return source
    pieces: list[bytes] = []
    position = 0
    for start, end, new in _edits(source, members, replaced, removed, inserted):
        pieces += (source[position:start], new)
        position = end
    pieces.append(source[position:])
    return b"".join(pieces)


def _edits(
    source: bytes,
    members: Sequence[Member],
    replaced: Mapping[int, bytes],
    removed: Collection[int],
    inserted: Sequence[bytes],
) -> Iterator[tuple[int, int, bytes]]:
    """Yield what `edit_object` changes as (start, end, new bytes), from left to right."""
    kept = sum(index not in removed for index in range(len(members)))
    if inserted:
        opening = source.index(b"{") + 1
        yield opening, opening, b",".join(inserted) + (b"," if kept else b"")
    kept_before = False
    for index, member in enumerate(members):
        if index not in removed:
            kept_before = True
            if index in replaced:
                yield member.value_start, member.value_end, replaced[index]
        elif kept_before:
            yield members[index - 1].value_end, member.value_end, b""
        else:
            last = index + 1 == len(members)
            yield member.start, member.value_end if last else members[index + 1].start, b""
