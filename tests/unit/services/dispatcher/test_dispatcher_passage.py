"""How a request gets to a candidate: as bytes within a dialect, translated across two, beside conversations."""

import json
from typing import Any

import msgspec
import pytest

from services.dispatcher.answers import PlainAnswer, RelayedStream
from services.dispatcher.passage import Leg, Passage, open_passage
from tests.support.job_scripts import envelope
from trunkline.bus.snapshots import ChannelSnapshot
from trunkline.core.errors import ErrorType, FaultError
from trunkline.core.ids import JobIDMint
from trunkline.core.usage import Units, UsageSource
from trunkline.policy.model_terms import model_terms
from trunkline.policy.routing import Candidate
from trunkline.protocol import registry
from trunkline.protocol.dialect import Written
from trunkline.protocol.events import MessageEnd, UsageReport
from trunkline.protocol.names import ANTHROPIC, GEMINI, OPENAI_CHAT, OPENAI_RESPONSES
from trunkline.protocol.rules import RequestRules
from trunkline.protocol.vendor import ToolIDRule, VendorOptions

CHAT: dict[str, Any] = {"model": "public", "messages": [{"role": "user", "content": "Hi"}]}
TOOL = {"type": "function", "function": {"name": "f", "parameters": {"type": "object", "properties": {}}}}
NOW_MS = 1_700_000_000_000


def passage(
    dialect: str,
    upstream: str,
    body: object,
    *,
    stream: bool = False,
    rules: RequestRules | None = None,
    options: VendorOptions | None = None,
    headers: dict[str, str] | None = None,
    stream_usage: bool = True,
    wants_usage: bool = False,
) -> Passage:
    channel = ChannelSnapshot(
        1,
        "c",
        upstream,
        "https://provider.example/v1",
        (),
        {"public": "own"},
        options=options or VendorOptions(),
        stream_usage=stream_usage,
    )
    offered = msgspec.structs.replace(
        envelope(), dialect=dialect, model="public", stream=stream, wants_usage=wants_usage, headers=headers or {}
    )
    encoded = body if isinstance(body, bytes) else json.dumps(body).encode()
    candidate = Candidate(channel, None, "default", "own", last_resort=False)
    rules = model_terms(channel, "public").rules if rules is None else rules
    return open_passage(Leg(offered, JobIDMint(1).mint(0), encoded, candidate, rules, NOW_MS))


def test_within_a_dialect_only_the_model_changes() -> None:
    body = b'{ "model" : "public", "messages":[{"role":"user","content":"Hi"}],"x":1.50 }'
    opened = passage(OPENAI_CHAT, "openai", body)
    assert opened.body == body.replace(b"public", b"own")
    assert (opened.call.path, opened.content_type, opened.fidelity) == ("/chat/completions", "", "")


def test_across_two_the_request_is_translated_and_what_is_lost_is_named() -> None:
    opened = passage(OPENAI_CHAT, "anthropic", {**CHAT, "seed": 7, "max_tokens": 9})
    sent = json.loads(opened.body)
    assert (sent["model"], sent["max_tokens"]) == ("own", 9)
    assert "seed" not in sent
    assert opened.call.path == "/messages"
    assert b"anthropic-version: 2023-06-01\r\n" in opened.carried
    assert (opened.content_type, opened.fidelity) == ("application/json", "dropped=seed")


def test_a_channels_rules_apply_behind_a_translation() -> None:
    rules = RequestRules(drop=("temperature",), set={"metadata": b'{"user_id":"x"}'})
    sent = json.loads(passage(OPENAI_CHAT, "anthropic", {**CHAT, "temperature": 0.5}, rules=rules).body)
    assert "temperature" not in sent
    assert sent["metadata"] == {"user_id": "x"}


def test_what_a_candidate_cannot_carry_is_a_fault_of_its_own() -> None:
    with pytest.raises(FaultError) as raised:
        passage(OPENAI_CHAT, "anthropic", {**CHAT, "logit_bias": {"1": 2}})
    fault = raised.value.fault
    assert (fault.type, fault.param) == (ErrorType.CLIENT_BAD_REQUEST, "logit_bias")
    assert passage(OPENAI_CHAT, "openai", {**CHAT, "logit_bias": {"1": 2}})


def test_a_whole_answer_is_translated_and_counted_where_nothing_was_reported() -> None:
    answer = passage(OPENAI_CHAT, "anthropic", CHAT).answer
    assert isinstance(answer, PlainAnswer)
    message = {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "own",
        "content": [{"type": "text", "text": "Hello there"}],
        "stop_reason": "end_turn",
        "stop_sequence": None,
    }
    assert answer.receive(json.dumps(message).encode())
    shown = json.loads(answer.finish())
    assert (shown["model"], shown["created"]) == ("public", NOW_MS // 1000)
    assert shown["choices"][0]["message"]["content"] == "Hello there"
    facts = answer.facts()
    assert facts.usage.source is UsageSource.COUNTED
    assert shown["usage"]["completion_tokens"] == facts.usage.units.output > 0


def test_an_error_inside_a_good_status_is_one() -> None:
    answer = passage(GEMINI, "anthropic", {"contents": [{"parts": [{"text": "Hi"}]}]}).answer
    assert isinstance(answer, PlainAnswer)
    answer.receive(b'{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}')
    assert answer.finish() == b""
    assert answer.error is not None
    assert answer.error.fault.type is ErrorType.UPSTREAM_OVERLOADED


@pytest.mark.parametrize(
    ("dialect", "body"),
    [
        (OPENAI_CHAT, {**CHAT, "tools": [TOOL]}),
        (
            ANTHROPIC,
            {
                "model": "public",
                "max_tokens": 9,
                "messages": CHAT["messages"],
                "tools": [{"name": "f", "input_schema": {"type": "object"}}],
            },
        ),
    ],
)
def test_tools_with_reasoning_go_to_responses(dialect: str, body: dict[str, Any]) -> None:
    refusing = VendorOptions(tools_by_responses=True)
    opened = passage(dialect, "openai", body, options=refusing)
    assert opened.call.path == "/responses"
    assert json.loads(opened.body)["tools"][0]["name"] == "f"
    assert passage(dialect, "openai", body).call.path == "/chat/completions"


def test_requests_without_tools_or_without_reasoning_stay_on_chat() -> None:
    refusing = VendorOptions(tools_by_responses=True)
    assert passage(OPENAI_CHAT, "openai", CHAT, options=refusing).call.path == "/chat/completions"
    silent = {**CHAT, "tools": [TOOL], "reasoning_effort": "none"}
    assert passage(OPENAI_CHAT, "openai", silent, options=refusing).call.path == "/chat/completions"


def test_an_endpoint_beside_conversations_keeps_its_forms_content_type() -> None:
    opened = passage(
        "embeddings", "openai", {"model": "public", "input": "x"}, headers={"content-type": "application/json"}
    )
    assert (opened.call.path, opened.body_type) == ("/embeddings", "application/json")
    with pytest.raises(FaultError):
        passage("embeddings", "anthropic", {"model": "public", "input": "x"})


@pytest.mark.parametrize("dialect", [OPENAI_CHAT, ANTHROPIC])
def test_a_provider_that_refuses_stream_options_gets_none(dialect: str) -> None:
    body = {**CHAT, "max_tokens": 9, "stream": True}
    assert "stream_options" in json.loads(passage(dialect, "openai", body, stream=True).body)
    silent = passage(dialect, "openai", body, stream=True, stream_usage=False)
    assert "stream_options" not in json.loads(silent.body)


def test_input_is_counted_once_for_the_client_and_the_books(monkeypatch: pytest.MonkeyPatch) -> None:
    counted: list[bytes] = []
    client = registry.CLIENTS[OPENAI_CHAT]

    def count(_: object, body: bytes) -> int:
        counted.append(body)
        return 7

    monkeypatch.setattr(type(client), "count_input", count)
    answer = passage(OPENAI_CHAT, "anthropic", CHAT).answer
    assert isinstance(answer, PlainAnswer)
    answer.receive(b'{"type":"message","content":[{"type":"text","text":"Hello"}],"stop_reason":"end_turn"}')
    assert json.loads(answer.finish())["usage"]["prompt_tokens"] == 7
    assert answer.facts().usage.units.input == 7
    assert len(counted) == 1


def test_what_a_provider_read_costs_us_although_the_client_got_nothing() -> None:
    answer = passage(OPENAI_CHAT, "anthropic", CHAT, stream=True).answer
    assert not isinstance(answer, PlainAnswer)
    start = {"type": "message_start", "message": {"id": "m", "usage": {"input_tokens": 50_000, "output_tokens": 1}}}
    answer.receive(b"event: message_start\ndata: " + json.dumps(start).encode() + b"\n\n")
    answer.finish()
    facts = answer.facts()
    assert answer.error is not None
    assert not facts.output
    assert (facts.usage.units.input, facts.usage.units.output) == (50_000, 0)


def test_a_field_goes_with_the_beta_that_the_channel_does_not_let_through() -> None:
    body = {**CHAT, "max_tokens": 9, "context_management": {"edits": []}, "mcp_servers": []}
    headers = {"anthropic-beta": "context-management-2025-06-27, mcp-client-2025-11-20"}
    options = VendorOptions(betas=("mcp-client-2025-11-20",))
    opened = passage(ANTHROPIC, "anthropic", body, headers=headers, options=options)
    sent = json.loads(opened.body)
    assert "context_management" not in sent
    assert sent["mcp_servers"] == []
    assert b"anthropic-beta: mcp-client-2025-11-20\r\n" in opened.carried
    assert "context_management" in json.loads(passage(ANTHROPIC, "anthropic", body, headers=headers).body)


# --- usage that no provider reported ---------------------------------------------------------------------------------

ASKED: dict[str, dict[str, Any]] = {
    OPENAI_CHAT: CHAT,
    OPENAI_RESPONSES: {"model": "public", "input": "Hi"},
    ANTHROPIC: {**CHAT, "max_tokens": 9},
    GEMINI: {"contents": [{"role": "user", "parts": [{"text": "Hi"}]}]},
}
UPSTREAM_OF = {OPENAI_CHAT: "openai", OPENAI_RESPONSES: "openai-responses", ANTHROPIC: "anthropic", GEMINI: "gemini"}
ITEM = {"type": "message", "id": "m", "role": "assistant", "content": [{"type": "output_text", "text": "Hello there"}]}
WHOLE: dict[str, dict[str, Any]] = {
    OPENAI_CHAT: {"id": "c", "model": "own", "choices": [{"index": 0, "message": {"content": "Hello there"}}]},
    OPENAI_RESPONSES: {"id": "r", "model": "own", "status": "completed", "output": [ITEM], "usage": None},
    ANTHROPIC: {
        "id": "m",
        "type": "message",
        "model": "own",
        "content": [{"type": "text", "text": "Hello there"}],
        "stop_reason": "end_turn",
        "usage": {"input_tokens": 0, "output_tokens": 0},
    },
    GEMINI: {
        "candidates": [{"content": {"parts": [{"text": "Hello there"}]}, "finishReason": "STOP"}],
        "modelVersion": "own",
    },
}
STREAMED: dict[str, tuple[dict[str, Any], ...]] = {
    OPENAI_CHAT: (
        {"id": "c", "model": "own", "choices": [{"index": 0, "delta": {"content": "Hello there"}}]},
        {"id": "c", "model": "own", "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]},
    ),
    OPENAI_RESPONSES: (
        {"type": "response.output_item.added", "output_index": 0, "item": {**ITEM, "content": []}},
        {"type": "response.output_text.delta", "output_index": 0, "delta": "Hello there"},
        {"type": "response.completed", "response": WHOLE[OPENAI_RESPONSES]},
    ),
    ANTHROPIC: (
        {"type": "message_start", "message": {"id": "m", "model": "own", "usage": {"output_tokens": 0}}},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "Hello there"}},
        {"type": "content_block_stop", "index": 0},
        {"type": "message_delta", "delta": {"stop_reason": "end_turn"}},
        {"type": "message_stop"},
    ),
    GEMINI: (WHOLE[GEMINI],),
}


def event_of(tree: dict[str, Any]) -> bytes:
    name = f"event: {tree['type']}\n" if "type" in tree else ""
    return f"{name}data: {json.dumps(tree)}\n\n".encode()


def stated(dialect: str, shown: bytes) -> Units | None:
    """Return the usage that a client of a dialect reads in a stream."""
    reader = registry.UPSTREAMS[UPSTREAM_OF[dialect]].event_reader(Written(b""), VendorOptions())
    events = [*reader.receive(shown), *reader.finish()]
    assert isinstance(events[-1], MessageEnd)
    return next((event.units for event in reversed(events) if isinstance(event, UsageReport)), None)


@pytest.mark.parametrize("dialect", ASKED)
def test_the_client_is_shown_what_the_books_have_where_nothing_was_reported(dialect: str) -> None:
    answer = passage(dialect, UPSTREAM_OF[dialect], ASKED[dialect]).answer
    assert isinstance(answer, PlainAnswer)
    answer.receive(json.dumps(WHOLE[dialect]).encode())
    shown = answer.finish()
    assert answer.error is None
    usage = answer.facts().usage
    assert (usage.source, usage.units.input > 0, usage.units.output) == (UsageSource.COUNTED, True, 2)
    assert registry.RELAYS[dialect].read_whole(shown).units == usage.units
    assert b'"public"' in shown
    assert b'"own"' not in shown


@pytest.mark.parametrize("dialect", ASKED)
def test_so_is_a_client_of_a_stream(dialect: str) -> None:
    answer = passage(dialect, UPSTREAM_OF[dialect], ASKED[dialect], stream=True, wants_usage=True).answer
    assert isinstance(answer, RelayedStream)
    shown = b"".join([answer.receive(event_of(tree)) for tree in STREAMED[dialect]]) + answer.finish()
    assert answer.error is None
    usage = answer.facts().usage
    assert (usage.source, usage.units.input > 0, usage.units.output) == (UsageSource.COUNTED, True, 2)
    assert stated(dialect, shown) == usage.units


def test_a_chat_client_that_did_not_ask_for_usage_gets_none() -> None:
    answer = passage(OPENAI_CHAT, "openai", CHAT, stream=True).answer
    assert isinstance(answer, RelayedStream)
    shown = b"".join([answer.receive(event_of(tree)) for tree in STREAMED[OPENAI_CHAT]]) + answer.finish()
    assert stated(OPENAI_CHAT, shown) is None
    assert answer.facts().usage.units.output == 2


def test_input_that_was_reported_is_kept_although_the_output_was_not() -> None:
    answer = passage(OPENAI_CHAT, "anthropic", CHAT).answer
    assert isinstance(answer, PlainAnswer)
    report = {"input_tokens": 50_000, "cache_read_input_tokens": 7, "output_tokens": 0}
    answer.receive(json.dumps({**WHOLE[ANTHROPIC], "usage": report}).encode())
    shown = json.loads(answer.finish())["usage"]
    units = answer.facts().usage.units
    assert (units.input, units.cache_read, units.output) == (50_000, 7, 2)
    assert (shown["prompt_tokens"], shown["completion_tokens"]) == (units.input_total, units.output_total)


def test_a_client_that_asks_a_provider_without_usage_for_it_is_shown_a_count() -> None:
    body = {**CHAT, "stream": True, "stream_options": {"include_usage": True}}
    asked = passage(OPENAI_CHAT, "openai", body, stream=True, stream_usage=False, wants_usage=True)
    assert "stream_options" not in json.loads(asked.body)
    assert isinstance(asked.answer, RelayedStream)
    shown = b"".join([asked.answer.receive(event_of(tree)) for tree in STREAMED[OPENAI_CHAT]]) + asked.answer.finish()
    assert stated(OPENAI_CHAT, shown) == asked.answer.facts().usage.units


def test_a_channel_may_have_its_own_dialect_translated_too() -> None:
    history = [
        *CHAT["messages"],
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [{"id": "call_of-another", "type": "function", "function": {"name": "f", "arguments": ""}}],
        },
        {"role": "tool", "tool_call_id": "call_of-another", "content": "Sunny."},
    ]
    options = VendorOptions(translated=True, tool_ids=ToolIDRule.ALPHANUMERIC_9)
    body = {"model": "public", "messages": history, "min_p": 0.5, "max_completion_tokens": 9}
    opened = passage(OPENAI_CHAT, "openai", body, options=options)
    sent = json.loads(opened.body)
    assert (sent["model"], sent["min_p"], sent["max_tokens"]) == ("own", 0.5, 9)
    identity = sent["messages"][2]["tool_call_id"]
    assert len(identity) == 9
    assert sent["messages"][1]["tool_calls"][0]["id"] == identity
    assert opened.fidelity == ""
    # The provider answers with a stream that nobody asked for, and with a call that has no id and says that it stopped.
    call = {"index": 0, "function": {"name": "f", "arguments": "{}"}}
    chunk = {"choices": [{"index": 0, "delta": {"tool_calls": [call]}, "finish_reason": "stop"}]}
    assert isinstance(opened.answer, PlainAnswer)
    opened.answer.receive(event_of(chunk) + b"data: [DONE]\n\n")
    choice = json.loads(opened.answer.finish())["choices"][0]
    assert choice["finish_reason"] == "tool_calls"
    assert choice["message"]["tool_calls"][0]["id"].startswith("call_")


WISHES: dict[str, Any] = {
    "fallback_models": ["other"],
    "models": ["public", "other"],
    "zenmux-route": {"strategy": "cost", "fallback": ["other"]},
    "usage": {"include": True},
}
MESSAGES_BODY = {"model": "public", "max_tokens": 9, "messages": [{"role": "user", "content": "Hello"}]}


@pytest.mark.parametrize(
    ("dialect", "upstream", "body"),
    [
        (OPENAI_CHAT, "openai", CHAT),
        (OPENAI_CHAT, "anthropic", {**CHAT, "max_tokens": 9}),
        (OPENAI_RESPONSES, "openai-responses", {"model": "public", "input": "Hello"}),
        (OPENAI_RESPONSES, "openai", {"model": "public", "input": "Hello"}),
        (ANTHROPIC, "anthropic", MESSAGES_BODY),
        (ANTHROPIC, "openai", MESSAGES_BODY),
        (GEMINI, "gemini", {"contents": [{"role": "user", "parts": [{"text": "Hello"}]}]}),
        (GEMINI, "openai", {"contents": [{"role": "user", "parts": [{"text": "Hello"}]}]}),
        ("completions", "openai", {"model": "public", "prompt": "Hello"}),
        ("completions", "anthropic", {"model": "public", "prompt": "Hello", "max_tokens": 9}),
        ("embeddings", "openai", {"model": "public", "input": "Hello"}),
        ("embeddings", "gemini", {"model": "public", "input": "Hello"}),
        ("embed_content", "gemini", {"content": {"parts": [{"text": "Hello"}]}}),
        ("embed_content", "openai", {"content": {"parts": [{"text": "Hello"}]}}),
        ("moderations", "openai", {"model": "public", "input": "Hello"}),
        ("audio_speech", "openai", {"model": "public", "input": "Hello", "voice": "a"}),
        ("images_generations", "openai", {"model": "public", "prompt": "A cat"}),
        ("rerank", "openai", {"model": "public", "query": "a", "documents": ["b"]}),
    ],
)
def test_what_is_meant_for_the_gateway_reaches_nobody_and_is_no_loss(
    dialect: str, upstream: str, body: dict[str, Any]
) -> None:
    plain, wishing = passage(dialect, upstream, body), passage(dialect, upstream, {**body, **WISHES})
    assert json.loads(wishing.body) == json.loads(plain.body)
    assert wishing.fidelity == plain.fidelity


def test_plain_sound_is_never_whole_before_its_body_ends() -> None:
    speech = {"model": "public", "input": "Hello", "voice": "alloy"}
    answer = passage("audio_speech", "openai", speech, stream=True).answer
    assert not isinstance(answer, PlainAnswer)
    assert answer.receive(b"\x00\x01\x02") == b"\x00\x01\x02"
    assert (answer.first_output, answer.complete) == (True, False)
    answer.finish()
    assert answer.error is None
