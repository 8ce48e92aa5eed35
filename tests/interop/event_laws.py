"""What `trunkline.protocol.events` guarantees of every reader's events, checked; and what events say, to compare it."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from trunkline.core.usage import Units
from trunkline.protocol.events import (
    Event,
    Finish,
    FinishReason,
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
    UsageReport,
)

Output = (
    TextDelta
    | RefusalDelta
    | ReasoningDelta
    | ReasoningEnd
    | ToolCallStart
    | ToolCallDelta
    | ToolCallEnd
    | ImageOutput
    | Finish
)
"""Events of one choice."""


class _Choice:
    """What has come of one choice."""

    def __init__(self) -> None:
        self.thinking = False
        self.open_call: int | None = None
        self.calls = 0
        self.arguments = False
        self.custom = False
        self.finished = False

    def flaw(self, event: Output) -> str:
        """Take an event; returns which guarantee it breaks, or nothing."""
        if self.finished:
            return "something follows the finish"
        if self.open_call is not None and not isinstance(event, ToolCallDelta | ToolCallEnd):
            return "a call is open"
        if self.thinking and not isinstance(event, ReasoningDelta | ReasoningEnd):
            return "reasoning is open"
        match event:
            case ReasoningDelta():
                self.thinking = True
            case ReasoningEnd():
                self.thinking = False
            case Finish():
                self.finished = True
            case ToolCallStart() | ToolCallDelta() | ToolCallEnd():
                return self._call_flaw(event)
        return ""

    def _call_flaw(self, event: ToolCallStart | ToolCallDelta | ToolCallEnd) -> str:
        if isinstance(event, ToolCallStart):
            self.open_call, self.arguments, self.custom = event.call, False, event.custom
            self.calls += 1
            return (
                "" if event.call == self.calls - 1 and event.id and event.name else "a call without number, id or name"
            )
        if event.call != self.open_call:
            return "a piece of a call that is not open"
        if isinstance(event, ToolCallDelta):
            self.arguments = self.arguments or bool(event.arguments)
            return ""
        self.open_call = None
        return "" if self.arguments or self.custom else "a call without arguments"


def broken_laws(events: Sequence[Event]) -> list[str]:
    """Return the guarantees that events break, each with the place of the event; empty for good ones.

    A failure before anything came is a `StreamError` alone.
    """
    if not events or not isinstance(events[-1], MessageEnd | StreamError):
        return ["it does not end"]
    broken: list[str] = []
    choices: dict[int, _Choice] = {}
    failed = isinstance(events[-1], StreamError)
    if not isinstance(events[0], MessageStart) and not (failed and len(events) == 1):
        broken.append("0: it does not start")
    for place, event in enumerate(events[1:], 1):
        match event:
            case MessageStart():
                broken.append(f"{place}: a second start")
            case MessageEnd() | StreamError() if place != len(events) - 1:
                broken.append(f"{place}: an end before the end")
            case MessageEnd() | StreamError() | UsageReport():
                pass
            case _:
                flaw = choices.setdefault(event.choice, _Choice()).flaw(event)
                broken += [f"{place}: {flaw}"] if flaw else []
    if not failed:
        broken += [f"choice {number} has no finish" for number, choice in choices.items() if not choice.finished]
        broken += [] if choices else ["no choice at all"]
    return broken


# --- What was said -----------------------------------------------------------------------------------------------


_Words = TextDelta | RefusalDelta | ReasoningDelta


def blocks(events: Iterable[Event]) -> list[tuple[str, Event]]:
    """Return events with neighbouring pieces of one block joined, and without reports of usage, each with its kind.

    A stream and the whole answer of the same words are the same in this form. The kind is said beside the event since
    events are tuples, and those of two kinds may be equal.
    """
    joined: list[Event] = []
    for event in events:
        last = joined[-1] if joined else None
        if isinstance(event, UsageReport):
            continue
        if isinstance(event, MessageStart):
            joined.append(MessageStart(event.id))
        elif isinstance(event, _Words) and isinstance(last, _Words) and _alike(event, last):
            joined[-1] = event._replace(text=last.text + event.text)
        elif isinstance(event, ToolCallDelta) and isinstance(last, ToolCallDelta) and _alike(event, last):
            joined[-1] = event._replace(arguments=last.arguments + event.arguments)
        else:
            joined.append(event)
    return [(type(event).__name__, event) for event in joined]


def _alike(event: _Words | ToolCallDelta, last: _Words | ToolCallDelta) -> bool:
    return type(event) is type(last) and event.choice == last.choice


class Said(NamedTuple):
    """An answer's first choice, as far as every dialect can say it.

    Attributes:
        words: text, refusals and the provider's own words at the end: dialects keep them in different places.
        calls: id, name and source text of the arguments.
        finish: why it ended; None if it did not.
        input_total, output_total, cache_read: of the last report of usage.
    """

    words: str
    reasoning: str
    calls: tuple[tuple[str, str, str], ...]
    finish: FinishReason | None
    input_total: int
    output_total: int
    cache_read: int


def said(events: Sequence[Event]) -> Said:
    """Return what events say."""
    words, reasoning, finish = "", "", None
    calls: list[tuple[str, str, str]] = []
    units = Units()
    for event in events:
        match event:
            case TextDelta(text=text) | RefusalDelta(text=text):
                words += text
            case ReasoningDelta(text=text):
                reasoning += text
            case ToolCallStart(id=call_id, name=name):
                calls.append((call_id, name, ""))
            case ToolCallDelta(arguments=piece):
                call_id, name, before = calls[-1]
                calls[-1] = (call_id, name, before + piece)
            case UsageReport(units=reported):
                units = reported
            case Finish(reason=reason, message=message):
                finish, words = reason, words + message
            case _:
                pass
    return Said(words, reasoning, tuple(calls), finish, units.input_total, units.output_total, units.cache_read)
