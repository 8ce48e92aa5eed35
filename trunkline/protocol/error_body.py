"""An upstream's error body, whatever its shape, as a few texts (DIALECTS section 4.2). Called by `upstream_error`.

Nested, flat, a string, a list, HTML, nothing: what is said is looked for in all of them, and nothing ever raises.
"""

import re

import msgspec

from trunkline.protocol.retry_after import duration_ms

MESSAGE_CHARS_MAX = 1000
"""Of a provider's message; longer ones quote the request."""


class ErrorDetails(msgspec.Struct, frozen=True):
    """What a body says.

    Attributes:
        message: as sent.
        kind: type, code and reasons in lower case: the provider's own words, for patterns.
        words: the same and the message, which may quote what a client wrote.
        behind: all that another provider answered behind this one (OpenRouter), in lower case. What it said is in the
            message, too, but tells nothing of this provider's own account.
        code: the machine-readable code, if it looks like one.
        param: the field at fault, if it looks like one.
        status: an HTTP status inside the body, 0 if there is none.
        wait_ms: asked for inside the body.
    """

    message: str = ""
    kind: str = ""
    words: str = ""
    behind: str = ""
    code: str | None = None
    param: str | None = None
    status: int = 0
    wait_ms: int | None = None


_NAME = re.compile(r"[a-z0-9_.\[\]-]{1,64}", re.ASCII | re.IGNORECASE)


def read_error_body(body: bytes) -> ErrorDetails:
    """Return what a body says. Never raises, whatever the bytes."""
    try:
        tree = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        text = body.decode(errors="replace").strip()
        # HTML and cut JSON say nothing to a client; a plain sentence may.
        tree = "" if text[:1] in {"<", "{", "["} else text[: 2 * MESSAGE_CHARS_MAX]
    if isinstance(tree, list):
        tree = tree[0] if tree else None
    if isinstance(tree, str):
        return _details_of({"message": tree})
    if not isinstance(tree, dict):
        return ErrorDetails()
    error = tree.get("error") or tree
    if isinstance(error, str):
        # xAI: {"code": …, "error": "sentence"}.
        error = {"message": error, "code": tree.get("code"), "type": tree.get("type")}
    return _details_of(error) if isinstance(error, dict) else ErrorDetails()


def _details_of(error: dict[str, object]) -> ErrorDetails:
    message, place = _sentence(error.get("message") or error.get("detail") or error.get("msg") or "")
    message = f"{message}{_sizes(error, message)}"[: 4 * MESSAGE_CHARS_MAX]
    metadata = error.get("metadata")
    raw = metadata.get("raw") if isinstance(metadata, dict) else None
    behind = raw[: 4 * MESSAGE_CHARS_MAX] if isinstance(raw, str) else ""
    said_behind = _said_behind(behind)
    code = error.get("code")
    param = error.get("param") or place
    inner = error.get("innererror")
    reasons, wait_ms = _google_details(error.get("details"))
    kinds = [
        error.get("type"),
        code,
        error.get("status"),
        inner.get("code") if isinstance(inner, dict) else "",
        *reasons,
    ]
    kind = " ".join(word[:MESSAGE_CHARS_MAX] for word in kinds if isinstance(word, str)).lower()
    return ErrorDetails(
        message=f"{message}: {said_behind}" if said_behind else message,
        kind=kind,
        words=f"{kind} {message.lower()}",
        behind=behind.lower(),
        code=code if isinstance(code, str) and _NAME.fullmatch(code) and not code.isdigit() else None,
        param=param if isinstance(param, str) and _NAME.fullmatch(param) else None,
        status=_status(code) or _status(error.get("status")),
        wait_ms=wait_ms,
    )


def _sentence(said: object) -> tuple[str, str]:
    """Return what a message says, and the field at fault where that stands apart.

    FastAPI says it in a list of ``{"loc": …, "msg": …}``, and Mistral has such a list inside its message. What the
    client wrote is quoted there, too, and is left out.
    """
    if isinstance(said, dict) and "detail" in said:
        said = said["detail"]
    if isinstance(said, str):
        return said, ""
    found = []
    for item in said if isinstance(said, list) else ():
        if isinstance(item, dict) and isinstance(item.get("msg"), str):
            loc = item.get("loc")
            place = ".".join(str(key) for key in loc if key != "body") if isinstance(loc, list) else ""
            found.append((place, item["msg"]))
    if not found:
        return msgspec.json.encode(said).decode(), ""
    return "; ".join(f"{place}: {words}" if place else words for place, words in found), found[0][0]


def _said_behind(raw: str) -> str:
    """Return what the provider behind OpenRouter said; its own message is the same whatever happened there."""
    try:
        tree = msgspec.json.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return "" if raw[:1] in {"<", "{", "["} else raw
    inner = tree.get("error") or tree if isinstance(tree, dict) else tree
    said = inner.get("message") or inner.get("detail") if isinstance(inner, dict) else inner
    return _sentence(said)[0] if said else ""


def _sizes(error: dict[str, object], message: str) -> str:
    """Return llama.cpp's sizes of prompt and context, where its message lacks them: clients shorten by them."""
    asked, most = error.get("n_prompt_tokens"), error.get("n_ctx")
    if not isinstance(asked, int) or not isinstance(most, int) or str(asked) in message:
        return ""
    return f" ({asked} tokens > {most})"


def _status(value: object) -> int:
    """Return an HTTP error status given as a number or in digits, else 0."""
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) == 3:
        value = int(value)
    return value if isinstance(value, int) and 400 <= value <= 599 else 0


def _google_details(details: object) -> tuple[list[object], int | None]:
    """Return the reasons in Google's error details, and the wait that its RetryInfo asks for in ms."""
    items = [item for item in details if isinstance(item, dict)] if isinstance(details, list) else []
    delays = [item["retryDelay"] for item in items if isinstance(item.get("retryDelay"), str)]
    return [item.get("reason") for item in items], duration_ms(delays[0]) if delays else None
