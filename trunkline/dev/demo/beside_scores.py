"""The demo upstream's judgements: OpenAI's moderation, and rankings as Jina and Cohere give them. Pure.

Sources: OpenAI API reference, "Create moderation"; Jina's reranker reference; Cohere API reference, "V2 rerank".
"""

import hashlib
from collections.abc import Sequence
from typing import Annotated, Any

import msgspec

from trunkline.dev.demo.beside import Endpoint, JSONBody, missing, product, whole_speech
from trunkline.dev.demo.completion import Plan, Product
from trunkline.dev.demo.counts import Usage
from trunkline.dev.demo.request import Asked, RequestError
from trunkline.runtime.http_exchange import Request

MODERATION_MODEL = "omni-moderation-latest"
FLAGGED = frozenset({"attack", "bomb", "kill"})
"""A text with one of these words is violent, and no other text is anything."""

DOCUMENTS_PER_SEARCH = 100
"""Cohere's unit: one query and up to so many documents."""

_CATEGORIES = (
    "harassment",
    "harassment/threatening",
    "hate",
    "hate/threatening",
    "illicit",
    "illicit/violent",
    "self-harm",
    "self-harm/intent",
    "self-harm/instructions",
    "sexual",
    "sexual/minors",
    "violence",
    "violence/graphic",
)

# --- moderation --------------------------------------------------------------------------------------------------


class _Part(msgspec.Struct, forbid_unknown_fields=True):
    type: str
    text: str = ""
    image_url: dict[str, str] | None = None


class _Moderated(JSONBody):
    input: str | list[str | _Part] = ""


_decode_moderated = msgspec.json.Decoder(_Moderated).decode


class Moderations(Endpoint):
    """``POST /v1/moderations``. Nobody pays for it, and no usage is told."""

    def read(self, request: Request) -> Asked:
        """See `Dialect`."""
        body = _decode_moderated(request.body)
        texts = _texts(body.input)

        def write(plan: Plan) -> object:
            return {"id": f"modr-{plan.number}", "model": plan.model, "results": [_judged(text) for text in texts]}

        made = Product(Usage(), reported=False)
        return product(body.model or MODERATION_MODEL, whole_speech(write), made, script=body.trunkline_demo)


def _texts(source: str | list[str | _Part]) -> list[str]:
    """Return what is judged: each text by itself, parts together."""
    if isinstance(source, str):
        return [source]
    parts = [item for item in source if isinstance(item, _Part)]
    if not source or (parts and len(parts) < len(source)):
        raise RequestError("'$.input' is invalid. Please check the API reference.", param="input")
    if parts:
        return [" ".join(part.text for part in parts)]
    return [item for item in source if isinstance(item, str)]


def _judged(text: str) -> dict[str, object]:
    violent = not FLAGGED.isdisjoint(text.lower().split())
    found = {category: violent and category == "violence" for category in _CATEGORIES}
    return {
        "flagged": violent,
        "categories": found,
        "category_scores": {category: 0.99 if is_so else 0.01 for category, is_so in found.items()},
        "category_applied_input_types": {category: ["text"] for category in _CATEGORIES},
    }


# --- reranking ---------------------------------------------------------------------------------------------------


class _Document(msgspec.Struct, forbid_unknown_fields=True):
    text: str


class _JinaBody(JSONBody):
    query: str = ""
    documents: tuple[str | _Document, ...] = ()
    top_n: Annotated[int, msgspec.Meta(ge=1)] | None = None
    return_documents: bool = True


class _CohereBody(JSONBody):
    query: str = ""
    documents: tuple[str, ...] = ()
    top_n: Annotated[int, msgspec.Meta(ge=1)] | None = None
    max_tokens_per_doc: int = 4096
    priority: int = 0


_decode_jina = msgspec.json.Decoder(_JinaBody).decode
_decode_cohere = msgspec.json.Decoder(_CohereBody).decode


class Rerank(Endpoint):
    """``POST /v1/rerank``, as Jina has it: tokens are paid."""

    def read(self, request: Request) -> Asked:
        """See `Dialect`."""
        body = _decode_jina(request.body)
        texts = [item if isinstance(item, str) else item.text for item in body.documents]
        _check(body.query, texts)
        tokens = sum(len(text.split()) for text in [body.query, *texts])

        def write(plan: Plan) -> object:
            results: list[dict[str, Any]] = ranked(body.query, texts)[: body.top_n]
            if body.return_documents:
                results = [{**result, "document": {"text": texts[result["index"]]}} for result in results]
            answer: dict[str, Any] = {"model": plan.model, "object": "list", "results": results}
            if not plan.script.no_usage:
                answer["usage"] = {"total_tokens": tokens}
            return answer

        return product(self.model(body.model), whole_speech(write), Product(Usage(tokens)), script=body.trunkline_demo)


class CohereRerank(Endpoint):
    """``POST /v2/rerank``, as Cohere has it: searches are paid."""

    def read(self, request: Request) -> Asked:
        """See `Dialect`."""
        body = _decode_cohere(request.body)
        _check(body.query, body.documents)
        searches = -(-len(body.documents) // DOCUMENTS_PER_SEARCH)

        def write(plan: Plan) -> object:
            meta: dict[str, Any] = {"api_version": {"version": "2"}}
            if not plan.script.no_usage:
                meta["billed_units"] = {"search_units": searches}
            results = ranked(body.query, body.documents)[: body.top_n]
            return {"id": f"demo-{plan.number}", "results": results, "meta": meta}

        made = Product(Usage(searches=searches))
        return product(self.model(body.model), whole_speech(write), made, script=body.trunkline_demo)


def _check(query: str, documents: Sequence[str]) -> None:
    if not query:
        raise missing("query")
    if not documents:
        raise missing("documents")


def ranked(query: str, documents: Sequence[str]) -> list[dict[str, Any]]:
    """Return places, the best first: the more words a document shares with the query, the better."""
    asked = set(query.lower().split())
    places = [{"index": index, "relevance_score": _score(asked, document)} for index, document in enumerate(documents)]
    return sorted(places, key=lambda place: -place["relevance_score"])


def _score(asked: set[str], document: str) -> float:
    shared = len(asked.intersection(document.lower().split())) / len(asked) if asked else 0.0
    noise = hashlib.sha256(document.encode(errors="surrogatepass")).digest()[0] / 256
    return round(0.9 * shared + 0.1 * noise, 6)
