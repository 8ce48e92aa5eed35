"""What an answer used, read from its neutral events. The dispatcher holds one per translated answer."""

from trunkline.core.usage import Units
from trunkline.protocol.events import (
    OUTPUT_EVENTS,
    Event,
    Finish,
    MessageStart,
    ReasoningDelta,
    ReasoningEnd,
    RefusalDelta,
    TextDelta,
    ToolCallDelta,
    ToolCallStart,
    UsageReport,
)
from trunkline.protocol.tokens import OutputCounter


class AnswerMeter:
    """Watches events go by.

    Attributes:
        first_output: whether the client would have seen anything yet.
        opening: what the provider said of the input when the answer began; see `dialect.StreamRelay`.
        finish_reason: why the answer ended; empty until that is known.
    """

    __slots__ = ("_counter", "_units", "finish_reason", "first_output", "opening")

    def __init__(self) -> None:
        self._counter = OutputCounter()
        self._units: Units | None = None
        self.opening: Units | None = None
        self.first_output = False
        self.finish_reason = ""

    def take(self, event: Event) -> None:
        """Note an event."""
        match event:
            case TextDelta(text=text) | ReasoningDelta(text=text) | RefusalDelta(text=text):
                self._counter.add(text)
            case ToolCallDelta(arguments=text) | ToolCallStart(name=text):
                self._counter.add(text)
            case UsageReport(units):
                self._units = units
                if units.input_total and not units.output_total:
                    self.opening = units
                return
            case MessageStart(units=units):
                self.opening = units
                return
            case Finish(reason=reason):
                self.finish_reason = reason.value
            case _:
                pass
        if not self.first_output and (
            isinstance(event, OUTPUT_EVENTS) or (isinstance(event, ReasoningEnd) and event.redacted)
        ):
            self.first_output = True

    @property
    def units(self) -> Units | None:
        """What the provider reported last; None if it reported nothing, or no output although there was some."""
        if self._units is not None and self.first_output and not self._units.output_total:
            return None
        return self._units

    def output_tokens_counted(self) -> int:
        """Return the tokens of the output so far, counted here."""
        return self._counter.tokens()
