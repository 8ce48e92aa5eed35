"""The demo upstream as Google's Gemini, whose stream is server-sent events or one JSON array. Pure.

Fields and the order of parts follow the Gemini API reference, "Generating content".
"""

import functools
import json
from typing import Any, ClassVar
from urllib.parse import parse_qs

import msgspec

from trunkline.dev.demo import gemini_request
from trunkline.dev.demo.completion import Block, Kind, Plan, steps
from trunkline.dev.demo.counts import Usage
from trunkline.dev.demo.gemini_turns import CALL, TEXT, call_text
from trunkline.dev.demo.request import Asked, RequestError, bearer, reading
from trunkline.dev.demo.script import Finish
from trunkline.dev.demo.seal import seal
from trunkline.runtime.http_exchange import Request

COUNT = "countTokens"
STREAM = "streamGenerateContent"
ACTIONS = frozenset({"generateContent", STREAM, COUNT})

_STATUSES = {
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    429: "RESOURCE_EXHAUSTED",
    500: "INTERNAL",
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
}
_FINISHES = {
    Finish.STOP: b"STOP",
    Finish.LENGTH: b"MAX_TOKENS",
    Finish.TOOL_CALLS: b"STOP",
    Finish.FILTER: b"SAFETY",
}


class Gemini:
    """``POST /v1beta/models/{model}:{action}``, one request's.

    Args:
        model: of the path, decoded.
        action: one of `ACTIONS`.
        query: of the request.
    """

    def __init__(self, model: str, action: str, query: str) -> None:
        self.counting = action == COUNT
        self._model = model
        self._stream = action == STREAM
        self._array = self._stream and parse_qs(query).get("alt") != ["sse"]

    def credential(self, request: Request) -> str:
        """See `Dialect`."""
        return key_of(request)

    def read(self, request: Request) -> Asked:
        """See `Dialect`."""
        speech = functools.partial(GeminiSpeech, array=self._array)
        with reading():
            if self.counting:
                return gemini_request.read_count(request.body, self._model, speech)
            return gemini_request.read(request.body, self._model, speech, stream=self._stream)

    def error(self, error: RequestError, number: int) -> tuple[bytes, bytes]:
        """See `Dialect`."""
        lines, body = error_answer(error, number)
        return lines, b"[%b]" % body if self._array else body


def error_answer(error: RequestError, number: int) -> tuple[bytes, bytes]:
    """Return header lines and body of an error in Google's shape."""
    lines = b"content-type: application/json; charset=UTF-8\r\nx-request-id: req-demo-%d\r\n" % number
    return lines, msgspec.json.encode(error_object(error))


def key_of(request: Request) -> str:
    """Return Google's credential.

    Raises:
        RequestError: there is none, or more than one.
    """
    keys: list[str] = [request.headers.get("x-goog-api-key", ""), *parse_qs(request.query).get("key", ())]
    found = [key for key in keys if key]
    if len(found) > 1 or (found and bearer(request)):
        raise RequestError("Only one credential may be sent.")
    if not found:
        raise RequestError(
            "Request is missing required authentication credential. Expected OAuth 2 access token, login cookie or "
            "other valid authentication credential.",
            status=401,
        )
    return found[0]


def error_object(error: RequestError) -> dict[str, Any]:
    """Return an error in Google's shape; when to come again stands in its details."""
    status = _STATUSES.get(error.status, "INTERNAL" if error.status >= 500 else "INVALID_ARGUMENT")
    told: dict[str, Any] = {"code": error.status, "message": error.message, "status": status}
    if error.retry_after is not None:
        info = {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": f"{error.retry_after:g}s"}
        told["details"] = [info]
    return {"error": told}


class GeminiSpeech:
    """See `Speech`.

    Args:
        plan: what to say.
        array: whether a stream is a JSON array.
    """

    id_header: ClassVar[bytes] = b"x-request-id"

    def __init__(self, plan: Plan, *, array: bool) -> None:
        self._plan = plan
        self._array = array
        self._steps = steps(plan.blocks)
        self._is_third = plan.model.startswith("gemini-3")
        self._signs = self._is_third or any(block.kind is Kind.REASONING for block in plan.blocks)
        self._tail = b',"modelVersion":%b,"responseId":"demo%d"}' % (msgspec.json.encode(plan.model), plan.number)
        self._frames = 0
        self.told = 0

    @property
    def stream_headers(self) -> bytes:
        """See `Speech`."""
        return b"content-type: %b\r\n" % (b"application/json; charset=UTF-8" if self._array else b"text/event-stream")

    @property
    def broken(self) -> bytes:
        """See `Speech`."""
        return self._frame(b'{"candidates":[{"content":{"parts":[{"text":"')

    def opening(self) -> bytes:
        """Return nothing: the first frame has content."""
        return b""

    def event(self, number: int) -> bytes:
        """Return a frame, or nothing before a call's last piece: calls come whole."""
        step = next(self._steps)
        block = step.block
        match block.kind:
            case Kind.REASONING:
                part = b'{"text":"%b","thought":true}' % step.text
            case Kind.TEXT:
                part = b'{"text":"%b"}' % step.text
            case Kind.CALL if step.last:
                part = self._call(block)
            case _:
                part = b""
        if not part:
            return b""
        if not self._plan.script.no_usage:
            self.told = number + 1
        return self._frame(self._response(part, b"", self._plan.usage(number + 1)))

    def closing(self) -> bytes:
        """Return the frame that has the reason of the end."""
        part = self._closing_part()
        last = self._frame(self._response(part, self._end(), self._plan.total))
        return last + b"\n]" if self._array else last

    def failing(self) -> bytes:
        """See `Speech`."""
        error = RequestError("The script asked for an error.", status=500)
        frame = self._frame(msgspec.json.encode(error_object(error)))
        return frame + b"\n]" if self._array else frame

    def whole(self) -> bytes:
        """See `Speech`."""
        parts = []
        for block in self._plan.blocks:
            match block.kind:
                case Kind.REASONING:
                    parts.append(b'{"text":"%b","thought":true}' % block.pieces.whole())
                case Kind.TEXT if self._signs and not self._calls():
                    signature = seal(TEXT, "").encode()
                    parts.append(b'{"text":"%b","thoughtSignature":"%b"}' % (block.pieces.whole(), signature))
                case Kind.TEXT:
                    parts.append(b'{"text":"%b"}' % block.pieces.whole())
                case Kind.CALL:
                    parts.append(self._call(block))
                case Kind.REFUSAL:
                    pass
        content = b",".join(part for part in parts if part)
        return self._response(content, self._end(), self._plan.total)

    def _frame(self, response: bytes) -> bytes:
        self._frames += 1
        if not self._array:
            return b"data: %b\r\n\r\n" % response
        return (b"[" if self._frames == 1 else b",\r\n") + response

    def _response(self, parts: bytes, end: bytes, usage: Usage) -> bytes:
        content = b'"content":{"parts":[%b],"role":"model"},' % parts if parts else b""
        report = b"" if self._plan.script.no_usage else b',"usageMetadata":' + _usage(usage)
        return b'{"candidates":[{%b%b"index":0}]%b%b' % (content, end, report, self._tail)

    def _closing_part(self) -> bytes:
        """Return the empty text that carries the signature of an answer in text, or nothing."""
        has_text = any(block.kind is Kind.TEXT for block in self._plan.blocks)
        if not self._signs or not has_text or self._calls():
            return b""
        return b'{"text":"","thoughtSignature":"%b"}' % seal(TEXT, "").encode()

    def _end(self) -> bytes:
        """Return the members of a candidate that say why it ended."""
        for block in self._plan.blocks:
            if block.kind is Kind.REFUSAL:
                return b'"finishReason":"SAFETY","finishMessage":"%b",' % block.pieces.whole()
            if block.kind is Kind.CALL and not block.cut and _arguments(block) is None:
                return b'"finishReason":"MALFORMED_FUNCTION_CALL","finishMessage":"Malformed function call",'
        return b'"finishReason":"%b",' % _FINISHES[self._plan.finish]

    def _calls(self) -> list[Block]:
        return [block for block in self._plan.blocks if block.kind is Kind.CALL]

    def _call(self, block: Block) -> bytes:
        """Return the part of a call; nothing if it has no object as arguments, or not all of it."""
        arguments = None if block.cut else _arguments(block)
        if arguments is None:
            return b""
        # Only the third generation names its calls, and of calls side by side the first alone is signed.
        identity = b'"id":"call_demo%dx%d",' % (self._plan.number, block.number) if self._is_third else b""
        signature = b""
        if self._signs and block.number == 0:
            signature = b',"thoughtSignature":"%b"' % seal(CALL, call_text(block.name, arguments)).encode()
        name = msgspec.json.encode(block.name)
        source = block.text.encode() if block.text.strip() else b"{}"
        return b'{"functionCall":{%b"name":%b,"args":%b}%b}' % (identity, name, source, signature)


def _arguments(block: Block) -> dict[str, Any] | None:
    """Return a call's decoded arguments, or None if they are no JSON object."""
    try:
        value = json.loads(block.text.strip() or "{}")
    except ValueError:
        return None
    return value if isinstance(value, dict) else None


def _usage(usage: Usage) -> bytes:
    """Return a report in which the prompt includes what was cached, and the answer no thoughts."""
    cached = b',"cachedContentTokenCount":%d' % usage.cached if usage.cached else b""
    thoughts = b',"thoughtsTokenCount":%d' % usage.reasoning if usage.reasoning else b""
    return (
        b'{"promptTokenCount":%d,"candidatesTokenCount":%d,"totalTokenCount":%d%b%b,"promptTokensDetails":'
        b'[{"modality":"TEXT","tokenCount":%d}]}'
        % (
            usage.prompt_total,
            usage.completion,
            usage.prompt_total + usage.completion_total,
            cached,
            thoughts,
            usage.prompt_total,
        )
    )
