"""Chat streams and answers: chunking never matters, and no bytes raise."""

import json
from typing import Any

from hypothesis import example, given, settings
from hypothesis import strategies as st

from trunkline.protocol.openai_chat.answer import read_answer
from trunkline.protocol.openai_chat.errors import render_stream_error
from trunkline.protocol.openai_chat.stream import ChatStreamRelay
from trunkline.protocol.openai_chat.usage import read_usage
from trunkline.protocol.openai_error import render_error
from trunkline.protocol.renaming import rename_model
from trunkline.protocol.retry_after import WAIT_MS_MAX
from trunkline.protocol.upstream_error import read_upstream_error

UNTIMED = settings(deadline=None)
"""A busy machine is no failure, and the tokenizer loads within the first example."""


def event(**members: Any) -> bytes:
    return b"data: " + json.dumps({"id": "1", "model": "up", **members}, ensure_ascii=False).encode()


def delta(content: object, finish: object = None) -> bytes:
    return event(choices=[{"index": 0, "delta": {"content": content}, "finish_reason": finish}], usage=None)


DONE = b"data: [DONE]\n\n"
USAGE = {"prompt_tokens": 5, "completion_tokens": 4, "total_tokens": 9}
EVENTS = st.sampled_from(
    [
        delta("Hel"),
        delta("é中😀"),
        delta(""),
        delta(None),
        delta("x", "stop"),
        event(choices=[{"delta": {"tool_calls": [{"function": {"name": "f", "arguments": '{"a"'}}]}}]),
        event(choices=[], usage=USAGE),
        event(choices=[], usage={**USAGE, "completion_tokens": 0}),
        event(choices=[]),
        b'data: {"choices":[],\ndata: "model":"up"}',
        b": ping",
        b"data: [DONE]",
        b"data:",
        b"data: null",
        b"event: ping",
        b"",
    ]
)
FATAL = st.sampled_from([b"data: {", b'data: {"error":{"message":"boom","code":429}}', b"data: \xff", b"data: x"])
ENDS = st.sampled_from([b"\n\n", b"\r\n\r\n", b"\n\n\n", b"\n\r\n"])
PARTS = st.lists(st.tuples(st.one_of(EVENTS, EVENTS, EVENTS, FATAL), ENDS), max_size=12)
BORDERS = st.lists(st.integers(0, 2**16), max_size=20)
OPTIONS = st.fixed_dictionaries(
    {
        "public_model": st.sampled_from([None, "p", "up"]),
        "hide_usage": st.booleans(),
        "lenient": st.booleans(),
        "count_input": st.sampled_from([None, lambda: 7]),
    }
)


def run(stream: bytes, borders: list[int], options: dict[str, Any]) -> tuple[bytes, tuple[object, ...]]:
    relay = ChatStreamRelay(**options)
    marks = sorted(border % (len(stream) + 1) for border in borders)
    out = [relay.receive(stream[a:b]) for a, b in zip([0, *marks], [*marks, len(stream)], strict=True)]
    out.append(relay.finish())
    facts = (
        relay.first_output,
        relay.finished,
        relay.done,
        relay.complete,
        relay.units,
        relay.error,
        relay.output_tokens_counted(),
    )
    return b"".join(out), facts


@given(PARTS, st.integers(0, 12), BORDERS, OPTIONS)
@UNTIMED
def test_any_chunking_gives_the_same_bytes_and_facts(
    parts: list[tuple[bytes, bytes]], cut: int, borders: list[int], options: dict[str, Any]
) -> None:
    stream = b"".join([a + b for a, b in parts])
    stream = stream[: len(stream) - cut]
    assert run(stream, borders, options) == run(stream, [], options)


@given(PARTS, BORDERS)
@UNTIMED
def test_with_nothing_to_change_the_bytes_are_the_providers(
    parts: list[tuple[bytes, bytes]], borders: list[int]
) -> None:
    stream = b"".join([a + b for a, b in parts])
    out, facts = run(stream, borders, {"lenient": True})
    if b"data: [DONE]" in out:
        # A whole answer ends so, whether its provider says it or not, or goes on behind it.
        assert stream.startswith((out, out.removesuffix(DONE)))
        return
    assert stream.startswith(out.rstrip(b"\r\n"))
    if facts[5] is None:
        assert out == stream


@given(
    st.lists(st.tuples(st.integers(0, 2**16), st.binary(max_size=4), st.integers(0, 5)), min_size=1, max_size=5),
    BORDERS,
    OPTIONS,
)
@example([(11, b"\r", 0)], [129], {})
@UNTIMED
def test_mutated_streams_raise_nothing(
    mutations: list[tuple[int, bytes, int]], borders: list[int], options: dict[str, Any]
) -> None:
    stream = b"\n\n".join([delta("Hel"), delta("lo", "stop"), event(choices=[], usage=USAGE), b"data: [DONE]", b""])
    for number, new, removed in mutations:
        position = number % (len(stream) + 1)
        stream = stream[:position] + new + stream[position + removed :]
    assert run(stream, borders, options) == run(stream, [], options)


KEYS = st.sampled_from(
    [
        *("error", "code", "message", "type", "param", "details", "retryDelay", "innererror"),
        *("choices", "index", "delta", "finish_reason", "tool_calls", "function", "model", "usage", "x_groq"),
    ]
)
TREES = st.recursive(
    st.none() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=12,
)
BODIES = st.one_of(st.binary(max_size=80), TREES.map(lambda tree: json.dumps(tree).encode()))


@given(BODIES, st.sampled_from([200, 301, 400, 401, 403, 404, 413, 429, 500, 503]))
@UNTIMED
def test_no_body_raises_anywhere(body: bytes, status: int) -> None:
    error = read_upstream_error(status, {"retry-after": body.decode("latin-1"), "x-ratelimit-remaining": "0"}, body, 0)
    assert error.cool_ms is None or 0 <= error.cool_ms <= WAIT_MS_MAX
    assert json.loads(render_error(error.fault, "r").body)["error"]["message"]
    assert render_stream_error(error.fault, "r").endswith(b"}\n\n")
    read_usage(body)
    answer = read_answer(body)
    if answer.valid:
        assert json.loads(rename_model(body, "p")).get("model", "p") == "p"
    relay = ChatStreamRelay(public_model="p", hide_usage=True)
    relay.receive(b"data: " + body + b"\n\n")
    relay.finish()
    assert relay.output_tokens_counted() >= 0
