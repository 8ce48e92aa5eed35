"""The neutral answer: one stream of events, whoever's words it came in.

An upstream dialect's reader makes them from a stream or from a whole answer, a client dialect's writer turns them into
a stream or a whole answer. A reader guarantees, whatever the provider sent:

- `MessageStart` comes first and once;
- a block (reasoning, text, a call) of one choice is never open beside another: a tool call's pieces come between its
  `ToolCallStart` and its `ToolCallEnd` with nothing else of that choice in between; calls that a provider interleaves
  are put one after another;
- `Finish` comes once per choice that began, after its last block, and only if the provider gave a reason;
- it ends with exactly one `MessageEnd`, or with exactly one `StreamError` and nothing after it. A body that ends
  without a finish reason ends with a `StreamError`.
"""

from enum import StrEnum
from typing import NamedTuple

from trunkline.core.usage import Units
from trunkline.protocol.model import Proof
from trunkline.protocol.upstream_error import UpstreamError


class FinishReason(StrEnum):
    """Why an answer ended (DIALECTS section 4.1)."""

    STOP = "stop"
    STOP_SEQUENCE = "stop_sequence"
    LENGTH = "length"
    CONTEXT_FULL = "context_full"
    TOOL_CALLS = "tool_calls"
    FILTER = "filter"
    PAUSED = "paused"
    MALFORMED_CALL = "malformed_call"
    OTHER = "other"


class MessageStart(NamedTuple):
    """The answer begins.

    Attributes:
        id: the provider's; empty if it gave none.
        units: what is known of the input already, as in Anthropic's first event; else None.
    """

    id: str = ""
    units: Units | None = None


class TextDelta(NamedTuple):
    """More words of the answer."""

    text: str
    choice: int = 0


class RefusalDelta(NamedTuple):
    """More words of a refusal, where the provider tells them from the answer's."""

    text: str
    choice: int = 0


class ReasoningDelta(NamedTuple):
    """More of what the model thinks."""

    text: str
    choice: int = 0


class ReasoningEnd(NamedTuple):
    """A piece of reasoning is over; the next one is another block.

    Attributes:
        proof: to be given back with it; None if the provider has none.
        redacted: there was no text: ``proof`` is all of it.
    """

    proof: Proof | None = None
    redacted: bool = False
    choice: int = 0


class ToolCallStart(NamedTuple):
    """A call begins.

    Attributes:
        call: number of the call within its choice, from 0.
        id: as the client will send it back; minted by the reader where the provider has none.
        name: as the client declared it.
        custom: takes text, not an object.
        proof: what Gemini hangs on it.
    """

    call: int
    id: str
    name: str
    custom: bool = False
    proof: Proof | None = None
    choice: int = 0


class ToolCallDelta(NamedTuple):
    """More of a call's arguments, as source text."""

    call: int
    arguments: str
    choice: int = 0


class ToolCallEnd(NamedTuple):
    """A call is whole. A reader that saw no arguments at all has sent ``{}`` before."""

    call: int
    choice: int = 0


class ImageOutput(NamedTuple):
    """A picture in the answer, base64."""

    data: str
    media_type: str
    choice: int = 0


class UsageReport(NamedTuple):
    """What the provider counted so far, over the whole answer: a later one replaces an earlier one."""

    units: Units


class Finish(NamedTuple):
    """A choice has ended.

    Attributes:
        stop_sequence: which one, where the provider says so.
        message: the provider's words about it, such as why it refused; may be empty.
    """

    reason: FinishReason
    stop_sequence: str | None = None
    message: str = ""
    choice: int = 0


class MessageEnd(NamedTuple):
    """The answer is whole."""


class StreamError(NamedTuple):
    """The answer failed; nothing follows."""

    error: UpstreamError


Event = (
    MessageStart
    | TextDelta
    | RefusalDelta
    | ReasoningDelta
    | ReasoningEnd
    | ToolCallStart
    | ToolCallDelta
    | ToolCallEnd
    | ImageOutput
    | UsageReport
    | Finish
    | MessageEnd
    | StreamError
)

OUTPUT_EVENTS = (TextDelta, RefusalDelta, ReasoningDelta, ToolCallStart, ToolCallDelta, ImageOutput)
"""What a client would see: the first of them commits an attempt. A redacted `ReasoningEnd` counts as output, too."""
