"""The page of an account's keys."""

from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from tests.support.browser import Look, People, View
from tests.support.surface import ACCOUNT, Surface

OpenWindow = Callable[..., View]

HOSTILE = "<img src=x onerror=alert(1)>"


@pytest.fixture(scope="module")
def owner(people: People) -> str:
    return people.make("keys-owner", roles={ACCOUNT: "owner"})


@pytest.fixture(scope="module")
def viewer(people: People) -> str:
    return people.make("keys-viewer", roles={ACCOUNT: "viewer"})


def row_menu(page: Page, name: str, item: str) -> None:
    page.get_by_role("row", name=name).get_by_role("button", name="Actions").click()
    page.get_by_role("menuitem", name=item).click()


def key_of(surface: Surface, name: str) -> dict[str, object]:
    found: dict[str, object] = surface.admin("GET", f"/accounts/{ACCOUNT}/keys/{name}")
    return found


def test_the_list_looks_well(browser_page: OpenWindow, surface: Surface, owner: str, look: Look) -> None:
    names = [key["name"] for key in surface.admin("GET", f"/accounts/{ACCOUNT}/keys")]
    if "listed" not in names:
        surface.admin(
            "POST", f"/accounts/{ACCOUNT}/keys", {"name": "listed", "models": ["gpt-*", "claude-*", "a", "b"]}
        )
    view = browser_page(look, login=owner)
    page = view.open(f"/a/{ACCOUNT}/keys")
    expect(page.get_by_role("row", name="listed")).to_be_visible()
    view.check_accessible()
    view.screenshot("keys")


def test_a_key_is_made_shown_once_and_works(browser_page: OpenWindow, surface: Surface, owner: str) -> None:
    view = browser_page(login=owner)
    page = view.open(f"/a/{ACCOUNT}/keys")
    page.get_by_role("button", name="Create a key").first.click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Name").fill("made-here")
    dialog.get_by_text("Budgets and limits").click()
    dialog.get_by_label("Daily budget").fill("2.5")
    dialog.get_by_label("Requests per minute").fill("30")
    view.check_accessible()
    view.screenshot("keys-create", full=False)
    dialog.get_by_role("button", name="Create a key").click()
    secret = page.locator("[data-secret]").text_content()
    assert secret is not None
    view.check_accessible()
    page.keyboard.press("Escape")
    expect(page.locator("[data-secret]")).to_be_visible()
    page.get_by_role("button", name="I have kept it").click()
    expect(page.locator("[data-secret]")).to_have_count(0)
    expect(page.get_by_role("row", name="made-here")).to_be_visible()
    made = key_of(surface, "made-here")
    assert made["limits"] == {"rpm": 30}
    assert made["budgets"] == {"daily_nano": 2_500_000_000}
    surface.wait_for_status(secret, 200)


def test_what_the_server_refuses_stands_at_its_field(browser_page: OpenWindow, owner: str) -> None:
    view = browser_page(login=owner)
    view.expected(400, "/keys")
    page = view.open(f"/a/{ACCOUNT}/keys")
    page.get_by_role("button", name="Create a key").first.click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_role("button", name="Create a key").click()
    name = dialog.get_by_label("Name")
    expect(name).to_be_focused()
    expect(name).to_have_accessible_description("Says what the key is for. Name is needed.")
    name.fill("refused")
    dialog.get_by_text("Restrictions").click()
    addresses = dialog.get_by_role("combobox", name="Allowed addresses")
    addresses.fill("no address")
    addresses.press("Enter")
    dialog.get_by_role("button", name="Create a key").click()
    expect(addresses).to_have_attribute("aria-invalid", "true")
    expect(dialog.get_by_role("alert")).to_contain_text("What was sent is wrong")
    view.check_accessible()


def test_a_key_is_changed_blocked_rotated_and_deleted(browser_page: OpenWindow, surface: Surface, owner: str) -> None:
    surface.admin("POST", f"/accounts/{ACCOUNT}/keys", {"name": "short-lived", "budgets": {"monthly": "7"}})
    view = browser_page(login=owner)
    page = view.open(f"/a/{ACCOUNT}/keys")

    row_menu(page, "short-lived", "Change")
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_label("Monthly budget")).to_have_value("7")
    models = dialog.get_by_role("combobox", name="Models")
    dialog.get_by_role("button", name="Remove *").click()
    models.fill("gpt-*")
    models.press("Enter")
    dialog.get_by_role("button", name="Save").click()
    expect(page.get_by_role("status").get_by_text("The key is changed.")).to_be_visible()
    assert key_of(surface, "short-lived")["models"] == ["gpt-*"]
    assert key_of(surface, "short-lived")["budgets"] == {"monthly_nano": 7_000_000_000}

    row_menu(page, "short-lived", "Block")
    page.get_by_role("dialog").get_by_role("button", name="Block").click()
    expect(page.get_by_role("row", name="short-lived")).to_contain_text("Blocked")
    row_menu(page, "short-lived", "Unblock")
    expect(page.get_by_role("row", name="short-lived")).to_contain_text("Valid")

    before = key_of(surface, "short-lived")["prefix"]
    row_menu(page, "short-lived", "New secret")
    page.get_by_role("dialog").get_by_role("button", name="New secret").click()
    expect(page.locator("[data-secret]")).to_be_visible()
    page.get_by_role("button", name="I have kept it").click()
    assert key_of(surface, "short-lived")["prefix"] != before

    row_menu(page, "short-lived", "Delete")
    question = page.get_by_role("dialog")
    expect(question.get_by_role("button", name="Delete")).to_be_disabled()
    view.check_accessible()
    question.get_by_label("Type short-lived to confirm").fill("short-lived")
    question.get_by_role("button", name="Delete").click()
    expect(page.get_by_role("row", name="short-lived")).to_have_count(0)


def test_viewers_change_nothing(browser_page: OpenWindow, viewer: str) -> None:
    page = browser_page(login=viewer).open(f"/a/{ACCOUNT}/keys")
    expect(page.get_by_role("button", name="Create a key")).to_have_count(0)
    expect(page.get_by_role("button", name="Actions")).to_have_count(0)


def test_a_name_is_text_whatever_it_says(browser_page: OpenWindow, surface: Surface, owner: str) -> None:
    surface.admin("POST", f"/accounts/{ACCOUNT}/keys", {"name": HOSTILE})
    view = browser_page(login=owner)
    page = view.open(f"/a/{ACCOUNT}/keys")
    expect(page.get_by_role("row", name=HOSTILE)).to_be_visible()
    assert page.locator("main img").count() == 0
    row_menu(page, HOSTILE, "Delete")
    page.get_by_role("dialog").get_by_label(f"Type {HOSTILE} to confirm").fill(HOSTILE)
    page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    expect(page.get_by_role("row", name=HOSTILE)).to_have_count(0)
