"""Conversations of the official SDKs stay with the account that serves them, whichever edge and dispatcher they meet.

Two channels of equal priority, one with three credentials and one with two, stand before the demo upstream, which
counts requests by credential. Every turn goes to the other edge; which of the two dispatchers takes it is chance.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing
from typing import Any, Protocol

import anthropic
import msgspec
import openai
import pytest
from google import genai
from google.genai import types as google

from tests.support.stack import until
from tests.support.surface import CHANGE_TIMEOUT_S, Surface, running_surface
from trunkline.cli import http
from trunkline.protocol.names import ANTHROPIC, GEMINI, OPENAI_CHAT, OPENAI_RESPONSES

MODEL = "talkative"
WIDE, NARROW = ("sk-wide-1", "sk-wide-2", "sk-wide-3"), ("sk-narrow-1", "sk-narrow-2")
INSTRUCTIONS = "You are a patient assistant."
CONVERSATIONS, TURNS = 20, 4
TIMEOUT_S = 20.0


class Talk(Protocol):
    """A conversation through one SDK, which sends all of it again with each turn."""

    def say(self, edge: int, text: str) -> None:
        """Take a turn at one of the edges, and keep what was answered."""


class ChatTalk:
    def __init__(self, sdks: Sequence[openai.OpenAI]) -> None:
        self._sdks = sdks
        self._messages: list[Any] = [{"role": "system", "content": INSTRUCTIONS}]

    def say(self, edge: int, text: str) -> None:
        self._messages.append({"role": "user", "content": text})
        answer = self._sdks[edge].chat.completions.create(model=MODEL, messages=self._messages)
        self._messages.append(answer.choices[0].message.model_dump(exclude_none=True))


class ResponsesTalk:
    def __init__(self, sdks: Sequence[openai.OpenAI]) -> None:
        self._sdks = sdks
        self._items: list[Any] = []

    def say(self, edge: int, text: str) -> None:
        # The first turn as its documentation writes it: a mere text.
        asked: Any = [*self._items, {"role": "user", "content": text}] if self._items else text
        answer = self._sdks[edge].responses.create(model=MODEL, instructions=INSTRUCTIONS, input=asked)
        self._items += [
            {"role": "user", "content": text},
            *(item.model_dump(exclude_none=True) for item in answer.output),
        ]


class AnthropicTalk:
    def __init__(self, sdks: Sequence[anthropic.Anthropic]) -> None:
        self._sdks = sdks
        self._messages: list[Any] = []

    def say(self, edge: int, text: str) -> None:
        # The last message, and only that, is marked for the cache: the mark wanders.
        marked = {"type": "text", "text": text, "cache_control": {"type": "ephemeral"}}
        asked: list[Any] = [*self._messages, {"role": "user", "content": [marked]}]
        answer = self._sdks[edge].messages.create(model=MODEL, max_tokens=500, system=INSTRUCTIONS, messages=asked)
        self._messages.append({"role": "user", "content": text})
        self._messages.append({"role": "assistant", "content": [block.model_dump() for block in answer.content]})


class GeminiTalk:
    def __init__(self, sdks: Sequence[genai.Client]) -> None:
        config = google.GenerateContentConfig(system_instruction=INSTRUCTIONS)
        self._models = [sdk.models for sdk in sdks]
        self._config = config
        self._contents: list[Any] = []

    def say(self, edge: int, text: str) -> None:
        self._contents.append(google.Content(role="user", parts=[google.Part(text=text)]))
        answer = self._models[edge].generate_content(model=MODEL, contents=self._contents, config=self._config)
        assert answer.candidates
        self._contents.append(answer.candidates[0].content)


class Stage:
    """A stack, and conversations of every SDK on it."""

    def __init__(self, surface: Surface, sdks: ExitStack) -> None:
        self._surface = surface
        key = surface.ready.api_key
        self._edges = [entry.base_url for entry in surface.ready.processes["edge"]]
        urls, wait_s = self._edges, TIMEOUT_S
        opened = [openai.OpenAI(base_url=f"{url}/v1", api_key=key, max_retries=0, timeout=wait_s) for url in urls]
        anthropics = [anthropic.Anthropic(base_url=url, api_key=key, max_retries=0, timeout=wait_s) for url in urls]
        genais = [genai.Client(api_key=key, http_options=google.HttpOptions(base_url=url)) for url in urls]
        for sdk in (*opened, *anthropics, *genais):
            sdks.enter_context(closing(sdk))
        self.talks: dict[str, list[Talk]] = {
            OPENAI_CHAT: [ChatTalk(opened) for _ in range(CONVERSATIONS)],
            OPENAI_RESPONSES: [ResponsesTalk(opened) for _ in range(CONVERSATIONS)],
            ANTHROPIC: [AnthropicTalk(anthropics) for _ in range(CONVERSATIONS)],
            GEMINI: [GeminiTalk(genais) for _ in range(CONVERSATIONS)],
        }
        self._turns = 0

    def configure(self, *, wide: bool) -> None:
        """Apply both channels, one of them in use or not."""
        channels = [
            {
                "name": credentials[0][3:-2],
                "dialect": "openai",
                "base_url": f"{self._surface.ready.upstream_url}/v1",
                "credentials": list(credentials),
                "models": {MODEL: "demo"},
                "enabled": wide or credentials is NARROW,
            }
            for credentials in (WIDE, NARROW)
        ]
        model = {"name": MODEL, "price": {"input": "0.1", "output": "0.4"}}
        self._surface.admin("POST", "/apply", {"channels": channels, "models": [model]})

    def dispatchers(self, sample_name: str) -> list[float]:
        """Return a metric of each dispatcher, summed over its labels."""
        return [
            sum(
                sample.value
                for metric in self._surface.metrics(entry.ops_url)
                for sample in metric.samples
                if sample.name == sample_name
            )
            for entry in self._surface.ready.processes["dispatcher"]
        ]

    def wait_until_known(self, channels: Sequence[float]) -> None:
        """Return once every dispatcher knows two channels more than before, and every edge their model."""
        wanted = [count + 2 for count in channels]
        key = {"authorization": f"Bearer {self._surface.ready.api_key}"}
        until(
            lambda: (
                self.dispatchers("trunkline_dispatcher_channels") == wanted
                and all(http.call("GET", f"{url}/v1/models/{MODEL}", headers=key).status == 200 for url in self._edges)
            ),
            CHANGE_TIMEOUT_S,
            "the channels are known everywhere",
        )

    def order(self, script: dict[str, object] | None) -> None:
        """Have the upstream follow a script with every request of the wide channel's credentials."""
        for credential in WIDE:
            body = msgspec.json.encode({"script": script, "credential": credential})
            assert http.call("POST", f"{self._surface.ready.upstream_url}/script", body=body).status == 200

    def turn(self, talk: Talk, text: str) -> list[str]:
        """Take a turn; returns the credentials with which the upstream was asked."""
        before = Counter(self._surface.counts().attempts)
        self._turns += 1
        talk.say(self._turns % len(self._edges), text)
        return sorted((Counter(self._surface.counts().attempts) - before).elements())

    def turns(self, dialect: str, text: str) -> list[str]:
        """Take a turn in every conversation of a dialect, each with one attempt; returns the credential of each."""
        asked = [self.turn(talk, f"{text} That was talk {number}.") for number, talk in enumerate(self.talks[dialect])]
        assert all(len(attempts) == 1 for attempts in asked)
        return [attempts[0] for attempts in asked]


@pytest.fixture(scope="module")
def stage() -> Iterator[Stage]:
    with ExitStack() as sdks, running_surface("--edges", "2", "--dispatchers", "2") as surface:
        stage = Stage(surface, sdks)
        channels = stage.dispatchers("trunkline_dispatcher_channels")
        stage.configure(wide=True)
        stage.wait_until_known(channels)
        yield stage


def test_every_conversation_stays_with_one_credential_and_moves_only_with_its_channel(stage: Stage) -> None:
    before = stage.dispatchers("trunkline_dispatcher_attempts_total")
    places = {dialect: stage.turns(dialect, "Hello.") for dialect in stage.talks}
    for turn in range(1, TURNS):
        assert {dialect: stage.turns(dialect, f"Tell me more, {turn}.") for dialect in stage.talks} == places
    assert {place for taken in places.values() for place in taken} == {*WIDE, *NARROW}
    took = [
        now - then for now, then in zip(stage.dispatchers("trunkline_dispatcher_attempts_total"), before, strict=True)
    ]
    assert all(count > 50 for count in took), "one dispatcher alone proves nothing"

    stage.configure(wide=False)
    watched = [
        talk
        for dialect, taken in places.items()
        for talk, place in zip(stage.talks[dialect], taken, strict=True)
        if place in WIDE
    ]
    until(
        lambda: all(stage.turn(talk, "Still there?")[0] in NARROW for talk in watched),
        CHANGE_TIMEOUT_S,
        "the channel is out of use in both dispatchers",
    )
    moved = {dialect: stage.turns(dialect, "And now?") for dialect in stage.talks}
    assert {dialect: stage.turns(dialect, "And then?") for dialect in stage.talks} == moved
    taken_over = set()
    for dialect, taken in places.items():
        for place, now in zip(taken, moved[dialect], strict=True):
            if place in WIDE:
                taken_over.add(now)
            else:
                assert now == place
    assert taken_over == set(NARROW)

    stage.configure(wide=True)
    until(
        lambda: all(stage.turn(talk, "Back again?")[0] in WIDE for talk in watched),
        CHANGE_TIMEOUT_S,
        "the channel is in use in both dispatchers",
    )
    assert {dialect: stage.turns(dialect, "At home?") for dialect in stage.talks} == places


def test_a_failing_channels_conversations_are_answered_by_another_and_the_rest_stay(stage: Stage) -> None:
    talks = stage.talks[OPENAI_CHAT]
    places = stage.turns(OPENAI_CHAT, "One more thing.")
    stage.order({"status": 500})
    try:
        for _ in range(3):
            answered = []
            for talk, place in zip(talks, places, strict=True):
                *failed, last = sorted(stage.turn(talk, "Does it work?"), key=WIDE.__contains__, reverse=True)
                # While the channel is not yet ejected it is asked, by its own conversations only.
                assert set(failed) <= {place} & set(WIDE)
                answered.append(last)
            assert all(now == place for now, place in zip(answered, places, strict=True) if place in NARROW)
            assert set(answered) <= set(NARROW)
    finally:
        stage.order(None)
