"""The rest of an answer from another provider: one good stream for every client, and what is booked of it meanwhile."""

import json
from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from services.dispatcher.answers import RelayedStream, TranslatedStream
from services.dispatcher.continuation import CONTINUATIONS_MAX, Continuation
from services.dispatcher.joined_answer import JoinedStream
from services.dispatcher.passage import Leg, Passage, open_passage, open_rest
from tests.support import upstream_answers
from tests.support.job_scripts import envelope
from tests.support.upstream_answers import Said
from tests.support.usage_events import usage_event
from trunkline.bus.messages import Pricing
from trunkline.bus.snapshots import ChannelSnapshot
from trunkline.core.errors import ErrorType, Fault, FaultError
from trunkline.core.ids import JobIDMint
from trunkline.core.usage import Units
from trunkline.policy.routing import Candidate
from trunkline.protocol.continuation import AnswerSoFar
from trunkline.protocol.names import ANTHROPIC, GEMINI, OPENAI_CHAT, OPENAI_RESPONSES
from trunkline.protocol.rules import RequestRules
from trunkline.protocol.vendor import AssistantPrefix, VendorOptions

JOB = JobIDMint(1).mint(0)
BEGUN, REST = "Once upon a time there was", " a king who had three sons."
QUESTION = "Tell me a tale."
CHAT: dict[str, Any] = {"model": "public", "stream": True, "messages": [{"role": "user", "content": QUESTION}]}
BODIES: dict[str, dict[str, Any]] = {
    OPENAI_CHAT: CHAT,
    OPENAI_RESPONSES: {"model": "public", "stream": True, "input": QUESTION},
    ANTHROPIC: {**CHAT, "max_tokens": 100},
    GEMINI: {"contents": [{"role": "user", "parts": [{"text": QUESTION}]}]},
}
READERS: dict[str, Callable[[list[dict[str, Any]]], Said]] = {
    OPENAI_CHAT: upstream_answers.chat_read_stream,
    OPENAI_RESPONSES: upstream_answers.responses_read_stream,
    ANTHROPIC: lambda stream: upstream_answers.anthropic_read(upstream_answers.anthropic_message(stream)),
    GEMINI: upstream_answers.gemini_read_stream,
}
MODELS = {"openai": "own", "anthropic": "claude-sonnet-4-5", "gemini": "gemini-2.5-pro"}
FAULT = Fault(ErrorType.UPSTREAM_CUT, "cut")


def leg(dialect: str, upstream: str, body: dict[str, Any] | None = None, **fields: Any) -> Leg:
    offered = msgspec.structs.replace(
        envelope(), dialect=dialect, model="public", stream=True, wants_usage=True, continues=True
    )
    offered = msgspec.structs.replace(offered, **fields)
    options = VendorOptions(prefix=AssistantPrefix.PREFIX if upstream == "openai" else AssistantPrefix.LAST_MESSAGE)
    channel = ChannelSnapshot(
        1, "c", upstream, "https://provider.example/v1", (), {"public": MODELS[upstream]}, options=options
    )
    candidate = Candidate(channel, None, "default", MODELS[upstream], last_resort=False)
    encoded = json.dumps(BODIES[dialect] if body is None else body).encode()
    return Leg(offered, JOB, encoded, candidate, RequestRules(), 0)


def data(*trees: object) -> bytes:
    return b"".join(b"data: " + json.dumps(tree).encode() + b"\n\n" for tree in trees)


def said_by(upstream: str, text: str, *, output: int = 7) -> bytes:
    """Return a whole stream that says a text and reports 50 tokens of input and ``output`` of output."""
    if upstream == "openai":
        return chat_chunks(text) + data(
            {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]},
            {"choices": [], "usage": {"prompt_tokens": 50, "completion_tokens": output, "total_tokens": 50 + output}},
        )
    return data(
        {"type": "message_start", "message": {"id": "msg_2", "usage": {"input_tokens": 50, "output_tokens": 1}}},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": text}},
        {"type": "content_block_stop", "index": 0},
        {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": output}},
        {"type": "message_stop"},
    )


def chat_chunks(text: str) -> bytes:
    words = text.split(" ")
    pieces = [word if number == 0 else f" {word}" for number, word in enumerate(words)]
    return data(*({"choices": [{"index": 0, "delta": {"content": piece}}]} for piece in pieces))


def begun(passage: Passage, text: str = BEGUN) -> tuple[TranslatedStream, AnswerSoFar, bytes]:
    """Let an answer begin; returns it, its watcher and what the client has got."""
    answer = passage.answer
    assert isinstance(answer, TranslatedStream)
    assert answer.so_far is not None
    return answer, answer.so_far, answer.receive(chat_chunks(text))


def rest_of(passage: Passage) -> JoinedStream:
    assert isinstance(passage.answer, JoinedStream)
    return passage.answer


def read(dialect: str, stream: bytes) -> tuple[Said, list[dict[str, Any]]]:
    lines = [line.removeprefix("data: ") for line in stream.decode().splitlines() if line.startswith("data: ")]
    events = [json.loads(line) for line in lines if line != "[DONE]"]
    choices = [event for event in events if event.get("choices") != []]
    return READERS[dialect](choices), events


@pytest.mark.parametrize("upstream", ["openai", "anthropic"])
@pytest.mark.parametrize("dialect", BODIES)
def test_every_client_gets_one_answer_with_the_usage_of_both(dialect: str, upstream: str) -> None:
    first, so_far, got = begun(open_passage(leg(dialect, "openai")))
    paid = first.facts().usage.units
    joined = rest_of(open_rest(leg(dialect, upstream), first, so_far))
    for piece in (said_by(upstream, REST)[:90], said_by(upstream, REST)[90:]):
        got += joined.receive(piece)
    got += joined.finish()
    assert joined.error is None
    said, events = read(dialect, got)
    assert said.text == BEGUN + REST
    assert said.finish in {"stop", "completed", "end_turn", "STOP"}
    assert joined.billed == Units(input=paid.input, output=paid.output + 7)
    assert str(paid.output + 7) in json.dumps(events[-2:])
    assert joined.facts().usage.units == Units(input=50, output=7)


def test_what_the_provider_is_sent_ends_with_what_the_client_has() -> None:
    first, so_far, _ = begun(open_passage(leg(OPENAI_CHAT, "openai")), BEGUN + " ")
    sent = json.loads(open_rest(leg(OPENAI_CHAT, "openai"), first, so_far).body)
    assert sent["messages"][1:] == [{"role": "assistant", "content": BEGUN, "prefix": True}]
    sent = json.loads(open_rest(leg(OPENAI_CHAT, "anthropic"), first, so_far).body)
    assert sent["messages"][1:] == [{"role": "assistant", "content": BEGUN}]
    with pytest.raises(FaultError):
        open_rest(leg(OPENAI_CHAT, "gemini"), first, so_far)


@pytest.mark.parametrize(
    ("changes", "fields"),
    [
        ({}, {"continues": False}),
        ({"n": 2}, {}),
        ({"logprobs": True}, {}),
        ({"response_format": {"type": "json_object"}}, {}),
        ({"modalities": ["text", "audio"], "audio": {"voice": "a", "format": "wav"}}, {}),
    ],
)
def test_within_a_dialect_bytes_pass_where_nothing_could_be_gone_on_with(
    changes: dict[str, Any], fields: dict[str, Any]
) -> None:
    opened = open_passage(leg(OPENAI_CHAT, "openai", {**CHAT, **changes}, **fields))
    assert isinstance(opened.answer, RelayedStream)


def test_a_beta_of_anthropics_and_plain_answers_pass_as_bytes() -> None:
    beta = {"anthropic-beta": "x"}
    assert isinstance(open_passage(leg(ANTHROPIC, "anthropic", headers=beta)).answer, RelayedStream)
    assert isinstance(open_passage(leg(ANTHROPIC, "anthropic")).answer, TranslatedStream)
    plain = open_passage(leg(OPENAI_CHAT, "openai", stream=False))
    assert json.loads(plain.body)["model"] == "own"
    assert not isinstance(plain.answer, TranslatedStream)


def test_within_a_dialect_the_request_is_sent_as_it_is() -> None:
    body = {**CHAT, "user": "me", "min_p": 0.1, "metadata": {"a": "b"}, "max_completion_tokens": 100}
    for continues in (True, False):
        opened = open_passage(leg(OPENAI_CHAT, "openai", body, continues=continues))
        assert isinstance(opened.answer, TranslatedStream) is continues
        assert json.loads(opened.body) == {**body, "model": "own"}
    first, so_far, _ = begun(open_passage(leg(OPENAI_CHAT, "openai", body)))
    sent = json.loads(open_rest(leg(OPENAI_CHAT, "openai", body), first, so_far).body)
    assert {name: sent[name] for name in ("user", "min_p", "metadata", "max_tokens")} == {
        **{name: body[name] for name in ("user", "min_p", "metadata")},
        "max_tokens": 100 - 6,
    }


def test_another_one_goes_on_where_the_first_of_them_ended() -> None:
    first, so_far, got = begun(open_passage(leg(OPENAI_CHAT, "openai")))
    rest = Continuation(usage_event(units=first.billed), first, so_far, FAULT)
    second = rest_of(open_rest(leg(OPENAI_CHAT, "openai"), first, so_far))
    got += second.receive(chat_chunks(" a king who had"))
    assert rest.event_if_lost(second).joined_output == 4
    assert rest.event_if_lost(second).outcome == "gateway_dispatcher_lost"
    assert rest.went_on(second, FAULT, sent=True)
    third = rest_of(open_rest(leg(OPENAI_CHAT, "openai"), rest.begun, so_far))
    got += third.receive(said_by("openai", " three sons.", output=3)) + third.finish()
    assert rest.went_on(third, None, sent=True)
    assert read(OPENAI_CHAT, got)[0].text == BEGUN + REST
    assert rest.event().joined_output == 4 + 3
    assert rest.event().billed == third.billed


def test_one_who_brings_nothing_changes_nothing() -> None:
    first, so_far, _ = begun(open_passage(leg(OPENAI_CHAT, "openai")))
    rest = Continuation(usage_event(units=first.billed), first, so_far, FAULT)
    second = rest_of(open_rest(leg(OPENAI_CHAT, "openai"), first, so_far))
    assert second.receive(b": hello\n\n" + data({"choices": [{"index": 0, "delta": {"reasoning": "hm"}}]})) == b""
    assert not second.first_output
    assert rest.went_on(second, FAULT, sent=False)
    assert (rest.begun, rest.event().joined_output, rest.possible) == (first, 0, True)
    rest.tries = CONTINUATIONS_MAX
    assert not rest.possible


def test_where_the_client_has_not_got_what_was_written_nobody_goes_on() -> None:
    first, so_far, _ = begun(open_passage(leg(OPENAI_CHAT, "openai")))
    rest = Continuation(usage_event(units=first.billed), first, so_far, FAULT)
    second = rest_of(open_rest(leg(OPENAI_CHAT, "openai"), first, so_far))
    second.receive(chat_chunks(" a king"))
    assert not rest.went_on(second, FAULT, sent=False)
    assert rest.event().joined_output == 0


def test_the_cost_is_that_of_the_whole_answer() -> None:
    pricing = Pricing({"input": 1_000_000_000, "output": 2_000_000_000}, {})
    first, so_far, _ = begun(open_passage(leg(OPENAI_CHAT, "openai", pricing=pricing)))
    joined = rest_of(open_rest(leg(OPENAI_CHAT, "openai", pricing=pricing), first, so_far))
    got = joined.receive(said_by("openai", REST)) + joined.finish()
    _, events = read(OPENAI_CHAT, got)
    paid = joined.billed
    assert events[-1]["usage"]["cost"] == pytest.approx((paid.input + 2 * paid.output) / 1_000_000)
