"""What an answer used, read from its events."""

from trunkline.core.usage import Units
from trunkline.protocol.events import (
    Finish,
    FinishReason,
    MessageEnd,
    MessageStart,
    ReasoningEnd,
    TextDelta,
    ToolCallDelta,
    ToolCallStart,
    UsageReport,
)
from trunkline.protocol.meter import AnswerMeter
from trunkline.protocol.model import Proof
from trunkline.protocol.tokens import count_text


def test_a_start_and_a_finish_are_no_output() -> None:
    meter = AnswerMeter()
    for event in (MessageStart("x"), ReasoningEnd(), Finish(FinishReason.STOP), MessageEnd()):
        meter.take(event)
    assert not meter.first_output
    assert meter.output_tokens_counted() == 0


def test_words_calls_and_hidden_reasoning_are_output() -> None:
    for event in (TextDelta("a"), ToolCallStart(0, "id", "f"), ReasoningEnd(Proof("anthropic", "x"), redacted=True)):
        meter = AnswerMeter()
        meter.take(event)
        assert meter.first_output


def test_the_last_report_counts() -> None:
    meter = AnswerMeter()
    for units in (Units(input=3), Units(input=3, output=1), Units(input=3, output=2)):
        meter.take(UsageReport(units))
    meter.take(TextDelta("hello"))
    assert meter.units == Units(input=3, output=2)


def test_a_report_without_output_beside_output_is_none() -> None:
    meter = AnswerMeter()
    meter.take(TextDelta("hello"))
    meter.take(UsageReport(Units(input=3, cache_read=9)))
    assert meter.units is None
    assert meter.opening == Units(input=3, cache_read=9), "what it says of the input still holds"


def test_an_answer_that_broke_off_has_the_input_that_it_began_with() -> None:
    meter = AnswerMeter()
    meter.take(MessageStart("x", Units(input=3, cache_read=1000, output=1)))
    meter.take(TextDelta("hello world"))
    assert meter.units is None
    assert meter.opening == Units(input=3, cache_read=1000, output=1)
    assert meter.output_tokens_counted() == count_text("hello world")


def test_output_is_counted_over_texts_and_calls() -> None:
    meter = AnswerMeter()
    for event in (TextDelta("hello "), TextDelta("world"), ToolCallStart(0, "id", "get"), ToolCallDelta(0, '{"a":1}')):
        meter.take(event)
    assert meter.output_tokens_counted() == count_text('hello worldget{"a":1}')
