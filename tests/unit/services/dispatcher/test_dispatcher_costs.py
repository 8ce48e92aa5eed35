"""The cost in answers of every kind: within a dialect, across two, beside conversations, whole and streamed."""

import json
from typing import Any

import msgspec
import pytest

from services.dispatcher.answers import PlainAnswer
from services.dispatcher.passage import Leg, Passage, open_passage
from tests.support.job_scripts import envelope
from trunkline.bus import messages
from trunkline.bus.messages import Pricing
from trunkline.bus.snapshots import ChannelSnapshot, ModelSnapshot
from trunkline.core.ids import JobIDMint
from trunkline.core.money import NANO_PER_USD
from trunkline.policy.pricing import ModelRates
from trunkline.policy.routing import Candidate
from trunkline.protocol.names import ANTHROPIC, GEMINI, OPENAI_CHAT, OPENAI_RESPONSES
from trunkline.protocol.rules import RequestRules

PRICES = {"input": 10 * 10**9, "output": 20 * 10**9, "images": 4 * 10**13, "images@1024x1024/high": 8 * 10**13}
PRICING = Pricing(PRICES, {"vip": 2_000_000}, 100_000)
"""Ten and twenty micro-USD a token, twice that for the group vip, less a tenth."""

CHAT: dict[str, Any] = {"model": "public", "messages": [{"role": "user", "content": "Hi"}], "usage": {"include": True}}


def passage(dialect: str, upstream: str, body: object, *, stream: bool = False, priced: bool = True) -> Passage:
    channel = ChannelSnapshot(1, "c", upstream, "https://provider.example/v1", (), {"public": "public"})
    offered = msgspec.structs.replace(
        envelope(),
        dialect=dialect,
        model="public",
        stream=stream,
        wants_usage=True,
        pricing=PRICING if priced else None,
    )
    candidate = Candidate(channel, None, "vip", "public", last_resort=False)
    return open_passage(
        Leg(offered, JobIDMint(1).mint(0), json.dumps(body).encode(), candidate, RequestRules(), 1_700_000_000_000)
    )


def cost_usd(passage: Passage) -> float:
    """Return what the job costs by its facts, as the edge reckons it."""
    rates = ModelRates(ModelSnapshot("public", (), prices=PRICES, multipliers_ppm=PRICING.multipliers_ppm))
    variant = passage.variant() if passage.variant is not None else ""
    units = passage.answer.facts().usage.units
    return rates.charge(units, variant, "vip", PRICING.discount_ppm) / NANO_PER_USD


def whole(passage: Passage, answer: object) -> dict[str, Any]:
    assert isinstance(passage.answer, PlainAnswer)
    assert passage.answer.receive(json.dumps(answer).encode())
    shown: dict[str, Any] = json.loads(passage.answer.finish())
    return shown


def streamed(passage: Passage, *chunks: bytes) -> list[dict[str, Any]]:
    assert not isinstance(passage.answer, PlainAnswer)
    block = b"".join([*map(passage.answer.receive, chunks), passage.answer.finish()])
    assert passage.answer.error is None
    datas = [line.removeprefix(b"data: ") for line in block.splitlines() if line.startswith(b"data: ")]
    return [json.loads(data) for data in datas if data != b"[DONE]"]


COMPLETION = {
    "id": "c1",
    "object": "chat.completion",
    "created": 1,
    "model": "public",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "Hello"}, "finish_reason": "stop"}],
}
USAGE = {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15}
COST_USD = (10 * 10 + 5 * 20) * 2 * 0.9 / 10**6


def test_it_is_the_price_times_the_group_less_the_discount() -> None:
    opened = passage(OPENAI_CHAT, "openai", CHAT)
    shown = whole(opened, {**COMPLETION, "usage": USAGE})
    assert shown["usage"] == {"cost": COST_USD, **USAGE}
    assert COST_USD == cost_usd(opened) == 0.00036


def test_the_wish_itself_stays_here() -> None:
    assert "usage" not in json.loads(passage(OPENAI_CHAT, "openai", CHAT).body)
    assert "usage" not in json.loads(passage(OPENAI_CHAT, "anthropic", CHAT).body)
    responses = {"model": "public", "input": "Hi", "usage": {"include": True}}
    assert "usage" not in json.loads(passage(OPENAI_RESPONSES, "openai-responses", responses).body)


def test_without_the_wish_nothing_is_said() -> None:
    opened = passage(OPENAI_CHAT, "openai", CHAT, priced=False)
    assert whole(opened, {**COMPLETION, "usage": USAGE})["usage"] == USAGE


def test_a_count_is_priced_as_a_report() -> None:
    opened = passage(OPENAI_CHAT, "openai", CHAT)
    shown = whole(opened, COMPLETION)
    assert shown["usage"]["completion_tokens"] > 0
    assert shown["usage"]["cost"] == cost_usd(opened) > 0


@pytest.mark.parametrize(
    ("dialect", "body", "report"),
    [
        (OPENAI_CHAT, CHAT, "usage"),
        (OPENAI_RESPONSES, {"model": "public", "input": "Hi"}, "usage"),
        (GEMINI, {"contents": [{"parts": [{"text": "Hi"}]}]}, "usageMetadata"),
    ],
)
def test_translated_answers_state_it(dialect: str, body: object, report: str) -> None:
    opened = passage(dialect, "anthropic", body)
    answer = {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "public",
        "content": [{"type": "text", "text": "Hello"}],
        "stop_reason": "end_turn",
        "usage": {"input_tokens": 10, "output_tokens": 5},
    }
    assert whole(opened, answer)[report]["cost"] == COST_USD == cost_usd(opened)


def chunk(**members: object) -> bytes:
    shared = {"id": "c1", "object": "chat.completion.chunk", "created": 1, "model": "public"}
    return b"data: " + json.dumps({**shared, **members}).encode() + b"\n\n"


TEXT = chunk(choices=[{"index": 0, "delta": {"role": "assistant", "content": "Hello"}, "finish_reason": None}])
STOP = chunk(choices=[{"index": 0, "delta": {}, "finish_reason": "stop"}])
DONE = b"data: [DONE]\n\n"


@pytest.mark.parametrize("dialect", [OPENAI_CHAT, ANTHROPIC, GEMINI, OPENAI_RESPONSES])
def test_streams_state_it_in_their_last_report(dialect: str) -> None:
    bodies: dict[str, dict[str, Any]] = {
        OPENAI_CHAT: {**CHAT, "stream": True},
        ANTHROPIC: {"model": "public", "max_tokens": 9, "messages": CHAT["messages"], "stream": True},
        GEMINI: {"contents": [{"parts": [{"text": "Hi"}]}]},
        OPENAI_RESPONSES: {"model": "public", "input": "Hi", "stream": True},
    }
    opened = passage(dialect, "openai", bodies[dialect], stream=True)
    events = streamed(opened, TEXT, STOP, chunk(choices=[], usage=USAGE), DONE)
    reports = [(event.get("response") or event).get(name) for event in events for name in ("usage", "usageMetadata")]
    assert [report["cost"] for report in reports if report] == [COST_USD]
    assert cost_usd(opened) == COST_USD


def test_a_chat_stream_is_asked_for_its_usage_though_the_client_did_not_say_so_in_its_words() -> None:
    opened = passage(OPENAI_CHAT, "openai", {**CHAT, "stream": True}, stream=True)
    assert json.loads(opened.body)["stream_options"] == {"include_usage": True}


def test_a_stream_without_a_report_states_what_it_counts_in_the_end() -> None:
    opened = passage(OPENAI_CHAT, "openai", {**CHAT, "stream": True}, stream=True)
    *_, last = streamed(opened, TEXT, STOP, DONE)
    assert last["choices"] == []
    assert last["usage"]["cost"] == cost_usd(opened) > 0


def test_reports_that_say_nothing_yet_do_not_change_what_is_counted() -> None:
    """Counting piece by piece would find more tokens than counting the whole."""
    body = {"contents": [{"parts": [{"text": "Hi"}]}]}
    frame = {"candidates": [{"content": {"parts": [{"text": "token"}]}, "index": 0}], "usageMetadata": {}}
    last = {"candidates": [{"content": {"parts": [{"text": "s"}]}, "finishReason": "STOP", "index": 0}]}
    wire = [b"data: " + json.dumps(each).encode() + b"\n\n" for each in (frame, frame, last)]
    asked, plain = (
        passage(GEMINI, "gemini", body, stream=True),
        passage(GEMINI, "gemini", body, stream=True, priced=False),
    )
    events = streamed(asked, *wire)
    streamed(plain, *wire)
    assert asked.answer.facts() == plain.answer.facts()
    assert ["cost" in event["usageMetadata"] for event in events] == [False, False, True]


def test_images_cost_what_their_size_and_quality_do() -> None:
    opened = passage("images_generations", "openai", {"model": "public", "prompt": "a cat", "n": 2})
    image = {"url": "https://provider.example/1.png"}
    answer = {"created": 1, "data": [image, image], "size": "1024x1024", "quality": "high"}
    shown = whole(opened, answer)
    assert shown["data"] == [image, image]
    assert shown["usage"]["cost"] == cost_usd(opened) == pytest.approx(2 * 0.08 * 2 * 0.9)


def test_prices_survive_the_bus() -> None:
    offered = msgspec.structs.replace(envelope(), pricing=PRICING)
    assert messages.decode_envelope(messages.encode(offered)).pricing == PRICING
    assert messages.decode_envelope(messages.encode(envelope())).pricing is None
