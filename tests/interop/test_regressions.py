"""Things that broke in other gateways, each as a test of what must hold here (DIALECTS section 8): cases 1 to 24.

Those from 30 on are in `test_regressions_of_reasoning_and_errors`. A case that needs a socket, or an endpoint beside
conversations, is tested where that is; `ELSEWHERE` says in which test. The last tests here see to it that no case is
forgotten.
"""

import ast
import json
import random
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.interop.event_laws import broken_laws, said
from tests.interop.exchanges import asked, call, calls_of, data_of, deltas, put, sse, user, whole
from tests.interop.golden_files import golden, read_answer, read_request, read_stream, write_answer, write_stream
from tests.interop.regression_cases import CASES, TOOL, case, every_dialect
from trunkline.bus.snapshots import ChannelSnapshot, SealedCredential
from trunkline.core.usage import Units
from trunkline.policy.affinity import affinity_of
from trunkline.policy.credentials import CredentialStates
from trunkline.policy.routing import RoutingTable
from trunkline.protocol.events import OUTPUT_EVENTS, MessageEnd, StreamError, ToolCallStart, UsageReport
from trunkline.protocol.fidelity import Crossing
from trunkline.protocol.model import Proof, without_proofs
from trunkline.protocol.names import (
    ANTHROPIC,
    CONVERSATIONAL,
    GEMINI,
    OPENAI_CHAT,
    OPENAI_RESPONSES,
    UPSTREAM_ANTHROPIC,
    UPSTREAM_RESPONSES,
)
from trunkline.protocol.proof import wrap
from trunkline.protocol.registry import CLIENTS, COUNTERS, RELAYS, UPSTREAMS
from trunkline.protocol.upstream_error import UNREADABLE_PROOF, RetryClass, read_upstream_error
from trunkline.protocol.vendor import DEFAULTS, ToolIDRule, VendorOptions

TESTS = Path(__file__).parents[1]

ENDPOINTS = "unit/protocol/endpoints/test_endpoint_"

ELSEWHERE = {
    25: f"{ENDPOINTS}embeddings.py::test_floats_become_the_base64_that_an_sdk_decodes",
    26: f"{ENDPOINTS}transcriptions.py::test_every_format_is_answered_as_the_provider_wrote_it",
    23: "e2e/test_keepalive.py::test_signs_of_life_come_while_nothing_else_does",
    27: f"{ENDPOINTS}images.py::test_all_files_of_an_edit_reach_the_provider_as_they_were",
    28: f"{ENDPOINTS}rerank.py::test_coheres_answer_for_jinas_client_is_billed_in_searches",
    29: "unit/services/dispatcher/test_dispatcher_passage.py::test_tools_with_reasoning_go_to_responses",
    36: "e2e/test_fault_upstreams.py::test_fault_of_the_first_of_two_channels",
}
"""Tests of other files that show a case, below the folder of all tests."""


# --- 1 to 9: blocks, items and calls -----------------------------------------------------------------------------


# A chat provider thinks, and then speaks.
@case(1)
def test_reasoning_then_text_is_one_start_and_a_block_per_kind() -> None:
    events = read_stream(
        OPENAI_CHAT, [deltas({"reasoning_content": "a"}, {"reasoning_content": "b"}, {"content": "c"})]
    )
    told = [
        (event["type"], event.get("index"), event.get("content_block", event.get("delta", {})).get("type"))
        for event in data_of(write_stream(ANTHROPIC, events))
    ]
    assert told == [
        ("message_start", None, None),
        ("content_block_start", 0, "thinking"),
        ("content_block_delta", 0, "thinking_delta"),
        ("content_block_delta", 0, "thinking_delta"),
        ("content_block_stop", 0, None),
        ("content_block_start", 1, "text"),
        ("content_block_delta", 1, "text_delta"),
        ("content_block_stop", 1, None),
        ("message_delta", None, None),
        ("message_stop", None, None),
    ]


# A chat provider's whole answer with reasoning, for a Messages client.
@case(2)
@pytest.mark.parametrize("field", ["reasoning_content", "reasoning"])
def test_a_chat_providers_reasoning_is_a_thinking_block(field: str) -> None:
    message = {"role": "assistant", "content": "yes", field: "hm"}
    body = json.dumps({"id": "c", "choices": [{"index": 0, "message": message, "finish_reason": "stop"}]}).encode()
    assert whole(ANTHROPIC, read_answer(OPENAI_CHAT, body))["content"] == [
        {"type": "thinking", "thinking": "hm", "signature": ""},
        {"type": "text", "text": "yes"},
    ]


# A call whose deltas carry an empty content, and a history with empty texts beside a call.
@case(3)
def test_a_call_without_text_makes_no_block_of_text() -> None:
    piece = {"content": "", **call(name="f", arguments="{}", id="c1")}
    events = read_stream(OPENAI_CHAT, [deltas({"role": "assistant", "content": ""}, piece, finish="tool_calls")])
    use = {"type": "tool_use", "id": "c1", "name": "f", "input": {}}
    assert whole(ANTHROPIC, events)["content"] == [use]
    started = [event for event in data_of(write_stream(ANTHROPIC, events)) if event["type"] == "content_block_start"]
    assert [event["content_block"]["type"] for event in started] == ["tool_use"]
    function = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    history = {"role": "assistant", "content": "", "tool_calls": [function]}
    result = {"role": "tool", "tool_call_id": "c1", "content": "ok"}
    body, _ = put(OPENAI_CHAT, ANTHROPIC, asked(OPENAI_CHAT, user("go"), history, result, tools=[TOOL]))
    assert body["messages"][1]["content"] == [use]


# Chunks with `choices: []`: a filter's result at the start, nothing in the middle, usage at the end.
@case(4)
def test_a_chunk_without_choices_is_usage_or_nothing() -> None:
    nothing = sse({"choices": [], "prompt_filter_results": [{"prompt_index": 0}]})
    stream = nothing + nothing.join(re.findall(rb"data: .*?\n\n", deltas({"content": "a"}, {"content": "b"})))
    usage = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}
    events = read_stream(
        OPENAI_CHAT, [stream.replace(b"data: [DONE]", sse({"choices": [], "usage": usage}) + b"data: [DONE]")]
    )
    assert said(events).words == "ab"
    assert said(events).input_total == 3
    assert events[-1] == MessageEnd()


# A chat provider's reasoning, text and calls, for a Responses client.
@case(5)
def test_items_of_a_responses_stream_keep_their_ids_and_are_closed_before_the_end() -> None:
    stream = golden(OPENAI_CHAT, "reasoning_tool_loop").stream
    events = data_of(write_stream(OPENAI_RESPONSES, read_stream(OPENAI_CHAT, [stream])))
    added = {event["output_index"]: event["item"]["id"] for event in events if event["type"].endswith("item.added")}
    done = {event["output_index"]: event["item"]["id"] for event in events if event["type"].endswith("item.done")}
    assert added == done
    assert list(added) == [0, 1, 2]
    assert len(set(added.values())) == 3
    assert {event["item_id"] for event in events if "item_id" in event} == set(added.values())
    assert [item["id"] for item in events[-1]["response"]["output"]] == list(added.values())
    assert [event["type"] for event in events[-2:]] == ["response.output_item.done", "response.completed"]


# Two calls that both say index 0, or that count from 1, or that say no index at all.
@case(6)
@pytest.mark.parametrize("indices", [(0, 0), (1, 2), (None, None), (3, 7)])
def test_parallel_calls_stay_apart_and_count_from_zero(indices: tuple[int | None, int | None]) -> None:
    first, second = indices
    pieces = [
        call(first, "f", '{"a":', id="c1"),
        call(first, "", "1}", **({} if first != second else {"id": "c1"})),
        call(second, "g", '{"b":', id="c2"),
        call(second, "", "2}", **({} if first != second else {"id": "c2"})),
    ]
    events = read_stream(OPENAI_CHAT, [deltas(*pieces, finish="tool_calls")])
    assert calls_of(events) == [("c1", "f", '{"a":1}'), ("c2", "g", '{"b":2}')]
    assert [event.call for event in events if isinstance(event, ToolCallStart)] == [0, 1]


# Gemini sends each call in a frame of its own.
@case(7)
def test_gemini_calls_over_several_frames_have_indices_of_their_own() -> None:
    events = read_stream(GEMINI, [golden(GEMINI, "tools_in_parallel").stream])
    chunks = [choice["delta"] for chunk in data_of(write_stream(OPENAI_CHAT, events)) for choice in chunk["choices"]]
    begun = [piece for delta in chunks for piece in delta.get("tool_calls", ()) if "id" in piece]
    assert [(piece["index"], piece["id"]) for piece in begun] == [(0, "call_paris"), (1, "call_clock")]


# A tool without arguments: "" in chat, a placeholder alone or before the real JSON in Anthropic's block start.
@case(8)
def test_a_call_without_arguments_has_an_empty_object_exactly_once() -> None:
    none = read_stream(OPENAI_CHAT, [deltas(call(name="f", id="c1"), finish="tool_calls")])
    begun = {"type": "content_block_start", "index": 0}
    block = {"type": "tool_use", "id": "c1", "name": "f", "input": {}}
    piece = {
        "type": "content_block_delta",
        "index": 0,
        "delta": {"type": "input_json_delta", "partial_json": '{"a":1}'},
    }
    start = {"type": "message_start", "message": {"id": "m", "content": []}}
    end = {"type": "message_delta", "delta": {"stop_reason": "tool_use"}}
    placeholder = read_stream(ANTHROPIC, [sse(start, {**begun, "content_block": block}, end)])
    real = read_stream(ANTHROPIC, [sse(start, {**begun, "content_block": block}, piece, end)])
    assert calls_of(none) == calls_of(placeholder) == [("c1", "f", "{}")]
    assert calls_of(real) == [("c1", "f", '{"a":1}')]
    for dialect in CONVERSATIONAL:
        back = read_stream(dialect, [write_stream(dialect, none)])
        assert calls_of(back) == calls_of(read_answer(dialect, write_answer(dialect, none))) == [("c1", "f", "{}")]


# Two `function_call` items one after another, and their two outputs.
@case(9)
def test_parallel_call_items_are_one_turn_and_their_results_stand_together() -> None:
    calls = [{"type": "function_call", "call_id": f"c{n}", "name": "f", "arguments": "{}"} for n in (1, 2)]
    outputs = [{"type": "function_call_output", "call_id": f"c{n}", "output": "ok"} for n in (2, 1)]
    tool = {"type": "function", "name": "f", "parameters": {"type": "object", "properties": {}}}
    body = {"model": "m", "input": [user("go"), *calls, *outputs, user("on")], "tools": [tool]}
    chat, _ = put(OPENAI_RESPONSES, OPENAI_CHAT, body)
    assert [message["role"] for message in chat["messages"]] == ["user", "assistant", "tool", "tool", "user"]
    assert [piece["id"] for piece in chat["messages"][1]["tool_calls"]] == ["c1", "c2"]
    messages, _ = put(OPENAI_RESPONSES, ANTHROPIC, body)
    assert [message["role"] for message in messages["messages"]] == ["user", "assistant", "user"]
    assert [block["type"] for block in messages["messages"][2]["content"]] == ["tool_result", "tool_result", "text"]
    contents, _ = put(OPENAI_RESPONSES, GEMINI, body)
    assert [content["role"] for content in contents["contents"]] == ["user", "model", "user"]


# --- 10 to 15: usage and headers ---------------------------------------------------------------------------------

_TOTALS = {"prompt_tokens": 2000, "completion_tokens": 60, "total_tokens": 2060}
_THOUGHT = {"completion_tokens_details": {"reasoning_tokens": 20}}
REPORTS = {
    "OpenAI": {**_TOTALS, "prompt_tokens_details": {"cached_tokens": 1500}, **_THOUGHT},
    "DeepSeek": {**_TOTALS, "prompt_cache_hit_tokens": 1500, "prompt_cache_miss_tokens": 500, **_THOUGHT},
    "Moonshot": {**_TOTALS, "cached_tokens": 1500, **_THOUGHT},
    "xAI": {**_TOTALS, "completion_tokens": 40, "prompt_tokens_details": {"cached_tokens": 1500}, **_THOUGHT},
}
"""The same numbers in four vendors' words."""


# Cached tokens, in the words of each vendor.
@case(10)
@pytest.mark.parametrize("vendor", REPORTS)
def test_cached_tokens_are_in_one_bucket_whatever_the_vendor_calls_them(vendor: str) -> None:
    events = read_stream(OPENAI_CHAT, [deltas({"content": "a"}, usage=REPORTS[vendor])])
    units = [event.units for event in events if isinstance(event, UsageReport)]
    assert units == [Units(input=500, cache_read=1500, output=40, reasoning=20)]
    usage = whole(ANTHROPIC, events)["usage"]
    assert (usage["input_tokens"], usage["cache_read_input_tokens"], usage["output_tokens"]) == (500, 1500, 60)


# Anthropic's input excludes both caches, chat's and Responses' include them.
@case(10)
def test_anthropics_caches_are_added_once_for_clients_whose_input_includes_them() -> None:
    events = read_answer(ANTHROPIC, golden(ANTHROPIC, "cache_usage").answer)
    chat, responses = whole(OPENAI_CHAT, events)["usage"], whole(OPENAI_RESPONSES, events)["usage"]
    assert (chat["prompt_tokens"], chat["prompt_tokens_details"]["cached_tokens"]) == (2000, 1500)
    assert (responses["input_tokens"], responses["input_tokens_details"]["cached_tokens"]) == (2000, 1500)
    assert chat["total_tokens"] == responses["total_tokens"] == 2060


# Gemini repeats its usage on every frame, growing.
@case(11)
def test_geminis_growing_usage_is_its_last_value() -> None:
    frames = [
        {
            "candidates": [{"content": {"parts": [{"text": "a"}]}, **({"finishReason": "STOP"} if count == 3 else {})}],
            "usageMetadata": {"promptTokenCount": 5, "candidatesTokenCount": count},
        }
        for count in (1, 2, 3)
    ]
    told = said(read_stream(GEMINI, [sse(*frames)]))
    assert (told.input_total, told.output_total) == (5, 3)


# Gemini counts its thoughts beside the candidates.
@case(12)
def test_geminis_thoughts_are_output_for_every_client() -> None:
    events = read_answer(GEMINI, golden(GEMINI, "reasoning_tool_loop").answer)
    assert whole(OPENAI_CHAT, events)["usage"]["completion_tokens"] == 45
    assert whole(OPENAI_RESPONSES, events)["usage"]["output_tokens"] == 45
    assert whole(ANTHROPIC, events)["usage"]["output_tokens"] == 45


# A client's `anthropic-beta` on a channel that knows one of its values.
@case(13)
def test_betas_that_a_channel_does_not_know_are_not_sent() -> None:
    sent = {"anthropic-beta": "context-1m-2025-08-07, unheard-of"}
    upstream = UPSTREAMS[UPSTREAM_ANTHROPIC]
    known = upstream.carried(sent, VendorOptions(betas=("context-1m-2025-08-07",)))
    assert b"anthropic-beta: context-1m-2025-08-07\r\n" in known
    assert b"anthropic-beta" not in upstream.carried(sent, VendorOptions(betas=()))
    assert b"context-1m-2025-08-07,unheard-of\r\n" in upstream.carried(sent, DEFAULTS)


# `count_tokens` for a model of any provider: no `max_tokens` in it, and no call upstream.
@case(14)
def test_tokens_are_counted_here_whoever_serves_the_model() -> None:
    short, long = ({"model": "gpt-5", "messages": [user("word " * count)]} for count in (10, 1000))
    counts = [CLIENTS[ANTHROPIC].count_input(json.dumps(body).encode()) for body in (short, long)]
    assert counts[0] >= 10
    assert counts[1] >= 1000
    assert COUNTERS[ANTHROPIC].read_count_head(json.dumps(short).encode()).model == "gpt-5"
    assert json.loads(COUNTERS[ANTHROPIC].render_count(counts[0])) == {"input_tokens": counts[0]}


# A provider that says its usage at the end, for a client that wants the input at the start.
@case(15)
def test_the_start_has_an_estimate_of_the_input_and_the_end_the_truth() -> None:
    events = data_of(write_stream(ANTHROPIC, read_stream(OPENAI_CHAT, [golden(OPENAI_CHAT, "text").stream])))
    assert events[0]["message"]["usage"]["input_tokens"] == 11
    assert events[-2]["usage"]["input_tokens"] == 21


# --- 16 to 24: what is sent, and how it is framed -----------------------------------------------------------------


# Instructions in the middle of a conversation.
@case(16)
def test_instructions_midway_keep_their_place() -> None:
    answer, midway = {"role": "assistant", "content": "b"}, {"role": "system", "content": "Be kind."}
    body = asked(OPENAI_CHAT, user("a"), answer, user("c"), midway)
    kept, lost = put(OPENAI_CHAT, ANTHROPIC, body, model="claude-opus-4-8")
    assert (kept["messages"][-1], lost) == (midway, "")
    marked, lost = put(OPENAI_CHAT, ANTHROPIC, body, model="claude-sonnet-4-6")
    assert [message["role"] for message in marked["messages"]] == ["user", "assistant", "user"]
    assert "Be kind." in json.dumps(marked["messages"][-1])
    assert lost == "degraded=instructions_midway"
    chat, _ = put(ANTHROPIC, OPENAI_CHAT, asked(ANTHROPIC, user("a"), answer, user("c"), midway))
    assert chat["messages"][-1] == midway


# A history with encrypted reasoning, of which only one of five accounts can read its part; and two dispatchers.
@case(17)
def test_encrypted_reasoning_goes_back_to_the_account_that_made_it() -> None:
    channels = [
        ChannelSnapshot(
            id=number,
            name=f"channel-{number}",
            dialect=UPSTREAM_RESPONSES,
            base_url="https://provider.example/v1",
            credentials=tuple(SealedCredential(10 * number + step, 1, b"n", b"c") for step in range(number)),
            models={"m": "m"},
        )
        for number in (2, 3)
    ]
    tables = [RoutingTable(), RoutingTable()]
    for table, known in zip(tables, (channels, channels[::-1]), strict=True):
        for channel in known:
            table.put(channel)

    def account(table: RoutingTable, body: dict[str, Any]) -> int:
        head = CLIENTS[OPENAI_RESPONSES].read_head(json.dumps(body, separators=(",", ":")).encode())
        affinity = affinity_of(1, {}, named=head.named, opening=head.opening)
        candidate = table.plan("m", ("default",), CredentialStates(), random.random, affinity).next(0.0)
        assert candidate is not None
        assert candidate.credential is not None
        return candidate.credential.id

    asked_of: set[int] = set()
    for number in range(50):
        begun = {"model": "m", "input": f"Riddle {number}, please.", "instructions": "Think."}
        reasoning = {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": f"by-{number}"}
        said = {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "Hm."}]}
        grown = {**begun, "input": [user(str(begun["input"])), reasoning, said, user("Go on.")]}
        accounts = {account(table, body) for table in tables for body in (begun, grown)}
        assert len(accounts) == 1
        asked_of |= accounts
    assert asked_of == {20, 21, 30, 31, 32}


# The account is gone, and another one refuses its reasoning.
@case(17)
@pytest.mark.parametrize("client", [OPENAI_RESPONSES, ANTHROPIC])
def test_refused_reasoning_is_left_out_of_one_more_try(client: str) -> None:
    message = "The encrypted content for item rs_1 could not be verified."
    refusal = {"error": {"message": message, "type": "invalid_request_error", "code": "invalid_encrypted_content"}}
    assert read_upstream_error(400, {}, json.dumps(refusal).encode(), 0).fault.code == UNREADABLE_PROOF
    if client == OPENAI_RESPONSES:
        reasoning = {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "of-another-account"}
        said = {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "Hm."}]}
        body = {"model": "m", "input": [user("a"), reasoning, said, user("b")]}
        left = json.loads(RELAYS[client].without_proofs(json.dumps(body).encode()))
        assert left == {"model": "m", "input": [user("a"), said, user("b")]}
        return
    thinking = {"type": "thinking", "thinking": "x", "signature": wrap(Proof(OPENAI_RESPONSES, "of-another-account"))}
    turn = {"role": "assistant", "content": [thinking, {"type": "text", "text": "Hm."}]}
    request = read_request(client, json.dumps(asked(client, user("a"), turn, user("b"))).encode())
    bodies = [
        UPSTREAMS[UPSTREAM_RESPONSES].write_request(tried, Crossing(client, OPENAI_RESPONSES), "m", DEFAULTS).body
        for tried in (request, without_proofs(request))
    ]
    assert ["of-another-account" in body.decode() for body in bodies] == [True, False]
    assert [item["role"] for item in json.loads(bodies[1])["input"]] == ["user", "assistant", "user"]


# An error of the Responses service inside a 200: nested, flat, as a failed response, or as the whole body.
@case(18)
@pytest.mark.parametrize("begun", [False, True])
@pytest.mark.parametrize(
    "error",
    [
        {"type": "error", "error": {"type": "server_error", "code": "server_error", "message": "Sorry."}},
        {"type": "error", "code": "server_error", "message": "Sorry.", "param": None},
        {"type": "response.failed", "response": {"id": "r", "status": "failed", "error": {"code": "server_error"}}},
    ],
)
def test_an_error_inside_a_200_may_be_tried_elsewhere(error: dict[str, Any], *, begun: bool) -> None:
    start = {"type": "response.created", "response": {"id": "r", "status": "in_progress", "output": []}}
    events = read_stream(OPENAI_RESPONSES, [sse(*[start] * begun, error)])
    assert isinstance(events[-1], StreamError)
    assert events[-1].error.cls is RetryClass.OTHER_CHANNEL
    assert not any(isinstance(event, OUTPUT_EVENTS) for event in events)
    body = json.dumps({key: value for key, value in error.items() if key != "type"}).encode()
    assert isinstance(read_answer(OPENAI_RESPONSES, body)[-1], StreamError)


# Chinese and an emoji, with a chunk's border behind every single byte.
@case(19)
@every_dialect
def test_characters_are_not_cut_at_chunk_borders(dialect: str) -> None:
    stream = golden(dialect, "text").stream
    events = read_stream(dialect, [bytes([byte]) for byte in stream])
    assert said(events).words == "Hello, 你好! 🎉"
    assert broken_laws(events) == []


# `data:` without the blank, CRLF and CR, a byte order mark, no blank line at the end.
@case(20)
@every_dialect
@pytest.mark.parametrize(
    "bend",
    [
        lambda stream: stream.replace(b"data: ", b"data:").replace(b"event: ", b"event:"),
        lambda stream: stream.replace(b"\n", b"\r\n"),
        lambda stream: stream.replace(b"\n", b"\r"),
        lambda stream: b"\xef\xbb\xbf" + stream,
        lambda stream: stream.rstrip(b"\n"),
    ],
    ids=["no blank", "CRLF", "CR", "BOM", "no last line"],
)
def test_every_spelling_of_an_event_stream_is_read(dialect: str, bend: Callable[[bytes], bytes]) -> None:
    stream = golden(dialect, "cache_usage").stream
    bent = read_stream(dialect, [bend(stream)])
    assert bent == read_stream(dialect, [stream])
    assert said(bent).cache_read == 1500


# A provider's comments and `id:` lines.
@case(21)
@every_dialect
def test_comments_are_no_data_and_no_id_is_ever_written(dialect: str) -> None:
    stream = golden(dialect, "text").stream
    noisy = b": PROCESSING\n\n" + stream.replace(b"data: ", b"id: 7\n: keep-alive\ndata: ").replace(
        b"\n\n", b"\n\n: x\n\n"
    )
    events = read_stream(dialect, [noisy])
    assert events == read_stream(dialect, [stream])
    for client in CONVERSATIONAL:
        lines = [line for line in write_stream(client, events).split(b"\n") if line]
        assert {line.partition(b":")[0] for line in lines} <= {b"data", b"event"}


# The same comments, for Gemini's own SDK, which breaks on all but `data: `.
@case(22)
def test_gemini_clients_get_nothing_but_data() -> None:
    stream = golden(GEMINI, "text").stream
    relay = RELAYS[GEMINI].relay(public_model=None, hide_usage=False, array=False, options=DEFAULTS)
    assert relay.receive(b": PROCESSING\n\n" + stream.replace(b"\n\n", b"\n\n: x\n\n")) + relay.finish() == stream
    for dialect in CONVERSATIONAL:
        lines = write_stream(GEMINI, read_stream(dialect, [golden(dialect, "text").stream])).split(b"\n")
        assert all(line.startswith(b"data: {") for line in lines if line)


# Ids of tool calls as other providers make them, for providers that are particular about them.
@case(24)
@pytest.mark.parametrize("call_id", ["call_1", "functions.f:0", "x" * 90, "çall/1"])
def test_foreign_ids_are_written_as_the_provider_takes_them(call_id: str) -> None:
    function = {"id": call_id, "type": "function", "function": {"name": "f", "arguments": "{}"}}
    result = {"role": "tool", "tool_call_id": call_id, "content": "ok"}
    body = asked(OPENAI_CHAT, user("go"), {"role": "assistant", "tool_calls": [function]}, result, tools=[TOOL])
    messages, _ = put(OPENAI_CHAT, ANTHROPIC, body)
    used = messages["messages"][1]["content"][0]["id"]
    assert re.fullmatch(r"[a-zA-Z0-9_-]+", used)
    assert messages["messages"][2]["content"][0]["tool_use_id"] == used
    items, _ = put(OPENAI_CHAT, OPENAI_RESPONSES, body)
    assert items["input"][1]["call_id"] == items["input"][2]["call_id"]
    assert len(items["input"][1]["call_id"]) <= 64
    mistral, _ = put(OPENAI_CHAT, OPENAI_CHAT, body, options=VendorOptions(tool_ids=ToolIDRule.ALPHANUMERIC_9))
    short = mistral["messages"][1]["tool_calls"][0]["id"]
    assert re.fullmatch(r"[a-zA-Z0-9]{9}", short)
    assert mistral["messages"][2]["tool_call_id"] == short
    if call_id == "call_1":
        assert (used, items["input"][1]["call_id"]) == (call_id, call_id)


# --- No case is forgotten --------------------------------------------------------------------------------------------


def test_every_case_is_here_or_elsewhere() -> None:
    here = {
        int(number)
        for file in Path(__file__).parent.glob("test_regressions*.py")
        for number in re.findall(r"^@case\((\d+)\)$", file.read_text(), re.MULTILINE)
    }
    assert sorted([*here, *ELSEWHERE]) == list(CASES)


def test_tests_elsewhere_exist() -> None:
    for where in ELSEWHERE.values():
        path, _, name = where.partition("::")
        functions = ast.walk(ast.parse((TESTS / path).read_text()))
        found = {node.name for node in functions if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}
        assert name in found, where
