"""``POST /v1/completions``: the old text completions, passed on to providers that still have them."""

from typing import Annotated

import msgspec

from trunkline.protocol.body import BodyReader, filled_list
from trunkline.protocol.dialect import ClientRequest, WholeAnswer
from trunkline.protocol.endpoint import EndpointCall, Provider
from trunkline.protocol.endpoints.answer_form import renamed
from trunkline.protocol.endpoints.completion_answer import (
    FAILED_FINISHES,
    read_answer_object,
    read_usage,
    texts_of,
    usable,
)
from trunkline.protocol.endpoints.completion_stream import CompletionStream
from trunkline.protocol.endpoints.input_count import count_members
from trunkline.protocol.endpoints.json_value import start_of
from trunkline.protocol.endpoints.provider_call import EVENT_STREAM, JSON, openai_call
from trunkline.protocol.routing_wish import WishFields, read_wish
from trunkline.protocol.splice import prepare_body
from trunkline.protocol.stream_options import ask_usage
from trunkline.protocol.tokens import count_text
from trunkline.protocol.upstream_error import invalid_answer, read_upstream_error

_Count = Annotated[int, msgspec.Meta(ge=1, le=2**31 - 1)]
_OUTPUT_MAX = 2**31 - 1
_ANSWERS_MAX = 1024
"""Of a request that states no bound on them; providers give 128 at most for each of some twenty prompts."""


class _StreamOptions(msgspec.Struct):
    include_usage: bool | None = None


class _Fields(WishFields):
    model: str | msgspec.UnsetType = msgspec.UNSET
    prompt: msgspec.Raw = msgspec.Raw()
    suffix: msgspec.Raw = msgspec.Raw()
    stream: bool | None = None
    stream_options: _StreamOptions | None = None
    max_tokens: Annotated[int, msgspec.Meta(ge=0, le=_OUTPUT_MAX)] | None = None
    n: _Count | None = None
    best_of: _Count | None = None
    echo: bool | None = None


_READER = BodyReader(
    _Fields,
    {
        "model": "`model` must be a string naming a model, such as one that GET /v1/models lists.",
        "prompt": "`prompt` must be a text, a list of texts, or lists of token ids; not an empty list.",
        "stream": "`stream` must be true or false.",
        "stream_options": '`stream_options` must be an object such as {"include_usage": true}.',
        "stream_options.include_usage": "`stream_options.include_usage` must be true or false.",
        "max_tokens": "`max_tokens` must be a whole number, not negative.",
        "n": "`n` must be a positive whole number.",
        "best_of": "`best_of` must be a positive whole number.",
        "echo": "`echo` must be true or false.",
    },
    example="a JSON object with `model` and `prompt`",
    large=("prompt", "suffix"),
)

_INVALID = "The provider's answer is not a completion."
_decode_prompts = msgspec.json.Decoder(list[msgspec.Raw]).decode


class LegacyCompletions:
    """See `protocol.endpoint`."""

    name = "completions"

    def read_head(self, body: bytes, content_type: str) -> ClientRequest:
        """See `Endpoint`."""
        fields = _READER.read(body)
        if not (start_of(fields.prompt) == b'"' or filled_list(fields.prompt)):
            raise _READER.bad_field("prompt")
        return ClientRequest(
            model=_READER.model(fields.model),
            stream=bool(fields.stream),
            max_output=_max_output(fields),
            choices=1 if fields.max_tokens else min(_answers(fields), _ANSWERS_MAX),
            wants_usage=_wants_usage(fields),
            wish=read_wish(fields),
        )

    def count_input(self, body: bytes) -> int:
        """Return an estimate of the input tokens. Never raises, takes bounded time."""
        return count_members(body, ("prompt", "suffix"))

    def open(self, body: bytes, content_type: str, provider: Provider) -> EndpointCall:
        """See `Endpoint`."""
        fields = _READER.read(body)
        call = openai_call(provider, "/completions", "text completions")
        changes = prepare_body(body, upstream_model=provider.model)
        echo = bool(fields.echo)
        if not fields.stream:
            return EndpointCall(
                changes.ruled(provider.rules),
                JSON,
                call,
                whole=lambda answer: _read_whole(answer, provider, echo=echo),
                answer_type=JSON,
            )
        wants_usage = _wants_usage(fields)
        if not wants_usage:
            ask_usage(changes)
        stream = CompletionStream(
            public_model=None if provider.model == provider.public_model else provider.public_model,
            hide_usage=not wants_usage,
            lenient=provider.options.lenient_end,
            echo=echo,
        )
        return EndpointCall(changes.ruled(provider.rules), JSON, call, stream=stream, answer_type=EVENT_STREAM)


def _wants_usage(fields: _Fields) -> bool:
    return fields.stream_options is not None and bool(fields.stream_options.include_usage)


def _max_output(fields: _Fields) -> int:
    """Return the bound on all output, 0 for none: each prompt has its completions, and each of those its own bound."""
    return min(fields.max_tokens * _answers(fields), _OUTPUT_MAX) if fields.max_tokens else 0


def _answers(fields: _Fields) -> int:
    prompts = 1
    if start_of(fields.prompt) == b"[":
        inputs = _decode_prompts(fields.prompt)
        # A list of numbers is one prompt of token ids.
        prompts = len(inputs) if start_of(inputs[0]) in {b'"', b"["} else 1
    return max(fields.n or 1, fields.best_of or 1) * prompts


def _read_whole(body: bytes, provider: Provider, *, echo: bool) -> tuple[WholeAnswer, bytes]:
    try:
        answer = read_answer_object(body)
    except ValueError:
        answer = None
    if answer is None:
        return WholeAnswer(None, 0, invalid_answer(_INVALID)), b""
    if answer.failed:
        return WholeAnswer(None, 0, read_upstream_error(200, {}, body, 0)), b""
    if not answer.choices:
        return WholeAnswer(None, 0, invalid_answer(_INVALID)), b""
    if any(choice.finish_reason in FAILED_FINISHES for choice in answer.choices):
        return WholeAnswer(None, 0, read_upstream_error(500, {}, b"", 0)), b""
    texts = texts_of(answer.choices)
    units = usable(read_usage(answer.usage), output=bool(texts), echo=echo)
    counted = 0 if units is not None else count_text("\n".join(texts))
    return WholeAnswer(units, counted, None), renamed(body, provider)
