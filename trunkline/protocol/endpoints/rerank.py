"""Reranking: ``POST /v1/rerank`` answers as Jina does, ``/v2/rerank`` as Cohere does, whatever the provider's form.

There is no standard, only two families that agree on the request (DIALECTS section 7). A provider's answer is read into
one small shape and written in the client's form. ``index`` always means the client's own order of documents, and the
documents in an answer are the client's own.
"""

from typing import Annotated

import msgspec

from trunkline.core.usage import Units
from trunkline.protocol.body import BodyReader, filled_list
from trunkline.protocol.dialect import Call, ClientRequest, WholeAnswer
from trunkline.protocol.endpoint import EndpointCall, Provider
from trunkline.protocol.endpoints.answer_form import AnswerForm, FormReader
from trunkline.protocol.endpoints.asked_units import DOCUMENTS_PER_SEARCH, asked_ranking
from trunkline.protocol.endpoints.input_count import count_members
from trunkline.protocol.endpoints.json_value import start_of
from trunkline.protocol.endpoints.provider_call import JSON, not_offered
from trunkline.protocol.names import UPSTREAM_OPENAI
from trunkline.protocol.routing_wish import WishFields, read_wish
from trunkline.protocol.splice import BodyChanges, prepare_body
from trunkline.protocol.upstream_error import UpstreamError
from trunkline.protocol.usage_report import count_of, inner_report, report_of


class _Fields(WishFields):
    model: str | msgspec.UnsetType = msgspec.UNSET
    query: msgspec.Raw = msgspec.Raw()
    documents: msgspec.Raw = msgspec.Raw()
    top_n: Annotated[int, msgspec.Meta(ge=1, le=2**31 - 1)] | None = None
    return_documents: bool | None = None


_READER = BodyReader(
    _Fields,
    {
        "model": "`model` must be a string naming a model, such as one that GET /v1/models lists.",
        "query": "`query` must be a text that is not empty.",
        "documents": '`documents` must be a list of texts, or of objects such as {"text": "…"}; not empty.',
        "top_n": "`top_n` must be a positive whole number.",
        "return_documents": "`return_documents` must be true or false.",
    },
    example="a JSON object with `model`, `query` and `documents`",
    large=("documents", "query"),
)


class _Result(msgspec.Struct, gc=False):
    """One document's place; Jina and Cohere say ``relevance_score``, some servers ``score``."""

    index: int
    relevance_score: msgspec.Raw = msgspec.Raw()
    score: msgspec.Raw = msgspec.Raw()


class _Answer(AnswerForm, gc=False):
    """Any provider's answer; Voyage's list is ``data``."""

    id: msgspec.Raw = msgspec.Raw()
    results: list[_Result] | None = None
    data: list[_Result] | None = None
    usage: msgspec.Raw = msgspec.Raw()
    meta: msgspec.Raw = msgspec.Raw()


_ANSWER = FormReader(_Answer, "The provider's answer is no ranking of the documents.")
_decode_list = msgspec.json.Decoder(list[msgspec.Raw]).decode
_decode_members = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_encode = msgspec.json.Encoder().encode


class _Ranking(msgspec.Struct, frozen=True):
    """A whole answer, whoever gave it.

    Attributes:
        places: (index of the document, its score as JSON), in the provider's order.
        id: of the answer, as JSON; empty if it has none.
        tokens, searches: as the provider reported them; None if it did not.
    """

    places: list[tuple[int, msgspec.Raw]]
    id: msgspec.Raw
    tokens: int | None
    searches: int | None


class _Shown(msgspec.Struct, frozen=True):
    """What a client's form is written from.

    Attributes:
        ranking: the provider's.
        documents: the client's, as JSON objects; None where it did not ask for them.
        model: the public name.
        tokens, searches: reported, else counted.
    """

    ranking: _Ranking
    documents: list[msgspec.Raw] | None
    model: str
    tokens: int
    searches: int


# --- the endpoints ---------------------------------------------------------------------------------------------------


class Rerank:
    """Answers in Jina's form; see `protocol.endpoint`."""

    name = "rerank"

    def read_head(self, body: bytes, content_type: str) -> ClientRequest:
        """See `Endpoint`."""
        fields = _READER.read(body)
        if start_of(fields.query) not in {b'"', b"{"} or bytes(fields.query) == b'""':
            raise _READER.bad_field("query")
        if not filled_list(fields.documents):
            raise _READER.bad_field("documents")
        beside = asked_ranking(
            len(_decode_list(fields.documents)), len(memoryview(fields.documents)), len(memoryview(fields.query))
        )
        return ClientRequest(_READER.model(fields.model), stream=False, beside=beside, wish=read_wish(fields))

    def count_input(self, body: bytes) -> int:
        """Return an estimate of the input tokens. Never raises, takes bounded time."""
        return count_members(body, ("query", "documents"))

    def open(self, body: bytes, content_type: str, provider: Provider) -> EndpointCall:
        """See `Endpoint`."""
        if provider.dialect != UPSTREAM_OPENAI:
            raise not_offered("reranking")
        fields = _READER.read(body)
        documents = _decode_list(fields.documents)
        changes = prepare_body(body, upstream_model=provider.model)
        _put_texts(changes, documents)

        def whole(answer: bytes) -> tuple[WholeAnswer, bytes]:
            ranking = _read_ranking(answer, len(documents))
            if not isinstance(ranking, _Ranking):
                return WholeAnswer(None, 0, ranking), b""
            searches = ranking.searches or -(-len(documents) // DOCUMENTS_PER_SEARCH)
            shown = _Shown(
                ranking,
                _objects(documents) if fields.return_documents else None,
                provider.public_model,
                ranking.tokens or self.count_input(body),
                searches,
            )
            return WholeAnswer(_units(ranking, searches), 0, None), self._write(shown)

        return EndpointCall(changes.ruled(provider.rules), JSON, Call("/rerank"), whole=whole, answer_type=JSON)

    def _write(self, shown: _Shown) -> bytes:
        return _encode(_JinaAnswer(shown.model, "list", _JinaUsage(shown.tokens), _shown_places(shown)))


class RerankV2(Rerank):
    """Answers in Cohere's form; see `protocol.endpoint`."""

    name = "rerank_v2"

    def _write(self, shown: _Shown) -> bytes:
        ranking = shown.ranking
        meta = _CohereMeta(_CohereVersion("2"), _CohereUnits(shown.searches, ranking.tokens or msgspec.UNSET))
        answer_id = ranking.id if start_of(ranking.id) == b'"' else msgspec.UNSET
        return _encode(_CohereAnswer(_shown_places(shown), meta, answer_id))


# --- requests --------------------------------------------------------------------------------------------------------


def _put_texts(changes: BodyChanges, documents: list[msgspec.Raw]) -> None:
    """Write documents that are a text in an object as plain texts: all providers take these, Cohere's v2 no others."""
    texts = [_text_in(document) for document in documents]
    if any(text is not None for text in texts):
        sources = [bytes(document if text is None else text) for document, text in zip(documents, texts, strict=True)]
        changes.put("documents", b"[" + b",".join(sources) + b"]")


def _text_in(document: msgspec.Raw) -> msgspec.Raw | None:
    """Return the text of an object that holds nothing else."""
    if start_of(document) != b"{":
        return None
    members = _decode_members(document)
    text = members.get("text")
    return text if text is not None and len(members) == 1 and start_of(text) == b'"' else None


def _objects(documents: list[msgspec.Raw]) -> list[msgspec.Raw]:
    """Return documents as answers show them."""
    return [
        msgspec.Raw(b'{"text":' + bytes(document) + b"}") if start_of(document) == b'"' else document
        for document in documents
    ]


# --- reading ---------------------------------------------------------------------------------------------------------


def _read_ranking(body: bytes, documents: int) -> _Ranking | UpstreamError:
    answer = _ANSWER.read(body)
    if not isinstance(answer, _Answer):
        return answer
    places = []
    for result in answer.results or answer.data or ():
        score = result.relevance_score if start_of(result.relevance_score) else result.score
        if not 0 <= result.index < documents or start_of(score) not in _NUMBER_STARTS:
            return _ANSWER.invalid()
        places.append((result.index, score))
    if not places:
        return _ANSWER.invalid()
    usage, billed = report_of(answer.usage), inner_report(report_of(answer.meta), "billed_units")
    return _Ranking(
        places,
        answer.id,
        # Zero says nothing: each of these stands in the answers of servers that bill by the other.
        tokens=count_of(usage, "total_tokens")
        or count_of(usage, "prompt_tokens")
        or count_of(billed, "input_tokens")
        or None,
        searches=count_of(billed, "search_units") or count_of(usage, "search_units") or None,
    )


_NUMBER_STARTS = frozenset(b"%c" % digit for digit in b"-0123456789")


def _units(ranking: _Ranking, searches: int) -> Units:
    """Return what is billed: what the provider reported, else searches as Cohere counts them (regression 28)."""
    if ranking.tokens is None:
        return Units(searches=searches)
    return Units(input=ranking.tokens, searches=ranking.searches or 0)


# --- writing ---------------------------------------------------------------------------------------------------------


class _Place(msgspec.Struct):
    index: int
    relevance_score: msgspec.Raw
    document: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET


class _JinaUsage(msgspec.Struct):
    total_tokens: int


class _JinaAnswer(msgspec.Struct):
    model: str
    object: str
    usage: _JinaUsage
    results: list[_Place]


class _CohereVersion(msgspec.Struct):
    version: str


class _CohereUnits(msgspec.Struct):
    search_units: int
    input_tokens: int | msgspec.UnsetType = msgspec.UNSET


class _CohereMeta(msgspec.Struct):
    api_version: _CohereVersion
    billed_units: _CohereUnits


class _CohereAnswer(msgspec.Struct):
    results: list[_Place]
    meta: _CohereMeta
    id: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET


def _shown_places(shown: _Shown) -> list[_Place]:
    documents = shown.documents
    return [
        _Place(index, score, msgspec.UNSET if documents is None else documents[index])
        for index, score in shown.ranking.places
    ]
