"""Gemini's embedContent and batchEmbedContents, within Gemini and to providers of OpenAI's form."""

import json

import msgspec
import pytest

from trunkline.core.errors import ErrorType, FaultError
from trunkline.core.usage import Units
from trunkline.protocol.dialect import ClientRequest, WholeAnswer
from trunkline.protocol.endpoint import EndpointCall, Provider
from trunkline.protocol.endpoints.gemini_embeddings import GeminiBatchEmbedContents, GeminiEmbedContent
from trunkline.protocol.rules import RequestRules
from trunkline.protocol.tokens import count_text
from trunkline.protocol.vendor import VendorOptions

ONE, BATCH = GeminiEmbedContent(), GeminiBatchEmbedContents()
GEMINI = Provider("gemini", "up", "public", VendorOptions(), RequestRules())
SAME = msgspec.structs.replace(GEMINI, public_model="up")
OPENAI = msgspec.structs.replace(GEMINI, dialect="openai")


def content(*texts: str) -> dict[str, object]:
    return {"parts": [{"text": text} for text in texts]}


def opened(endpoint: GeminiEmbedContent, body: object, provider: Provider) -> EndpointCall:
    source = body if isinstance(body, bytes) else json.dumps(body).encode()
    assert endpoint.read_head(source, "application/json") == ClientRequest("", stream=False)
    return endpoint.open(source, "application/json", provider)


def read(call: EndpointCall, body: bytes) -> tuple[WholeAnswer, bytes]:
    assert call.whole is not None
    return call.whole(body)


def refused(endpoint: GeminiEmbedContent, body: object) -> str | None:
    with pytest.raises(FaultError) as caught:
        opened(endpoint, body, OPENAI)
    assert caught.value.fault.type is ErrorType.CLIENT_BAD_REQUEST
    return caught.value.fault.param


# --- within Gemini -------------------------------------------------------------------------------------------


def test_one_content_passes_untouched() -> None:
    body = b'{"content": {"parts":[{"text":"x"}]}, "taskType":"CLUSTERING", "model":"models/up"}'
    call = opened(ONE, body, SAME)
    assert call.body is body
    assert (call.call.path, call.fidelity) == ("/models/up:embedContent", "")


def test_a_model_in_the_body_has_to_be_the_one_in_the_path() -> None:
    body = b'{"model":"models/public","content":{"parts":[]},"models":["x"]}'
    assert opened(ONE, body, GEMINI).body == b'{"model":"models/up","content":{"parts":[]}}'


def test_so_has_each_model_of_a_batch() -> None:
    body = b'{"requests": [ {"model":"models/public", "content":{}},{"content":{}, "title":1e3} ]}'
    call = opened(BATCH, body, GEMINI)
    assert call.call.path == "/models/up:batchEmbedContents"
    assert call.body == b'{"requests": [{"model":"models/up", "content":{}},{"content":{}, "title":1e3}]}'
    unnamed = b'{"requests": [ {"content":{}} ]}'
    assert opened(BATCH, unnamed, GEMINI).body is unnamed


def test_rules_apply() -> None:
    provider = msgspec.structs.replace(SAME, rules=RequestRules(drop=("title",)))
    assert opened(ONE, b'{"content":{},"title":"t"}', provider).body == b'{"content":{}}'


@pytest.mark.parametrize(
    ("endpoint", "body", "units"),
    [
        (ONE, b'{"embedding": {"values":[1e0]}}', None),
        (ONE, b'{"embedding":{"values":[1]},"usageMetadata":{"promptTokenCount":4}}', Units(input=4)),
        (BATCH, b'{"embeddings":[{"values":[1]},{"values":[2]}],"usageMetadata":{"promptTokenCount":0}}', None),
    ],
)
def test_an_answer_passes_as_it_is(endpoint: GeminiEmbedContent, body: bytes, units: Units | None) -> None:
    call = endpoint.open(b'{"content":{},"requests":[{"content":{}}]}', "", GEMINI)
    whole, shown = read(call, body)
    assert shown is body
    assert whole == WholeAnswer(units, 0, None)


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"{}", ErrorType.UPSTREAM_INVALID),
        (b'{"embeddings":[]}', ErrorType.UPSTREAM_INVALID),
        (b'{"embedding":{"values":[1]}', ErrorType.UPSTREAM_INVALID),
        (b"<html>", ErrorType.UPSTREAM_INVALID),
        (b'{"error":{"code":429,"status":"RESOURCE_EXHAUSTED"}}', ErrorType.UPSTREAM_RATE_LIMITED),
    ],
)
def test_what_is_no_answer_is_seen(body: bytes, kind: ErrorType) -> None:
    whole, shown = read(opened(BATCH, {"requests": [{"content": {}}]}, GEMINI), body)
    assert whole.error is not None
    assert (whole.error.fault.type, shown) == (kind, b"")


# --- the body's form -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("body", [{}, {"content": "x"}, {"content": []}, {"content": None}, {"requests": [{}]}])
def test_one_content_needs_a_content(body: object) -> None:
    assert refused(ONE, body) == "content"


@pytest.mark.parametrize(
    "body",
    [{}, {"content": {}}, {"requests": []}, {"requests": {}}, {"requests": ["x"]}, {"requests": [{"content": "x"}]}],
)
def test_a_batch_needs_requests_with_contents(body: object) -> None:
    assert refused(BATCH, body) == "requests"


# --- to OpenAI's form ----------------------------------------------------------------------------------------


def test_one_content_becomes_one_input() -> None:
    body = {"content": content("a", "b"), "taskType": "CLUSTERING", "title": "t", "outputDimensionality": 64}
    call = opened(ONE, body, OPENAI)
    assert call.call.path == "/embeddings"
    assert call.body == b'{"model":"up","input":["a\\nb"],"encoding_format":"float","dimensions":64}'
    assert call.fidelity == "dropped=task_type,title"


def test_snake_case_is_read_too() -> None:
    body = {"content": content("a"), "task_type": "X", "output_dimensionality": 8, "title": None}
    call = opened(ONE, body, OPENAI)
    assert json.loads(call.body)["dimensions"] == 8
    assert call.fidelity == "dropped=task_type"


def test_the_newer_config_object_is_read() -> None:
    body = {"content": content("a"), "embedContentConfig": {"outputDimensionality": 8, "autoTruncate": True}}
    call = opened(ONE, body, OPENAI)
    assert json.loads(call.body) == {"model": "up", "input": ["a"], "encoding_format": "float", "dimensions": 8}
    assert call.fidelity == "dropped=auto_truncate"


def test_a_batch_becomes_inputs_in_order() -> None:
    requests = [{"model": "models/public", "content": content(text), "taskType": "X"} for text in ("a", "é", "c")]
    call = opened(BATCH, {"requests": requests, "fallback_models": ["y"]}, OPENAI)
    assert call.body == '{"model":"up","input":["a","é","c"],"encoding_format":"float"}'.encode()
    assert call.fidelity == "dropped=task_type"


def test_a_single_part_may_stand_without_its_list() -> None:
    assert json.loads(opened(ONE, {"content": {"parts": {"text": "a"}}}, OPENAI).body)["input"] == ["a"]


@pytest.mark.parametrize(
    "parts", [[{"inlineData": {"mimeType": "image/png", "data": "AA=="}}], [{"text": "a"}, {}], "x", None]
)
def test_media_is_refused(parts: object) -> None:
    assert refused(ONE, {"content": {"parts": parts}}) == "content"


@pytest.mark.parametrize("dimensions", [0, -1, "8", 1.5, 2**31])
def test_a_wrong_size_is_refused(dimensions: object) -> None:
    assert refused(ONE, {"content": content("a"), "outputDimensionality": dimensions}) == "outputDimensionality"


def test_one_answer_has_vectors_of_one_size() -> None:
    requests = [{"content": content("a"), "outputDimensionality": 8}, {"content": content("b")}]
    assert refused(BATCH, {"requests": requests}) == "outputDimensionality"


def test_azure_is_called_by_its_deployment() -> None:
    azure = msgspec.structs.replace(OPENAI, dialect="azure", options=VendorOptions(api_version="v"))
    assert opened(ONE, {"content": content("a")}, azure).call.path == "/openai/deployments/up/embeddings?api-version=v"


def test_another_provider_offers_none() -> None:
    with pytest.raises(FaultError) as caught:
        opened(ONE, {"content": content("a")}, msgspec.structs.replace(OPENAI, dialect="anthropic"))
    assert caught.value.fault.param == "model"


def test_an_answer_is_shown_in_geminis_form_and_order() -> None:
    call = opened(BATCH, {"requests": [{"content": content("a")}, {"content": content("b")}]}, OPENAI)
    body = b'{"data":[{"index":1,"embedding":[2e0]},{"index":0,"embedding":[0.10, 1]}],"usage":{"prompt_tokens":3}}'
    whole, shown = read(call, body)
    assert whole == WholeAnswer(Units(input=3), 0, None)
    assert shown == b'{"embeddings":[{"values":[0.10, 1]},{"values":[2e0]}],"usageMetadata":{"promptTokenCount":3}}'


def test_without_indices_the_order_is_the_providers() -> None:
    call = opened(BATCH, {"requests": [{"content": content("a")}, {"content": content("b")}]}, OPENAI)
    _, shown = read(call, b'{"data":[{"embedding":[2]},{"embedding":[1]}]}')
    assert shown == b'{"embeddings":[{"values":[2]},{"values":[1]}]}'


def test_one_embedding_even_if_it_comes_as_base64() -> None:
    call = opened(ONE, {"content": content("a")}, OPENAI)
    whole, shown = read(call, b'{"data":[{"index":0,"embedding":"AACAPw=="}]}')
    assert whole == WholeAnswer(None, 0, None)
    assert shown == b'{"embedding":{"values":[1.0]}}'


@pytest.mark.parametrize(
    "body",
    [
        b'{"data":[]}',
        b'{"data":[{"index":0,"embedding":[1]},{"index":1,"embedding":[1]}]}',
        b'{"data":[{"index":0,"embedding":"?"}]}',
        b'{"data":[{"index":0}]}',
        b'{"data":[{"index":"0","embedding":[1]}]}',
    ],
)
def test_a_broken_answer_is_invalid(body: bytes) -> None:
    whole, shown = read(opened(ONE, {"content": content("a")}, OPENAI), body)
    assert whole.error is not None
    assert (whole.error.fault.type, shown) == (ErrorType.UPSTREAM_INVALID, b"")


# --- counting ------------------------------------------------------------------------------------------------


def test_the_texts_of_contents_are_counted() -> None:
    requests = [{"model": "models/public", "taskType": "X", "content": content("hello", "world")}]
    assert BATCH.count_input(json.dumps({"requests": requests}).encode()) == count_text("world\nhello")
    assert ONE.count_input(json.dumps({"content": content("hello")}).encode()) == count_text("hello")
    assert ONE.count_input(b"?") == 0
