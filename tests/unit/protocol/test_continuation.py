"""Answers that are gone on with: which, with what request, and what of the rest the client gets."""

from collections.abc import Iterable

import pytest

from trunkline.core.usage import Units
from trunkline.protocol.continuation import (
    CONTINUED_CHARS_MAX,
    CONTINUED_CHARS_MIN,
    AnswerSoFar,
    Joint,
    continuable,
    continued,
)
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
    TextDelta,
    ToolCallStart,
    UsageReport,
)
from trunkline.protocol.model import Effort, Format, OutputFormat, Request, Role, Text, Thinking, Turn

USER = Turn(Role.USER, (Text("Tell me."),))
ASKED = Request((USER,), stream=True)
BEGUN = "Once upon a time there was"
PAID = Units(input=10, output=6)
STOP = Finish(FinishReason.STOP)


def joined(begun: str, *pieces: str) -> str:
    """Return what a client gets of a provider's text behind a beginning."""
    joint = Joint(begun, PAID)
    events: list[Event] = [MessageStart("x"), *map(TextDelta, pieces), STOP, MessageEnd()]
    return text_of(written for event in events for written in joint.take(event))


def text_of(events: Iterable[Event]) -> str:
    return "".join(event.text for event in events if isinstance(event, TextDelta))


def so_far(*events: Event) -> AnswerSoFar:
    found = AnswerSoFar()
    for event in (MessageStart("x"), *events):
        found.take(event)
    return found


@pytest.mark.parametrize(
    ("request_", "yes"),
    [
        (ASKED, True),
        (Request((USER,)), False),
        (Request((USER,), stream=True, choices=2), False),
        (Request((USER,), stream=True, logprobs=0), False),
        (Request((USER,), stream=True, output=OutputFormat(Format.JSON)), False),
        (Request((USER,), stream=True, output=OutputFormat(Format.SCHEMA, schema=b"{}")), False),
        (Request((USER, Turn(Role.ASSISTANT, (Text("It"),))), stream=True), False),
    ],
)
def test_only_one_free_text_in_a_stream_may_be_gone_on_with(request_: Request, yes: bool) -> None:
    assert continuable(request_) is yes


@pytest.mark.parametrize(
    "event",
    [
        ReasoningDelta("hm"),
        ReasoningEnd(),
        RefusalDelta("no"),
        ToolCallStart(0, "c", "f"),
        ImageOutput("AA", "image/png"),
        TextDelta("other", choice=1),
        STOP,
        MessageEnd(),
    ],
)
def test_an_answer_with_anything_but_text_is_not(event: Event) -> None:
    assert so_far(TextDelta(BEGUN)).continuable
    assert so_far(TextDelta(BEGUN), UsageReport(PAID)).text == BEGUN
    assert not so_far(TextDelta(BEGUN), event, TextDelta(BEGUN)).continuable


def test_one_that_is_too_short_or_too_long_is_not() -> None:
    assert not so_far().continuable
    assert not so_far(TextDelta("x" * (CONTINUED_CHARS_MIN - 1) + " " * 9)).continuable
    assert so_far(TextDelta("x" * CONTINUED_CHARS_MIN)).continuable
    assert so_far(TextDelta("x" * CONTINUED_CHARS_MAX)).continuable
    assert not so_far(*[TextDelta("x" * (CONTINUED_CHARS_MAX // 2))] * 2, TextDelta("x")).continuable


def test_the_request_for_the_rest_ends_with_the_text_and_asks_for_no_thoughts() -> None:
    asked = Request((USER,), stream=True, max_output=100, thinking=Thinking(effort=Effort.HIGH), stop=("end",))
    rest = continued(asked, BEGUN + " \n")
    assert rest.turns == (USER, Turn(Role.ASSISTANT, (Text(BEGUN),)))
    assert (rest.thinking, rest.stop, rest.stream) == (Thinking(), ("end",), True)
    assert rest.max_output == 100 - 6
    assert continued(Request((USER,), max_output=2), BEGUN).max_output == 1
    assert continued(ASKED, BEGUN).max_output is None


@pytest.mark.parametrize(
    ("begun", "pieces", "rest"),
    [
        (BEGUN, (" a king", "."), " a king."),
        (BEGUN, (" ", "a king."), " a king."),
        (BEGUN + " ", (" a king.",), "a king."),
        (BEGUN + " ", ("a king.",), "a king."),
        (BEGUN + "\n", ("\n\n", "A king."), "\nA king."),
        (BEGUN + " ", ("\nA king.",), "\nA king."),
        (BEGUN, (BEGUN + " a king.",), " a king."),
        (BEGUN, ("Once", BEGUN[4:], " a king."), " a king."),
        (BEGUN + " ", (*BEGUN, " ", "a", " king."), "a king."),
        (BEGUN, ("Once upon a king.",), "Once upon a king."),
        (BEGUN, ("Once upon",), "Once upon"),
        (BEGUN, (), ""),
        (BEGUN, (BEGUN,), ""),
        (BEGUN, ("", " a", "", " king."), " a king."),
    ],
)
def test_the_rest_begins_where_the_client_is(begun: str, pieces: tuple[str, ...], rest: str) -> None:
    assert joined(begun, *pieces) == rest


def test_a_beginning_and_thoughts_are_left_out_and_the_usage_is_that_of_both() -> None:
    joint = Joint(BEGUN, PAID)
    events: list[Event] = [
        MessageStart("x", Units(input=50)),
        ReasoningDelta("hm"),
        ReasoningEnd(),
        TextDelta(" a king."),
        UsageReport(Units(input=50, output=4, reasoning=3)),
        STOP,
    ]
    written = [event for given in events for event in joint.take(given)]
    assert written == [TextDelta(" a king."), STOP]
    assert list(joint.take(MessageEnd())) == [UsageReport(Units(input=10, output=6 + 7)), MessageEnd()]
    assert (joint.joined_output, joint.meter.units) == (7, Units(input=50, output=4, reasoning=3))


def test_what_was_repeated_is_not_paid_again() -> None:
    joint = Joint(BEGUN, PAID)
    for event in (MessageStart("x"), TextDelta(BEGUN + " a king."), UsageReport(Units(input=50, output=10))):
        list(joint.take(event))
    assert joint.joined_output == 3


def test_nothing_for_the_client_is_nothing_to_pay() -> None:
    joint = Joint(BEGUN, PAID)
    for event in (MessageStart("x"), ReasoningDelta("hm"), TextDelta("Once"), UsageReport(Units(input=50, output=9))):
        assert not list(joint.take(event))
    assert (joint.output, joint.joined_output, joint.billed) == (False, 0, PAID)


def test_a_call_behind_the_text_goes_to_the_client() -> None:
    joint = Joint(BEGUN, PAID)
    call = ToolCallStart(0, "c", "f")
    assert [*joint.take(TextDelta("Once")), *joint.take(call)] == [TextDelta("Once"), call]
    assert joint.output
