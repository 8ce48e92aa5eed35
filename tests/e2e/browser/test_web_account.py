"""The pages of an account's usage and money: overview, usage, billing, alerts, cost comparison, announcements."""

import csv
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.support.browser import Look, People, View, words
from tests.support.stack import until
from tests.support.surface import Surface
from trunkline.cli import http

OpenWindow = Callable[..., View]

ACCOUNT: Final = "spenders"
NEW_ACCOUNT: Final = "newcomers"
MANY: Final = "many-requests"
PAGE: Final = 50
"""Requests that the page reads at a time."""

HOSTILE_MODEL: Final = "<img src=x onerror=window.hacked=1>"
HOSTILE_KEY: Final = "<svg onload=window.hacked=2>"

MODELS: Final = {
    "spend-large": "demo",
    "spend-small": "demo",
    "spend-limited": "demo?status=429&retry_after=1",
    HOSTILE_MODEL: "demo",
}
PRICES: Final = {"spend-large": 10, "spend-small": 1, "spend-limited": 5, HOSTILE_MODEL: 2}
FAMILY: Final = {"models": ["spend-*"], "monthly": "9"}
SETTLED_WITHIN_S: Final = 15.0

PAGES: Final = (
    f"/a/{ACCOUNT}/overview",
    f"/a/{ACCOUNT}/usage",
    f"/a/{ACCOUNT}/billing",
    f"/a/{ACCOUNT}/alerts",
    f"/a/{ACCOUNT}/savings",
    f"/a/{NEW_ACCOUNT}/overview",
    f"/a/{NEW_ACCOUNT}/billing",
    "/site/usage",
)


def ask(surface: Surface, secret: str, model: str) -> int:
    """Send a chat to the gateway, and return the answer's status."""
    body = json.dumps({"model": model, "messages": [{"role": "user", "content": "Hello"}]}).encode()
    headers = {"authorization": f"Bearer {secret}", "content-type": "application/json"}
    return http.call("POST", f"{surface.ready.base_url}/v1/chat/completions", body=body, headers=headers).status


@pytest.fixture(scope="module")
def member(surface: Surface, people: People) -> str:
    surface.admin("POST", "/apply", configuration(surface.ready.upstream_url))
    return people.make("spender-member", roles={ACCOUNT: "member"})


@pytest.fixture(scope="module")
def owner(surface: Surface, people: People, member: str) -> str:
    """An owner of an account with eight attempts: six answers, of them one of the member's, and two failures."""
    name = people.make("spender-owner", operator=False, roles={ACCOUNT: "owner", NEW_ACCOUNT: "owner"})
    secrets = {key: surface.new_key(ACCOUNT, key) for key in ("course", HOSTILE_KEY)}
    own = surface.new_key(ACCOUNT, "own", user=member)
    for key, model in (
        ("course", "spend-large"),
        ("course", "spend-large"),
        ("course", "spend-small"),
        (HOSTILE_KEY, "spend-small"),
        (HOSTILE_KEY, HOSTILE_MODEL),
    ):
        surface.wait_for_status(secrets[key], 200, f"/v1/models/{http_name(model)}")
        assert ask(surface, secrets[key], model) == 200
    assert ask(surface, own, "spend-small") == 200
    for _ in range(2):
        assert ask(surface, secrets["course"], "spend-limited") == 429
    until(lambda: settled(surface), SETTLED_WITHIN_S, "all requests are settled")
    return name


@pytest.fixture(scope="module")
def operator(people: People, owner: str) -> str:
    return people.make("spender-operator", operator=True, roles={ACCOUNT: "owner", NEW_ACCOUNT: "owner"})


def settled(surface: Surface) -> bool:
    """Return whether all that `owner` asks is settled: answers and failures come to metering each by themselves."""
    found = totals(surface)
    return bool(found["requests"] == 6 and found["errors"] >= 2)


def http_name(model: str) -> str:
    return model.replace("<", "%3C").replace(">", "%3E").replace(" ", "%20")


def totals(surface: Surface, query: str = "") -> dict[str, Any]:
    found: dict[str, Any] = surface.admin("GET", f"/accounts/{ACCOUNT}/usage/overview{query}")["totals"]
    return found


def configuration(upstream_url: str) -> dict[str, object]:
    return {
        "channels": [
            {
                "name": "spend-main",
                "dialect": "openai",
                "base_url": f"{upstream_url}/v1",
                "credentials": ["sk-spend"],
                "models": MODELS,
            }
        ],
        "models": [{"name": name, "price": {"input": price, "output": price}} for name, price in PRICES.items()],
        "accounts": [
            {
                "name": ACCOUNT,
                "credit": 25,
                "budgets": {"daily": "5", "models": [{"models": ["spend-*"], "monthly": 9}]},
            },
            {"name": NEW_ACCOUNT},
            {"name": MANY, "credit": 1},
        ],
    }


def figure(page: Page, label: str) -> Locator:
    """Return what stands under a label among a page's figures; a busy page still shows the last ones for a moment."""
    stat = page.locator(".stat").filter(has=page.locator("dt", has_text=re.compile(f"^{label}")))
    return stat.locator(".stat-value")


@pytest.mark.parametrize("path", PAGES)
def test_the_pages_look_well(browser_page: OpenWindow, operator: str, look: Look, path: str) -> None:
    view = browser_page(look, login=operator)
    view.open(path)
    view.check_accessible()
    view.screenshot("account" + path.replace("/", "-"))


def test_the_overview_says_what_was_used_and_what_is_left(
    browser_page: OpenWindow, surface: Surface, owner: str
) -> None:
    page = browser_page(login=owner).open(f"/a/{ACCOUNT}/overview")
    expect(figure(page, "Requests")).to_have_text("6")
    assert totals(surface)["errors"] >= 2
    balance = surface.admin("GET", f"/accounts/{ACCOUNT}")["balance_nano"]
    assert page.locator(".balance").inner_text() == f"${balance / 1e9:.2f}"
    budgets = page.get_by_role("progressbar")
    expect(budgets).to_have_count(2)
    expect(page.get_by_text("Monthly budget · spend-*")).to_be_visible()
    for name in ("Requests", "Tokens", "Errors", "Latency"):
        page.get_by_role("button", name=name, exact=True).click()
        expect(page.locator(".chart-canvas canvas")).to_have_count(1)
    page.get_by_role("button", name="Show as table").click()
    expect(page.locator(".chart-table tbody tr")).to_have_count(7)
    models = page.get_by_role("list", name="Top models")
    expect(models.get_by_role("listitem").first).to_contain_text("spend-large")
    models.get_by_role("link", name="spend-large").click()
    expect(page).to_have_url(re.compile(r"#/a/spenders/usage\?model=spend-large$"))


def test_a_member_sees_their_own_usage_and_no_money(browser_page: OpenWindow, owner: str, member: str) -> None:
    view = browser_page(login=member)
    page = view.open(f"/a/{ACCOUNT}/overview")
    expect(figure(page, "Requests")).to_have_text("1")
    expect(page.locator(".balance")).to_have_count(0)
    expect(page.get_by_role("progressbar")).to_have_count(0)
    expect(page.get_by_role("navigation", name="Main").get_by_role("link", name="Billing")).to_have_count(0)
    page = view.open(f"/a/{ACCOUNT}/usage?by=key")
    expect(page.get_by_role("table", name="Requests").locator("tbody tr")).to_have_count(1)
    expect(page.get_by_role("table", name="Broken down by").locator("tbody tr")).to_have_count(1)
    page = view.open(f"/a/{ACCOUNT}/savings")
    expect(page.get_by_role("table", name="What was used").locator("tbody tr")).to_have_count(1)
    expect(page.get_by_text("Where you could pay less")).to_have_count(0)


def test_a_new_account_is_told_what_to_do_next(browser_page: OpenWindow, owner: str) -> None:
    view = browser_page(login=owner)
    page = view.open(f"/a/{NEW_ACCOUNT}/overview")
    steps = page.get_by_role("listitem").filter(has=page.locator(".step-mark"))
    expect(steps).to_have_count(4)
    expect(steps.first).to_contain_text("Get credit")
    page.get_by_role("link", name="Open the playground").click()
    expect(page).to_have_url(re.compile(f"#/a/{NEW_ACCOUNT}/playground$"))
    view.settle()


def test_usage_is_filtered_and_looked_into(browser_page: OpenWindow, surface: Surface, owner: str) -> None:
    view = browser_page(login=owner)
    page = view.open(f"/a/{ACCOUNT}/usage")
    page.get_by_role("button", name="Filter", exact=True).click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_role("button", name="Key", exact=True).click()
    dialog.get_by_role("searchbox", name="Find").fill("cour")
    view.check_accessible()
    view.screenshot("usage-filter", full=False)
    dialog.get_by_role("button", name="course").click()
    expect(page).to_have_url(re.compile("key=course"))
    view.settle()
    expect(figure(page, "Requests")).to_have_text("3")
    page.get_by_role("table", name="Broken down by").get_by_role("button", name="spend-large").click()
    view.settle()
    expect(figure(page, "Requests")).to_have_text("2")
    rows = page.get_by_role("table", name="Requests").locator("tbody tr")
    expect(rows).to_have_count(2)

    rows.first.get_by_role("button").click()
    side = page.get_by_role("dialog", name="Request")
    expect(side.get_by_text("Price version")).to_be_visible()
    job = side.locator("code").first.inner_text()
    charge = surface.admin("GET", f"/accounts/{ACCOUNT}/usage/requests/{job}")["charge_nano"]
    expect(side).to_contain_text(f"${charge / 1e9:.9f}".rstrip("0"))
    view.check_accessible()
    view.screenshot("usage-request", full=False)
    side.get_by_role("button", name="Close").click()
    expect(side).to_have_count(0)

    page.get_by_role("button", name="Remove spend-large").click()
    page.get_by_role("button", name="Remove course").click()
    page.get_by_text("Only errors").click()
    view.settle()
    expect(figure(page, "Requests")).to_have_text("0")
    expect(rows.first).to_contain_text("Limited by the provider")
    # A link to what is seen shows the same.
    page.reload()
    view.settle()
    expect(page.get_by_role("switch", name="Only errors")).to_be_checked()
    expect(rows.first).to_contain_text("spend-limited")


def test_what_is_seen_can_be_taken_along(
    browser_page: OpenWindow, surface: Surface, owner: str, tmp_path: Path
) -> None:
    page = browser_page(login=owner).open(f"/a/{ACCOUNT}/usage?model=spend-small")
    with page.expect_download() as download:
        page.get_by_role("link", name="Export CSV").click()
    file = tmp_path / "usage.csv"
    download.value.save_as(file)
    rows = list(csv.DictReader(file.read_text().splitlines()))
    assert {row["model"] for row in rows} == {"spend-small"}
    assert len(rows) == totals(surface, "?model=spend-small")["attempts"] == 3
    assert "channel" not in rows[0]


def test_the_sites_usage_has_channels_and_costs(browser_page: OpenWindow, owner: str, operator: str) -> None:
    view = browser_page(login=operator)
    page = view.open(f"/site/usage?account={ACCOUNT}&by=channel")
    expect(page.get_by_role("columnheader", name="Margin")).to_be_visible()
    page.get_by_role("table", name="Broken down by").get_by_role("button", name="spend-main").click()
    expect(page).to_have_url(re.compile("channel=spend-main"))
    view.settle()
    expect(figure(page, "Requests")).to_have_text("6")
    page.get_by_role("table", name="Requests").locator("tbody tr").first.get_by_role("button").click()
    side = page.get_by_role("dialog", name="Request")
    expect(side.get_by_role("link", name="spend-main").first).to_be_visible()
    expect(side.get_by_role("link", name="Why it went there")).to_be_visible()
    view.check_accessible()


def test_budgets_are_changed(browser_page: OpenWindow, surface: Surface, owner: str) -> None:
    view = browser_page(login=owner)
    page = view.open(f"/a/{ACCOUNT}/billing")
    card = page.get_by_role("region", name="Budgets")
    card.get_by_role("button", name="Change").click()
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_label("Daily budget")).to_have_value("5")
    dialog.get_by_label("Monthly budget").fill("much")
    dialog.get_by_role("button", name="Save").click()
    expect(dialog.get_by_label("Monthly budget")).to_have_attribute("aria-invalid", "true")
    dialog.get_by_label("Monthly budget").fill("12.5")
    view.check_accessible()
    dialog.get_by_role("button", name="Save").click()
    expect(card.get_by_text("of $12.50")).to_be_visible()
    assert surface.admin("GET", f"/accounts/{ACCOUNT}/budgets") == {
        "daily_nano": 5_000_000_000,
        "monthly_nano": 12_500_000_000,
        "models": [{"models": ["spend-*"], "monthly_nano": 9_000_000_000}],
    }


def test_a_code_is_redeemed_once(browser_page: OpenWindow, surface: Surface, owner: str) -> None:
    [code] = surface.admin("POST", "/codes", {"usd": "3", "count": 1})["codes"]
    view = browser_page(login=owner)
    page = view.open(f"/a/{NEW_ACCOUNT}/billing")
    expect(figure(page, "Balance")).to_have_text("$0.00")
    field = page.get_by_label("Redemption code")
    field.fill(f" {code.lower()} ")
    page.get_by_role("button", name="Redeem").click()
    expect(page.get_by_role("status").get_by_text("$3.00 came into the balance.")).to_be_visible()
    expect(page.locator(".stat-value").first).to_have_text("$3.00")
    expect(page.get_by_role("table", name="Entries").locator("tbody tr")).to_contain_text(["Code"])
    # The last of what is read anew: the end of this redemption would take the error of the next one away.
    expect(figure(page, "Came in this month")).to_have_text("$3.00")
    expect(field).to_have_value("")
    view.expected(404, "/redemptions")
    view.expected(400, "/redemptions")
    field.fill("no such code")
    page.get_by_role("button", name="Redeem").click()
    expect(page.get_by_role("alert")).to_be_visible()


def test_an_invoice_is_made_out_and_downloaded(browser_page: OpenWindow, owner: str, tmp_path: Path) -> None:
    view = browser_page(login=owner)
    page = view.open(f"/a/{ACCOUNT}/billing")
    page.get_by_role("region", name="Billing address").get_by_role("button", name="Change").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Made out to").fill(f"Institute\n{HOSTILE_KEY}")
    dialog.get_by_role("button", name="Save").click()
    expect(page.get_by_role("region", name="Billing address")).to_contain_text(f"Institute\n{HOSTILE_KEY}")
    with page.expect_download() as download:
        page.get_by_role("link", name="Download the invoice of").first.click()
    file = tmp_path / "invoice.pdf"
    download.value.save_as(file)
    assert file.read_bytes().startswith(b"%PDF-")


def test_alerts_are_set_tested_and_listed(browser_page: OpenWindow, surface: Surface, owner: str) -> None:
    view = browser_page(login=owner)
    page = view.open(f"/a/{ACCOUNT}/alerts")
    expect(page.get_by_role("button", name="Send a test")).to_be_disabled()
    page.get_by_label("When the balance falls below").fill("10")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("Nobody would be told")).to_be_visible()
    email = page.get_by_role("combobox", name="By e-mail to")
    email.fill("no address")
    email.press("Enter")
    view.expected(400, "/alerts")
    page.get_by_role("button", name="Save").click()
    expect(email).to_have_attribute("aria-invalid", "true")
    page.get_by_role("button", name="Remove no address").click()
    email.fill("ops@example.com")
    email.press("Enter")
    shares = page.get_by_role("combobox", name="When so much of a budget is used")
    shares.fill("80")
    shares.press("Enter")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("status").get_by_text("The alerts are changed.")).to_be_visible()
    shown = surface.admin("GET", f"/accounts/{ACCOUNT}/alerts")
    assert (shown["balance_below_nano"], shown["budget_percent"]) == (10_000_000_000, [80])
    assert (shown["email"], shown["webhook"]) == (["ops@example.com"], None)
    page.get_by_role("button", name="Send a test").click()
    row = page.get_by_role("table", name="What was told").locator("tbody tr").first
    expect(row).to_contain_text("A test")
    expect(row).to_contain_text("ops@example.com")
    view.check_accessible()
    view.screenshot("alerts-told")


def test_usage_is_compared_with_other_models(browser_page: OpenWindow, surface: Surface, owner: str) -> None:
    page = browser_page(login=owner).open(f"/a/{ACCOUNT}/savings")
    found = surface.admin("GET", f"/accounts/{ACCOUNT}/prices/compare")
    expect(figure(page, "On the cheapest model")).to_have_text(re.compile(r"^\$0\.0"))
    rows = page.get_by_role("table", name="The same usage on other models").locator("tbody tr")
    expect(rows.first).to_contain_text(found["models"][0]["model"])
    hint = page.locator(".hints li").first
    expect(hint).to_contain_text("spend-small instead of spend-large costs 90% less")
    page.get_by_role("table", name="What was used").get_by_role("link", name="spend-large").click()
    expect(page).to_have_url(re.compile(r"#/a/spenders/usage\?model=spend-large&from=\d{4}-\d{2}-01&to="))


def test_names_are_text_whatever_they_say(browser_page: OpenWindow, surface: Surface, owner: str) -> None:
    view = browser_page(login=owner)
    for path in ("overview", "usage", "usage?by=key", "savings", f"usage?model={HOSTILE_MODEL}&key=%3Cb%3E"):
        view.expected(404, "/usage/")  # of the last one: there is no key of that name
        page = view.open(f"/a/{ACCOUNT}/{path}")
        assert page.locator("main img, main script").count() == 0, path
        assert page.evaluate("window.hacked") is None, path
    page = view.open(f"/a/{ACCOUNT}/usage")
    table = page.get_by_role("table", name="Broken down by")
    expect(table.get_by_role("button", name=HOSTILE_MODEL)).to_be_visible()
    view.open(f"/a/{ACCOUNT}/usage?by=key")
    expect(table.get_by_role("button", name=HOSTILE_KEY)).to_be_visible()


SPANS: Final = [
    # Summer time began in New York on 2026-03-08: the day before has five hours to UTC, the day after four.
    (
        {"span": "7d"},
        "America/New_York",
        "2026-03-10T15:20:00Z",
        "2026-03-04T05:00:00.000Z",
        "2026-03-10T16:00:00.000Z",
    ),
    ({"span": "24h"}, "Asia/Shanghai", "2026-03-10T15:20:00Z", "2026-03-09T16:00:00.000Z", "2026-03-10T16:00:00.000Z"),
    ({"span": "30d"}, "Asia/Shanghai", "2026-03-10T16:30:00Z", "2026-02-09T16:00:00.000Z", "2026-03-10T17:00:00.000Z"),
    (
        {"span": "days", "from": "2026-03-09", "to": "2026-03-08"},
        "America/New_York",
        "2026-04-01T00:00:00Z",
        "2026-03-08T05:00:00.000Z",
        "2026-03-10T04:00:00.000Z",
    ),
    # A day that runs ends now; what is no day at all is the usual span.
    (
        {"span": "days", "from": "2026-03-10", "to": "2026-03-31"},
        "UTC",
        "2026-03-10T15:20:00Z",
        "2026-03-10T00:00:00.000Z",
        "2026-03-10T16:00:00.000Z",
    ),
    (
        {"span": "days", "from": "yesterday", "to": "<b>"},
        "UTC",
        "2026-03-10T15:20:00Z",
        "2026-03-04T00:00:00.000Z",
        "2026-03-10T16:00:00.000Z",
    ),
]


def test_spans_begin_with_days_of_the_accounts_time_zone(browser_page: OpenWindow) -> None:
    page = browser_page().open("/prices")
    found = page.evaluate(
        """async (spans) => {
            const main = document.querySelector("script[type=module][src$='main.js']").src;
            const { bounds } = await import(new URL("pages/usage/span.js", main));
            return spans.map(([chosen, zone, now]) => Object.values(bounds(chosen, zone, Date.parse(now))));
        }""",
        [list(span[:3]) for span in SPANS],
    )
    assert found == [list(span[3:]) for span in SPANS]


def test_a_long_list_comes_page_by_page(browser_page: OpenWindow, surface: Surface, owner: str, operator: str) -> None:
    secret = surface.new_key(MANY, "busy")
    for _ in range(PAGE + 5):
        assert ask(surface, secret, "spend-small") == 200
    overview = f"/accounts/{MANY}/usage/overview"
    until(lambda: surface.admin("GET", overview)["totals"]["attempts"] == PAGE + 5, SETTLED_WITHIN_S, "all are settled")
    page = browser_page(login=operator).open(f"/a/{MANY}/usage")
    rows = page.get_by_role("table", name="Requests").locator("tbody tr")
    expect(rows).to_have_count(PAGE)
    page.get_by_role("button", name="Show more").click()
    expect(rows).to_have_count(PAGE + 5)
    expect(page.get_by_role("button", name="Show more")).to_have_count(0)


def test_a_trial_is_shown_until_it_is_over(
    browser_page: OpenWindow, surface: Surface, owner: str, operator: str
) -> None:
    surface.admin("POST", "/apply", {"trial": {"amount": "5", "days": 14}})
    surface.admin("POST", "/accounts", {"name": "triers", "trial": True})
    surface.admin("POST", "/apply", {"trial": {"amount": "0", "days": 14}})
    page = browser_page(login=operator).open("/a/triers/billing")
    expect(page.get_by_text("in 2 weeks")).to_be_visible()
    expect(figure(page, "Free trial")).to_have_text("$5.00")
    expect(page.get_by_role("table", name="Entries").locator("tbody tr")).to_contain_text(["Free trial"])


def test_viewers_change_nothing(browser_page: OpenWindow, people: People, owner: str) -> None:
    view = browser_page(login=people.make("spender-viewer", roles={ACCOUNT: "viewer"}))
    page = view.open(f"/a/{ACCOUNT}/billing")
    expect(page.get_by_role("table", name="Invoices")).to_be_visible()
    expect(page.get_by_role("button", name="Change")).to_have_count(0)
    expect(page.get_by_label("Redemption code")).to_have_count(0)
    page = view.open(f"/a/{ACCOUNT}/alerts")
    expect(page.get_by_role("term").filter(has_text="By webhook to")).to_be_visible()
    expect(page.get_by_role("button", name="Save")).to_have_count(0)
    expect(page.get_by_role("button", name="Show the secret")).to_have_count(0)


@pytest.fixture
def announcement(surface: Surface) -> Iterator[int]:
    """One that is shown; taken away afterwards, since it would stand above the pages of other tests."""
    texts = {
        "en": f"**Maintenance** on Sunday {HOSTILE_MODEL} [notes](javascript:window.hacked=3)",
        "zh": "周日**维护**",
    }
    made = surface.admin("POST", "/announcements", {"texts": texts, "level": "warning"})
    yield made["id"]
    surface.admin("DELETE", f"/announcements/{made['id']}")


def test_an_announcement_stands_above_every_page_until_it_is_read(
    browser_page: OpenWindow, owner: str, look: Look, announcement: int
) -> None:
    assert announcement
    view = browser_page(look, login=owner)
    page = view.open(f"/a/{ACCOUNT}/alerts")
    banner = page.get_by_role("region", name=words(look, "banner.label"), exact=True)
    expect(banner.locator("strong")).to_have_text("Maintenance" if look.language == "en" else "维护")
    assert page.locator("main img").count() == 0
    assert page.evaluate("window.hacked") is None
    view.check_accessible()
    view.screenshot("announcement", full=False)
    view.open(f"/a/{ACCOUNT}/overview")
    banner.get_by_role("button", name=words(look, "common.close")).click()
    expect(banner).to_have_count(0)
    page.reload()
    view.settle()
    expect(banner).to_have_count(0)
    # It can be read again among all that is announced.
    expect(page.get_by_role("region", name=words(look, "overview.announcements")).locator("strong")).to_be_visible()
