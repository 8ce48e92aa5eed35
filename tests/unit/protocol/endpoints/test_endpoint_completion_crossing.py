"""Old text completions on providers that only know conversations."""

import json
from typing import Any

import pytest

from trunkline.core.errors import ErrorType, FaultError
from trunkline.core.usage import Units
from trunkline.protocol.dialect import AnswerFrame
from trunkline.protocol.endpoints.completion_crossing import CompletionsAsConversation
from trunkline.protocol.events import Event, Finish, FinishReason, MessageEnd, MessageStart, TextDelta, UsageReport
from trunkline.protocol.fidelity import Feature
from trunkline.protocol.model import Request, Role, Sampling, Text, Turn

CROSSING = CompletionsAsConversation(lambda _body: 5)
HEAD = {"id": "cmpl-1", "object": "text_completion", "created": 7, "model": "m"}
EVENTS: list[Event] = [
    MessageStart(),
    TextDelta("Hello "),
    TextDelta("there"),
    UsageReport(Units(input=3, cache_read=2, output=4, reasoning=1)),
    Finish(FinishReason.LENGTH),
    MessageEnd(),
]
USAGE = {"prompt_tokens": 5, "completion_tokens": 5, "total_tokens": 10}


def read(**fields: Any) -> Request:
    return CROSSING.read_request(json.dumps({"model": "m", "prompt": "Hi", **fields}).encode(), stream=False)


def frame(*, wants_usage: bool = False) -> AnswerFrame:
    return AnswerFrame("1", "m", 7, wants_usage=wants_usage)


def chunk(text: str, finish: str | None = None) -> bytes:
    shown = {"text": text, "index": 0, "logprobs": None, "finish_reason": finish}
    return b"data: " + json.dumps({**HEAD, "choices": [shown]}, separators=(",", ":")).encode() + b"\n\n"


@pytest.mark.parametrize("prompt", ["Hi", ["Hi"]])
def test_a_prompt_is_one_user_turn(prompt: object) -> None:
    asked = read(prompt=prompt, max_tokens=9, temperature=0.5, stop="x", n=2, seed=1, user="u", logit_bias={"1": 2})
    assert asked == Request(
        turns=(Turn(Role.USER, (Text("Hi"),)),),
        max_output=9,
        stop=("x",),
        choices=2,
        sampling=Sampling(temperature=0.5, seed=1),
        user="u",
        features=(Feature.LOGIT_BIAS,),
    )


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"suffix": "end"}, "suffix"),
        ({"echo": True}, "echo"),
        ({"best_of": 3}, "best_of"),
        ({"logprobs": 0}, "logprobs"),
        ({"prompt": [1, 2]}, "prompt"),
        ({"prompt": [[1, 2]]}, "prompt"),
        ({"prompt": ["a", "b"]}, "prompt"),
        ({"temperature": {}}, "prompt"),
    ],
)
def test_what_a_conversation_cannot_do_is_refused_by_its_name(fields: dict[str, Any], param: str) -> None:
    with pytest.raises(FaultError) as raised:
        read(**fields)
    assert (raised.value.fault.type, raised.value.fault.param) == (ErrorType.CLIENT_BAD_REQUEST, param)


def test_what_says_nothing_is_not_refused() -> None:
    assert read(suffix="", echo=False, best_of=1, logprobs=None) == read()


def test_a_whole_answer() -> None:
    choice = {"text": "Hello there", "index": 0, "logprobs": None, "finish_reason": "length"}
    assert json.loads(CROSSING.write_answer(EVENTS, frame())) == {**HEAD, "choices": [choice], "usage": USAGE}


def test_a_stream_with_usage_only_where_it_was_asked_for() -> None:
    writer = CROSSING.event_writer(frame())
    written = b"".join(writer.write(event) for event in EVENTS)
    assert written == chunk("Hello ") + chunk("there") + chunk("", "length") + b"data: [DONE]\n\n"
    writer = CROSSING.event_writer(frame(wants_usage=True))
    last = b"".join(writer.write(event) for event in EVENTS).split(b"\n\n")[-3]
    assert json.loads(last.removeprefix(b"data: ")) == {**HEAD, "choices": [], "usage": USAGE}
