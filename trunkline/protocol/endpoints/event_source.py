"""Whole events out of a provider's stream of any chunking, after a look at whether it is a stream at all."""

from trunkline.core import limits
from trunkline.core.errors import FaultError
from trunkline.protocol.endpoints.answer_form import AnswerForm, FormReader
from trunkline.protocol.sse import EventBuffer, split_events
from trunkline.protocol.upstream_error import UpstreamError, invalid_answer

_FOREIGN = FormReader(AnswerForm, "The provider's answer is not an event stream.")


class EventSource:
    """Bytes in, raw events out, each with its blank line. Never raises.

    Attributes:
        error: the body is no event stream, or an event of it is too large; nothing is returned any more.
    """

    __slots__ = ("_buffer", "_foreign", "_started", "error")

    def __init__(self) -> None:
        self._buffer = EventBuffer()
        self._started = False
        self._foreign: bytearray | None = None
        self.error: UpstreamError | None = None

    def receive(self, chunk: bytes) -> list[bytes]:
        """Return the events that are whole now. Joined, they are the bytes that came."""
        if self.error is not None or not (self._started or self._is_stream(chunk)):
            return []
        try:
            block = self._buffer.receive(chunk)
        except FaultError as error:
            self.error = invalid_answer(error.fault.message)
            return []
        return split_events(block) if block else []

    def finish(self) -> bytes:
        """The body has ended; returns what is left as if its blank line had come, or nothing.

        It may be the beginning of an event: whether its data is whole is the caller's to tell.
        """
        if self.error is not None:
            return b""
        if self._foreign is not None:
            answer = _FOREIGN.read(bytes(self._foreign))
            self.error = answer if isinstance(answer, UpstreamError) else _FOREIGN.invalid()
            return b""
        rest = self._buffer.finish()
        event = rest.rstrip(b"\r\n")
        return event + b"\n\n" if event else rest

    def _is_stream(self, chunk: bytes) -> bool:
        """Look at the first bytes: no line of an event stream begins like JSON or HTML, whatever its content type."""
        if self._foreign is None:
            start = chunk.lstrip(b" \t\r\n\xef\xbb\xbf")
            if not start:
                return True
            if start[0] not in b"{[<":
                self._started = True
                return True
            self._foreign = bytearray()
        self._foreign += chunk[: limits.UPSTREAM_ERROR_BYTES_MAX - len(self._foreign)]
        return False
