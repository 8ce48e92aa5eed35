"""The demo upstream as OpenAI's Responses, also at Azure's address. Pure.

Fields and the order of events follow OpenAI's API reference, "Responses" and "Streaming events".
"""

from typing import ClassVar

import msgspec

from trunkline.dev.demo import openai, responses_request
from trunkline.dev.demo.completion import Block, Kind, Plan, Step, steps
from trunkline.dev.demo.request import Asked, RequestError, reading
from trunkline.dev.demo.responses_input import REASONING, SEALED_CALL
from trunkline.dev.demo.responses_request import Echo
from trunkline.dev.demo.script import WHOLE_BYTES_MAX, Finish, ScriptError
from trunkline.dev.demo.seal import seal
from trunkline.runtime.http_exchange import Request

_INCOMPLETE = {Finish.LENGTH: b"max_output_tokens", Finish.FILTER: b"content_filter"}
_SECOND_NAMES = {Kind.TEXT: b"output_text", Kind.REFUSAL: b"refusal", Kind.REASONING: b"reasoning_summary_text"}
_UNFINISHED_PROOF = "bm90IHlldA=="
_FAILED = "The script asked for an error."


class Responses:
    """``POST /v1/responses``, and ``/v1/responses/input_tokens``."""

    def __init__(self, *, counting: bool = False, azure: bool = False) -> None:
        self.counting = counting
        self._azure = azure

    def credential(self, request: Request) -> str:
        """See `Dialect`."""
        return openai.azure_key_of(request, versioned=False) if self._azure else openai.key_of(request)

    def read(self, request: Request) -> Asked:
        """See `Dialect`."""
        with reading():
            return responses_request.read(request.body, ResponsesSpeech, counting=self.counting)

    def error(self, error: RequestError, number: int) -> tuple[bytes, bytes]:
        """See `Dialect`."""
        return openai.error_answer(error, number)


class ResponsesSpeech:
    """See `Speech`.

    Raises:
        ScriptError: the answer is larger than one that is not streamed may be: its last event has all of it.
    """

    stream_headers: ClassVar[bytes] = openai.EVENT_STREAM
    id_header: ClassVar[bytes] = b"x-request-id"
    told: ClassVar[int] = 0
    broken: ClassVar[bytes] = (
        b"event: response.output_text.delta\n"
        b'data: {"type":"response.output_text.delta","item_id":"msg_broken","delta":"\n\n'
    )

    def __init__(self, plan: Plan, echo: Echo) -> None:
        if plan.chunks * plan.script.chunk_bytes > WHOLE_BYTES_MAX:
            raise ScriptError(f"An answer in one piece has at most {WHOLE_BYTES_MAX} bytes.")
        self._plan = plan
        self._echo = echo
        self._steps = steps(plan.blocks)
        self._thinks = any(block.kind is Kind.REASONING for block in plan.blocks)
        self._events = 0

    # --- A stream ------------------------------------------------------------------------------------------------

    def opening(self) -> bytes:
        """See `Speech`."""
        response = b'"response":' + self._response(b"in_progress", b"")
        return self._event(b"created", response) + self._event(b"in_progress", response)

    def event(self, number: int) -> bytes:
        """See `Speech`."""
        step = next(self._steps)
        block = step.block
        events = self._start(step) if step.first else b""
        place = self._place(step)
        match block.kind:
            case Kind.TEXT:
                events += self._event(b"output_text.delta", b'%b,"delta":"%b","logprobs":[]' % (place, step.text))
            case Kind.CALL:
                events += self._event(b"function_call_arguments.delta", b'%b,"delta":"%b"' % (place, step.text))
            case kind:
                events += self._event(_SECOND_NAMES[kind] + b".delta", b'%b,"delta":"%b"' % (place, step.text))
        return events + self._stop(step) if step.last else events

    def _start(self, step: Step) -> bytes:
        item = self._item(step.block, step.at, b"in_progress", b"")
        events = self._event(b"output_item.added", b'"output_index":%d,"item":%b' % (step.at, item))
        return events + self._part(step, b"added", b"")

    def _stop(self, step: Step) -> bytes:
        block = step.block
        text = block.pieces.whole()
        place = self._place(step)
        match block.kind:
            case Kind.TEXT:
                events = self._event(b"output_text.done", b'%b,"text":"%b","logprobs":[]' % (place, text))
            case Kind.REFUSAL:
                events = self._event(b"refusal.done", b'%b,"refusal":"%b"' % (place, text))
            case Kind.REASONING:
                events = self._event(b"reasoning_summary_text.done", b'%b,"text":"%b"' % (place, text))
            case Kind.CALL:
                members = b'%b,"name":%b,"arguments":"%b"' % (place, msgspec.json.encode(block.name), text)
                events = self._event(b"function_call_arguments.done", members)
        events += self._part(step, b"done", text)
        item = self._item(block, step.at, _status(block), text)
        return events + self._event(b"output_item.done", b'"output_index":%d,"item":%b' % (step.at, item))

    def _part(self, step: Step, what: bytes, text: bytes) -> bytes:
        kind = step.block.kind
        if kind is Kind.CALL:
            return b""
        name = b"reasoning_summary_part." if kind is Kind.REASONING else b"content_part."
        return self._event(name + what, b'%b,"part":%b' % (self._place(step), _part(kind, text)))

    def _place(self, step: Step) -> bytes:
        place = b'"item_id":"%b","output_index":%d' % (self._item_id(step.block, step.at), step.at)
        match step.block.kind:
            case Kind.CALL:
                return place
            case Kind.REASONING:
                return place + b',"summary_index":0'
            case _:
                return place + b',"content_index":0'

    def closing(self) -> bytes:
        """Return the event that has all of the answer."""
        name = b"incomplete" if self._plan.finish in _INCOMPLETE else b"completed"
        return self._event(name, b'"response":' + self.whole())

    def failing(self) -> bytes:
        """Return an error event, with what the SDK reads, and the failed response."""
        error = b'{"type":"server_error","code":"server_error","message":"%b","param":null}' % _FAILED.encode()
        event = b'event: error\ndata: {"type":"error","sequence_number":%d,"error":%b}\n\n' % (self._events, error)
        self._events += 1
        return event + self._event(b"failed", b'"response":' + self._response(b"failed", b""))

    def _event(self, name: bytes, members: bytes) -> bytes:
        event = b'event: response.%b\ndata: {"type":"response.%b","sequence_number":%d,%b}\n\n' % (
            name,
            name,
            self._events,
            members,
        )
        self._events += 1
        return event

    # --- The response --------------------------------------------------------------------------------------------

    def whole(self) -> bytes:
        """See `Speech`."""
        items = [
            self._item(block, index, _status(block), block.pieces.whole())
            for index, block in enumerate(self._plan.blocks)
        ]
        status = b"incomplete" if self._plan.finish in _INCOMPLETE else b"completed"
        return self._response(status, b",".join(items))

    def _response(self, status: bytes, output: bytes) -> bytes:
        plan = self._plan
        reason, error, usage = b"null", b"null", b"null"
        if status == b"failed":
            error = b'{"code":"server_error","message":"%b"}' % _FAILED.encode()
        elif status != b"in_progress":
            if plan.finish in _INCOMPLETE:
                reason = b'{"reason":"%b"}' % _INCOMPLETE[plan.finish]
            usage = b"null" if plan.script.no_usage else self._usage()
        return (
            b'{"id":"resp_demo%d","object":"response","created_at":%d,"status":"%b","error":%b,'
            b'"incomplete_details":%b,"model":%b,"output":[%b],%b,"usage":%b,"user":null}'
            % (
                plan.number,
                plan.created_s,
                status,
                error,
                reason,
                msgspec.json.encode(plan.model),
                output,
                self._echo.members,
                usage,
            )
        )

    def _usage(self) -> bytes:
        usage = self._plan.total
        return (
            b'{"input_tokens":%d,"input_tokens_details":{"cached_tokens":%d},"output_tokens":%d,'
            b'"output_tokens_details":{"reasoning_tokens":%d},"total_tokens":%d}'
            % (
                usage.prompt_total,
                usage.cached,
                usage.completion_total,
                usage.reasoning,
                usage.prompt_total + usage.completion_total,
            )
        )

    def _item_id(self, block: Block, index: int) -> bytes:
        prefix, mark = b"msg", b""
        if block.kind is Kind.REASONING:
            prefix = b"rs"
        elif block.kind is Kind.CALL:
            prefix, mark = b"fc", SEALED_CALL.encode() if self._thinks else b""
        return b"%b_demo%dx%d%b" % (prefix, self._plan.number, index, mark)

    def _item(self, block: Block, index: int, status: bytes, text: bytes) -> bytes:
        """Return an output item: ``text`` is what it has so far."""
        identity = self._item_id(block, index)
        begun = status != b"in_progress"
        match block.kind:
            case Kind.REASONING:
                summary = _part(block.kind, text) if begun else b""
                encrypted = b""
                if self._echo.encrypted:
                    # It counts only once the item is done (DIALECTS section 3.1): the first one is no seal.
                    proof = seal(REASONING, block.text) if begun else _UNFINISHED_PROOF
                    encrypted = b',"encrypted_content":"%b"' % proof.encode()
                return b'{"id":"%b","type":"reasoning","summary":[%b]%b}' % (identity, summary, encrypted)
            case Kind.CALL:
                return (
                    b'{"id":"%b","type":"function_call","status":"%b","call_id":"call_demo%dx%d","name":%b,'
                    b'"arguments":"%b"}'
                    % (
                        identity,
                        status,
                        self._plan.number,
                        block.number,
                        msgspec.json.encode(block.name),
                        text,
                    )
                )
            case _:
                content = _part(block.kind, text) if begun else b""
                return b'{"id":"%b","type":"message","status":"%b","role":"assistant","content":[%b]}' % (
                    identity,
                    status,
                    content,
                )


def _status(block: Block) -> bytes:
    return b"incomplete" if block.cut else b"completed"


def _part(kind: Kind, text: bytes) -> bytes:
    match kind:
        case Kind.REASONING:
            return b'{"type":"summary_text","text":"%b"}' % text
        case Kind.REFUSAL:
            return b'{"type":"refusal","refusal":"%b"}' % text
        case _:
            return b'{"type":"output_text","text":"%b","annotations":[],"logprobs":[]}' % text
