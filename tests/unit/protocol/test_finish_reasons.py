"""Why an answer ended, as each dialect says it: what relays and readers of whole answers note of it."""

import json
from typing import Any

import pytest

from trunkline.protocol import gen_ai
from trunkline.protocol.anthropic.answer import read_whole as read_anthropic
from trunkline.protocol.anthropic.stream import AnthropicStreamRelay
from trunkline.protocol.event_relay import EventRelay
from trunkline.protocol.events import Finish, FinishReason, TextDelta
from trunkline.protocol.gemini.answer import read_whole as read_gemini
from trunkline.protocol.gemini.stream import GeminiStreamRelay
from trunkline.protocol.meter import AnswerMeter
from trunkline.protocol.openai_chat.answer import read_answer
from trunkline.protocol.openai_chat.stream import ChatStreamRelay
from trunkline.protocol.openai_responses.answer import read_whole as read_responses
from trunkline.protocol.openai_responses.stream import ResponsesStreamRelay

CHAT = {"choices": [{"index": 0, "delta": {"content": "Hi"}, "finish_reason": "length"}]}
CLAUDE = {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 1}}
GEMINI = {"candidates": [{"content": {"parts": [{"text": "Hi"}]}, "finishReason": "MAX_TOKENS"}]}
CUT_SHORT = {"status": "incomplete", "incomplete_details": {"reason": "max_output_tokens"}, "output": []}


@pytest.mark.parametrize(
    ("relay", "event", "reason"),
    [
        (ChatStreamRelay(), CHAT, "length"),
        (AnthropicStreamRelay(), CLAUDE, "end_turn"),
        (GeminiStreamRelay(), GEMINI, "MAX_TOKENS"),
        (ResponsesStreamRelay(), {"type": "response.incomplete", "response": CUT_SHORT}, "max_output_tokens"),
        (
            ResponsesStreamRelay(),
            {"type": "response.completed", "response": {"status": "completed", "output": []}},
            "completed",
        ),
    ],
)
def test_a_relay_notes_it(relay: EventRelay, event: dict[str, Any], reason: str) -> None:
    assert relay.finish_reason == ""
    relay.receive(f"data: {json.dumps(event)}\n\n".encode())
    assert (relay.error, relay.finish_reason) == (None, reason)


def test_a_whole_answer_has_it() -> None:
    message: dict[str, Any] = {"role": "assistant", "content": "Hi"}
    chat = {"choices": [{"index": 0, "message": message, "finish_reason": "stop"}]}
    claude = {"type": "message", "content": [{"type": "text", "text": "Hi"}], "stop_reason": "tool_use"}
    assert read_answer(json.dumps(chat).encode()).finish_reason == "stop"
    assert read_anthropic(json.dumps(claude).encode()).finish_reason == "tool_use"
    assert read_gemini(json.dumps(GEMINI).encode()).finish_reason == "MAX_TOKENS"
    assert read_responses(json.dumps(CUT_SHORT).encode()).finish_reason == "max_output_tokens"
    del chat["choices"][0]["finish_reason"]
    assert read_answer(json.dumps(chat).encode()).finish_reason == ""


def test_of_a_translated_answer_it_is_the_neutral_word() -> None:
    meter = AnswerMeter()
    meter.take(TextDelta("Hi"))
    assert meter.finish_reason == ""
    meter.take(Finish(FinishReason.LENGTH, message="words of a provider"))
    assert meter.finish_reason == "length"


@pytest.mark.parametrize(
    ("said", "told"), [("stop", "stop"), ("MAX_TOKENS", "max_tokens"), ("tool_use", "tool_use"), ("my secret", "other")]
)
def test_a_span_has_known_words_only(said: str, told: str) -> None:
    assert gen_ai.finish_reason(said) == told
