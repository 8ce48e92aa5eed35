"""The documentation for users, and the public price list."""

import datetime as dt
import re
from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from services.console.web_files import FOLDER
from tests.support.browser import Look, People, View, words
from tests.support.stack import until
from tests.support.surface import ACCOUNT, CHANGE_TIMEOUT_S, Surface

OpenWindow = Callable[..., View]

PAGES = sorted(path.stem for path in (FOLDER / "docs" / "en").glob("*.md"))
PICTURED = {"index", "openai", "limits-and-errors", "migrate-from-litellm"}
TOP_PX_MAX = 120
"""Below the bar at the top, with some room."""

SETTLED_TOP_PX = """async (heading, most_px) => {
  const top = () => heading.getBoundingClientRect().top;
  const end_ms = performance.now() + 10_000;
  while (top() >= most_px && performance.now() < end_ms) await new Promise(requestAnimationFrame);
  return top();
}"""
"""Where a heading is once it is high enough, or after 10 s. The page's policy forbids what Playwright waits with."""

PER_MILLION = "input and output are per million tokens"


@pytest.fixture(scope="module")
def member(people: People) -> str:
    return people.make("docs-member", roles={ACCOUNT: "member"})


@pytest.fixture(scope="module")
def viewer(people: People) -> str:
    return people.make("docs-viewer", roles={ACCOUNT: "viewer"})


def offer(surface: Surface) -> tuple[str, str]:
    """Return the gateway's address, and the first model that everybody may see."""
    square: dict[str, Any] = surface.admin("GET", "/public/models")
    return square["base_url"], first_plain(square)


def first_plain(square: dict[str, Any]) -> str:
    """Return the first model whose name needs no quoting: other tests of the same stack make names that do."""
    names = (model["name"] for model in square["models"] if model["kind"] == "chat")
    return next(name for name in names if re.fullmatch(r"[\w./:@-]+", name))


def example(page: Page, name: str) -> str:
    """Return the code in the section of a name."""
    code = page.locator(f"#docs-{name} ~ :is(.tabs, .code)").first.locator("pre").text_content()
    assert code is not None
    return code


def address(page: str) -> str:
    return "/docs" if page == "index" else f"/docs/{page}"


def test_every_page_looks_well(browser_page: OpenWindow, look: Look) -> None:
    view = browser_page(look)
    for name in PAGES:
        page = view.open(address(name))
        title = words(look, f"docs.page.{name}")
        expect(page.get_by_role("heading", level=1)).to_have_text(title)
        expect(page.locator(".docs-turn")).to_be_visible()
        expect(page).to_have_title(f"{title} · Trunkline")
        shown = page.locator("article").inner_text()
        assert "{{" not in shown
        assert "{#" not in shown
        view.check_accessible()
        if name in PICTURED:
            view.screenshot(f"docs-{name}", full=False)


def test_from_the_first_page_to_the_last(browser_page: OpenWindow) -> None:
    page = browser_page().open("/docs")
    seen = [page.get_by_role("heading", level=1).inner_text()]
    turn = page.get_by_role("navigation", name="Previous and next page")
    while turn.get_by_text("Next").count():
        turn.get_by_role("link", name="Next").click()
        expect(page.get_by_role("heading", level=1)).not_to_have_text(seen[-1])
        expect(turn).to_be_visible()
        seen.append(page.get_by_role("heading", level=1).inner_text())
    assert len(seen) == len(PAGES)
    index = page.get_by_role("navigation", name="Pages of the documentation")
    expect(index.get_by_role("link", name=seen[-1])).to_have_attribute("aria-current", "page")
    turn.get_by_role("link", name="Previous").click()
    expect(page.get_by_role("heading", level=1)).to_have_text(seen[-2])
    index.get_by_role("link", name="Billing").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Billing")


def test_on_a_phone_the_index_opens(browser_page: OpenWindow) -> None:
    view = browser_page(Look("en", "light", 360))
    page = view.open("/docs/openai")
    gemini = page.get_by_role("link", name="Gemini", exact=True)
    expect(gemini).not_to_be_visible()
    page.get_by_role("button", name="All pages").click()
    view.check_accessible()
    gemini.click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Gemini")
    expect(page.get_by_role("link", name="Anthropic", exact=True)).not_to_be_visible()


def test_a_section_is_an_address(browser_page: OpenWindow) -> None:
    view = browser_page()
    page = view.open("/docs/limits-and-errors?at=retries")
    heading = page.locator("#docs-retries")
    expect(heading).to_be_focused()
    expect(heading).to_be_in_viewport()
    assert heading.evaluate(SETTLED_TOP_PX, TOP_PX_MAX) < TOP_PX_MAX
    page.get_by_role("link", name="Fallbacks", exact=True).click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Fallbacks")
    assert page.evaluate("scrollY") == 0
    page.get_by_role("link", name="/v1/generations/{id}").click()
    expect(page.locator("#docs-one-request")).to_be_focused()
    assert page.url.endswith("#/docs/billing?at=one-request")


def test_examples_have_what_the_reader_needs(browser_page: OpenWindow, surface: Surface) -> None:
    base_url, model = offer(surface)
    page = browser_page().open("/docs/quick-start")
    assert f"curl -sS --fail-with-body {base_url}/v1/chat/completions" in example(page, "request")
    assert f'"model": "{model}"' in example(page, "request")
    expect(page.locator("article").get_by_role("link", name="API keys")).to_have_attribute("href", "#/sign-in")


def test_the_language_of_examples_is_chosen_once(browser_page: OpenWindow, surface: Surface) -> None:
    base_url, model = offer(surface)
    view = browser_page()
    view.page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page = view.open("/docs/quick-start")
    page.get_by_role("tab", name="curl").press("ArrowRight")
    expect(page.get_by_role("tab", name="Python")).to_be_focused()
    text = (FOLDER / "docs" / "en" / "quick-start.md").read_text()
    written = re.search(r"```python run\n(.*?)\n```", text, re.DOTALL)
    assert written is not None
    wanted = written[1].replace("{{base_url}}", base_url).replace("{{model}}", model)
    assert example(page, "request") == wanted
    page.get_by_role("tabpanel").get_by_role("button", name="Copy").click()
    expect(page.get_by_role("tabpanel").get_by_role("button", name="Copied")).to_be_visible()
    assert page.evaluate("navigator.clipboard.readText()") == wanted
    page.get_by_role("link", name="Gemini", exact=True).first.click()
    expect(page.locator("#docs-request ~ .tabs").first.get_by_role("tab", name="Python")).to_have_attribute(
        "aria-selected", "true"
    )
    assert example(page, "request").startswith("import os\n\nfrom google import genai\n")


def test_an_example_opens_in_the_playground(
    browser_page: OpenWindow, surface: Surface, member: str, viewer: str
) -> None:
    square: dict[str, Any] = surface.admin("GET", f"/accounts/{ACCOUNT}/models")
    model = first_plain(square)
    page = browser_page(login=member).open("/docs/quick-start")
    keys = page.locator("article").get_by_role("link", name="API keys")
    expect(keys).to_have_attribute("href", f"#/a/{ACCOUNT}/keys")
    tried = page.get_by_role("link", name="Try it")
    expect(tried).to_have_count(1)
    expect(tried).to_have_attribute(
        "href", f"#/a/{ACCOUNT}/playground?model={model}&prompt=Say+hello+in+three+languages."
    )
    tried.click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Playground")
    page = browser_page(login=viewer).open("/docs/quick-start")
    expect(page.get_by_role("link", name="Try it")).to_have_count(0)


def test_without_the_models_the_text_is_there(browser_page: OpenWindow) -> None:
    view = browser_page()
    view.expected(503, "/public/models")
    view.page.route("**/public/models", lambda route: route.fulfill(status=503, json={"error": {"message": "away"}}))
    page = view.open("/docs/openai")
    expect(page.get_by_text("https://gateway.example.com/v1", exact=True).first).to_be_visible()


def test_a_page_that_is_none(browser_page: OpenWindow) -> None:
    page = browser_page().open("/docs/no-such-page")
    expect(page.get_by_role("heading", level=1)).to_have_text("Page not found")


# --- prices --------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def prices(surface: Surface) -> dict[str, Any]:
    """Announce a price, and return the list as everybody gets it."""
    at = (dt.datetime.now(dt.UTC) + dt.timedelta(days=30)).replace(microsecond=0)
    body = {"price": {"input": "0.05", "output": "0.2"}, "effective_from": at.isoformat()}
    surface.admin("PUT", "/models/renamed/prices", body)

    def look() -> dict[str, Any] | None:
        found: dict[str, Any] = surface.admin("GET", "/prices/public")
        renamed = next((model for model in found["models"] if model["name"] == "renamed"), None)
        return found if renamed and renamed["to_come"] else None

    return until(look, 3 * CHANGE_TIMEOUT_S, "the announced price is in the public list")


def test_the_price_list_looks_well(browser_page: OpenWindow, prices: dict[str, Any], look: Look) -> None:
    view = browser_page(look)
    page = view.open("/prices")
    expect(page.get_by_role("heading", level=1)).to_have_text(words(look, "nav.prices"))
    table = page.get_by_role("table", name=words(look, "nav.prices"))
    expect(table.get_by_role("row", name="renamed")).to_contain_text("$0.10")
    announced = page.get_by_role("table", name=words(look, "price_list.announced"))
    expect(announced.get_by_role("row", name="renamed")).to_contain_text("$0.10 → $0.05")
    view.check_accessible()
    view.screenshot("prices")


def test_prices_are_searched_and_sorted(browser_page: OpenWindow, prices: dict[str, Any]) -> None:
    names = [model["name"] for model in prices["models"]]
    page = browser_page().open("/prices")
    table = page.get_by_role("table", name="Prices")
    expect(table.locator("tbody tr")).to_have_count(len(names))
    table.get_by_role("button", name="Model").click()
    expect(table.locator("tbody tr").first).to_contain_text(max(names))
    page.get_by_label("Find a model").fill("NAMED")
    expect(table.locator("tbody tr")).to_have_count(1)
    assert page.url.endswith("?find=NAMED")
    page.get_by_label("Find a model").fill("no such model")
    expect(page.get_by_text("No model of this name")).to_be_visible()


def test_groups_multiply_prices(browser_page: OpenWindow) -> None:
    """What the list says of groups that this stack does not show."""
    view = browser_page()
    shown = {
        "at": "2030-01-01T00:00:00Z",
        "groups": [{"name": "default", "multiplier_ppm": 1_000_000}, {"name": "vip", "multiplier_ppm": 1_200_000}],
        "models": [
            {
                "name": "painter",
                "groups": ["default", "vip"],
                "free": False,
                "prices": {"input": 500_000_000, "images@1024x1024/high": 40_000_000_000_000},
                "to_come": [],
            },
            {"name": "gift", "groups": ["vip"], "free": True, "prices": {}, "to_come": []},
        ],
    }
    view.page.route("**/prices/public", lambda route: route.fulfill(json=shown))
    page = view.open("/prices")
    expect(page.get_by_text(PER_MILLION)).to_be_visible()
    expect(page.get_by_role("row", name="painter")).to_contain_text("$0.50")
    expect(page.get_by_role("row", name="gift")).to_have_count(0)
    page.get_by_label("Group").select_option("vip")
    expect(page.get_by_role("row", name="painter")).to_contain_text("$0.60")
    expect(page.get_by_role("row", name="painter")).to_contain_text("$0.048")
    expect(page.get_by_role("row", name="gift")).to_contain_text("Free")
    view.check_accessible()


def test_without_prices_it_says_so(browser_page: OpenWindow) -> None:
    view = browser_page()
    shown: dict[str, Any] = {"at": "2030-01-01T00:00:00Z", "groups": [], "models": []}
    view.page.route("**/prices/public", lambda route: route.fulfill(json=shown))
    page = view.open("/prices")
    expect(page.get_by_text("No prices to show")).to_be_visible()
    view.check_accessible()
