"""Answers that break off and are gone on with by another channel, as official SDKs see them, and in the books."""

import json
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import anthropic
import openai
import pytest
from google import genai
from google.genai import types as google
from openai.types import CompletionUsage

from tests.support.books import assert_books_agree, ledger_connection
from tests.support.chat_client import session
from tests.support.live_stack import LiveStack, StackPlan
from tests.support.raw_http import exchange, request
from tests.support.waiting import eventually
from trunkline.core import limits
from trunkline.core.ids import parse_job
from trunkline.runtime.clock import SystemClock
from trunkline.store import ledger
from trunkline.store.usage import AttemptUsage, find_request

DISPATCHERS = 2
SETTLED_WITHIN_S = 10.0
LOST_WITHIN_S = limits.ORPHANS_AFTER_S + 20.0
TOKENS_PER_WORD = 4
SLOW_READ_S = 0.05
TIMEOUTS = {"connect_s": 10, "first_token_s": 10, "idle_s": 0.6, "total_s": 30}
"""Of the channel that stalls; the others have all the time of a busy machine."""

TEXT = "one two three four five six seven eight nine ten eleven twelve and on it goes to the end of this text"
QUESTION = "count for me"
INPUT_NANO, OUTPUT_NANO = 10_000, 20_000
"""Of a token; see `live_stack.model_entry`."""

CUTS, STALLS, FAILS, REPEATED, CHAINED, SLOW, LARGE, LONELY, OFF = (
    "cuts",
    "stalls",
    "fails",
    "repeated",
    "chained",
    "slow",
    "large",
    "lonely",
    "off",
)
SCRIPT = f"text={TEXT.replace(' ', '+')}&delay_ms=5"
SLOW_SCRIPT = "chunks=400&delay_ms=40"
LARGE_CHUNKS, CHUNK_BYTES = 400, 8192
LARGE_SCRIPT = f"chunks={LARGE_CHUNKS}&chunk_bytes={CHUNK_BYTES}"
PREFIX = {"prefix": "prefix"}


class Rig(NamedTuple):
    """A stack and a key."""

    stack: LiveStack
    key: str

    @property
    def edge(self) -> str:
        return self.stack.edges[0]

    def openai(self) -> openai.OpenAI:
        return openai.OpenAI(base_url=f"{self.edge}/v1", api_key=self.key, max_retries=0, timeout=20)

    def ask(self, model: str) -> tuple[str, CompletionUsage, str]:
        """Return the text, the usage and the request's id of a streamed chat."""
        text, usage, finished = "", None, 0
        with self.openai().chat.completions.with_streaming_response.create(
            model=model,
            messages=[{"role": "user", "content": QUESTION}],
            stream=True,
            stream_options={"include_usage": True},
        ) as response:
            request_id = response.headers["x-request-id"]
            for chunk in response.parse():
                usage = chunk.usage or usage
                for choice in chunk.choices:
                    text += choice.delta.content or ""
                    finished += choice.finish_reason is not None
        assert finished == 1
        assert usage is not None
        return text, usage, request_id

    def begin(self, model: str, words: int, then: Callable[[], None] = lambda: None) -> tuple[str, int]:
        """Read some words of a chat, do something and leave; returns the request's id and how many words came."""
        text = ""
        with self.openai().chat.completions.with_streaming_response.create(
            model=model, messages=[{"role": "user", "content": QUESTION}], stream=True
        ) as response:
            for chunk in response.parse():
                text += chunk.choices[0].delta.content or ""
                if len(text.split()) >= words:
                    break
            then()
        return response.headers["x-request-id"], len(text.split())

    async def settled(self, request_id: str, attempts: int, within_s: float = SETTLED_WITHIN_S) -> list[AttemptUsage]:
        """Return the attempts of a request once so many are booked."""
        async with ledger_connection(self.stack) as connection:

            async def look() -> list[AttemptUsage]:
                found = await find_request(connection, parse_job(request_id))
                return found if len(found) >= attempts else []

            return await eventually(look, within_s=within_s, what="the request is settled")


@pytest.fixture(scope="module")
def rig() -> Iterator[Rig]:
    plan = StackPlan(edges=1, dispatchers=DISPATCHERS)
    for model, fails in (
        (CUTS, "cut_after=9"),
        (STALLS, "stall_after=9"),
        (FAILS, "error_mid_stream=9"),
        (REPEATED, "cut_after=9"),
        (CHAINED, "cut_after=9"),
        (SLOW, "cut_after=9"),
        (LARGE, "cut_after=40"),
        (LONELY, "cut_after=9"),
        (OFF, "cut_after=9"),
    ):
        script = {SLOW: SLOW_SCRIPT, LARGE: LARGE_SCRIPT}.get(model, SCRIPT)
        timeouts: dict[str, Any] = {"timeouts": TIMEOUTS} if model == STALLS else {}
        plan.channel(f"{model}-first", model, script=f"{script}&{fails}", priority=10, **timeouts)
        # Asked first, if it were not for its provider, which takes no beginning of an answer.
        plan.channel(f"{model}-deaf", model, script="text=wrong", priority=9)
        plan.model(model, continues=model != OFF)
    for model in (CUTS, STALLS, FAILS, OFF):
        plan.channel(f"{model}-second", model, script=SCRIPT, options=PREFIX)
    # Its provider is told by nothing but the order of the messages, does not heed it and says all of it again.
    plan.channel(f"{REPEATED}-second", REPEATED, script=SCRIPT, options={"prefix": "last_message"})
    plan.channel(f"{CHAINED}-second", CHAINED, script=f"{SCRIPT}&cut_after=5", options=PREFIX, priority=5)
    plan.channel(f"{CHAINED}-third", CHAINED, script=SCRIPT, options=PREFIX)
    plan.channel(f"{SLOW}-second", SLOW, script=SLOW_SCRIPT, options=PREFIX)
    # Says all of it again, at full speed.
    plan.channel(f"{LARGE}-second", LARGE, script=LARGE_SCRIPT, options={"prefix": "last_message"})
    key = plan.account("acme")
    with plan.running() as stack:
        yield Rig(stack, key)


@pytest.mark.parametrize("model", [CUTS, STALLS, FAILS, REPEATED])
async def test_an_answer_that_broke_off_is_one_answer(rig: Rig, model: str) -> None:
    text, usage, request_id = rig.ask(model)
    assert text == TEXT
    first, second = await rig.settled(request_id, 2)
    assert (first.charged, first.continues, second.charged, second.continues) == (True, False, False, True)
    assert first.outcome.startswith("upstream_")
    assert second.outcome == ""
    assert first.joined_output > 0
    assert second.charge_nano == 0
    assert second.usage.units.input > first.usage.units.input  # the beginning of the answer, too
    paid_input, paid_output = first.usage.units.input, first.usage.units.output + first.joined_output
    assert first.charge_nano == paid_input * INPUT_NANO + paid_output * OUTPUT_NANO
    assert (usage.prompt_tokens, usage.completion_tokens) == (paid_input, paid_output)


async def test_a_second_break_is_gone_on_with_as_well(rig: Rig) -> None:
    text, usage, request_id = rig.ask(CHAINED)
    assert text == TEXT
    first, *others = await rig.settled(request_id, 3)
    assert [(attempt.charged, attempt.continues) for attempt in others] == [(False, True), (False, True)]
    assert usage.completion_tokens == first.usage.units.output + first.joined_output


@pytest.mark.parametrize("model", [LONELY, OFF])
async def test_without_another_provider_or_by_default_the_error_is_in_the_stream(rig: Rig, model: str) -> None:
    with pytest.raises(openai.APIError) as raised:
        rig.ask(model)
    assert raised.value.code == "upstream_invalid_response"


def test_anthropics_sdk_sees_one_message(rig: Rig) -> None:
    client = anthropic.Anthropic(base_url=rig.edge, api_key=rig.key, max_retries=0)
    with client.messages.stream(
        model=CUTS, max_tokens=1000, messages=[{"role": "user", "content": QUESTION}]
    ) as stream:
        message = stream.get_final_message()
    assert [block.text for block in message.content if block.type == "text"] == [TEXT]
    assert len(message.content) == 1
    assert message.stop_reason == "end_turn"


def test_responses_by_openais_sdk_are_one_item(rig: Rig) -> None:
    with rig.openai().responses.stream(model=CUTS, input=QUESTION) as stream:
        response = stream.get_final_response()
    assert response.output_text == TEXT
    assert (len(response.output), response.status) == (1, "completed")


def test_googles_sdk_sees_one_answer(rig: Rig) -> None:
    options = google.HttpOptions(base_url=rig.edge)
    client = genai.Client(api_key=rig.key, http_options=options)
    chunks = list(client.models.generate_content_stream(model=CUTS, contents=QUESTION))
    assert "".join(chunk.text or "" for chunk in chunks) == TEXT
    assert chunks[-1].candidates is not None
    assert chunks[-1].candidates[0].finish_reason is google.FinishReason.STOP


async def test_a_client_is_told_of_the_whole_request(rig: Rig) -> None:
    _, usage, request_id = rig.ask(CUTS)
    await rig.settled(request_id, 2)
    headers = [("authorization", f"Bearer {rig.key}")]
    shown = json.loads(exchange(rig.edge, request("GET", f"/v1/generations/{request_id}", headers=headers)).body)
    assert (shown["outcome"], shown["tokens"]["output"]) == ("ok", usage.completion_tokens)
    assert [attempt["outcome"] for attempt in shown["attempts"]] != ["ok", "ok"]


async def test_one_who_leaves_meanwhile_pays_for_both_parts(rig: Rig) -> None:
    request_id, words = rig.begin(SLOW, 30)
    first, second = await rig.settled(request_id, 2)
    assert (first.charged, second.charged, second.outcome) == (True, False, "client_gone")
    assert words - 1 <= first.usage.units.output + first.joined_output <= words + 60
    assert first.joined_output > 10
    assert first.charge_nano == (
        first.usage.units.input * INPUT_NANO + (first.usage.units.output + first.joined_output) * OUTPUT_NANO
    )


async def test_a_slow_reader_gets_all_of_a_large_answer(rig: Rig) -> None:
    clock, text = SystemClock(), ""
    for chunk in rig.openai().chat.completions.create(
        model=LARGE, messages=[{"role": "user", "content": QUESTION}], stream=True
    ):
        text += chunk.choices[0].delta.content or ""
        if len(text) % (CHUNK_BYTES * 50) == 0:
            await clock.sleep(SLOW_READ_S)
    assert len(text) == LARGE_CHUNKS * CHUNK_BYTES
    assert text == text[:CHUNK_BYTES] * LARGE_CHUNKS


async def test_the_books_agree(rig: Rig) -> None:
    async with session() as http:
        await assert_books_agree(rig.stack, http)


async def test_what_was_gone_on_with_is_charged_although_its_dispatcher_dies(rig: Rig) -> None:
    def kill() -> None:
        for index in range(DISPATCHERS):
            rig.stack.signal("dispatcher", index)

    # Words come 25 a second: by then a checkpoint has most of them.
    request_id, words = rig.begin(SLOW, 120, then=kill)
    first, second = await rig.settled(request_id, 2, within_s=LOST_WITHIN_S)
    assert (first.outcome, first.charged, first.continues) == ("gateway_dispatcher_lost", True, False)
    assert (second.outcome, second.charged, second.continues) == ("gateway_dispatcher_lost", False, True)
    assert 0 < first.usage.units.output + first.joined_output <= words * TOKENS_PER_WORD
    assert first.joined_output == second.usage.units.output > 30
    async with ledger_connection(rig.stack) as connection:
        assert await ledger.verify(connection) == []
