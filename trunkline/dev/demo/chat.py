"""The demo upstream as OpenAI's chat completions, also at Azure's addresses. Pure.

Field names and the order of a stream's chunks follow OpenAI's API reference, "Chat Completions" and "Streaming";
reasoning is told as DeepSeek tells it, since OpenAI's chat shows none. This is the benchmarks' upstream: plain text
takes a short way through.
"""

import functools
from collections.abc import Iterator
from typing import Any, ClassVar

import msgspec

from trunkline.dev.demo import openai
from trunkline.dev.demo.chat_request import ChatBody, asked
from trunkline.dev.demo.completion import Block, Kind, Plan, Step, steps
from trunkline.dev.demo.counts import Usage
from trunkline.dev.demo.pieces import Pieces
from trunkline.dev.demo.request import Asked, RequestError
from trunkline.dev.demo.script import Finish
from trunkline.runtime.http_exchange import Request

_DONE = b"data: [DONE]\n\n"
_ROLE = b'{"index":0,"delta":{"role":"assistant","content":""},"finish_reason":null}'
_FINISHES = {
    Finish.STOP: b"stop",
    Finish.LENGTH: b"length",
    Finish.TOOL_CALLS: b"tool_calls",
    Finish.FILTER: b"content_filter",
}
_FIELDS = {Kind.REASONING: b"reasoning_content", Kind.TEXT: b"content", Kind.REFUSAL: b"refusal"}
_AZURE_FILTER = (
    b'"choices":[],"prompt_filter_results":[{"prompt_index":0,"content_filter_results":'
    b'{"hate":{"filtered":false,"severity":"safe"}}}]}\n\n'
)


class Chat:
    """``POST /v1/chat/completions``."""

    counting = False

    def __init__(self) -> None:
        self._decode = msgspec.json.Decoder(ChatBody).decode

    def credential(self, request: Request) -> str:
        """See `Dialect`."""
        return openai.key_of(request)

    def read(self, request: Request) -> Asked:
        """See `Dialect`."""
        body = self._decode(request.body)
        if not body.model:
            raise RequestError("you must provide a model parameter")
        return asked(body, body.model, ChatSpeech)

    def error(self, error: RequestError, number: int) -> tuple[bytes, bytes]:
        """See `Dialect`."""
        return openai.error_answer(error, number)


class AzureChat(Chat):
    """The same at a deployment's address, which names the model; without one at ``/openai/v1``."""

    def __init__(self, deployment: str = "") -> None:
        super().__init__()
        self._deployment = deployment

    def credential(self, request: Request) -> str:
        """See `Dialect`."""
        return openai.azure_key_of(request, versioned=bool(self._deployment))

    def read(self, request: Request) -> Asked:
        """See `Dialect`."""
        body = self._decode(request.body)
        model = self._deployment or body.model
        if not model:
            raise RequestError("you must provide a model parameter")
        return asked(body, model, AzureSpeech)


class ChatSpeech:
    """See `Speech`."""

    __slots__ = ("_head", "_pieces", "_plan", "_steps", "_tail", "_text_head", "_text_tail")

    stream_headers: ClassVar[bytes] = openai.EVENT_STREAM
    id_header: ClassVar[bytes] = b"x-request-id"
    told: ClassVar[int] = 0
    broken: ClassVar[bytes] = b'data: {"id":"chatcmpl-broken","choices":[{"index":0,"delta":{"content":"\n\n'

    def __init__(self, plan: Plan) -> None:
        self._plan = plan

    def opening(self) -> bytes:
        """Return the event that has the role."""
        plan = self._plan
        self._head = b'data: {"id":"chatcmpl-%d","object":"chat.completion.chunk","created":%d,"model":%b,' % (
            plan.number,
            plan.created_s,
            _json_text(plan.model),
        )
        # OpenAI puts "usage": null into every chunk of a stream that will report usage.
        self._tail = b'],"usage":null}\n\n' if plan.reports_usage else b"]}\n\n"
        self._text_head = self._head + b'"choices":[{"index":0,"delta":{"content":"'
        self._text_tail = b'"},"finish_reason":null}' + self._tail
        self._pieces: Pieces | None = plan.blocks[0].pieces if plan.blocks and _plain(plan.blocks) else None
        self._steps: Iterator[Step] = steps(plan.blocks)
        return b'%b"choices":[%b%b' % (self._head, _ROLE, self._tail)

    def event(self, number: int) -> bytes:
        """See `Speech`."""
        if self._pieces is not None:
            return self._text_head + self._pieces[number] + self._text_tail
        step = next(self._steps)
        block = step.block
        if block.kind is not Kind.CALL:
            return self._delta(b'{"%b":"%b"}' % (_FIELDS[block.kind], step.text))
        piece = b'{"tool_calls":[{"index":%d,"function":{"arguments":"%b"}}]}' % (block.number, step.text)
        if not step.first:
            return self._delta(piece)
        return self._delta(b'{"tool_calls":[{"index":%d,%b]}' % (block.number, self._call(block, b"")[1:])) + (
            self._delta(piece)
        )

    def _delta(self, delta: bytes) -> bytes:
        return b'%b"choices":[{"index":0,"delta":%b,"finish_reason":null}%b' % (self._head, delta, self._tail)

    def closing(self) -> bytes:
        """Return the events after the last content chunk."""
        plan = self._plan
        finish = b'%b"choices":[{"index":0,"delta":{},"finish_reason":"%b"}%b' % (
            self._head,
            _FINISHES[plan.finish],
            self._tail,
        )
        if plan.reports_usage:
            return b'%b%b"choices":[],"usage":%b}\n\n%b' % (finish, self._head, _usage(plan.total), _DONE)
        return finish + _DONE

    def failing(self) -> bytes:
        """Return an error where a chunk would be; no ``[DONE]`` follows."""
        return b"data: %b\n\n" % openai.error_body(RequestError("The script asked for an error.", status=500))

    def whole(self) -> bytes:
        """See `Speech`."""
        plan = self._plan
        if _plain(plan.blocks):
            message = b'"content":"' + (plan.blocks[0].pieces.whole() if plan.blocks else b"") + b'"'
        else:
            message = self._message()
        usage = b"" if plan.script.no_usage else b',"usage":' + _usage(plan.total)
        return (
            b'{"id":"chatcmpl-%d","object":"chat.completion","created":%d,"model":%b,"choices":[{"index":0,"message":'
            b'{"role":"assistant",%b},"logprobs":null,"finish_reason":"%b"}]%b}'
            % (plan.number, plan.created_s, _json_text(plan.model), message, _FINISHES[plan.finish], usage)
        )

    def _message(self) -> bytes:
        """Return the members of a message that is more than text."""
        told = {_FIELDS[block.kind]: block for block in self._plan.blocks if block.kind is not Kind.CALL}
        members = [b'"%b":"%b"' % (name, block.pieces.whole()) for name, block in told.items()]
        members += [] if b"content" in told else [b'"content":null']
        calls = [block for block in self._plan.blocks if block.kind is Kind.CALL]
        if calls:
            members.append(b'"tool_calls":[%b]' % b",".join(self._call(call, call.pieces.whole()) for call in calls))
        return b",".join(members)

    def _call(self, block: Block, arguments: bytes) -> bytes:
        return b'{"id":"call_demo%dx%d","type":"function","function":{"name":%b,"arguments":"%b"}}' % (
            self._plan.number,
            block.number,
            _json_text(block.name),
            arguments,
        )


class AzureSpeech(ChatSpeech):
    """Azure tells first what it found in the prompt, in a chunk without choices."""

    __slots__ = ()

    def opening(self) -> bytes:
        """See `Speech`."""
        opening = super().opening()
        return self._head + _AZURE_FILTER + opening


def _plain(blocks: tuple[Block, ...]) -> bool:
    return not blocks or (len(blocks) == 1 and blocks[0].kind is Kind.TEXT)


@functools.lru_cache(maxsize=1024)
def _json_text(text: str) -> bytes:
    return msgspec.json.encode(text)


def _usage(usage: Usage) -> bytes:
    prompt, completion, cached, reasoning = usage[:4]
    if not cached and not reasoning:
        return b'{"prompt_tokens":%d,"completion_tokens":%d,"total_tokens":%d}' % (
            prompt,
            completion,
            prompt + completion,
        )
    report: dict[str, Any] = {
        "prompt_tokens": usage.prompt_total,
        "completion_tokens": usage.completion_total,
        "total_tokens": usage.prompt_total + usage.completion_total,
        "prompt_tokens_details": {"cached_tokens": cached},
        "completion_tokens_details": {"reasoning_tokens": reasoning},
    }
    return msgspec.json.encode(report)
