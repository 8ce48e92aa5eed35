"""What the relays of event streams share: bytes of any chunking become whole events, and a body that is none an error.

The relay of each dialect and endpoint (`openai_chat.stream` and its like) says what becomes of one event. The bytes go
on as they came; each event is decoded into the few members that matter and then forgotten.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import ClassVar

import msgspec

from trunkline.core import limits
from trunkline.core.errors import FaultError
from trunkline.core.usage import Units
from trunkline.protocol.counted_usage import CountInput, counted_units
from trunkline.protocol.sse import EventBuffer, leading_line_ends, parse_event, split_events
from trunkline.protocol.stream_start import StreamStart
from trunkline.protocol.tokens import OutputCounter
from trunkline.protocol.upstream_error import UpstreamError, invalid_answer

NO_STREAM = "The provider's answer is not an event stream."


class EventRelay(ABC):
    """Bytes of one streamed answer in, bytes for the client out, and facts about it as attributes.

    A stream that fails says so in ``error``: what was forwarded until then is all whole events, and nothing is
    returned any more. It never raises.

    Args:
        public_model: what the model's name is changed to; None leaves it.
        read: decodes the data of an event; raises ValueError if it is no JSON.
        count_input: for the usage that the client is shown where the provider reports none; None shows it none.

    Attributes:
        first_output: whether any output has come.
        error: what ended the stream: an error event, a broken event, or a body that is no event stream.
        finish_reason: the provider's word for why the answer ended, the last one; empty until it comes.
    """

    __slots__ = (
        "_buffer",
        "_count_input",
        "_counter",
        "_public_model",
        "_read_data",
        "_start",
        "error",
        "finish_reason",
        "first_output",
    )

    open_ended: ClassVar[bool] = False

    def __init__(
        self, public_model: str | None, read: Callable[[bytes], object], count_input: CountInput | None = None
    ) -> None:
        self._public_model = msgspec.json.encode(public_model) if public_model is not None else None
        self._read_data = read
        self._count_input = count_input
        self._buffer = EventBuffer()
        self._start = StreamStart(limits.UPSTREAM_ERROR_BYTES_MAX)
        self._counter = OutputCounter()
        self.first_output = False
        self.finish_reason = ""
        self.error: UpstreamError | None = None

    @property
    def opening(self) -> Units | None:
        """See `protocol.dialect.StreamRelay`: a report without output although there was some still has the input."""
        units = self._reported()
        return units if units is not None and self._lacks_output(units) else None

    @property
    def units(self) -> Units | None:
        """What the provider reported last; None if it reported nothing, or no output although there was some."""
        units = self._reported()
        return None if units is not None and self._lacks_output(units) else units

    def output_tokens_counted(self) -> int:
        """Return the tokens of the output so far, counted here. Exact to about one per hundred pieces."""
        return self._counter.tokens()

    @property
    def _lacks_usage(self) -> bool:
        """Whether the client waits for a usage report that the provider has not given so far."""
        return self._count_input is not None and self.first_output and self.units is None

    def _counted_usage(self) -> Units | None:
        """Return what the client is shown in place of a report; None where it lacks none."""
        if self._count_input is None or not self._lacks_usage:
            return None
        return counted_units(self.opening, self.output_tokens_counted(), self._count_input)

    def receive(self, chunk: bytes) -> bytes:
        """Return what the client gets now: whole events only, so it may be nothing."""
        if self.error is not None:
            return b""
        if not self._start.is_stream and not self._start.receive(chunk):
            return b""
        try:
            block = self._buffer.receive(chunk)
        except FaultError as error:
            self.error = invalid_answer(error.fault.message)
            return b""
        return self._relay(block) if block else b""

    def finish(self) -> bytes:
        """Return what the client gets at the end of the body: a last event without its blank line, if it is whole."""
        if self.error is not None:
            return b""
        if self._start.is_stream is False:
            self.error = self._foreign_error(self._start.body)
            return b""
        return self._relay_last(self._buffer.finish())

    def _relay(self, block: bytes) -> bytes:
        """Return what the client gets for the events of a block."""
        events = split_events(block)
        if len(events) == 1:
            return self._relay_event(events[0])
        relayed = []
        for event in events:
            relayed.append(self._relay_event(event))
            if self.error is not None:
                break
        return b"".join(relayed)

    def _relay_last(self, rest: bytes) -> bytes:
        """Return what the client gets for an event without its blank line, or for the beginning of one."""
        data = parse_event(rest).data
        if data is None or not (data == b"[DONE]" or self._is_json(data)):
            # Nobody can read the beginning of an event; `complete` tells whether the stream was cut in it.
            return leading_line_ends(rest)
        return self._relay(rest.rstrip(b"\r\n") + b"\n\n")

    def _is_json(self, data: bytes) -> bool:
        try:
            self._read_data(data)
        except ValueError:
            return False
        return True

    @abstractmethod
    def _relay_event(self, event: bytes) -> bytes:
        """Return what the client gets for an event; sets ``error`` where it ends the stream."""

    @abstractmethod
    def _reported(self) -> Units | None:
        """Return what the provider reported last."""

    def _lacks_output(self, units: Units) -> bool:
        """Return whether a report has no output although there was some."""
        return self.first_output and not units.output_total

    def _foreign_error(self, body: bytes) -> UpstreamError:
        """Return what a body says that is no event stream; where nothing is read of it, only that it is none."""
        return invalid_answer(NO_STREAM)
