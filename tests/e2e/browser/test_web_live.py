"""The live board and the explanations of routing, on a stack that works."""

import json
import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from tests.support.browser import Look, People, View
from tests.support.stack import until
from tests.support.surface import Surface
from trunkline.cli import http
from trunkline.policy.admin_api import PREFIX

OpenWindow = Callable[..., View]

TITLES = {
    "live": {"en": "Live board", "zh": "实时看板"},
    "explain": {"en": "Routing explained", "zh": "路由解释"},
}

HEARD_MS = 15_000
"""Beats and outcomes come each second; a busy machine takes longer."""

SETTLED_TIMEOUT_S = 10.0


@pytest.fixture
def operator(people: People) -> str:
    return people.make("lively", operator=True)


def ask(surface: Surface, model: str, *, stream: bool = True) -> str:
    """Send a chat request, and return its id."""
    body = {"model": model, "stream": stream, "messages": [{"role": "user", "content": "Hello there"}]}
    headers = {"authorization": f"Bearer {surface.ready.api_key}", "content-type": "application/json"}
    url = f"{surface.ready.base_url}/v1/chat/completions"
    with http.opened("POST", url, body=json.dumps(body).encode(), headers=headers) as response:
        response.read()
        return str(response.headers["x-request-id"])


def settled(surface: Surface, request: str) -> str:
    """Return a request's id once the console can explain it."""
    ready = surface.ready
    url, headers = f"{ready.console_url}{PREFIX}/explain/{request}", {"authorization": f"Bearer {ready.admin_key}"}
    until(lambda: http.call("GET", url, headers=headers).status == 200, SETTLED_TIMEOUT_S, "the request is settled")
    return request


def put_behind(page: Page, *, behind: bool) -> None:
    """Let a page believe that another window is before it, or no longer."""
    page.evaluate(
        "behind => {"
        " Object.defineProperty(document, 'hidden', { value: behind, configurable: true });"
        " document.dispatchEvent(new Event('visibilitychange')); }",
        behind,
    )


def test_the_board_shows_what_goes_on(browser_page: OpenWindow, surface: Surface, operator: str, look: Look) -> None:
    for _ in range(5):
        ask(surface, "demo")
    view = browser_page(look, login=operator)
    page = view.open("/site/live")
    expect(page.get_by_role("heading", level=1)).to_contain_text(TITLES["live"][look.language])
    row = page.get_by_role("row", name=re.compile("demo"))
    expect(row.first).to_be_visible(timeout=HEARD_MS)
    for role in {"en": ("Edge", "Dispatcher", "Console"), "zh": ("入口", "调度器", "控制台")}[look.language]:
        expect(page.get_by_role("row", name=re.compile(role)).first).to_be_visible(timeout=HEARD_MS)
    view.check_accessible()
    view.screenshot("live")


def test_requests_and_failures_are_seen_as_they_happen(
    browser_page: OpenWindow, surface: Surface, operator: str
) -> None:
    view = browser_page(login=operator)
    page = view.open("/site/live")
    expect(page.get_by_text("Live", exact=True)).to_be_visible()
    for _ in range(10):
        ask(surface, "demo")
        ask(surface, "refusing")
    failures = page.get_by_role("list", name="Failures by type")
    expect(failures.get_by_text("Refused by the provider")).to_be_visible(timeout=HEARD_MS)
    failing = page.get_by_role("row", name=re.compile("^refusing"))
    expect(failing).to_contain_text("100%", timeout=HEARD_MS)
    expect(page.get_by_role("img", name=re.compile("Requests per second: Answered: "))).to_be_visible()


def test_a_board_in_the_background_asks_nothing(browser_page: OpenWindow, operator: str) -> None:
    view = browser_page(login=operator)
    page = view.open("/site/live")
    expect(page.get_by_text("Live", exact=True)).to_be_visible()
    put_behind(page, behind=True)
    # A line that was still there would not be asked for again.
    with page.expect_event("request", lambda request: request.url.endswith("/admin/v1/live")):
        put_behind(page, behind=False)
    expect(page.get_by_text("Live", exact=True)).to_be_visible()


def test_the_board_fills_the_screen(browser_page: OpenWindow, operator: str) -> None:
    view = browser_page(login=operator)
    page = view.open("/site/live")
    page.get_by_role("button", name="Full screen").click()
    expect(page.locator(".live-board.whole")).to_be_visible()
    expect(page.get_by_role("button", name="Full screen")).to_have_count(0)
    view.check_accessible()
    view.screenshot("live-wall", full=False)
    page.evaluate("document.exitFullscreen()")
    expect(page.get_by_role("button", name="Full screen")).to_be_visible()


def test_a_session_that_ends_leads_to_the_sign_in(browser_page: OpenWindow, surface: Surface, people: People) -> None:
    name = people.make("leaving", operator=True)
    view = browser_page(login=name)
    page = view.open("/site/live")
    expect(page.get_by_text("Live", exact=True)).to_be_visible()
    view.expected(401, "/admin/v1/")
    surface.admin("POST", f"/logins/{name}/end-sessions")
    put_behind(page, behind=True)
    put_behind(page, behind=False)
    expect(page).to_have_url(re.compile("#/sign-in"))


def test_a_job_is_explained_before_it_comes(
    browser_page: OpenWindow, surface: Surface, operator: str, look: Look
) -> None:
    view = browser_page(look, login=operator)
    page = view.open("/site/explain?model=demo&groups=default,vip")
    expect(page.get_by_role("heading", level=1)).to_have_text(TITLES["explain"][look.language])
    table = page.get_by_role("table", name={"en": "Who would be asked", "zh": "会依次询问谁"}[look.language])
    expect(table.get_by_role("link", name="demo")).to_be_visible()
    view.check_accessible()
    view.screenshot("explain")


def test_a_question_is_asked_by_the_form(browser_page: OpenWindow, operator: str) -> None:
    view = browser_page(login=operator)
    page = view.open("/site/explain")
    page.get_by_label("Model").fill("demo")
    page.get_by_label("Whose job").select_option("key")
    page.get_by_label("Account", exact=True).fill("demo")
    page.get_by_role("button", name="Explain").click()
    expect(page.get_by_text("Key is needed.")).to_be_visible()
    page.get_by_label("Key", exact=True).fill("demo")
    page.get_by_text("The request itself").click()
    page.get_by_label("Strategy").select_option("latency")
    page.get_by_label("Client's dialect").select_option("anthropic")
    page.get_by_role("button", name="Explain").click()
    expect(page).to_have_url(re.compile("strategy=latency"))
    expect(page.get_by_text("asked for by the client")).to_be_visible()
    expect(page.get_by_text("Translated", exact=True).first).to_be_visible()


def test_what_nobody_serves_says_why(browser_page: OpenWindow, operator: str) -> None:
    view = browser_page(login=operator)
    page = view.open("/site/explain?model=no-such-model&groups=default")
    expect(page.get_by_text("There is no model of this name.")).to_be_visible()
    expect(page.get_by_text("Nobody can be asked.")).to_be_visible()


def test_a_request_is_explained_by_its_id(
    browser_page: OpenWindow, surface: Surface, operator: str, look: Look
) -> None:
    request = settled(surface, ask(surface, "demo", stream=False))
    view = browser_page(look, login=operator)
    page = view.open(f"/site/explain?request={request}")
    title, outcome = {"en": ("What happened then", "Whole answer"), "zh": ("当时发生了什么", "完整回答")}[look.language]
    table = page.get_by_role("table", name=title)
    expect(table.get_by_text(outcome)).to_be_visible()
    expect(table.get_by_role("link", name="demo")).to_be_visible()
    view.check_accessible()
    view.screenshot("explain-request")


def test_a_request_that_is_not_known(browser_page: OpenWindow, operator: str) -> None:
    view = browser_page(login=operator)
    view.expected(400, "/explain/nonsense")
    page = view.open("/site/explain?by=request")
    page.get_by_label("Request id").fill("nonsense")
    page.get_by_role("button", name="Look up").click()
    expect(page.get_by_text("A request's id is what its answer had")).to_be_visible()
