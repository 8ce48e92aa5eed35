"""Other models that answer in a model's place: asked for with every official SDK, told in the answer and the books."""

import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import anthropic
import openai
import pytest
from google import genai
from google.genai import types as google

from tests.support.books import ledger_connection
from tests.support.live_stack import LiveStack, StackPlan, new_key
from tests.support.raw_http import Response, exchange, request
from tests.support.refusing_upstream import DENIED, FILTERED, TOO_LONG, refusing_upstream
from tests.support.waiting import eventually
from trunkline.core.ids import parse_job
from trunkline.store.usage import AttemptUsage, find_request

SETTLED_WITHIN_S = 10.0
CLOSED_WITHIN_S = 20.0
DEAD = "http://127.0.0.1:1/v1"
"""Nobody listens there."""

UNANSWERED = {502, 503}
"""Nobody could answer: its channel cannot be reached, or is out because it could not."""

FIRST, SECOND, THIRD, DEAR, CLOSED, BACKED, SHORT, SHORT_BACKED, STRICT, STRICT_BACKED = (
    "first",
    "second",
    "third",
    "dear",
    "closed",
    "backed",
    "short",
    "short-backed",
    "strict",
    "strict-backed",
)
SECOND_INPUT_NANO, SECOND_OUTPUT_NANO = 1_000, 3_000
EXAMPLE = Path(__file__).parents[2] / "examples" / "fallbacks.py"
MESSAGE: Any = {"role": "user", "content": "Hello!"}


class Rig(NamedTuple):
    """A stack, and keys: for all models, for the first alone, and of an account whose budgets move two of them."""

    stack: LiveStack
    key: str
    narrow_key: str
    ladder_key: str

    @property
    def edge(self) -> str:
        return self.stack.edges[0]

    def openai(self) -> openai.OpenAI:
        return openai.OpenAI(base_url=f"{self.edge}/v1", api_key=self.key, max_retries=0)

    def chat(self, body: Mapping[str, object], *headers: tuple[str, str], key: str = "") -> Response:
        """Send a chat request and return what came."""
        sent = [("authorization", f"Bearer {key or self.key}"), *headers]
        chat = json.dumps({"messages": [MESSAGE], **body}).encode()
        return exchange(self.edge, request("POST", "/v1/chat/completions", headers=sent, body=chat))

    async def settled(self, request_id: str, attempts: int) -> list[AttemptUsage]:
        """Return the attempts of a request once so many are booked."""
        async with ledger_connection(self.stack) as connection:

            async def look() -> list[AttemptUsage]:
                found = await find_request(connection, parse_job(request_id))
                return found if len(found) >= attempts else []

            return await eventually(look, within_s=SETTLED_WITHIN_S, what="the request is settled")


@pytest.fixture(scope="module")
def rig() -> Iterator[Rig]:
    # Health believes a provider that denies a model three times, and each dispatcher asks only once in a while.
    plan = StackPlan(edges=1, dispatchers=3)
    with refusing_upstream() as refusing:
        for model in (FIRST, BACKED):
            plan.channel(f"dead-{model}", model, base_url=DEAD)
        for model in (SECOND, THIRD, DEAR):
            plan.channel(f"alive-{model}", model)
        for model, reason in (
            (SHORT, TOO_LONG),
            (SHORT_BACKED, TOO_LONG),
            (STRICT, FILTERED),
            (STRICT_BACKED, FILTERED),
        ):
            plan.channel(model, model, base_url=f"{refusing}/{reason}")
        plan.channel("denying", CLOSED, base_url=f"{refusing}/{DENIED}")
        plan.model(SECOND, price={"input": SECOND_INPUT_NANO / 1000, "output": SECOND_OUTPUT_NANO / 1000})
        plan.model(BACKED, fallbacks=[SECOND])
        plan.model(SHORT_BACKED, context_fallbacks=[SECOND])
        plan.model(STRICT_BACKED, filter_fallbacks=[SECOND])
        key = plan.account("wide")
        spent = {"models": [{"models": [SECOND, DEAR], "daily": 0.000001}], "cheaper": {SECOND: THIRD, DEAR: FIRST}}
        ladder = plan.account("ladder", budgets=spent)
        narrow = new_key()
        plan.account("narrow", keys=[{"name": "narrow", "secret": narrow, "models": [FIRST, BACKED]}])
        with plan.running() as stack:
            yield Rig(stack, key, narrow, ladder)


def assert_second(headers: Mapping[str, str]) -> None:
    """Check what the head of an answer says that the second model gave."""
    assert (headers.get("x-trunkline-model"), headers.get("x-trunkline-model-reason")) == (SECOND, "fallback")


# --- asked for by clients ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("stream", [False, True])
def test_openais_sdk_gets_the_second_models_answer(rig: Rig, *, stream: bool) -> None:
    with rig.openai() as sdk:
        answer = sdk.chat.completions.with_raw_response.create(
            model=FIRST, messages=[MESSAGE], stream=stream, extra_body={"fallback_models": [SECOND]}
        )
        assert_second(answer.headers)
        parsed: Any = answer.parse()
        models = {chunk.model for chunk in parsed} if stream else {parsed.model}
        assert models == {SECOND}


def test_it_gets_it_from_responses_too(rig: Rig) -> None:
    with rig.openai() as sdk:
        answer = sdk.responses.with_raw_response.create(
            model=FIRST, input="Hello!", extra_body={"zenmux-route": {"strategy": "latency", "fallback": SECOND}}
        )
    assert_second(answer.headers)
    assert answer.parse().model == SECOND


def test_anthropics_sdk_gets_it(rig: Rig) -> None:
    with anthropic.Anthropic(base_url=rig.edge, api_key=rig.key, max_retries=0) as sdk:
        answer = sdk.messages.with_raw_response.create(
            model=FIRST, max_tokens=50, messages=[MESSAGE], extra_body={"models": [FIRST, SECOND]}
        )
    assert_second(answer.headers)
    assert answer.parse().model == SECOND


def test_googles_sdk_gets_it_by_a_header(rig: Rig) -> None:
    sdk = genai.Client(api_key=rig.key, http_options=google.HttpOptions(base_url=rig.edge))
    config = google.GenerateContentConfig(
        http_options=google.HttpOptions(headers={"x-trunkline-fallback-models": SECOND})
    )
    answer = sdk.models.generate_content(model=FIRST, contents="Hello!", config=config)
    sdk.close()
    assert answer.sdk_http_response is not None
    assert_second({name.lower(): value for name, value in (answer.sdk_http_response.headers or {}).items()})
    assert (answer.model_version, bool(answer.text)) == (SECOND, True)


def test_embeddings_have_fallbacks_too(rig: Rig) -> None:
    with rig.openai() as sdk:
        answer = sdk.embeddings.with_raw_response.create(
            model=FIRST, input="Hello!", extra_body={"fallback_models": [SECOND]}
        )
    assert_second(answer.headers)
    assert answer.parse().model == SECOND


def test_a_list_alone_names_the_model_and_its_fallbacks(rig: Rig) -> None:
    answer = rig.chat({"models": [FIRST, SECOND]})
    assert answer.status == 200, answer.body
    assert_second(answer.headers)
    plain = rig.chat({"models": [SECOND, FIRST]}, ("x-trunkline-strategy", "least-busy"))
    assert (plain.status, "x-trunkline-model" in plain.headers) == (200, False)
    assert json.loads(plain.body)["model"] == SECOND


def test_the_example_says_which_model_answered(rig: Rig) -> None:
    done = subprocess.run(  # noqa: S603 - our own program
        [sys.executable, str(EXAMPLE), "Hello there"],
        env={"OPENAI_BASE_URL": f"{rig.edge}/v1", "OPENAI_API_KEY": rig.key, "MODELS": f"{FIRST} {SECOND}"},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert done.stdout.strip()
    assert done.stderr.startswith(f"({SECOND}, after ")


# --- refused -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "status", "says"),
    [
        ({"fallback_models": ["nobody"]}, 404, 'The fallback model "nobody" cannot be used.'),
        ({"zenmux-route": {"strategy": "luck"}}, 400, "There are: priority, cost, latency, throughput, least-busy."),
        ({"models": SECOND}, 400, "`models` must be a list of names"),
    ],
)
def test_a_wish_that_cannot_be_fulfilled_is_refused(rig: Rig, body: dict[str, object], status: int, says: str) -> None:
    answer = rig.chat({"model": SECOND, **body})
    assert (answer.status, says in json.loads(answer.body)["error"]["message"]) == (status, True), answer.body


def test_a_key_gets_no_model_by_a_fallback_that_it_may_not_use(rig: Rig) -> None:
    asked = rig.chat({"model": FIRST, "fallback_models": [SECOND]}, key=rig.narrow_key)
    assert (asked.status, f'"{SECOND}"' in json.loads(asked.body)["error"]["message"]) == (403, True)
    # The operator's list is left out without a word, and so nobody takes over.
    assert rig.chat({"model": BACKED}, key=rig.narrow_key).status in UNANSWERED


# --- on which occasions --------------------------------------------------------------------------------------------


def test_the_operators_fallback_takes_over(rig: Rig) -> None:
    answer = rig.chat({"model": BACKED})
    assert answer.status == 200, answer.body
    assert_second(answer.headers)
    assert rig.chat({"model": FIRST}).status in UNANSWERED


def test_a_request_that_is_too_long_goes_to_a_model_that_takes_it(rig: Rig) -> None:
    alone = rig.chat({"model": SHORT})
    assert (alone.status, json.loads(alone.body)["error"]["code"]) == (400, "context_length_exceeded")
    for body in ({"model": SHORT, "fallback_models": [SECOND]}, {"model": SHORT_BACKED}):
        answer = rig.chat(body)
        assert answer.status == 200, answer.body
        assert_second(answer.headers)
        assert answer.headers["x-trunkline-attempts"] == "2"


def test_what_a_filter_refuses_goes_elsewhere_only_where_the_operator_says_so(rig: Rig) -> None:
    for body in ({"model": STRICT}, {"model": STRICT, "fallback_models": [SECOND]}):
        refused = rig.chat(body)
        assert (refused.status, json.loads(refused.body)["error"]["code"]) == (400, "content_filter")
    answer = rig.chat({"model": STRICT_BACKED})
    assert answer.status == 200, answer.body
    assert_second(answer.headers)


async def test_a_model_that_its_provider_denies_leaves_the_list_and_takes_nobody_down(rig: Rig) -> None:
    with rig.openai() as sdk:

        async def listed() -> bool:
            return CLOSED in {model.id for model in sdk.models.list()}

        assert await listed()

        async def closed() -> bool:
            answer = rig.chat({"model": CLOSED, "fallback_models": [SECOND]})
            assert answer.status in {200, 404}, answer.body
            return not await listed()

        await eventually(closed, within_s=CLOSED_WITHIN_S, what="the model is off the list")
    refused = rig.chat({"model": CLOSED})
    assert (refused.status, json.loads(refused.body)["error"]["code"]) == (404, "model_not_found")
    plain = rig.chat({"model": SECOND, "fallback_models": [CLOSED]})
    assert (plain.status, json.loads(plain.body)["model"]) == (200, SECOND)


# --- in the books --------------------------------------------------------------------------------------------------


async def test_the_books_say_who_answered_and_who_was_asked(rig: Rig) -> None:
    answer = rig.chat({"model": SHORT, "fallback_models": [SECOND], "usage": {"include": True}})
    request_id = answer.headers["x-request-id"]
    failed, served = await rig.settled(request_id, 2)
    assert (failed.model, failed.asked, failed.charged, failed.charge_nano) == (SHORT, "", False, 0)
    assert (served.model, served.asked, served.charged) == (SECOND, SHORT, True)
    units = served.usage.units
    assert served.charge_nano == units.input * SECOND_INPUT_NANO + units.output * SECOND_OUTPUT_NANO > 0
    assert float(answer.headers["x-trunkline-cost-usd"]) == served.charge_nano / 10**9
    assert json.loads(answer.body)["usage"]["cost"] == served.charge_nano / 10**9
    sent = [("authorization", f"Bearer {rig.key}")]
    shown = json.loads(exchange(rig.edge, request("GET", f"/v1/generations/{request_id}", headers=sent)).body)
    assert (shown["model"], shown["model_asked"]) == (SECOND, SHORT)
    assert [attempt["model"] for attempt in shown["attempts"]] == [SHORT, SECOND]


async def test_a_budget_that_moves_a_request_stands_there_too(rig: Rig) -> None:
    moved = rig.chat({"model": SECOND}, key=rig.ladder_key)
    assert (moved.status, moved.headers["x-trunkline-model"]) == (200, THIRD)
    assert moved.headers["x-trunkline-model-reason"] == "budget"
    [third] = await rig.settled(moved.headers["x-request-id"], 1)
    assert (third.model, third.asked) == (THIRD, SECOND)
    # Moved to a model that is dead, and from there to the one that the client has named.
    both = rig.chat({"model": DEAR, "fallback_models": [SECOND, THIRD]}, key=rig.ladder_key)
    assert (both.status, both.headers["x-trunkline-model"]) == (200, THIRD), both.body
    assert both.headers["x-trunkline-model-reason"] == "fallback"
    served = (await rig.settled(both.headers["x-request-id"], int(both.headers["x-trunkline-attempts"])))[-1]
    assert (served.model, served.asked) == (THIRD, DEAR)
