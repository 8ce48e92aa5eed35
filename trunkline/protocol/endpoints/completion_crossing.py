"""Old text completions on providers that only know conversations: a prompt is one user turn, the answer its text.

What a conversation cannot do (text behind the gap, an echo, several prompts, token ids, log probabilities) is refused.
Called by the dispatcher where a channel has no completions of its own (DIALECTS section 7).
"""

from collections.abc import Callable, Sequence

import msgspec

from trunkline.core.errors import ErrorType, Fault, FaultError
from trunkline.core.usage import Units
from trunkline.protocol.dialect import AnswerFrame
from trunkline.protocol.endpoints.provider_call import EVENT_STREAM
from trunkline.protocol.events import Event, Finish, FinishReason, MessageEnd, RefusalDelta, TextDelta, UsageReport
from trunkline.protocol.fidelity import Feature
from trunkline.protocol.model import Request, Role, Sampling, Text, Turn
from trunkline.protocol.names import OPENAI_CHAT
from trunkline.protocol.sse import render_event


class _Fields(msgspec.Struct):
    """What is read of a request that `completions.LegacyCompletions` has let in."""

    prompt: str | list[str | int | list[int]]
    max_tokens: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    frequency_penalty: float | None = None
    presence_penalty: float | None = None
    seed: int | None = None
    stop: str | list[str] | None = None
    n: int | None = None
    suffix: str | None = None
    echo: bool | None = None
    best_of: int | None = None
    logprobs: int | None = None
    logit_bias: dict[str, float] | None = None
    user: str = ""


CountInput = Callable[[bytes], int]

_decode = msgspec.json.Decoder(_Fields).decode
_encode = msgspec.json.Encoder().encode

_FINISHES = {
    FinishReason.LENGTH: "length",
    FinishReason.CONTEXT_FULL: "length",
    FinishReason.FILTER: "content_filter",
}
"""All others are a plain stop."""


class CompletionsAsConversation:
    """See `dialect.Conversant`."""

    name = OPENAI_CHAT
    """Its fields are called as chat's are in the fidelity table."""
    states_input_first = False

    def __init__(self, count_input: CountInput) -> None:
        self._count_input = count_input

    def read_request(self, body: bytes, *, stream: bool) -> Request:
        """See `Conversant`.

        Raises:
            FaultError: ``client_bad_request``: a field has the wrong type, or means what a conversation cannot do.
        """
        try:
            fields = _decode(body)
        except msgspec.ValidationError:
            raise _refused("prompt", "a field has a type that only a provider with completions takes") from None
        refused = {
            "suffix": bool(fields.suffix),
            "echo": bool(fields.echo),
            "best_of": (fields.best_of or 1) > 1,
            "logprobs": fields.logprobs is not None,
        }
        for name, asked in refused.items():
            if asked:
                raise _refused(name, "it only answers conversations")
        stop = (fields.stop,) if isinstance(fields.stop, str) else tuple(fields.stop or ())
        return Request(
            turns=(Turn(Role.USER, (Text(_text_of(fields.prompt)),)),),
            max_output=fields.max_tokens,
            stop=stop,
            choices=fields.n or 1,
            sampling=Sampling(
                temperature=fields.temperature,
                top_p=fields.top_p,
                frequency_penalty=fields.frequency_penalty,
                presence_penalty=fields.presence_penalty,
                seed=fields.seed,
            ),
            user=fields.user,
            stream=stream,
            features=(Feature.LOGIT_BIAS,) if fields.logit_bias else (),
        )

    def count_input(self, body: bytes) -> int:
        """See `Conversant`."""
        return self._count_input(body)

    def stream_type(self, *, array: bool) -> str:
        """See `Conversant`."""
        return EVENT_STREAM

    def event_writer(self, frame: AnswerFrame) -> "CompletionWriter":
        """See `Conversant`."""
        return CompletionWriter(frame)

    def write_answer(self, events: Sequence[Event], frame: AnswerFrame) -> bytes:
        """See `Conversant`."""
        answer = _Answer(frame)
        for event in events:
            answer.take(event)
        return _encode(answer.body())


def _text_of(prompt: str | list[str | int | list[int]]) -> str:
    if isinstance(prompt, str):
        return prompt
    if len(prompt) == 1 and isinstance(prompt[0], str):
        return prompt[0]
    raise _refused("prompt", "it takes one text, no token ids and no list of several")


def _refused(field: str, why: str) -> FaultError:
    message = f"`{field}` cannot be carried to the provider of this model: {why}. Leave it out or use another model."
    return FaultError(Fault(ErrorType.CLIENT_BAD_REQUEST, message, param=field, code="unsupported_parameter"))


def _usage(units: Units) -> dict[str, int]:
    read, written = units.input_total, units.output_total
    return {"prompt_tokens": read, "completion_tokens": written, "total_tokens": read + written}


class _Answer:
    """A whole answer."""

    def __init__(self, frame: AnswerFrame) -> None:
        self._frame = frame
        self._texts: dict[int, list[str]] = {}
        self._finishes: dict[int, str] = {}
        self._units = Units()

    def take(self, event: Event) -> None:
        """Note an event."""
        match event:
            case TextDelta(text, choice) | RefusalDelta(text, choice):
                self._texts.setdefault(choice, []).append(text)
            case Finish(reason=reason, choice=choice):
                self._finishes[choice] = _FINISHES.get(reason, "stop")
            case UsageReport(units):
                self._units = units
            case _:
                pass

    def body(self) -> dict[str, object]:
        """Return what it is."""
        choices = [
            {
                "text": "".join(self._texts.get(choice, ())),
                "index": choice,
                "logprobs": None,
                "finish_reason": self._finishes.get(choice, "stop"),
            }
            for choice in sorted({*self._texts, *self._finishes})
        ]
        return {**_head(self._frame), "choices": choices, "usage": _usage(self._units)}


class CompletionWriter:
    """See `dialect.EventWriter`; ``text_completion`` chunks."""

    def __init__(self, frame: AnswerFrame) -> None:
        self._frame = frame
        self._head = _head(frame)
        self._units = Units()

    def write(self, event: Event) -> bytes:
        """See `EventWriter`."""
        match event:
            case TextDelta(text, choice) | RefusalDelta(text, choice):
                return self._chunk(text, choice, None)
            case Finish(reason=reason, choice=choice):
                return self._chunk("", choice, _FINISHES.get(reason, "stop"))
            case UsageReport(units):
                self._units = units
            case MessageEnd():
                return self._end()
            case _:
                pass
        return b""

    def _chunk(self, text: str, choice: int, finish: str | None) -> bytes:
        shown = {"text": text, "index": choice, "logprobs": None, "finish_reason": finish}
        return render_event(_encode({**self._head, "choices": [shown]}))

    def _end(self) -> bytes:
        done = b"data: [DONE]\n\n"
        if not self._frame.wants_usage:
            return done
        return render_event(_encode({**self._head, "choices": [], "usage": _usage(self._units)})) + done


def _head(frame: AnswerFrame) -> dict[str, object]:
    return {"id": f"cmpl-{frame.id}", "object": "text_completion", "created": frame.created, "model": frame.model}
