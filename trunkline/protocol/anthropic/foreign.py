"""Tells an event stream from what else may come with status 200. Held by the relay and by the event reader."""

from trunkline.core import limits
from trunkline.protocol.anthropic.wire import read_message
from trunkline.protocol.upstream_error import UpstreamError, invalid_answer, read_upstream_error

_NO_STREAM = "The provider's answer is not an event stream."


class StreamGuard:
    """Looks at the first bytes: no line of an event stream begins like JSON or HTML, whatever its content type.

    Attributes:
        foreign: the beginning of a body that is no event stream; None as long as it may be one.
    """

    __slots__ = ("_started", "foreign")

    def __init__(self) -> None:
        self._started = False
        self.foreign: bytearray | None = None

    def passes(self, chunk: bytes) -> bool:
        """Return whether a chunk belongs to an event stream; keeps the beginning of what does not."""
        if self._started:
            return True
        if self.foreign is None:
            start = chunk.lstrip(b" \t\r\n\xef\xbb\xbf")
            if not start:
                return True
            if start[0] not in b"{[<":
                self._started = True
                return True
            self.foreign = bytearray()
        self.foreign += chunk[: limits.UPSTREAM_ERROR_BYTES_MAX - len(self.foreign)]
        return False

    def error(self) -> UpstreamError:
        """Return what the foreign body means."""
        body = bytes(self.foreign or b"")
        try:
            message = read_message(body)
        except ValueError:
            message = None
        if message is not None and message.failed:
            return read_upstream_error(200, {}, body, 0)
        return invalid_answer(_NO_STREAM)
