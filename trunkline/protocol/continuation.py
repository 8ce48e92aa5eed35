"""An answer that broke off and is gone on with by another provider: what both say as one answer (ADR 12). Pure.

Called by the dispatcher. An `AnswerSoFar` watches what the client gets; `continued` makes the request for the rest, and
a `Joint` makes the rest's events go on where the first ones ended.
"""

from collections.abc import Iterator

import msgspec

from trunkline.core.usage import Units
from trunkline.protocol.events import (
    OUTPUT_EVENTS,
    Event,
    MessageEnd,
    MessageStart,
    ReasoningDelta,
    ReasoningEnd,
    TextDelta,
    UsageReport,
)
from trunkline.protocol.meter import AnswerMeter
from trunkline.protocol.model import Format, Request, Role, Text, Thinking, Turn
from trunkline.protocol.tokens import count_text

CONTINUED_CHARS_MIN = 16
"""Of an answer that is gone on with. A provider that repeats what it was given could not be told from one that says a
shorter text twice."""

CONTINUED_CHARS_MAX = 512 * 1024
"""The same; some 130,000 tokens, more than most models write. The text is kept in memory as long as its stream."""

PIECES_MAX = 64
"""Pieces of a text that are kept apart: a string of one word has ten times its size in memory."""


def continuable(request: Request) -> bool:
    """Return whether an answer to a request may be gone on with, if it turns out to be nothing but text."""
    ends_with_user = not request.turns or request.turns[-1].role is not Role.ASSISTANT
    return (
        request.stream
        and request.choices == 1
        and request.logprobs is None
        and request.output.form is Format.TEXT
        and ends_with_user
    )


class AnswerSoFar:
    """What a client has got of an answer.

    Attributes:
        plain: nothing but text, and no end.
    """

    __slots__ = ("_blocks", "_characters", "_pieces", "plain")

    def __init__(self) -> None:
        self._blocks: list[str] = []
        self._pieces: list[str] = []
        self._characters = 0
        self.plain = True

    def take(self, event: Event) -> None:
        """Note an event that was written."""
        if isinstance(event, TextDelta) and event.choice == 0:
            if self.plain:
                self._pieces.append(event.text)
                self._characters += len(event.text)
                if self._characters > CONTINUED_CHARS_MAX:
                    self._give_up()
                elif len(self._pieces) >= PIECES_MAX:
                    self._blocks.append("".join(self._pieces))
                    self._pieces.clear()
        elif not isinstance(event, MessageStart | UsageReport):
            self._give_up()

    def _give_up(self) -> None:
        self.plain = False
        self._blocks.clear()
        self._pieces.clear()

    @property
    def text(self) -> str:
        """All of it."""
        return "".join((*self._blocks, *self._pieces))

    @property
    def continuable(self) -> bool:
        """Whether another provider may go on with it."""
        return self.plain and len(self.text.strip()) >= CONTINUED_CHARS_MIN


def continued(request: Request, text: str) -> Request:
    """Return the request for the rest of an answer.

    Args:
        request: as it was; see `continuable`.
        text: what the client has. White space at its end is left out: providers refuse it there, or stumble over it.
    """
    prefix = text.rstrip()
    bound = request.max_output
    return msgspec.structs.replace(
        request,
        turns=(*request.turns, Turn(Role.ASSISTANT, (Text(prefix),))),
        max_output=None if bound is None else max(1, bound - count_text(prefix)),
        # An answer that has begun is not thought about any more: providers that think refuse a prefix, or ignore it.
        thinking=Thinking(),
    )


class Joint:
    """Turns the events of a provider that goes on into those of the answer.

    Its own beginning is left out, and so is what it repeats of the text. What it thinks is not shown: the client has
    the answer already. Its usage becomes that of both.

    Args:
        text: what the client has.
        paid: for what, so far.

    Attributes:
        meter: of what the provider itself sent.
        output: whether anything of it was for the client.
    """

    __slots__ = (
        "_alike",
        "_begun",
        "_compared",
        "_delivered",
        "_held",
        "_paid",
        "_prefix",
        "_repeated",
        "_tail",
        "meter",
        "output",
    )

    def __init__(self, text: str, paid: Units) -> None:
        self._prefix = text.rstrip()
        self._tail = text[len(self._prefix) :]
        self._paid = paid
        self._alike = 0  # characters that have come and are those of the prefix
        self._compared = False
        self._repeated = False
        self._held = ""  # what came behind the prefix, if it was repeated, else all
        self._begun = False
        self._delivered = AnswerMeter()
        self.meter = AnswerMeter()
        self.output = False

    def take(self, event: Event) -> Iterator[Event]:
        """Yield what the client is to get for an event."""
        self.meter.take(event)
        match event:
            case MessageStart() | UsageReport() | ReasoningDelta() | ReasoningEnd() | TextDelta(text=""):
                pass
            case TextDelta(text=text, choice=0) if not self._begun:
                yield from self._said(self._opening(text))
            case MessageEnd():
                yield from self._said(self._opening("", last=True))
                # Here alone, since only now is all of it known.
                yield UsageReport(self.billed)
                yield event
            case _:
                yield from self._said(self._opening("", last=True))
                self._count(event)
                yield event

    def _said(self, text: str) -> Iterator[Event]:
        if text:
            event = TextDelta(text)
            self._count(event)
            yield event

    def _opening(self, text: str, *, last: bool = False) -> str:
        """Return the first text, once it is known how much of it the client has; else nothing.

        Args:
            text: that has come.
            last: no more text follows.
        """
        if self._begun:
            return ""
        prefix, tail = self._prefix, self._tail
        if not self._compared:
            # Piece by piece: the prefix may be long, and its repetition come by the word.
            alike = self._alike + len(text)
            if not last and alike < len(prefix) and prefix.startswith(text, self._alike):
                self._alike = alike
                return ""
            came = prefix[: self._alike] + text
            self._repeated = came.startswith(prefix)
            self._held = came.removeprefix(prefix)
            self._compared = True
        else:
            self._held += text
        held = self._held
        if not last and len(held) < len(tail) and tail.startswith(held):
            return ""
        self._begun = True
        return held[_common(held, tail) :]

    def _count(self, event: Event) -> None:
        if self._repeated:
            self._delivered.take(event)
        self.output = self.output or isinstance(event, OUTPUT_EVENTS)

    @property
    def joined_output(self) -> int:
        """Tokens that the client pays: all of the provider's output, but for what it has repeated."""
        if not self.output:
            return 0
        units = self.meter.units
        if self._repeated:
            return self._delivered.output_tokens_counted()
        return self.meter.output_tokens_counted() if units is None else units.output_total

    @property
    def billed(self) -> Units:
        """What the client pays for the whole answer."""
        return msgspec.structs.replace(self._paid, output=self._paid.output + self.joined_output)


def _common(one: str, other: str) -> int:
    """Return how many characters two texts begin with alike."""
    for number, (character, beside) in enumerate(zip(one, other, strict=False)):
        if character != beside:
            return number
    return min(len(one), len(other))
