"""The model square: what can be called, for how much, and how."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.support import playground
from tests.support.browser import Look, People, View, words
from tests.support.playground import ACCOUNT
from tests.support.surface import Surface

OpenWindow = Callable[..., View]

RUN_TIMEOUT_S = 60
NODE = Path(__file__).parents[1] / "node"
HELLO = "Here is a"
DIALECTS = {"OpenAI": "chat", "OpenAI Responses": "responses", "Anthropic": "messages", "Gemini": "generate"}


@pytest.fixture(scope="module")
def reader(surface: Surface, people: People) -> str:
    playground.configure(surface)
    surface.admin("PUT", "/groups/half", {"multiplier": "0.5"})
    surface.admin(
        "POST",
        "/apply",
        {
            "channels": [
                {
                    "name": "play-half",
                    "dialect": "gemini",
                    "base_url": f"{surface.ready.upstream_url}/v1beta",
                    "credentials": ["sk-half"],
                    "models": {"half-chat": "demo", "text-embedding-3-small": "demo", "gpt-image-1": "demo"},
                    "groups": ["half"],
                }
            ],
            "models": [
                {"name": "half-chat", "price": {"input": "3", "output": "15"}},
                {"name": "text-embedding-3-small", "price": {"input": "0.02"}},
                {"name": "gpt-image-1", "price": {"images": "40000"}},
            ],
        },
    )
    surface.admin("PATCH", f"/accounts/{ACCOUNT}", {"groups": ["default", "half"]})
    return people.make("models-reader", roles={ACCOUNT: "viewer"})


@pytest.fixture(scope="module")
def key(surface: Surface, reader: str) -> str:
    return surface.new_key(ACCOUNT, "snippets")


def cards(page: Page) -> list[str]:
    return page.locator(".model-card h2").all_inner_texts()


def details(page: Page, model: str) -> Locator:
    page.get_by_role("button", name=model, exact=True).click()
    return page.get_by_role("dialog", name=model)


def test_it_looks_well(browser_page: OpenWindow, reader: str, look: Look) -> None:
    view = browser_page(look, login=reader)
    page = view.open(f"/a/{ACCOUNT}/models")
    view.check_accessible()
    view.screenshot("models")
    dialog = details(page, "claude-opus-5")
    expect(dialog.get_by_text("$1.00")).to_be_visible()
    view.check_accessible()
    view.screenshot("models-detail", full=False)


def test_anybody_sees_the_public_ones(browser_page: OpenWindow, reader: str, look: Look) -> None:
    view = browser_page(look)
    page = view.open("/models")
    expect(page.get_by_role("heading", name=words(look, "nav.all_models"))).to_be_visible()
    assert "claude-opus-5" in cards(page)
    # Its group is not one that the status page shows.
    assert "half-chat" not in cards(page)
    dialog = details(page, "claude-opus-5")
    expect(dialog.get_by_role("link")).to_have_count(0)
    view.check_accessible()
    view.screenshot("models-public", full=False)


def test_it_is_searched_filtered_and_sorted(browser_page: OpenWindow, reader: str) -> None:
    page = browser_page(login=reader).open(f"/a/{ACCOUNT}/models")
    everything = cards(page)
    assert everything == sorted(everything, key=str.lower)
    page.get_by_role("searchbox", name="Search models").fill("claude")
    expect(page.locator(".model-card")).to_have_count(1)
    page.get_by_role("searchbox", name="Search models").fill("nothing like that")
    page.get_by_role("button", name="Show all models").click()
    expect(page.locator(".model-card")).to_have_count(len(everything))
    page.get_by_label("Kind").select_option("Embeddings")
    expect(page.locator(".model-card h2")).to_have_text(["text-embedding-3-small"])
    # The filter is part of the address: it can be linked to.
    assert "kind=embeddings" in page.url
    page.get_by_label("Kind").select_option("any")
    page.get_by_label("Native").select_option("Anthropic")
    expect(page.locator(".model-card h2")).to_have_text(["claude-opus-5"])
    page.get_by_label("Native").select_option("any")
    page.get_by_label("Group").select_option("half")
    expect(page.locator(".model-card h2")).to_have_text(["gpt-image-1", "half-chat", "text-embedding-3-small"])
    page.get_by_label("Sort by").select_option("price")
    expect(page.locator(".model-card h2")).to_have_text(["text-embedding-3-small", "half-chat", "gpt-image-1"])


def test_a_models_terms(browser_page: OpenWindow, reader: str) -> None:
    page = browser_page(login=reader).open(f"/a/{ACCOUNT}/models")
    half = details(page, "half-chat")
    expect(half.get_by_role("row", name="Input, 1M tokens")).to_contain_text("$1.50")
    expect(half.get_by_role("columnheader", name="half \N{MULTIPLICATION SIGN}0.5")).to_be_visible()
    page.keyboard.press("Escape")
    expect(half).to_have_count(0)
    image = details(page, "gpt-image-1")
    expect(image.get_by_role("row", name="An image")).to_contain_text("$0.02")
    page.keyboard.press("Escape")
    opus = details(page, "claude-opus-5")
    # By hand it costs less than its maker's list says.
    expect(opus.get_by_role("row", name="Output, 1M tokens")).to_contain_text(re.compile(r"\$2\.00\s*\$25\.00"))
    expect(opus.get_by_role("listitem").filter(has_text="Anthropic")).to_contain_text("native")
    expect(opus.get_by_role("listitem").filter(has_text="Gemini")).to_contain_text("translated")
    expect(opus).to_contain_text("has no effect: it is left out")
    # A viewer plays nowhere; whoever may goes on from here.
    expect(opus.get_by_role("link", name="Try it")).to_have_count(0)


def test_from_a_model_to_the_playground(browser_page: OpenWindow, people: People, reader: str) -> None:
    page = browser_page(login=people.make("models-player", roles={ACCOUNT: "member"})).open(f"/a/{ACCOUNT}/models")
    details(page, "thinker-r1").get_by_role("link", name="Try it").click()
    expect(page.locator(".play-model")).to_contain_text("thinker-r1")


def snippet(page: Page, dialect: str, language: str) -> str:
    dialog = page.get_by_role("dialog")
    dialog.get_by_role("button", name=dialect, exact=True).click()
    dialog.get_by_role("button", name=language, exact=True).click()
    dialog.locator(".code").get_by_role("button", name="Copy").click()
    expect(dialog.locator(".code").get_by_role("button", name="Copied")).to_be_visible()
    text: str = page.evaluate("() => navigator.clipboard.readText()")
    return text


def run(command: list[str], text: str, key: str) -> str:
    """Run what was copied as a person would, with the key in the environment, where the SDKs for Node are."""
    done = subprocess.run(  # noqa: S603 - what a person does with it
        command,
        input=text,
        env={"PATH": os.defpath, "TRUNKLINE_API_KEY": key},
        capture_output=True,
        text=True,
        timeout=RUN_TIMEOUT_S,
        check=False,
        cwd=NODE,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_what_is_copied_runs(browser_page: OpenWindow, surface: Surface, reader: str, key: str) -> None:
    playground.answers(surface, {"text": "Here is a «greeting»."})
    view = browser_page(login=reader)
    view.page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page = view.open(f"/a/{ACCOUNT}/models")
    details(page, "gpt-4o")
    for dialect in DIALECTS:
        assert HELLO in run(["bash", "-s"], snippet(page, dialect, "curl") + " -sSf", key), dialect
        assert HELLO in run([sys.executable, "-"], snippet(page, dialect, "Python"), key), dialect
        script = snippet(page, dialect, "JavaScript")
        if shutil.which("node") and (NODE / "node_modules").exists():
            assert HELLO in run(["node", "--input-type=module", "-"], script, key), dialect


def test_a_hostile_name_is_a_name(browser_page: OpenWindow, surface: Surface, reader: str, key: str) -> None:
    view = browser_page(login=reader)
    view.page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page = view.open(f"/a/{ACCOUNT}/models")
    name = "<img src=x onerror=alert(1)>"
    dialog = details(page, name)
    expect(dialog.get_by_role("heading", name=name)).to_be_visible()
    assert page.locator("main img").count() == 0
    for dialect in DIALECTS:
        run(["bash", "-s"], snippet(page, dialect, "curl") + " -sSf", key)
