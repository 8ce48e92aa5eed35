"""Which endpoint a path means, and whose dialect it is.

Clients paste base URLs in every form: bare, with a version, with the version doubled, with a whole endpoint behind it
(DIALECTS section 1). What is repeated is taken once; what is unknown is told in the dialect that the path suggests.
"""

import re
from enum import Enum
from typing import NamedTuple
from urllib.parse import unquote

from trunkline.protocol import registry
from trunkline.protocol.names import ANTHROPIC, GEMINI, OPENAI_CHAT, OPENAI_RESPONSES


class Route(Enum):
    """The endpoints of the edge; the value is the metric label."""

    CHAT = "chat_completions"
    RESPONSES = "responses"
    MESSAGES = "messages"
    GENERATE = "generate_content"
    STREAM_GENERATE = "stream_generate_content"
    COUNT_TOKENS = "count_tokens"
    BESIDE = "beside"
    """The endpoints beside conversations; their label is the endpoint's name."""
    MODELS = "models"
    MODEL = "model"
    KEY = "key"
    USAGE = "usage"
    GENERATION = "generation"
    BILLING_SUBSCRIPTION = "billing_subscription"
    BILLING_USAGE = "billing_usage"


class Match(NamedTuple):
    """A route.

    Attributes:
        dialect: of the client; empty where only headers can tell.
        model: that the path names; empty for the others.
        endpoint: name in `registry.ENDPOINTS`, for `Route.BESIDE`.
        request_id: that the path names, for `Route.GENERATION`; empty where the query does.
    """

    route: Route
    dialect: str
    model: str = ""
    endpoint: str = ""
    request_id: str = ""

    @property
    def label(self) -> str:
        """The metric label."""
        return self.endpoint or self.route.value


SELF_SERVICE = frozenset({Route.KEY, Route.USAGE, Route.GENERATION, Route.BILLING_SUBSCRIPTION, Route.BILLING_USAGE})
"""What a client asks of its own; like lists of models, every key may."""

_POST, _GET = ("POST",), ("GET", "HEAD")
METHODS = {route: _GET if route in {Route.MODELS, Route.MODEL, *SELF_SERVICE} else _POST for route in Route}

_CHAT = Match(Route.CHAT, OPENAI_CHAT)
_MESSAGES = Match(Route.MESSAGES, ANTHROPIC)
_RESPONSES = Match(Route.RESPONSES, OPENAI_RESPONSES)
_MODELS = Match(Route.MODELS, "")
_COMMON = {
    "/v1/chat/completions": _CHAT,
    "/chat/completions": _CHAT,
    "/v1/messages": _MESSAGES,
    "/v1/responses": _RESPONSES,
    "/v1/models": _MODELS,
    "/models": _MODELS,
}
_PREFIX = re.compile(r"^(?:/(?:v1|v1beta|v1alpha|openai|anthropic|gemini))+(?=/|$)")
_WHOLE = re.compile(r"^(?:/(?:chat/completions|messages|responses)(?:/v1)?)+(?=/(?!count_tokens$|input_tokens$))")
"""A whole endpoint that was given as base URL, behind which a client has put what it wants of it."""
_VERTEX = re.compile(r"^/projects/[^/]+/locations/[^/]+/publishers/[^/]+(?=/models/)")
_AZURE = re.compile(r"^/deployments/([^/]+)(?=/)")
_TAILS = (
    (re.compile(r"(?:/chat/completions)+$"), _CHAT),
    (re.compile(r"(?:/messages)+/count_tokens$"), Match(Route.COUNT_TOKENS, ANTHROPIC)),
    (re.compile(r"(?:/messages)+$"), _MESSAGES),
    (re.compile(r"/responses/input_tokens$"), Match(Route.COUNT_TOKENS, OPENAI_RESPONSES)),
    (re.compile(r"(?:/responses)+$"), _RESPONSES),
)
_GOOGLE_ACTION = re.compile(r":[a-z]+(?:Content|Contents|Tokens)$|:predict$")
_BESIDE = {
    "/embeddings": "embeddings",
    "/completions": "completions",
    "/moderations": "moderations",
    "/rerank": "rerank",
    "/v2/rerank": "rerank_v2",
    "/images/generations": "images_generations",
    "/images/edits": "images_edits",
    "/images/variations": "images_variations",
    "/audio/speech": "audio_speech",
    "/audio/transcriptions": "audio_transcriptions",
    "/audio/translations": "audio_translations",
}
"""Tail of the path to the endpoint's name; the errors of all of them have OpenAI's shape."""

_OWN = {
    "/key": Route.KEY,
    "/usage": Route.USAGE,
    "/generation": Route.GENERATION,
    "/dashboard/billing/subscription": Route.BILLING_SUBSCRIPTION,
    "/dashboard/billing/usage": Route.BILLING_USAGE,
}
_GENERATIONS = "/generations/"

_ACTIONS = {
    "generateContent": Match(Route.GENERATE, GEMINI),
    "streamGenerateContent": Match(Route.STREAM_GENERATE, GEMINI),
    "countTokens": Match(Route.COUNT_TOKENS, GEMINI),
    "embedContent": Match(Route.BESIDE, GEMINI, endpoint="embed_content"),
    "batchEmbedContents": Match(Route.BESIDE, GEMINI, endpoint="batch_embed_contents"),
}


def find_route(path: str) -> Match | None:
    """Return what a request path means, or None for an endpoint that does not exist.

    Args:
        path: percent-encoded, without query.
    """
    common = _COMMON.get(path)
    if common is not None:
        return common
    whole = unquote(path).rstrip("/")
    tail = _VERTEX.sub("", _WHOLE.sub("", _PREFIX.sub("", whole)))
    deployment = _AZURE.match(tail)
    if deployment is not None:
        tail = tail[deployment.end() :]
    for pattern, match in _TAILS:
        if pattern.fullmatch(tail):
            if deployment is None:
                return match
            # Azure's older paths are OpenAI's own endpoints alone.
            return match._replace(model=deployment[1]) if match.dialect == OPENAI_CHAT else None
    endpoint = _BESIDE.get(tail)
    if endpoint in registry.ENDPOINTS:
        return Match(Route.BESIDE, OPENAI_CHAT, "" if deployment is None else deployment[1], endpoint)
    if tail in _OWN and deployment is None:
        return Match(_OWN[tail], suggested_dialect(whole))
    if tail.startswith(_GENERATIONS):
        return Match(Route.GENERATION, suggested_dialect(whole), request_id=tail.removeprefix(_GENERATIONS))
    return _find_model_route(tail, suggested_dialect(whole))


def _find_model_route(tail: str, suggested: str) -> Match | None:
    if tail == "/models":
        return Match(Route.MODELS, suggested)
    for collection in ("/models/", "/tunedModels/"):
        if tail.startswith(collection):
            name, _, action = tail.removeprefix(collection).rpartition(":")
            match = _ACTIONS.get(action)
            if match is not None:
                return match._replace(model=name.removeprefix("models/"))
            if _GOOGLE_ACTION.search(tail):
                return None  # an action that is not offered, rather than a model of that name
            return Match(Route.MODEL, suggested, tail.removeprefix(collection))
    return None


def suggested_dialect(path: str) -> str:
    """Return the dialect that a path speaks of, whether or not it exists; empty if it could be any."""
    if "/openai/" in path:
        return OPENAI_CHAT
    if path.startswith("/anthropic/") or "/messages" in path:
        return ANTHROPIC
    if path.startswith(("/gemini/", "/v1beta/", "/v1alpha/")) or _GOOGLE_ACTION.search(path):
        return GEMINI
    return ""
