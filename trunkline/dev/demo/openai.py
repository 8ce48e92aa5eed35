"""What the demo upstream's chat and Responses have in common: OpenAI's credentials, errors and bounds. Pure."""

import re
from urllib.parse import parse_qs

import msgspec

from trunkline.dev.demo.request import RequestError, bearer
from trunkline.runtime.http_exchange import Request

JSON = b"content-type: application/json\r\n"
EVENT_STREAM = b"content-type: text/event-stream; charset=utf-8\r\ncache-control: no-cache\r\n"

NAME = re.compile(r"[a-zA-Z0-9_-]{1,64}")

_TYPES = {401: "authentication_error", 402: "insufficient_quota", 429: "rate_limit_error"}
_CODES = {401: "invalid_api_key", 402: "insufficient_quota", 404: "model_not_found", 429: "rate_limit_exceeded"}


def error_answer(error: RequestError, number: int) -> tuple[bytes, bytes]:
    """Return header lines and body of an error in OpenAI's shape."""
    lines = JSON + b"x-request-id: req-demo-%d\r\n" % number
    if error.retry_after is not None:
        lines += f"retry-after: {error.retry_after:g}\r\n".encode()
    return lines, error_body(error)


def error_body(error: RequestError) -> bytes:
    """Return the body of an error, which is also the event that ends a chat stream."""
    status = error.status
    kind = _TYPES.get(status, "server_error" if status >= 500 else "invalid_request_error")
    code = error.code or _CODES.get(status)
    return msgspec.json.encode({"error": {"message": error.message, "type": kind, "param": error.param, "code": code}})


def key_of(request: Request) -> str:
    """Return OpenAI's credential.

    Raises:
        RequestError: there is none.
    """
    token = request.headers.get("authorization", "").removeprefix("Bearer ")
    if not token:
        raise RequestError(
            "You didn't provide an API key. You need to provide your API key in an Authorization header using Bearer "
            "auth (i.e. Authorization: Bearer YOUR_KEY).",
            status=401,
        )
    return token


def azure_key_of(request: Request, *, versioned: bool) -> str:
    """Return the credential of a request in Azure's form; ``versioned``: its path needs an ``api-version``.

    Raises:
        RequestError: there is none, or two; or the version is missing.
    """
    key, token = request.headers.get("api-key", ""), bearer(request)
    if key and token:
        raise RequestError("Specify one of api-key and Authorization, not both.")
    if not key and not token:
        raise RequestError(
            "Access denied due to invalid subscription key or wrong API endpoint. Make sure to provide a valid key "
            "for an active subscription.",
            status=401,
        )
    if versioned and not parse_qs(request.query).get("api-version"):
        raise RequestError("Resource not found: the query has no api-version.", status=404, code="404")
    return key or token


def check_name(name: str, param: str) -> None:
    """Check a function's name.

    Raises:
        RequestError: it is not what OpenAI takes.
    """
    if not NAME.fullmatch(name):
        raise RequestError(
            f"Invalid '{param}': string does not match pattern. Expected a string of at most 64 characters that "
            "matches the pattern '^[a-zA-Z0-9_-]+$'.",
            param=param,
            code="invalid_value",
        )


def check_strict(schema: object, name: str, where: str = "()") -> None:
    """Check a schema that is to be followed strictly, at every depth.

    Raises:
        RequestError: an object leaves properties open or optional.
    """
    if isinstance(schema, list):
        for item in schema:
            check_strict(item, name, where)
        return
    if not isinstance(schema, dict):
        return
    properties = schema.get("properties")
    if schema.get("type") == "object" or isinstance(properties, dict):
        if schema.get("additionalProperties") is not False:
            raise RequestError(
                f"Invalid schema for '{name}': In context={where}, 'additionalProperties' is required to be supplied "
                "and to be false.",
                code="invalid_json_schema",
            )
        missing = [key for key in properties or () if key not in (schema.get("required") or ())]
        if missing:
            raise RequestError(
                f"Invalid schema for '{name}': In context={where}, 'required' is required to be supplied and to be an "
                f"array including every key in properties. Missing '{missing[0]}'.",
                code="invalid_json_schema",
            )
    for key, value in (properties or {}).items():
        check_strict(value, name, f"('properties', '{key}')")
    for key in ("items", "anyOf", "$defs", "definitions"):
        inner = schema.get(key)
        check_strict(list(inner.values()) if key in {"$defs", "definitions"} and inner else inner, name, f"('{key}')")
