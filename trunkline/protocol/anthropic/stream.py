"""Relays a Messages stream: the provider's bytes go on as they came, and what the gateway must know is read beside it.

The dispatcher holds one `AnthropicStreamRelay` per streamed attempt and calls it for each chunk of the body.
"""

from trunkline.core.usage import Units
from trunkline.protocol.anthropic.answer import foreign_error
from trunkline.protocol.anthropic.usage import UsageTally, render_usage
from trunkline.protocol.anthropic.wire import FAILED_STOPS, Block, Delta, StreamEvent, frame_data, present, read_event
from trunkline.protocol.counted_usage import CountInput, state_usage
from trunkline.protocol.event_relay import EventRelay
from trunkline.protocol.renaming import rename_model_inside
from trunkline.protocol.sse import leading_line_ends, parse_event, with_data
from trunkline.protocol.upstream_error import BROKEN_EVENT, UpstreamError, invalid_answer, read_upstream_error


class AnthropicStreamRelay(EventRelay):
    """See `EventRelay`.

    Args:
        public_model: what ``model`` is changed to in the first event; None leaves it.
        lenient: take ``message_stop`` without a stop reason for a good end.
        count_input: for the usage beside the stop reason where the provider reports none.

    Attributes:
        first_output: whether any text, thinking or tool call has come; the beginning of a message is none.
        stopped: whether ``message_stop`` has come.
        finished: whether a stop reason has come.
        flaws: events that an official client would lose: without a name, or with data that is none (DIALECTS
            section 3.4). They pass; a channel that sends such is better translated.
    """

    __slots__ = ("_lenient", "_usage", "finished", "flaws", "stopped")

    def __init__(
        self, *, public_model: str | None = None, lenient: bool = False, count_input: CountInput | None = None
    ) -> None:
        super().__init__(public_model, read_event, count_input)
        self._lenient = lenient
        self._usage = UsageTally()
        self.stopped = False
        self.finished = False
        self.flaws = 0

    @property
    def complete(self) -> bool:
        """Whether the body may end here as a success: with a stop reason, even if no ``message_stop`` follows.

        ``message_stop`` alone is no end (DIALECTS section 3.2): it comes from look-alikes whose own provider was cut.
        """
        return self.error is None and (self.finished or (self._lenient and self.stopped))

    @property
    def opening(self) -> Units | None:
        """See `protocol.dialect.StreamRelay`: ``message_start`` has it, beside an output that is only a beginning."""
        return self._usage.input_units()

    def _relay_event(self, event: bytes) -> bytes:
        data = frame_data(event)
        if data is None:
            return event
        if not data or data == b"[DONE]":
            self.flaws += 1
            return event
        try:
            said = read_event(data)
        except ValueError:
            self.error = invalid_answer(BROKEN_EVENT)
            return leading_line_ends(event)
        if said is None:
            self.flaws += 1
            return event
        if not event.startswith(b"event:") or said.type is None:
            self._notice_name(event, said)
        return self._relay_said(event, data, said)

    def _notice_name(self, event: bytes, said: StreamEvent) -> None:
        """Take an event's type from its name where its data has none, and count an event without a name."""
        name = parse_event(event).event
        if not name:
            self.flaws += 1
        if said.type is None:
            said.type = name or None

    def _relay_said(self, event: bytes, data: bytes, said: StreamEvent) -> bytes:
        match said.type:
            case "content_block_delta":
                if said.delta is not None:
                    self._read_delta(said.delta)
            case "content_block_start":
                if said.content_block is not None:
                    self._read_block(said.content_block)
            case "message_start":
                if said.message is not None and (report := present(said.message.usage)):
                    self._usage.take(report, final=False)
                if self._public_model is not None:
                    return with_data(event, data, rename_model_inside(data, "message", self._public_model))
            case "message_delta":
                return self._relay_end(event, data, said)
            case "message_stop":
                self.stopped = True
                # Behind it a client reads nothing more: a cut answer must not seem whole to it.
                return event if self.complete else leading_line_ends(event)
            case _ if said.failed:
                self.error = read_upstream_error(200, {}, data, 0)
        return event if self.error is None else leading_line_ends(event)

    def _read_delta(self, delta: Delta) -> None:
        text = delta.text or delta.thinking or delta.partial_json
        if text:
            self.first_output = True
            self._counter.add(text)

    def _read_block(self, block: Block) -> None:
        text = block.text or block.thinking or block.name
        if text:
            self._counter.add(text)
        if text or block.type not in {"text", "thinking"}:
            self.first_output = True

    def _relay_end(self, event: bytes, data: bytes, said: StreamEvent) -> bytes:
        """Return the event with the stop reason, and with the usage where the provider reports none."""
        self._read_end(said)
        if self.error is not None:
            return leading_line_ends(event)
        units = self._counted_usage()
        return event if units is None else with_data(event, data, state_usage(data, render_usage(units)))

    def _read_end(self, said: StreamEvent) -> None:
        if report := present(said.usage):
            self._usage.take(report, final=True)
        reason = said.delta.stop_reason if said.delta is not None else None
        if reason:
            self.finished = True
            self.finish_reason = reason
            if reason in FAILED_STOPS:
                self.error = read_upstream_error(500, {}, b"", 0)

    def _reported(self) -> Units | None:
        return self._usage.units() if self._usage.output_reported else None

    def _foreign_error(self, body: bytes) -> UpstreamError:
        return foreign_error(body)
