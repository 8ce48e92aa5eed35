"""Which dialect a request to the demo upstream speaks, by its path and headers. Pure; used by `dev.demo.upstream`."""

import re
from typing import NamedTuple
from urllib.parse import unquote

from trunkline.dev.demo import beside_vectors
from trunkline.dev.demo.anthropic import Anthropic
from trunkline.dev.demo.beside import Endpoint
from trunkline.dev.demo.beside_completions import Completions
from trunkline.dev.demo.beside_images import ImageEdits, ImageGenerations, ImageVariations
from trunkline.dev.demo.beside_scores import CohereRerank, Moderations, Rerank
from trunkline.dev.demo.beside_speech import Speech
from trunkline.dev.demo.beside_transcripts import Transcriptions, Translations
from trunkline.dev.demo.beside_vectors import Embeddings, GeminiEmbeddings
from trunkline.dev.demo.chat import AzureChat, Chat
from trunkline.dev.demo.gemini import ACTIONS, Gemini
from trunkline.dev.demo.request import Dialect
from trunkline.dev.demo.responses import Responses
from trunkline.runtime.http_exchange import Request

CHAT: Dialect = Chat()
_AZURE: Dialect = AzureChat()
_ANTHROPIC: Dialect = Anthropic()

_BESIDE: dict[str, type[Endpoint]] = {
    "embeddings": Embeddings,
    "completions": Completions,
    "images/generations": ImageGenerations,
    "images/edits": ImageEdits,
    "audio/speech": Speech,
    "audio/transcriptions": Transcriptions,
    "audio/translations": Translations,
}
"""What both OpenAI and Azure have, by the tail of the address."""

FIXED: dict[str, Dialect] = {
    "/v1/chat/completions": CHAT,
    "/openai/v1/chat/completions": _AZURE,
    "/v1/responses": Responses(),
    "/v1/responses/input_tokens": Responses(counting=True),
    "/openai/v1/responses": Responses(azure=True),
    "/v1/messages": _ANTHROPIC,
    "/v1/messages/count_tokens": Anthropic(counting=True),
    "/v1/moderations": Moderations(),
    "/v1/images/variations": ImageVariations(),
    "/v1/rerank": Rerank(),
    "/v2/rerank": CohereRerank(),
    **{f"/v1/{tail}": endpoint() for tail, endpoint in _BESIDE.items()},
    **{f"/openai/v1/{tail}": endpoint(azure=True) for tail, endpoint in _BESIDE.items()},
}
"""Dialects by the path to which their requests are posted, where it is always the same."""

_DEPLOYMENT = re.compile(rf"/openai/deployments/(.+?)/({'|'.join(['chat/completions', *_BESIDE])})")
_ACTION = re.compile(r"/v1(?:beta|alpha)?/models/(.+):(\w+)")

_CHAT_MODELS = b'{"object":"list","data":[{"id":"demo","object":"model","created":1700000000,"owned_by":"trunkline"}]}'
_ANTHROPIC_MODELS = (
    b'{"data":[{"type":"model","id":"demo","display_name":"Demo","created_at":"2023-11-14T22:13:20Z",'
    b'"lifecycle":"active"}],"has_more":false,"first_id":"demo","last_id":"demo"}'
)
_GEMINI_MODELS = (
    b'{"models":[{"name":"models/demo","version":"1","displayName":"Demo","inputTokenLimit":1048576,'
    b'"outputTokenLimit":65536,"supportedGenerationMethods":["generateContent","countTokens"]}]}'
)


class Listing(NamedTuple):
    """A list of the models, in a dialect."""

    dialect: Dialect
    body: bytes


def find(request: Request) -> Dialect | None:
    """Return the dialect of a request to one of the paths that name a model, or None."""
    if request.method != "POST":
        return None
    path = unquote(request.path)
    if match := _DEPLOYMENT.fullmatch(path):
        endpoint = _BESIDE.get(match[2])
        return AzureChat(match[1]) if endpoint is None else endpoint(match[1], azure=True)
    match = _ACTION.fullmatch(path)
    if match and match[2] in beside_vectors.ACTIONS:
        return GeminiEmbeddings(match[1], match[2])
    return Gemini(match[1], match[2], request.query) if match and match[2] in ACTIONS else None


def find_listing(request: Request) -> Listing | None:
    """Return the answer to a request for the models, or None if it is none."""
    if request.method != "GET":
        return None
    match request.path:
        case "/v1beta/models":
            return Listing(Gemini("", "", ""), _GEMINI_MODELS)
        case "/openai/v1/models":
            return Listing(_AZURE, _CHAT_MODELS)
        case "/v1/models" if "anthropic-version" in request.headers:
            return Listing(_ANTHROPIC, _ANTHROPIC_MODELS)
        case "/v1/models":
            return Listing(CHAT, _CHAT_MODELS)
    return None


def guessed(request: Request) -> Dialect:
    """Return the dialect in which a request without a route is told so."""
    if "anthropic-version" in request.headers:
        return _ANTHROPIC
    if request.path.startswith("/v1beta/") or "x-goog-api-key" in request.headers:
        return Gemini("", "", "")
    return CHAT
