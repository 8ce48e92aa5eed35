"""Reranking: one shape between Jina's and Cohere's, and search units where tokens are not what is billed."""

import json
from typing import Any

import msgspec
import pytest

from trunkline.core.errors import ErrorType, FaultError
from trunkline.core.usage import Units
from trunkline.protocol.dialect import ClientRequest, WholeAnswer
from trunkline.protocol.endpoint import EndpointCall, Provider
from trunkline.protocol.endpoints.rerank import Rerank, RerankV2
from trunkline.protocol.routing_wish import RoutingWish
from trunkline.protocol.rules import RequestRules
from trunkline.protocol.tokens import count_text
from trunkline.protocol.vendor import VendorOptions

JINA, COHERE = Rerank(), RerankV2()
PROVIDER = Provider("openai", "up", "public", VendorOptions(), RequestRules())
BODY = {"model": "public", "query": "hello", "documents": ["zero", "one", "two"]}

JINA_ANSWER = (
    b'{"model":"up","usage":{"total_tokens":15,"prompt_tokens":15},"results":['
    b'{"index":2,"relevance_score":0.90,"document":{"text":"cut"}},{"index":0,"relevance_score":1e-3}]}'
)
COHERE_ANSWER = (
    b'{"id":"r-1","results":[{"index":2,"relevance_score":0.90},{"index":0,"relevance_score":1e-3}],'
    b'"meta":{"api_version":{"version":"2"},"billed_units":{"search_units":2}}}'
)
PLACES = b'[{"index":2,"relevance_score":0.90},{"index":0,"relevance_score":1e-3}]'


def opened(endpoint: Rerank, **members: Any) -> EndpointCall:
    body = json.dumps({**BODY, **members}, separators=(",", ":")).encode()
    wish = RoutingWish(tuple(members["fallback_models"])) if "fallback_models" in members else None
    head = endpoint.read_head(body, "")
    assert msgspec.structs.replace(head, beside=None) == ClientRequest("public", stream=False, wish=wish)
    return endpoint.open(body, "", PROVIDER)


def read(call: EndpointCall, body: bytes) -> tuple[WholeAnswer, bytes]:
    assert call.whole is not None
    return call.whole(body)


# --- the request ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("members", "param"),
    [
        ({"query": ""}, "query"),
        ({"query": 5}, "query"),
        ({"query": None}, "query"),
        ({"documents": []}, "documents"),
        ({"documents": "x"}, "documents"),
        ({"documents": None}, "documents"),
        ({"model": None}, "model"),
        ({"top_n": 0}, "top_n"),
        ({"return_documents": "yes"}, "return_documents"),
    ],
)
def test_a_wrong_field_is_named(members: dict[str, Any], param: str) -> None:
    with pytest.raises(FaultError) as caught:
        opened(JINA, **members)
    assert (caught.value.fault.type, caught.value.fault.param) == (ErrorType.CLIENT_BAD_REQUEST, param)


def test_the_request_passes_but_for_the_model() -> None:
    call = opened(COHERE, top_n=2, max_tokens_per_doc=9, fallback_models=["x"])
    assert call.call.path == "/rerank"
    assert call.body == (
        b'{"model":"up","query":"hello","documents":["zero","one","two"],"top_n":2,"max_tokens_per_doc":9}'
    )
    body = b'{"model": "up", "query": {"image": "u"}, "documents":[{"text":"a","id":1.0}]}'
    assert JINA.open(body, "", PROVIDER).body is body


def test_texts_in_objects_are_sent_as_texts() -> None:
    call = opened(COHERE, documents=[{"text": "é\n"}, "one", {"text": "t", "title": "x"}, {"image": "u"}])
    assert call.body == (
        b'{"model":"up","query":"hello","documents":["\\u00e9\\n","one",{"text":"t","title":"x"},{"image":"u"}]}'
    )


@pytest.mark.parametrize("dialect", ["azure", "gemini", "anthropic", "openai-responses"])
def test_other_providers_offer_none(dialect: str) -> None:
    with pytest.raises(FaultError) as caught:
        JINA.open(json.dumps(BODY).encode(), "", msgspec.structs.replace(PROVIDER, dialect=dialect))
    assert (caught.value.fault.type, caught.value.fault.param) == (ErrorType.CLIENT_BAD_REQUEST, "model")


# --- answers -------------------------------------------------------------------------------------------------


def test_jinas_answer_for_jinas_client() -> None:
    whole, shown = read(opened(JINA), JINA_ANSWER)
    assert whole == WholeAnswer(Units(input=15), 0, None)
    assert shown == b'{"model":"public","object":"list","usage":{"total_tokens":15},"results":' + PLACES + b"}"


def test_coheres_answer_for_coheres_client() -> None:
    whole, shown = read(opened(COHERE), COHERE_ANSWER)
    assert whole == WholeAnswer(Units(searches=2), 0, None)
    assert shown == (
        b'{"results":'
        + PLACES
        + b',"meta":{"api_version":{"version":"2"},"billed_units":{"search_units":2}},"id":"r-1"}'
    )


def test_coheres_answer_for_jinas_client_is_billed_in_searches() -> None:
    whole, shown = read(opened(JINA), COHERE_ANSWER)
    assert whole == WholeAnswer(Units(searches=2), 0, None)
    counted = str(count_text("two\none\nzero\nhello")).encode()
    assert (
        shown
        == b'{"model":"public","object":"list","usage":{"total_tokens":' + counted + b'},"results":' + PLACES + b"}"
    )


def test_jinas_answer_for_coheres_client_is_billed_in_tokens() -> None:
    whole, shown = read(opened(COHERE), JINA_ANSWER)
    assert whole == WholeAnswer(Units(input=15), 0, None)
    assert json.loads(shown)["meta"]["billed_units"] == {"search_units": 1, "input_tokens": 15}
    assert "id" not in json.loads(shown)


@pytest.mark.parametrize("endpoint", [JINA, COHERE])
@pytest.mark.parametrize("provided", [JINA_ANSWER, COHERE_ANSWER])
def test_documents_are_the_clients_own_and_only_where_asked_for(endpoint: Rerank, provided: bytes) -> None:
    documents = [{"text": "zero", "id": 7}, "one", "two"]
    _, shown = read(opened(endpoint, documents=documents, return_documents=True), provided)
    found = [result["document"] for result in json.loads(shown)["results"]]
    assert found == [{"text": "two"}, {"text": "zero", "id": 7}]
    for quiet in ({}, {"return_documents": False}, {"return_documents": None}):
        assert b"document" not in read(opened(endpoint, documents=documents, **quiet), provided)[1]


def test_other_servers_words_are_read() -> None:
    whole, shown = read(opened(JINA), b'{"data":[{"index":1,"score":-2.50}],"usage":{"total_tokens":0}}')
    assert json.loads(shown)["results"] == [{"index": 1, "relevance_score": -2.5}]
    assert whole.units == Units(searches=1)


@pytest.mark.parametrize(("documents", "searches"), [(1, 1), (100, 1), (101, 2), (250, 3)])
def test_searches_are_estimated_where_nothing_is_reported(documents: int, searches: int) -> None:
    call = opened(JINA, documents=["x"] * documents)
    whole, _ = read(call, b'{"results":[{"index":0,"relevance_score":1}]}')
    assert whole.units == Units(searches=searches)


@pytest.mark.parametrize(
    ("report", "units"),
    [
        ({"meta": {"billed_units": {"input_tokens": 9, "search_units": 0}}}, Units(input=9)),
        ({"usage": {"prompt_tokens": 9}}, Units(input=9)),
        ({"usage": {"total_tokens": 9, "search_units": 3}}, Units(input=9, searches=3)),
        ({"usage": {"total_tokens": "9"}, "meta": {"billed_units": {"search_units": -1}}}, Units(searches=1)),
        ({"usage": [], "meta": 5}, Units(searches=1)),
    ],
)
def test_every_report_is_read(report: dict[str, Any], units: Units) -> None:
    body = json.dumps({"results": [{"index": 0, "relevance_score": 1}], **report}).encode()
    assert read(opened(JINA), body)[0] == WholeAnswer(units, 0, None)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{}",
        b"[]",
        b'{"results":[]}',
        b'{"results":[{"index":3,"relevance_score":1}]}',
        b'{"results":[{"index":-1,"relevance_score":1}]}',
        b'{"results":[{"index":0}]}',
        b'{"results":[{"index":0,"relevance_score":"1"}]}',
        b'{"results":[{"relevance_score":1}]}',
        JINA_ANSWER[:-1],
    ],
)
def test_what_ranks_nothing_is_invalid(body: bytes) -> None:
    whole, shown = read(opened(JINA), body)
    assert whole.error is not None
    assert (whole.error.fault.type, shown) == (ErrorType.UPSTREAM_INVALID, b"")


def test_an_error_inside_a_200_is_that_error() -> None:
    whole, _ = read(opened(JINA), b'{"error":{"message":"too many requests","type":"rate_limit_error"}}')
    assert whole.error is not None
    assert whole.error.fault.type is ErrorType.UPSTREAM_RATE_LIMITED


def test_query_and_documents_are_counted() -> None:
    body = {"model": "m", "query": "hello", "documents": ["zero", {"text": "one"}], "instruction": "not counted"}
    assert JINA.count_input(json.dumps(body).encode()) == count_text("one\nzero\nhello")
