"""The pages about people: an account's members, the site's logins, and who has changed what."""

from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.support.browser import PASSWORD, Look, People, View, words
from tests.support.surface import Surface

OpenWindow = Callable[..., View]

HOUSE = "house"
"""An account with one person of each role."""

ROLES = ("viewer", "member", "admin", "owner")


@pytest.fixture(scope="module")
def house(surface: Surface, people: People) -> str:
    surface.admin("POST", "/apply", {"accounts": [{"name": HOUSE, "credit": 5}]})
    for role in ROLES:
        people.make(f"house-{role}", roles={HOUSE: role})
    return HOUSE


@pytest.fixture(scope="module")
def operator(people: People, house: str) -> str:
    return people.make("people-operator", operator=True, roles={house: "viewer"})


def row(page: Page, name: str) -> Locator:
    return page.get_by_role("row").filter(has=page.get_by_text(name, exact=True))


def choose(page: Page, name: str, item: str) -> None:
    row(page, name).get_by_role("button", name="Actions").click()
    page.get_by_role("menuitem", name=item, exact=True).click()


def users(surface: Surface) -> dict[str, Any]:
    return {user["name"]: user for user in surface.admin("GET", f"/accounts/{HOUSE}/users")}


def test_they_look_well(browser_page: OpenWindow, operator: str, look: Look) -> None:
    view = browser_page(look, login=operator)
    for path in (f"/a/{HOUSE}/members", "/site/logins", "/site/audit"):
        page = view.open(path)
        expect(page.get_by_role("table").get_by_role("row").nth(2)).to_be_visible()
        view.check_accessible()
        view.screenshot(path.rpartition("/")[2])


# --- what a role sees ------------------------------------------------------------------------------------------------

LINKS = {
    "viewer": ["overview", "keys", "models", "usage", "billing", "alerts", "savings", "members"],
    "member": ["overview", "playground", "keys", "models", "usage", "savings"],
    "admin": ["overview", "playground", "keys", "models", "usage", "billing", "alerts", "savings", "members"],
}
LINKS["owner"] = LINKS["admin"]


@pytest.mark.parametrize("role", ROLES)
def test_the_navigation_has_what_a_role_may_see(browser_page: OpenWindow, house: str, role: str) -> None:
    view = browser_page(login=f"house-{role}")
    page = view.open(f"/a/{house}/models")
    links = page.get_by_role("navigation", name="Main").get_by_role("link")
    addresses = links.evaluate_all("all => all.map(a => a.getAttribute('href'))")
    own = [address.rpartition("/")[2] for address in addresses if address.startswith(f"#/a/{house}/")]
    assert own == LINKS[role]
    assert not [address for address in addresses if address.startswith("#/site/")]
    for hidden in sorted(set(LINKS["admin"]) - set(own)):
        view.open(f"/a/{house}/{hidden}")
        expect(page.get_by_role("heading", level=1)).to_have_text("Not for your role")
    # An account of others looks as one that is not there.
    view.open("/a/demo/models")
    expect(page.get_by_role("heading", level=1)).to_have_text("Not for your role")


REFUSED = [
    ("viewer", "POST", f"/accounts/{HOUSE}/keys", {"name": "x"}, 403),
    ("viewer", "POST", f"/accounts/{HOUSE}/members", {"login": "house-member"}, 403),
    ("viewer", "POST", f"/accounts/{HOUSE}/playground/chat", {"model": "demo", "messages": []}, 403),
    ("member", "GET", f"/accounts/{HOUSE}/users", None, 403),
    ("member", "GET", f"/accounts/{HOUSE}", None, 403),
    ("member", "GET", f"/accounts/{HOUSE}/audit", None, 403),
    ("member", "PATCH", f"/accounts/{HOUSE}/members/house-member", {"role": "owner"}, 403),
    ("admin", "PATCH", f"/accounts/{HOUSE}/members/house-admin", {"role": "owner"}, 403),
    ("admin", "DELETE", f"/accounts/{HOUSE}/members/house-owner", None, 403),
    ("admin", "PATCH", f"/accounts/{HOUSE}", {"time_zone": "Asia/Shanghai"}, 403),
    ("owner", "PATCH", f"/accounts/{HOUSE}", {"groups": ["default"]}, 403),
    ("owner", "POST", f"/accounts/{HOUSE}/credit", {"amount": "1", "reference": "gift"}, 403),
    ("owner", "GET", "/logins", None, 403),
    ("owner", "GET", "/audit", None, 403),
    ("owner", "POST", "/logins/house-owner/approve", None, 403),
    ("owner", "DELETE", f"/accounts/{HOUSE}/members/house-owner", None, 409),
]


@pytest.mark.parametrize("role", ROLES)
def test_what_the_page_does_not_offer_is_refused(
    browser_page: OpenWindow, surface: Surface, house: str, role: str
) -> None:
    view = browser_page(login=f"house-{role}")
    for who, method, path, body, status in REFUSED:
        if who == role:
            answer = view.send(method, path, body)
            assert (method, path, answer.status) == (method, path, status), answer.text()
    roles = {name: user["role"] for name, user in users(surface).items() if name.startswith("house-")}
    assert roles == {f"house-{each}": each for each in ROLES}


# --- members ---------------------------------------------------------------------------------------------------------


def test_an_admin_adds_and_removes_people(
    browser_page: OpenWindow, surface: Surface, people: People, house: str
) -> None:
    people.make("house-guest")
    view = browser_page(login="house-admin")
    page = view.open(f"/a/{house}/members")
    page.get_by_role("button", name="Add a member").click()
    dialog = page.get_by_role("dialog")
    # Nobody gives a role above their own.
    expect(dialog.get_by_label("Role").get_by_role("option")).to_have_text(["Viewer", "Member", "Admin"])
    dialog.get_by_label("Login").fill("nobody-of-this-name")
    view.expected(400, "/members")
    dialog.get_by_role("button", name="Add a member").click()
    expect(dialog.get_by_role("alert")).to_be_visible()
    dialog.get_by_label("Login").fill("house-guest")
    dialog.get_by_label("Role").select_option("viewer")
    view.check_accessible()
    dialog.get_by_role("button", name="Add a member").click()
    expect(row(page, "house-guest")).to_contain_text("Viewer")

    choose(page, "house-guest", "Change role")
    page.get_by_role("dialog").get_by_label("Role").select_option("member")
    page.get_by_role("dialog").get_by_role("button", name="Save").click()
    expect(row(page, "house-guest")).to_contain_text("Member")

    surface.admin("POST", f"/accounts/{house}/keys", {"name": "of-guest", "user": "house-guest"})
    page.reload()
    view.settle()
    choose(page, "house-guest", "Remove")
    page.get_by_role("dialog").get_by_role("button", name="Remove").click()
    expect(row(page, "house-guest")).to_contain_text("no login")
    assert surface.admin("GET", f"/accounts/{house}/keys/of-guest")["blocked"] is True

    # Of who stands above, nothing can be changed.
    row(page, "house-owner").get_by_role("button", name="Actions").click()
    expect(page.get_by_role("menuitem", name="Change role")).to_be_disabled()
    expect(page.get_by_role("menuitem", name="Remove")).to_be_disabled()


def test_a_user_without_a_login_has_limits_of_its_own(browser_page: OpenWindow, surface: Surface, house: str) -> None:
    view = browser_page(login="house-owner")
    page = view.open(f"/a/{house}/members")
    page.get_by_role("button", name="New user").click()
    page.get_by_role("dialog").get_by_label("User").fill("batch-jobs")
    page.get_by_role("dialog").get_by_role("button", name="New user").click()
    choose(page, "batch-jobs", "Limits and budgets")
    dialog = page.get_by_role("dialog")
    dialog.get_by_label(words(view.look, "terms.budget.daily")).fill("1.5")
    dialog.get_by_label(words(view.look, "terms.limit.rpm")).fill("20")
    view.check_accessible()
    dialog.get_by_role("button", name="Save").click()
    expect(dialog).to_have_count(0)
    made = users(surface)["batch-jobs"]
    assert (made["limits"], made["budgets"]) == ({"rpm": 20}, {"daily_nano": 1_500_000_000})
    choose(page, "batch-jobs", "Delete")
    page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    expect(row(page, "batch-jobs")).to_have_count(0)


def test_a_viewer_looks_at_members_and_changes_nothing(browser_page: OpenWindow, house: str) -> None:
    page = browser_page(login="house-viewer").open(f"/a/{house}/members")
    expect(row(page, "house-owner")).to_contain_text("Owner")
    expect(page.get_by_role("main").get_by_role("button", name="Add a member")).to_have_count(0)
    expect(page.get_by_role("main").get_by_role("button", name="Actions")).to_have_count(0)


# --- logins ----------------------------------------------------------------------------------------------------------


def test_an_operator_makes_a_login_and_passes_its_link_on(
    browser_page: OpenWindow, surface: Surface, operator: str
) -> None:
    view = browser_page(login=operator)
    page = view.open("/site/logins")
    page.get_by_role("button", name="New login").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Name", exact=True).fill("newly-made")
    view.check_accessible()
    dialog.get_by_role("button", name="New login").click()
    link = page.locator("[data-secret]").text_content() or ""
    assert link.startswith(f"{view.url}/#/set-password/")
    view.check_accessible()
    stranger = browser_page()
    stranger.page.goto(link)
    stranger.settle()
    stranger.page.get_by_label("New password", exact=True).fill(PASSWORD)
    stranger.page.get_by_role("button", name="Save").click()
    expect(stranger.page.get_by_text("The password of newly-made is set.")).to_be_visible()
    assert surface.admin("GET", "/accounts/newly-made")["name"] == "newly-made"


def test_a_login_is_blocked_and_deleted(browser_page: OpenWindow, people: People, operator: str) -> None:
    person = browser_page(login=people.make("out-of-here"))
    person.expected(401, "/admin/v1/")
    person.expected(403, "/session")
    person.open("/me")
    view = browser_page(login=operator)
    page = view.open("/site/logins?find=out-of-here")
    choose(page, "out-of-here", "Block")
    page.get_by_role("dialog").get_by_role("button", name="Block").click()
    expect(row(page, "out-of-here")).to_contain_text("blocked")
    person.page.reload()
    person.page.wait_for_url("**/#/sign-in*")
    person.page.get_by_label("Name or e-mail address").fill("out-of-here")
    person.page.get_by_label("Password", exact=True).fill(PASSWORD)
    person.page.get_by_role("main").get_by_role("button", name="Sign in").click()
    expect(person.page.get_by_role("alert")).to_contain_text("blocked")
    choose(page, "out-of-here", "Unblock")
    expect(row(page, "out-of-here")).to_contain_text("active")
    choose(page, "out-of-here", "Delete")
    question = page.get_by_role("dialog")
    question.get_by_label("Type out-of-here to confirm").fill("out-of-here")
    question.get_by_role("button", name="Delete").click()
    expect(page.get_by_text("Nobody here")).to_be_visible()
    view.check_accessible()


@pytest.mark.parametrize("look", [Look(), Look("zh", "dark", 360)], ids=str)
def test_keys_go_with_who_is_kept_out_if_that_is_chosen(
    browser_page: OpenWindow, surface: Surface, people: People, operator: str, look: Look
) -> None:
    name = f"leaver-{look.language}"
    person = browser_page(login=people.make(name, roles={HOUSE: "admin"}))
    for key, body in ((f"{name}-own", {"user": name}), (f"{name}-shared", {})):
        assert person.send("POST", f"/accounts/{HOUSE}/keys", {"name": key, **body}).status == 201
    view = browser_page(look, login=operator)
    page = view.open(f"/site/logins?find={name}")
    row(page, name).get_by_role("button").last.click()
    page.get_by_role("menuitem", name=words(look, "logins.block"), exact=True).click()
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_role("listitem")).to_have_count(2)
    expect(dialog).to_contain_text(f"{HOUSE}/{name}-shared")
    switch = dialog.get_by_role("switch", name=words(look, "held.withdraw"))
    expect(switch).not_to_be_checked()
    dialog.get_by_text(words(look, "held.withdraw")).click()
    expect(switch).to_be_checked()
    view.check_accessible()
    view.screenshot("withdraw-keys")
    dialog.get_by_role("button", name=words(look, "logins.block"), exact=True).click()
    expect(dialog).to_have_count(0)
    for key in ("own", "shared"):
        assert surface.admin("GET", f"/accounts/{HOUSE}/keys/{name}-{key}")["blocked_by"] == "operator"
    # The account's own people see by whom, and cannot undo it.
    owner = browser_page(look, login="house-owner")
    page = owner.open(f"/a/{HOUSE}/keys?find={name}-shared")
    blocked = row(page, f"{name}-shared")
    expect(blocked).to_contain_text(words(look, "keys.blocked_by.operator"))
    owner.check_accessible()
    blocked.get_by_role("button").last.click()
    for item in ("keys.unblock", "keys.delete"):
        expect(page.get_by_role("menuitem", name=words(look, item), exact=True)).to_be_disabled()


def test_keys_that_are_not_their_own_go_with_a_member(
    browser_page: OpenWindow, surface: Surface, people: People, house: str
) -> None:
    person = browser_page(login=people.make("house-leaver", roles={house: "admin"}))
    for key, body in (("leaver-own", {"user": "house-leaver"}), ("leaver-shared", {})):
        assert person.send("POST", f"/accounts/{house}/keys", {"name": key, **body}).status == 201
    view = browser_page(login="house-owner")
    page = view.open(f"/a/{house}/members")
    choose(page, "house-leaver", "Remove")
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_role("listitem")).to_have_count(1)
    expect(dialog.get_by_role("listitem")).to_contain_text(f"{house}/leaver-shared")
    dialog.get_by_text("Block these keys, too").click()
    view.check_accessible()
    dialog.get_by_role("button", name="Remove").click()
    expect(dialog).to_have_count(0)
    keys = {key["name"]: key["blocked_by"] for key in surface.admin("GET", f"/accounts/{house}/keys")}
    assert (keys["leaver-own"], keys["leaver-shared"]) == ("owner", "owner")


# --- the audit log ---------------------------------------------------------------------------------------------------


def test_a_change_is_written_down_with_before_and_after(
    browser_page: OpenWindow, surface: Surface, operator: str
) -> None:
    surface.admin("POST", "/accounts", {"name": "watched"})
    surface.admin("PATCH", "/accounts/watched", {"time_zone": "Asia/Shanghai"})
    created = surface.admin("POST", "/accounts/watched/keys", {"name": "seen"})
    view = browser_page(Look("zh"), login=operator)
    page = view.open("/site/audit?account=watched")
    rows = page.get_by_role("row")
    expect(rows).to_have_count(3)
    expect(rows.nth(1)).to_contain_text("create_key")
    rows.filter(has_text="change_account").get_by_role("button").click()
    page.get_by_role("menuitem").click()
    dialog = page.get_by_role("dialog")
    changed = dialog.get_by_role("row").filter(has_text="time_zone").get_by_role("cell")
    expect(changed).to_have_text(["time_zone", "UTC", "Asia/Shanghai"])
    view.check_accessible()
    page.keyboard.press("Escape")
    rows.filter(has_text="create_key").get_by_role("button").click()
    page.get_by_role("menuitem").click()
    expect(dialog).to_contain_text("seen")
    assert created["secret"] not in (dialog.text_content() or "")
    page.keyboard.press("Escape")
    page.get_by_role("button", name=words(view.look, "audit.clear")).click()
    page.wait_for_url("**/#/site/audit")
