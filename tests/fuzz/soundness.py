"""What every reader of events guarantees, whatever the provider sent: the list in `trunkline.protocol.events`."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from trunkline.protocol.events import (
    Event,
    Finish,
    ImageOutput,
    MessageEnd,
    MessageStart,
    ReasoningDelta,
    ReasoningEnd,
    RefusalDelta,
    StreamError,
    TextDelta,
    ToolCallDelta,
    ToolCallEnd,
    ToolCallStart,
)


@dataclass
class _Choice:
    calls: int = 0
    open_call: int | None = None
    thinking: bool = False
    finished: bool = False


@dataclass
class _Choices:
    by_number: dict[int, _Choice] = field(default_factory=dict)

    def take(self, event: Event) -> None:
        match event:
            case ToolCallStart(call=call, choice=number):
                choice = self._alone(number)
                assert call == choice.calls
                choice.calls += 1
                choice.open_call = call
            case ToolCallDelta(call=call, choice=number):
                assert call == self._of(number).open_call
            case ToolCallEnd(call=call, choice=number):
                assert call == self._of(number).open_call
                self._of(number).open_call = None
            case ReasoningDelta(choice=number):
                assert self._of(number).open_call is None
                self._of(number).thinking = True
            case ReasoningEnd(choice=number):
                assert self._of(number).open_call is None
                self._of(number).thinking = False
            case TextDelta(choice=number) | RefusalDelta(choice=number) | ImageOutput(choice=number):
                self._alone(number)
            case Finish(choice=number):
                self._alone(number).finished = True
            case _:
                pass

    def _of(self, number: int) -> _Choice:
        choice = self.by_number.setdefault(number, _Choice())
        assert not choice.finished
        return choice

    def _alone(self, number: int) -> _Choice:
        """Return a choice in which no block is open."""
        choice = self._of(number)
        assert choice.open_call is None
        assert not choice.thinking
        return choice


def require_sound(events: Sequence[Event], *, lenient_end: bool) -> None:
    """Check a whole answer's events.

    Args:
        events: all of them.
        lenient_end: whether an answer without a finish reason may be a good one.
    """
    assert events
    assert isinstance(events[-1], MessageEnd | StreamError)
    assert not any(isinstance(event, MessageEnd | StreamError) for event in events[:-1])
    if len(events) > 1 or isinstance(events[-1], MessageEnd):
        assert isinstance(events[0], MessageStart)
    assert not any(isinstance(event, MessageStart) for event in events[1:])
    choices = _Choices()
    for event in events:
        choices.take(event)
    if isinstance(events[-1], MessageEnd) and not lenient_end:
        assert any(choice.finished for choice in choices.by_number.values())


def merged(events: Sequence[Event]) -> list[Event]:
    """Return events with neighbouring pieces of one block as one: chunking may decide how many there are."""
    out: list[Event] = []
    for event in events:
        joined = _joined(out[-1], event) if out else None
        if joined is None:
            out.append(event)
        else:
            out[-1] = joined
    return out


def _joined(first: Event, second: Event) -> Event | None:
    """Return two pieces of one block as one; None if they are not."""
    match first, second:
        case TextDelta(one, choice), TextDelta(two, other) if choice == other:
            return TextDelta(one + two, choice)
        case RefusalDelta(one, choice), RefusalDelta(two, other) if choice == other:
            return RefusalDelta(one + two, choice)
        case ReasoningDelta(one, choice), ReasoningDelta(two, other) if choice == other:
            return ReasoningDelta(one + two, choice)
        case ToolCallDelta(call, one, choice), ToolCallDelta(_, two, other) if choice == other:
            return ToolCallDelta(call, one + two, choice)
        case _:
            return None
