"""The demo upstream as Anthropic's Messages. Pure.

Fields and the order of events follow Anthropic's API reference, "Messages" and "Streaming messages".
"""

import functools
from typing import Any, ClassVar

import msgspec

from trunkline.dev.demo import anthropic_request
from trunkline.dev.demo.anthropic_turns import SEALED_CALL, THINKING
from trunkline.dev.demo.completion import Block, Kind, Plan, Step, steps
from trunkline.dev.demo.counts import Usage
from trunkline.dev.demo.request import Asked, RequestError, bearer, reading
from trunkline.dev.demo.script import Finish
from trunkline.dev.demo.seal import seal
from trunkline.runtime.http_exchange import Request

_ERROR_TYPES = {
    400: "invalid_request_error",
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    504: "timeout_error",
    529: "overloaded_error",
}
_STOPS = {
    Finish.STOP: b"end_turn",
    Finish.LENGTH: b"max_tokens",
    Finish.TOOL_CALLS: b"tool_use",
    Finish.FILTER: b"refusal",
}
_PING = b'event: ping\ndata: {"type":"ping"}\n\n'


class Anthropic:
    """``POST /v1/messages``, and ``/v1/messages/count_tokens``."""

    def __init__(self, *, counting: bool = False) -> None:
        self.counting = counting

    def credential(self, request: Request) -> str:
        """See `Dialect`."""
        return key_of(request)

    def read(self, request: Request) -> Asked:
        """See `Dialect`."""
        version = request.headers.get("anthropic-version", "")
        if not version:
            raise RequestError("anthropic-version: header is required")
        with reading():
            return anthropic_request.read(request.body, version, AnthropicSpeech, counting=self.counting)

    def error(self, error: RequestError, number: int) -> tuple[bytes, bytes]:
        """See `Dialect`."""
        lines = b"content-type: application/json\r\nrequest-id: req-demo-%d\r\n" % number
        if error.retry_after is not None:
            lines += f"retry-after: {error.retry_after:g}\r\n".encode()
        return lines, msgspec.json.encode({**_error(error), "request_id": f"req-demo-{number}"})


def key_of(request: Request) -> str:
    """Return Anthropic's credential.

    Raises:
        RequestError: there is none, or two, of which hosts take either.
    """
    key, token = request.headers.get("x-api-key", ""), bearer(request)
    if key and token:
        raise RequestError("x-api-key and Authorization: only one credential may be sent")
    if not key and not token:
        raise RequestError("x-api-key: header is required", status=401)
    return key or token


def _error(error: RequestError) -> dict[str, Any]:
    kind = _ERROR_TYPES.get(error.status, "api_error" if error.status >= 500 else "invalid_request_error")
    return {"type": "error", "error": {"type": kind, "message": error.message}}


class AnthropicSpeech:
    """See `Speech`."""

    stream_headers: ClassVar[bytes] = b"content-type: text/event-stream; charset=utf-8\r\ncache-control: no-cache\r\n"
    id_header: ClassVar[bytes] = b"request-id"
    told: ClassVar[int] = 0
    broken: ClassVar[bytes] = (
        b"event: content_block_delta\n"
        b'data: {"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"\n\n'
    )

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        # A refusal is no block: its words are in the end's details.
        self._blocks = tuple(block for block in plan.blocks if block.kind is not Kind.REFUSAL)
        self._steps = steps(plan.blocks)
        self._thinks = any(block.kind is Kind.REASONING for block in plan.blocks)

    def opening(self) -> bytes:
        """Return the start, which tells what is known of the usage already: the input."""
        usage = self._usage(self._plan.usage(0)._replace(completion=1, reasoning=0))
        return b'event: message_start\ndata: {"type":"message_start","message":%b}\n\n' % self._message(
            b"", b'null,"stop_sequence":null', usage
        )

    def event(self, number: int) -> bytes:
        """See `Speech`."""
        step = next(self._steps)
        kind = step.block.kind
        if kind is Kind.TEXT and not step.first and not step.last:
            return _delta(step.at, b'"text_delta","text":"%b"' % step.text)
        if kind is Kind.REFUSAL:
            return b""
        delta = {Kind.TEXT: b"text", Kind.REASONING: b"thinking", Kind.CALL: b"input_json"}[kind]
        field = b"partial_json" if kind is Kind.CALL else delta
        events = self._start(step) if step.first else b""
        events += _delta(step.at, b'"%b_delta","%b":"%b"' % (delta, field, step.text))
        return events + self._stop(step) if step.last else events

    def _start(self, step: Step) -> bytes:
        block = step.block
        empty: bytes
        match block.kind:
            case Kind.REASONING:
                empty = b'{"type":"thinking","thinking":"","signature":""}'
            case Kind.CALL:
                empty = self._call(block, b"{}")
            case _:
                empty = b'{"type":"text","text":""}'
        start = (
            b'event: content_block_start\ndata: {"type":"content_block_start","index":%d,"content_block":%b}\n\n'
            % (
                step.at,
                empty,
            )
        )
        if step.at == 0:
            start += _PING
        if block.kind is Kind.CALL:
            start += _delta(step.at, b'"input_json_delta","partial_json":""')
        return start

    def _stop(self, step: Step) -> bytes:
        stop = b'event: content_block_stop\ndata: {"type":"content_block_stop","index":%d}\n\n' % step.at
        if step.block.kind is not Kind.REASONING:
            return stop
        return _delta(step.at, b'"signature_delta","signature":"%b"' % _signature(step.block)) + stop

    def closing(self) -> bytes:
        """Return why it ended and what it used."""
        usage = self._usage(self._plan.total)
        return (
            b'event: message_delta\ndata: {"type":"message_delta","delta":{"stop_reason":%b},"usage":%b}\n\n'
            b'event: message_stop\ndata: {"type":"message_stop"}\n\n' % (self._end(), usage)
        )

    def failing(self) -> bytes:
        """See `Speech`."""
        error = RequestError("The script asked for an error.", status=500)
        return b"event: error\ndata: %b\n\n" % msgspec.json.encode(_error(error))

    def whole(self) -> bytes:
        """See `Speech`."""
        content = b",".join(self._block(block) for block in self._blocks)
        return self._message(content, self._end(), self._usage(self._plan.total))

    def _block(self, block: Block) -> bytes:
        text = block.pieces.whole()
        match block.kind:
            case Kind.REASONING:
                return b'{"type":"thinking","thinking":"%b","signature":"%b"}' % (text, _signature(block))
            case Kind.CALL:
                return self._call(block, _object(block.text))
            case _:
                return b'{"type":"text","text":"%b"}' % text

    def _call(self, block: Block, arguments: bytes) -> bytes:
        mark = SEALED_CALL if self._thinks else ""
        return b'{"type":"tool_use","id":"toolu_demo%dx%d%b","name":%b,"input":%b}' % (
            self._plan.number,
            block.number,
            mark.encode(),
            msgspec.json.encode(block.name),
            arguments,
        )

    def _message(self, content: bytes, end: bytes, usage: bytes) -> bytes:
        return (
            b'{"id":"msg_demo%d","type":"message","role":"assistant","model":%b,"content":[%b],"stop_reason":%b,'
            b'"usage":%b}' % (self._plan.number, _json_text(self._plan.model), content, end, usage)
        )

    def _end(self) -> bytes:
        """Return the stop reason and the members behind it."""
        refusals = [block for block in self._plan.blocks if block.kind is Kind.REFUSAL]
        if not refusals:
            return b'"%b","stop_sequence":null' % _STOPS[self._plan.finish]
        details = b'{"type":"refusal","category":null,"explanation":"%b"}' % refusals[0].pieces.whole()
        return b'"refusal","stop_sequence":null,"stop_details":%b' % details

    def _usage(self, usage: Usage) -> bytes:
        if self._plan.script.no_usage:  # as look-alikes do that count nothing
            return b'{"input_tokens":0,"output_tokens":0}'
        thinking = b',"output_tokens_details":{"thinking_tokens":%d}' % usage.reasoning if usage.reasoning else b""
        return (
            b'{"input_tokens":%d,"cache_creation_input_tokens":0,"cache_read_input_tokens":%d,"output_tokens":%d%b}'
            % (usage.prompt, usage.cached, usage.completion_total, thinking)
        )


def _delta(index: int, delta: bytes) -> bytes:
    return b'event: content_block_delta\ndata: {"type":"content_block_delta","index":%d,"delta":{"type":%b}}\n\n' % (
        index,
        delta,
    )


def _signature(block: Block) -> bytes:
    return seal(THINKING, block.text).encode()


def _object(arguments: str) -> bytes:
    """Return a call's arguments as they are, or an empty object if they are none, such as those cut by a limit."""
    try:
        msgspec.json.decode(arguments, type=dict[str, msgspec.Raw])
    except msgspec.DecodeError:
        return b"{}"
    return arguments.encode()


@functools.lru_cache(maxsize=1024)
def _json_text(text: str) -> bytes:
    return msgspec.json.encode(text)
