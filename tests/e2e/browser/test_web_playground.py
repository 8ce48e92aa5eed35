"""The playground: conversations with models, at the cost of whoever has them."""

import json
import re
from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Dialog, Locator, Page, Request, expect

from tests.support import playground
from tests.support.browser import Look, People, View, words
from tests.support.playground import ACCOUNT, ANSWER, CODE, HOSTILE
from tests.support.quiet import CROWDED, crowded
from tests.support.stack import until
from tests.support.surface import Surface

OpenWindow = Callable[..., View]

STOPPED_WITHIN_S = 10.0
"""It takes a second at the most; a busy machine takes longer. By itself the answer goes on for half an hour."""

SLOWLY_MS = 50
"""Before each of ninety pieces of an answer: it grows for seconds, longer than there is between two looks at it."""

GROWN_MS = 60_000

COME_MS = 180_000
"""A long answer of 50 kB comes for 40 s; where others use the machine it takes longer to come, and to be drawn."""

FRAME_MS_MAX = 2000
TRIES = 5

PNG = bytes.fromhex(
    "89504e470d0a1a0a0000000d49484452000000010000000108060000001f15c4890000000d49444154789c6360f8cfc000000301010018dd8db00000000049454e44ae426082"
)


@pytest.fixture(scope="module")
def player(surface: Surface, people: People) -> str:
    playground.configure(surface)
    return people.make("player", roles={ACCOUNT: "member"})


@pytest.fixture(autouse=True)
def usual_answer(surface: Surface, player: str) -> None:
    playground.answers(surface, {"text": ANSWER})


class Playground:
    """The page, with what went to the server."""

    def __init__(self, view: View, model: str = "") -> None:
        self.view = view
        self.sent: list[dict[str, Any]] = []
        view.page.on("request", self._note)
        self.page = view.open(f"/a/{ACCOUNT}/playground" + (f"?model={model}" if model else ""))

    def _note(self, request: Request) -> None:
        if request.url.endswith("/playground/chat"):
            self.sent.append(json.loads(request.post_data or ""))

    @property
    def words(self) -> Callable[[str], str]:
        return lambda key: words(self.view.look, key)

    def say(self, text: str) -> None:
        box = self.page.get_by_role("textbox", name=self.words("playground.message"))
        box.fill(text)
        # Without a model nothing is sent, and which one it is the page says after it is painted.
        expect(self.page.get_by_role("button", name=self.words("playground.send"), exact=True)).to_be_enabled()
        box.press("Enter")

    def ask(self, text: str, state: str = "done") -> Locator:
        """Say something, and return the answer once it has ended so."""
        before = self.answers.count()
        self.say(text)
        answer = self.answers.nth(before)
        expect(answer).to_have_attribute("data-state", state)
        return answer

    @property
    def answers(self) -> Locator:
        return self.page.locator(".play-turn.assistant")

    def choose(self, model: str, number: int = 0) -> None:
        self.page.locator(".play-model").nth(number).click()
        self.page.keyboard.type(model)
        self.page.keyboard.press("Enter")
        expect(self.page.locator(".play-model").nth(number)).to_contain_text(model)


def test_it_looks_well(browser_page: OpenWindow, player: str, look: Look) -> None:
    play = Playground(browser_page(look, login=player), "gpt-4o")
    play.view.screenshot("playground-empty", full=False)
    play.view.check_accessible()
    play.page.locator(".play-model").click()
    expect(play.page.get_by_role("option", name="claude-opus-5")).to_be_visible()
    play.view.check_accessible()
    play.page.keyboard.press("Escape")
    if look.width < 1080:
        play.page.get_by_role("button", name=words(look, "playground.settings")).click()
        play.view.check_accessible()
        play.view.screenshot("playground-settings", full=False)
        play.page.get_by_role("button", name=words(look, "playground.settings")).click()
    answer = play.ask("How is it done?\n\nShow me.")
    expect(answer.get_by_role("table")).to_be_visible()
    expect(answer.locator("dl")).to_contain_text("$0.")
    play.view.check_accessible()
    play.view.screenshot("playground", full=False)


def test_a_conversation_goes_on_when_the_model_changes(browser_page: OpenWindow, surface: Surface, player: str) -> None:
    play = Playground(browser_page(login=player), "gpt-4o")
    expect(play.ask("First question")).to_contain_text("Here is a step")
    play.choose("claude-opus-5")
    expect(play.ask("And now you")).to_contain_text("claude-opus-5")
    assert [body["model"] for body in play.sent] == ["gpt-4o", "claude-opus-5"]
    assert [message["role"] for message in play.sent[1]["messages"]] == ["user", "assistant", "user"]
    assert play.sent[1]["messages"][1]["content"] == ANSWER
    upstream = json.loads(surface.last_request().body)
    assert [message["role"] for message in upstream["messages"]] == ["user", "assistant", "user"]
    expect(play.page.locator(".play-turn")).to_have_count(4)
    play.page.get_by_role("button", name="Clear").click()
    expect(play.page.locator(".play-turn")).to_have_count(0)


def test_nothing_is_sent_that_was_not_set(browser_page: OpenWindow, player: str) -> None:
    play = Playground(browser_page(login=player), "gpt-4o")
    play.ask("Hello")
    assert sorted(play.sent[0]) == ["messages", "model", "stream"]
    play.page.get_by_label("Instructions to the model").fill("Be brief.")
    play.page.get_by_label(re.compile("^temperature")).fill("0.3")
    play.page.get_by_label("stop").fill("END\nSTOP")
    play.ask("Again")
    assert play.sent[1]["temperature"] == 0.3
    assert play.sent[1]["stop"] == ["END", "STOP"]
    assert play.sent[1]["messages"][0] == {"role": "system", "content": "Be brief."}
    assert "top_p" not in play.sent[1]


def test_only_what_a_model_takes_is_offered(browser_page: OpenWindow, player: str) -> None:
    play = Playground(browser_page(login=player), "thinker-r1")
    # The channel's rules: no seed, and a provider that answers an error to top_p: 1.
    expect(play.page.get_by_label("seed")).to_have_count(0)
    expect(play.page.get_by_text("Not taken by this model: seed.")).to_be_visible()
    play.page.get_by_label(re.compile("^top_p")).fill("1")
    expect(play.page.get_by_text("Between 0.01 and 0.99.")).to_be_visible()
    play.page.get_by_role("textbox", name="Ask something").fill("Hello")
    expect(play.page.get_by_role("button", name="Send")).to_be_disabled()
    play.page.get_by_label(re.compile("^top_p")).fill("0.9")
    play.ask("Hello")
    assert play.sent[0]["top_p"] == 0.9
    # Set for one model, and not sent to another that does not take it.
    play.choose("claude-opus-5")
    expect(play.page.get_by_label(re.compile("^top_p"))).to_have_count(0)
    play.ask("Hello")
    assert "top_p" not in play.sent[1]


def test_code_is_copied_with_every_line_break(browser_page: OpenWindow, player: str) -> None:
    view = browser_page(login=player)
    view.page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    play = Playground(view, "gpt-4o")
    answer = play.ask("Show me code")
    answer.locator(".markdown").get_by_role("button", name="Copy").click()
    expect(answer.get_by_role("button", name="Copied")).to_be_visible()
    assert view.page.evaluate("() => navigator.clipboard.readText()") == CODE
    answer.locator(".play-actions").get_by_role("button", name="Copy").click()
    expect(answer.locator(".play-actions").get_by_role("button", name="Copied")).to_be_visible()
    assert view.page.evaluate("() => navigator.clipboard.readText()") == ANSWER


def harmless(page: Page) -> None:
    """Assert that nothing of what a model said has become more than text and harmless elements."""
    assert page.evaluate("() => window.hacked ?? null") is None
    shown = ".play-turn :is(script, svg:not(.icon), iframe, style, form, input, object, math, link, meta, base)"
    assert page.locator(shown).count() == 0
    found: list[str] = page.evaluate(
        """() => [...document.querySelectorAll(".play-turn *")].flatMap((element) => [...element.attributes]
            .filter(({ name, value }) => /^on/.test(name) || /^\\s*(javascript|data:(text|image.svg))/i.test(value))
            .map(({ name, value }) => `${element.tagName} ${name}=${value}`))"""
    )
    assert found == []
    assert page.locator(".play-turn img").count() == 0


def test_nothing_that_a_model_says_runs(browser_page: OpenWindow, surface: Surface, player: str) -> None:
    view = browser_page(login=player)
    dialogs: list[Dialog] = []
    asked: list[str] = []
    view.page.on("dialog", lambda dialog: dialogs.append(dialog))  # noqa: PLW0108 - Playwright marks handlers
    view.page.on("request", lambda request: asked.append(request.url))
    playground.answers(surface, {"text": HOSTILE, "reasoning": HOSTILE, "delay_ms": SLOWLY_MS})
    play = Playground(view, "gpt-4o")
    play.say(HOSTILE)
    answer = play.answers.first
    # While it grows, and when it is whole.
    for state in ("streaming", "done"):
        expect(answer).to_have_attribute("data-state", state, timeout=GROWN_MS)
        harmless(view.page)
    for link in answer.get_by_role("link").all():
        assert (link.get_attribute("href") or "").startswith(("https://", "#")) or link.get_attribute("href") is None
    answer.locator("summary").click()
    playground.answers(surface, {"tool": "get_<b>x</b>", "arguments": f'{{"x":{json.dumps(HOSTILE)}}}'})
    play.ask("Call it")
    harmless(view.page)
    # A call that got no result is left out of what the next model hears: all of them would refuse it.
    play.choose("<img src=x")
    play.ask("Who are you?")
    assert [message["role"] for message in play.sent[-1]["messages"]] == ["user", "assistant", "user", "user"]
    harmless(view.page)
    assert dialogs == []
    assert not [url for url in asked if "evil.example" in url]


def test_a_stopped_answer_stops_its_provider(browser_page: OpenWindow, surface: Surface, player: str) -> None:
    play = Playground(browser_page(login=player), "endless")
    before = surface.counts().aborted
    play.say("Count to infinity")
    expect(play.answers.first).to_contain_text("token")
    play.page.get_by_role("button", name="Stop").click()
    expect(play.answers.first).to_have_attribute("data-state", "stopped")
    until(lambda: surface.counts().aborted > before, STOPPED_WITHIN_S, "the provider's answer is broken off")
    expect(play.page.get_by_text("You stopped this answer.")).to_be_visible()


def test_a_closed_window_stops_its_provider(browser_page: OpenWindow, surface: Surface, player: str) -> None:
    play = Playground(browser_page(login=player), "endless")
    before = surface.counts().aborted
    play.say("Count to infinity")
    expect(play.answers.first).to_contain_text("token")
    play.page.close()
    until(lambda: surface.counts().aborted > before, STOPPED_WITHIN_S, "the provider's answer is broken off")


def test_two_models_answer_side_by_side(browser_page: OpenWindow, player: str) -> None:
    play = Playground(browser_page(login=player), "gpt-4o")
    play.ask("Before")
    play.page.get_by_role("button", name="Compare").click()
    play.choose("thinker-r1", 1)
    play.say("To both of you")
    sides = play.page.locator(".play-side")
    expect(sides.nth(0).locator(".play-turn.assistant").nth(1)).to_have_attribute("data-state", "done")
    expect(sides.nth(1).locator(".play-turn.assistant").nth(1)).to_contain_text("It is 42.")
    assert sorted(body["model"] for body in play.sent[1:]) == ["gpt-4o", "thinker-r1"]
    assert [len(body["messages"]) for body in play.sent[1:]] == [3, 3]
    play.view.check_accessible()
    play.view.screenshot("playground-compare", full=False)
    # What it thought stands folded before the answer.
    expect(sides.nth(1).get_by_text("First I look at the question.")).to_be_hidden()
    sides.nth(1).get_by_text("What it thought").click()
    expect(sides.nth(1).get_by_text("First I look at the question.")).to_be_visible()
    play.page.get_by_role("button", name="Stop comparing with thinker-r1").click()
    expect(sides).to_have_count(1)


def test_turns_are_edited_run_again_and_deleted(browser_page: OpenWindow, player: str) -> None:
    play = Playground(browser_page(login=player), "thinker-r1")
    play.ask("One")
    play.ask("Two")
    first = play.page.locator(".play-turn.user").first
    first.get_by_role("button", name="Edit").click()
    first.get_by_role("textbox").fill("Changed")
    first.get_by_role("button", name="Run", exact=True).click()
    expect(play.page.locator(".play-turn")).to_have_count(2)
    expect(play.answers.first).to_have_attribute("data-state", "done")
    assert [message["content"] for message in play.sent[2]["messages"]] == ["Changed"]
    play.answers.first.get_by_role("button", name="Edit").click()
    play.answers.first.get_by_role("textbox").fill("It is 43.")
    play.answers.first.get_by_role("button", name="Save").click()
    expect(play.answers.first).to_contain_text("It is 43.")
    play.ask("Three")
    assert [message["content"] for message in play.sent[3]["messages"]] == ["Changed", "It is 43.", "Three"]
    play.answers.nth(1).get_by_role("button", name="Answer again").click()
    expect(play.answers.nth(1)).to_have_attribute("data-state", "done")
    assert play.sent[4] == play.sent[3]
    play.page.locator(".play-turn.user").first.get_by_role("button", name="Delete").click()
    expect(play.page.locator(".play-turn")).to_have_count(3)


def test_calls_of_tools_get_their_results(browser_page: OpenWindow, player: str) -> None:
    play = Playground(browser_page(login=player), "caller")
    play.page.get_by_text("Tools", exact=True).click()
    play.page.get_by_role("button", name="Put an example in").click()
    answer = play.ask("What is the weather?")
    assert play.sent[0]["tools"][0]["function"]["name"] == "get_weather"
    expect(answer).to_contain_text('"city": "Paris"')
    play.choose("thinker-r1")
    answer.get_by_label("Result of get_weather").fill('{"degrees": 21}')
    play.view.check_accessible()
    answer.get_by_role("button", name="Give the results and go on").click()
    expect(play.answers.nth(1)).to_contain_text("It is 42.")
    call, result = play.sent[1]["messages"][1:]
    assert call["tool_calls"][0]["function"] == {"name": "get_weather", "arguments": '{"city":"Paris"}'}
    assert result == {"role": "tool", "tool_call_id": call["tool_calls"][0]["id"], "content": '{"degrees": 21}'}
    play.page.get_by_label("Tools as JSON").fill("[{")
    expect(play.page.get_by_text("This is not JSON.")).to_be_visible()


def test_an_answer_by_a_schema(browser_page: OpenWindow, player: str) -> None:
    play = Playground(browser_page(login=player), "gpt-4o")
    play.page.get_by_text("Form of the answer").first.click()
    play.page.get_by_role("button", name="Schema").click()
    play.page.get_by_label("JSON schema").fill('{"title": "My answer", "type": "object", "properties": {}}')
    play.ask("Hello")
    wanted = play.sent[0]["response_format"]
    assert (wanted["type"], wanted["json_schema"]["name"]) == ("json_schema", "My_answer")
    assert wanted["json_schema"]["schema"]["type"] == "object"


def test_pictures_go_along(browser_page: OpenWindow, player: str) -> None:
    play = Playground(browser_page(login=player), "gpt-4o")
    play.page.locator("input[type=file]").set_input_files([{"name": "dot.png", "mimeType": "image/png", "buffer": PNG}])
    expect(play.page.get_by_role("img", name="dot.png")).to_be_visible()
    play.view.check_accessible()
    play.ask("What is this?")
    text, picture = play.sent[0]["messages"][0]["content"]
    assert text == {"type": "text", "text": "What is this?"}
    assert picture["image_url"]["url"].startswith("data:image/png;base64,iVBOR")
    # A text file is no picture, and says so.
    play.page.locator("input[type=file]").set_input_files(
        [{"name": "not.png", "mimeType": "image/png", "buffer": b"x" * 3_000_000}]
    )
    expect(play.page.get_by_text("not.png is no picture that the browser can read.")).to_be_visible()


def test_errors_say_what_to_do(browser_page: OpenWindow, player: str) -> None:
    view = browser_page(login=player)
    view.expected(429, "/playground/chat")
    play = Playground(view, "limited")
    answer = play.ask("Hello", "failed")
    expect(answer.get_by_role("alert")).to_contain_text("Wait a few seconds, then try again.")
    expect(answer.get_by_role("button", name="Copy the request's id")).to_be_visible()
    play.choose("broken")
    broken = play.ask("Hello", "failed")
    expect(broken).to_contain_text("It begins well")
    expect(broken.get_by_role("alert")).to_contain_text("It is not your fault.")
    view.check_accessible()
    play.choose("thinker-r1")
    broken.get_by_role("button", name="Try again").click()
    expect(play.answers.nth(1)).to_contain_text("It is 42.")


def test_it_stays_in_the_tab_and_nowhere_else(browser_page: OpenWindow, people: People, player: str) -> None:
    play = Playground(browser_page(login=player), "thinker-r1")
    play.ask("Remember this")
    play.page.get_by_role("textbox", name="Ask something").fill("Half a question")
    play.page.get_by_role("link", name="Models", exact=True).click()
    expect(play.page.get_by_role("heading", name="Models")).to_be_visible()
    play.page.get_by_role("link", name="Playground").click()
    expect(play.page.get_by_text("Remember this")).to_be_visible()
    expect(play.page.get_by_role("textbox", name="Ask something")).to_have_value("Half a question")
    play.page.reload()
    play.view.settle()
    expect(play.page.get_by_text("Remember this")).to_be_visible()
    expect(play.page.locator(".play-model")).to_contain_text("thinker-r1")
    other = browser_page(login=people.make("other-player", roles={ACCOUNT: "member"}))
    expect(other.open(f"/a/{ACCOUNT}/playground").get_by_text("Remember this")).to_have_count(0)


def test_it_is_exported_as_curl(browser_page: OpenWindow, surface: Surface, player: str) -> None:
    view = browser_page(login=player)
    view.page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    play = Playground(view, "thinker-r1")
    play.ask("It's for export")
    play.page.get_by_role("button", name="Export").click()
    play.page.get_by_role("menuitem", name="Copy as curl").click()
    expect(play.page.get_by_text("Copied")).to_be_visible()
    copied: str = view.page.evaluate("() => navigator.clipboard.readText()")
    assert copied.startswith(f"curl {surface.ready.base_url}/v1/chat/completions")
    assert "$TRUNKLINE_API_KEY" in copied
    assert r"It'\''s for export" in copied


def test_a_viewer_has_no_playground(browser_page: OpenWindow, people: People, player: str) -> None:
    view = browser_page(login=people.make("play-viewer", roles={ACCOUNT: "viewer"}))
    page = view.open(f"/a/{ACCOUNT}/playground")
    expect(page.get_by_role("heading", name="Not for your role")).to_be_visible()


def test_a_long_answer_is_drawn_as_fast_as_it_comes(browser_page: OpenWindow, surface: Surface, player: str) -> None:
    playground.answers(surface, {"text": ANSWER * 200})
    play = Playground(browser_page(login=player), "gpt-4o")
    play.page.evaluate(
        """() => {
            window.longest_ms = 0;
            let last = performance.now();
            const frame = (now) => {
              window.longest_ms = Math.max(window.longest_ms, now - last);
              last = now;
              requestAnimationFrame(frame);
            };
            requestAnimationFrame(frame);
        }"""
    )
    play.say("At length")
    expect(play.answers.first).to_have_attribute("data-state", "done", timeout=COME_MS)
    expect(play.answers.first.get_by_role("table").last).to_be_visible()
    longest_ms = play.page.evaluate("() => window.longest_ms")
    if longest_ms >= FRAME_MS_MAX and (busy := max(crowded() for _ in range(TRIES))) >= CROWDED:
        pytest.skip(f"others use the machine: a calculation takes {busy:.1f} times its CPU time")
    assert longest_ms < FRAME_MS_MAX
