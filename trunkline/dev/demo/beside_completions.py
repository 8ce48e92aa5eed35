"""The demo upstream's old text completions. Pure. Source: OpenAI API reference, "Completions (legacy)"."""

import functools
from collections.abc import Iterator
from typing import Annotated, Any, ClassVar

import msgspec

from trunkline.dev.demo import openai
from trunkline.dev.demo.beside import Endpoint, JSONBody, within
from trunkline.dev.demo.completion import Plan, Step, steps
from trunkline.dev.demo.counts import Usage
from trunkline.dev.demo.pieces import escaped
from trunkline.dev.demo.request import Asked, RequestError
from trunkline.dev.demo.script import Finish
from trunkline.runtime.http_exchange import Request

MAX_TOKENS = 16
"""OpenAI's own default."""

CHOICES_MAX = 128

_DONE = b"data: [DONE]\n\n"
_FINISHES = {Finish.LENGTH: b"length", Finish.FILTER: b"content_filter"}


class _StreamOptions(msgspec.Struct, forbid_unknown_fields=True):
    include_usage: bool = False


_Number = int | float | None


class _Body(JSONBody):
    prompt: str | list[str | int | list[int]] | None = None
    suffix: str | None = None
    max_tokens: Annotated[int, msgspec.Meta(ge=0)] | None = None
    n: int | None = None
    best_of: int | None = None
    echo: bool | None = None
    logprobs: int | None = None
    stream: bool | None = None
    stream_options: _StreamOptions | None = None
    temperature: _Number = None
    top_p: _Number = None
    frequency_penalty: _Number = None
    presence_penalty: _Number = None
    seed: int | None = None
    stop: str | list[str] | None = None
    logit_bias: dict[str, int | float] | None = None


_decode = msgspec.json.Decoder(_Body).decode


class Completions(Endpoint):
    """``POST /v1/completions``."""

    def read(self, request: Request) -> Asked:
        """See `Dialect`."""
        body = _decode(request.body)
        model = self.model(body.model)
        prompts = _prompts(body.prompt)
        count = 1 if body.n is None else body.n
        within(count, 1, CHOICES_MAX, "n")
        within(body.logprobs, 0, 5, "logprobs")
        within(body.temperature, 0, 2, "temperature")
        if body.best_of is not None and body.best_of < count:
            raise RequestError("You must set 'best_of' to at least 'n'.", param="best_of")
        if body.stream_options is not None and not body.stream:
            raise RequestError(
                "The 'stream_options' parameter is only allowed when 'stream' is enabled.", param="stream_options"
            )
        # Choices come prompt by prompt: n of the first, then n of the next.
        echoes = [prompt.text if body.echo else "" for prompt in prompts for _ in range(count)]
        return Asked(
            model,
            functools.partial(CompletionSpeech, echoes=echoes),
            sum(prompt.tokens for prompt in prompts) + len((body.suffix or "").split()),
            stream=bool(body.stream),
            limit=MAX_TOKENS if body.max_tokens is None else body.max_tokens,
            include_usage=body.stream_options is not None and body.stream_options.include_usage,
            script=body.trunkline_demo,
            choices=len(echoes),
        )


class _Prompt(msgspec.Struct):
    text: str
    tokens: int


def _prompts(source: str | list[str | int | list[int]] | None) -> list[_Prompt]:
    items: list[Any] = source if isinstance(source, list) else ["<|endoftext|>" if source is None else source]
    if items and all(isinstance(item, int) for item in items):
        items = [items]
    if not items or len({type(item) for item in items}) > 1:
        raise RequestError("'$.prompt' is invalid. Please check the API reference.", param="prompt")
    return [_Prompt(item, len(item.split())) if isinstance(item, str) else _Prompt("", len(item)) for item in items]


class CompletionSpeech:
    """See `Speech`.

    Args:
        plan: what to say, in each choice alike.
        echoes: for each choice, what stands before that.
    """

    stream_headers: ClassVar[bytes] = openai.EVENT_STREAM
    id_header: ClassVar[bytes] = b"x-request-id"
    told: ClassVar[int] = 0
    broken: ClassVar[bytes] = b'data: {"id":"cmpl-broken","choices":[{"text":"\n\n'

    def __init__(self, plan: Plan, *, echoes: list[str]) -> None:
        self._plan = plan
        self._echoes = [escaped(echo) for echo in echoes]
        self._steps: Iterator[Step] = steps(plan.blocks)
        self._head = b'{"id":"cmpl-%d","object":"text_completion","created":%d,"model":%b,' % (
            plan.number,
            plan.created_s,
            msgspec.json.encode(plan.model),
        )
        # As in chat, each chunk of a stream that will report usage has a null for it.
        self._tail = b',"usage":null}\n\n' if plan.reports_usage else b"}\n\n"

    def opening(self) -> bytes:
        """Return the prompts that are to be repeated."""
        return b"".join(self._chunk(index, echo) for index, echo in enumerate(self._echoes) if echo)

    def event(self, number: int) -> bytes:
        """Return a chunk for each choice."""
        text = next(self._steps).text
        return b"".join(self._chunk(index, text) for index in range(len(self._echoes)))

    def closing(self) -> bytes:
        """Return each choice's end, and the usage if it was asked for."""
        finish = b'"%b"' % _FINISHES.get(self._plan.finish, b"stop")
        ends = b"".join(self._chunk(index, b"", finish) for index in range(len(self._echoes)))
        if self._plan.reports_usage:
            ends += b'data: %b"choices":[],"usage":%b}\n\n' % (self._head, _usage(self._plan.total))
        return ends + _DONE

    def failing(self) -> bytes:
        """Return an error where a chunk would be; no ``[DONE]`` follows."""
        return b"data: %b\n\n" % openai.error_body(RequestError("The script asked for an error.", status=500))

    def whole(self) -> bytes:
        """See `Speech`."""
        plan = self._plan
        text = b"".join(block.pieces.whole() for block in plan.blocks)
        finish = b'"%b"' % _FINISHES.get(plan.finish, b"stop")
        choices = b",".join(_choice(index, echo + text, finish) for index, echo in enumerate(self._echoes))
        usage = b"" if plan.script.no_usage else b',"usage":' + _usage(plan.total)
        return b'%b"choices":[%b]%b}' % (self._head, choices, usage)

    def _chunk(self, index: int, text: bytes, finish: bytes = b"null") -> bytes:
        return b'data: %b"choices":[%b]%b' % (self._head, _choice(index, text, finish), self._tail)


def _choice(index: int, text: bytes, finish: bytes) -> bytes:
    return b'{"text":"%b","index":%d,"logprobs":null,"finish_reason":%b}' % (text, index, finish)


def _usage(usage: Usage) -> bytes:
    prompt, completion = usage.prompt_total, usage.completion_total
    return b'{"prompt_tokens":%d,"completion_tokens":%d,"total_tokens":%d}' % (prompt, completion, prompt + completion)
