"""Which endpoint a path means. Base URLs are accepted bare, with ``/v1``, and with repeated segments."""

import re
from enum import Enum
from typing import NamedTuple
from urllib.parse import unquote


class Route(Enum):
    """The endpoints of the edge; the value is the metric label."""

    CHAT = "chat_completions"
    MODELS = "models"
    MODEL = "model"


class Match(NamedTuple):
    """A route, and the model that its path names (empty for the others)."""

    route: Route
    model: str = ""


METHODS = {Route.CHAT: ("POST",), Route.MODELS: ("GET", "HEAD"), Route.MODEL: ("GET", "HEAD")}

_CHAT = Match(Route.CHAT)
_MODELS = Match(Route.MODELS)
_COMMON = {"/v1/chat/completions": _CHAT, "/chat/completions": _CHAT, "/v1/models": _MODELS, "/models": _MODELS}
_VERSIONS = re.compile(r"^(?:/v1)+(?=/|$)")
_REPEATED_TAIL = re.compile(r"(?:/chat/completions)+$")


def find_route(path: str) -> Match | None:
    """Return what a request path means, or None for an endpoint that does not exist.

    Args:
        path: percent-encoded, without query.
    """
    common = _COMMON.get(path)
    if common is not None:
        return common
    tail = _VERSIONS.sub("", unquote(path).rstrip("/"))
    if _REPEATED_TAIL.fullmatch(tail):
        return _CHAT
    if tail == "/models":
        return _MODELS
    if tail.startswith("/models/"):
        return Match(Route.MODEL, tail.removeprefix("/models/"))
    return None
