"""Server-sent events: bytes of any chunking in, whole events out. Every dialect's stream reader stands on it.

WHATWG HTML section 9.2.6 with what upstreams really send: LF, CRLF and CR line ends, a byte order mark, comments,
several data lines. Everything works on bytes and decodes nothing, so that a chunk border may fall anywhere.
"""

import re

import msgspec

from trunkline.core import limits
from trunkline.core.errors import ErrorType, Fault, FaultError

_LINE_END = rb"(?>\r\n|\n|\r)"
_BLANK_LINE = re.compile(_LINE_END + _LINE_END)
_BORDER_BYTES_MAX = 4
"""CR LF CR LF; a border may begin this much less one before a chunk."""
_LINE_END_OR_UNKNOWN = frozenset({b"\n", b"\r", b""})
"""What may stand before a blank line and belong to it; nothing: it is in an earlier chunk."""
_BORDERS_BEFORE = (b"\n\n", b"\n\r", b"\r\r")
"""Every blank line before an event has one of them; where there is no CR, the first."""
_LF = 0x0A
_LEADING_LINE_ENDS = re.compile(rb"[\r\n]*+")
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


class SSEEvent(msgspec.Struct, frozen=True, gc=False):
    """One event.

    Attributes:
        event: its name, empty if it has none.
        data: the data lines joined with LF; None if there was none, as in a comment.
    """

    event: str
    data: bytes | None


class EventBuffer:
    """Cuts a stream of bytes after whole events. Holds only the beginning of the event that is not whole yet.

    Args:
        event_bytes_max: bound on one event.
    """

    __slots__ = ("_event_bytes_max", "_tail")

    def __init__(self, event_bytes_max: int = limits.UPSTREAM_EVENT_BYTES_MAX) -> None:
        self._event_bytes_max = event_bytes_max
        self._tail = bytearray()

    def receive(self, chunk: bytes) -> bytes:
        """Return the bytes up to the end of the last whole event, or nothing; `split_events` takes them apart.

        A CR at the very end waits for the next chunk, since an LF after it would belong to the same line end.

        Raises:
            FaultError: ``upstream_invalid``: an event is larger than the bound.
        """
        if _ends_in_one_border(chunk):
            if not self._tail:
                return chunk
            block = bytes(self._tail) + chunk
            self._tail.clear()
            return block
        return self._receive_part(chunk)

    def _receive_part(self, chunk: bytes) -> bytes:
        tail = self._tail
        start = max(0, len(tail) - _BORDER_BYTES_MAX + 1)
        tail += chunk
        cut = self._last_border(start)
        block = bytes(tail[:cut])
        del tail[:cut]
        if len(tail) > self._event_bytes_max:
            raise FaultError(Fault(ErrorType.UPSTREAM_INVALID, "The provider sent an event that is too large."))
        return block

    def _last_border(self, start: int) -> int:
        """Return where the last event ends that is whole, searching from ``start``; 0 if none is."""
        tail = self._tail
        if tail.find(b"\r", start) < 0:
            cut = tail.rfind(b"\n\n", start) + 2
            if cut < 2:
                return 0
            # Line ends pair up from the first of a run; an odd one at its end belongs to the next event.
            first = cut - 2
            while first > 0 and tail[first - 1] == _LF:
                first -= 1
            return cut - (cut - first) % 2
        end = len(tail) - tail.endswith(b"\r")
        cut = 0
        for found in _BLANK_LINE.finditer(tail, start, end):
            cut = found.end()
        return cut

    def finish(self) -> bytes:
        """Return what is left at the end of the body: an event without its blank line, or nothing."""
        rest = bytes(self._tail)
        self._tail.clear()
        return rest


class EventSplitter:
    """As `EventBuffer`, with the events one by one.

    Args:
        event_bytes_max: bound on one event.
    """

    __slots__ = ("_buffer",)

    def __init__(self, event_bytes_max: int = limits.UPSTREAM_EVENT_BYTES_MAX) -> None:
        self._buffer = EventBuffer(event_bytes_max)

    def receive(self, chunk: bytes) -> list[bytes]:
        """Return the raw events that are whole now, each with its blank line.

        Raises:
            FaultError: ``upstream_invalid``: an event is larger than the bound.
        """
        block = self._buffer.receive(chunk)
        return split_events(block) if block else []

    def finish(self) -> bytes:
        """Return what is left at the end of the body: an event without its blank line, or nothing."""
        return self._buffer.finish()


def _ends_in_one_border(chunk: bytes) -> bool:
    """Return whether a chunk ends with one blank line and no further line end before it."""
    if chunk.endswith(b"\n\n"):
        return chunk[-3:-2] not in _LINE_END_OR_UNKNOWN
    return chunk.endswith(b"\r\n\r\n") and chunk[-5:-4] not in _LINE_END_OR_UNKNOWN


def split_events(block: bytes) -> list[bytes]:
    """Return the raw events of a block that `EventBuffer` returned. Joined, they are the block.

    Further blank lines belong to the event after them, so that they do not depend on the chunking.
    """
    if b"\r" not in block:
        if block.find(b"\n\n") == len(block) - 2:
            return [block]
        parts = block.split(b"\n\n")
        rest = parts.pop()
        events = [part + b"\n\n" for part in parts]
    else:
        events = []
        position = 0
        for found in _BLANK_LINE.finditer(block):
            events.append(block[position : found.end()])
            position = found.end()
        rest = block[position:]
    if rest:
        events.append(rest)
    return events


def leading_line_ends(event: bytes) -> bytes:
    """Return the line ends before an event's first line; what stays of an event that is withheld."""
    found = _LEADING_LINE_ENDS.match(event)
    return found[0] if found else b""


def event_data(event: bytes) -> bytes | None:
    """Return the data of one raw event, or None if it has none. Fast for a single ``data: …`` line."""
    if event.startswith(b"data: ") and event.find(b"\n") == len(event) - 2 and b"\r" not in event:
        return event[6:-2]
    return parse_event(event).data


def parse_event(event: bytes) -> SSEEvent:
    """Return one raw event taken apart. Never raises; unknown fields and comments are skipped."""
    name = b""
    data: list[bytes] = []
    for line in event.removeprefix(_BYTE_ORDER_MARK).splitlines():
        field, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if field == b"data":
            data.append(value)
        elif field == b"event":
            name = value
    return SSEEvent(name.decode(errors="replace"), b"\n".join(data) if data else None)


def last_event(block: bytes) -> SSEEvent:
    """Return the last of the whole events in a block, without looking at those before it."""
    events = block.rstrip(b"\r\n")
    borders = _BORDERS_BEFORE if b"\r" in events else _BORDERS_BEFORE[:1]
    return parse_event(events[max(map(events.rfind, borders)) + 1 :])


def render_event(data: bytes, event: str = "") -> bytes:
    """Return an event as bytes, with LF line ends and one data line per line of ``data``."""
    name = b"event: " + event.encode() + b"\n" if event else b""
    return name + b"".join([b"data: " + line + b"\n" for line in data.splitlines() or [b""]]) + b"\n"


def with_data(event: bytes, data: bytes, changed: bytes) -> bytes:
    """Return a raw event with other data; its other bytes stay, if its data is one line.

    Args:
        event: raw.
        data: of it.
        changed: what it is to have instead.
    """
    offset = event.find(data)
    if offset < 0:
        return leading_line_ends(event) + render_event(changed, parse_event(event).event)
    return event[:offset] + changed + event[offset + len(data) :]
