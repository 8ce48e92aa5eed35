"""The JSON endpoints: chunking never matters, vectors survive their conversion, and no bytes raise."""

import base64
import json
import struct
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trunkline.core.errors import ErrorType, FaultError
from trunkline.protocol.endpoint import Provider
from trunkline.protocol.endpoints.completion_stream import CompletionStream
from trunkline.protocol.endpoints.completions import LegacyCompletions
from trunkline.protocol.endpoints.embeddings import OpenAIEmbeddings
from trunkline.protocol.endpoints.gemini_embeddings import GeminiBatchEmbedContents, GeminiEmbedContent
from trunkline.protocol.endpoints.moderations import Moderations
from trunkline.protocol.endpoints.rerank import Rerank, RerankV2
from trunkline.protocol.endpoints.vectors import VectorForm, in_form
from trunkline.protocol.rules import RequestRules
from trunkline.protocol.vendor import VendorOptions

UNTIMED = settings(deadline=None)
"""A busy machine is no failure, and the tokenizer loads within the first example."""

# --- vectors -------------------------------------------------------------------------------------------------

FLOATS = st.lists(st.floats(width=32, allow_nan=False, allow_infinity=False), max_size=20)


@given(FLOATS)
@UNTIMED
def test_a_vector_survives_the_way_there_and_back(numbers: list[float]) -> None:
    source = json.dumps(numbers).encode()
    packed = in_form(source, VectorForm.BASE64)
    # As the official SDK decodes it.
    assert struct.unpack(f"<{len(numbers)}f", base64.b64decode(json.loads(packed))) == tuple(numbers)
    unpacked = in_form(packed, VectorForm.FLOAT)
    assert json.loads(unpacked) == numbers
    assert in_form(unpacked, VectorForm.BASE64) == packed


@given(st.lists(FLOATS, min_size=1, max_size=4), st.lists(st.booleans(), min_size=4, max_size=4), st.booleans())
@UNTIMED
def test_whatever_a_provider_answers_the_client_gets_what_it_asked_for(
    vectors: list[list[float]], packed: list[bool], wants_base64: bool
) -> None:
    def shown(numbers: list[float], as_base64: bool) -> object:
        return base64.b64encode(struct.pack(f"<{len(numbers)}f", *numbers)).decode() if as_base64 else numbers

    data = [{"index": 0, "embedding": shown(numbers, how)} for numbers, how in zip(vectors, packed, strict=False)]
    body = {"model": "m", "input": "x", "encoding_format": "base64" if wants_base64 else "float"}
    call = OpenAIEmbeddings().open(json.dumps(body).encode(), "", PROVIDERS[0])
    assert call.whole is not None
    whole, answer = call.whole(json.dumps({"data": data, "model": "up"}).encode())
    assert whole.error is None
    expected = [{"index": 0, "embedding": shown(numbers, wants_base64)} for numbers in vectors]
    assert json.loads(answer) == {"data": expected, "model": "public"}


# --- streams -------------------------------------------------------------------------------------------------


def event(**members: Any) -> bytes:
    return b"data: " + json.dumps({"id": "1", "model": "up", **members}, ensure_ascii=False).encode()


def piece(text: object, finish: object = None) -> bytes:
    return event(choices=[{"index": 0, "text": text, "finish_reason": finish}], usage=None)


USAGE = {"prompt_tokens": 5, "completion_tokens": 4}
EVENTS = st.sampled_from(
    [
        piece("Hel"),
        piece("é中😀"),
        piece(""),
        piece(None),
        piece("x", "stop"),
        event(choices=[{"text": ["odd"], "index": "1"}]),
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
        "echo": st.booleans(),
    }
)


def run(stream: bytes, borders: list[int], options: dict[str, Any]) -> tuple[bytes, tuple[object, ...]]:
    relay = CompletionStream(**options)
    marks = sorted(border % (len(stream) + 1) for border in borders)
    out = [relay.receive(stream[a:b]) for a, b in zip([0, *marks], [*marks, len(stream)], strict=True)]
    out.append(relay.finish())
    facts = (relay.first_output, relay.complete, relay.units, relay.error, relay.output_tokens_counted())
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
def test_without_options_the_bytes_are_the_providers(parts: list[tuple[bytes, bytes]], borders: list[int]) -> None:
    stream = b"".join([a + b for a, b in parts])
    out, facts = run(stream, borders, {})
    assert stream.startswith(out.rstrip(b"\r\n"))
    if facts[3] is None:
        assert out == stream


MUTATIONS = st.lists(st.tuples(st.integers(0, 2**16), st.binary(max_size=4), st.integers(0, 5)), min_size=1, max_size=5)


def mutated(source: bytes, mutations: list[tuple[int, bytes, int]]) -> bytes:
    for number, new, removed in mutations:
        position = number % (len(source) + 1)
        source = source[:position] + new + source[position + removed :]
    return source


@given(MUTATIONS, BORDERS, OPTIONS)
@UNTIMED
def test_mutated_streams_raise_nothing(
    mutations: list[tuple[int, bytes, int]], borders: list[int], options: dict[str, Any]
) -> None:
    stream = b"\n\n".join([piece("Hel"), piece("lo", "stop"), event(choices=[], usage=USAGE), b"data: [DONE]", b""])
    stream = mutated(stream, mutations)
    assert run(stream, borders, options) == run(stream, [], options)


# --- requests and whole answers ------------------------------------------------------------------------------

PROVIDERS = [Provider(name, "up", "public", VendorOptions(), RequestRules()) for name in ("openai", "azure", "gemini")]
ENDPOINTS = [
    (OpenAIEmbeddings(), b'{"model":"m","input":["h\\u00e9 \\ud83d\\ude00 \xc3\xa9",""],"dimensions":8,"user":"u"}'),
    (GeminiEmbedContent(), b'{"content":{"parts":[{"text":"a"}]},"taskType":"X","outputDimensionality":8}'),
    (
        GeminiBatchEmbedContents(),
        b'{"requests":[{"model":"models/public","content":{"parts":[{"text":"a"}]},"title":"t"},{"content":{"parts":[]}}]}',
    ),
    (LegacyCompletions(), b'{"model":"m","prompt":["a","b"],"max_tokens":5,"n":2,"stream":false,"suffix":"s"}'),
    (Moderations(), b'{"input":[{"type":"text","text":"x"}],"model":"m"}'),
    (Rerank(), b'{"model":"m","query":"q","documents":["a",{"text":"b"}],"top_n":1,"return_documents":true}'),
    (RerankV2(), b'{"model":"m","query":"q","documents":["a",{"text":"b","c":[]}]}'),
]
ANSWERS = st.sampled_from(
    [
        b'{"data":[{"index":0,"embedding":[1,0.5]},{"index":1,"embedding":"AACAPw=="}],"model":"up","usage":{"prompt_tokens":5}}',
        b'{"embeddings":[{"values":[1]},{"values":[2]}],"embedding":{"values":[1]},"usageMetadata":{"promptTokenCount":1}}',
        b'{"choices":[{"text":"a\\ud83d","index":0,"finish_reason":"stop"}],"model":"up","usage":{"prompt_tokens":1}}',
        b'{"results":[{"index":0,"relevance_score":1e-1},{"index":1,"score":2}],"model":"up","meta":{"billed_units":{}}}',
        b'{"error":{"message":"boom","code":429}}',
    ]
)


REQUEST_MUTATIONS = st.one_of(st.just([]), MUTATIONS)


@pytest.mark.parametrize(("endpoint", "request_body"), ENDPOINTS, ids=[endpoint.name for endpoint, _ in ENDPOINTS])
@given(mutations=REQUEST_MUTATIONS, answer=ANSWERS, answer_mutations=REQUEST_MUTATIONS)
@UNTIMED
def test_mutated_bodies_raise_only_documented_errors(
    endpoint: Any,
    request_body: bytes,
    *,
    mutations: list[tuple[int, bytes, int]],
    answer: bytes,
    answer_mutations: list[tuple[int, bytes, int]],
) -> None:
    body = mutated(request_body, mutations)
    assert endpoint.count_input(body) >= 0
    try:
        endpoint.read_head(body, "")
    except FaultError as error:
        assert error.fault.type in {ErrorType.CLIENT_BAD_JSON, ErrorType.CLIENT_BAD_REQUEST}  # noqa: PT017
        return
    for provider in PROVIDERS:
        try:
            call = endpoint.open(body, "", provider)
        except FaultError as error:
            assert error.fault.type is ErrorType.CLIENT_BAD_REQUEST  # noqa: PT017
            continue
        # What the edge lets through, a strict parser can read.
        json.loads(call.body)
        if call.whole is not None:
            whole, shown = call.whole(mutated(answer, answer_mutations))
            # So can it read a good answer, and a bad one shows nothing.
            assert json.loads(shown) if whole.error is None else shown == b""
