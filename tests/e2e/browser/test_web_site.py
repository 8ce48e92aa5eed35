"""The pages of the site's operators on accounts, keys, money, announcements, settings and configuration files."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import asyncpg
import pytest
from playwright.sync_api import Locator, Page, expect

from tests.support.browser import Look, People, View, leave, words
from tests.support.stack import until
from tests.support.surface import ACCOUNT, Surface

OpenWindow = Callable[..., View]

HOSTILE = "<img src=x onerror=alert(1)>"

LITELLM = """\
model_list:
  - model_name: imported-model
    litellm_params:
      model: openai/gpt-4o
      api_base: http://imported.example/v1
      api_key: os.environ/IMPORTED_KEY
general_settings:
  master_key: sk-of-litellm
"""

WRONG = """\
groups:
  - name: of-a-file
tiers:
  - name: of-a-file
    rpm: many
"""

MORE = """\
models:
  - {name: of-a-file, free: true}
channels:
  - name: of-a-file
    dialect: openai
    base_url: http://of-a-file.example/v1
    credentials: [env:OF_A_FILE]
    models: {of-a-file: upstream}
    enabled: false
"""

PAGES = {
    "accounts": "nav.accounts",
    "keys": "nav.site_keys",
    "ledger": "nav.ledger",
    "payments": "nav.payments",
    "codes": "nav.codes",
    "announcements": "nav.announcements",
    "settings": "nav.settings",
    "apply": "nav.apply",
    "import": "nav.import",
}

READ_AGAIN_S = 20.0
"""The console reads announcements at most every ten seconds."""

TABS = ("terms", "credit", "people", "keys", "activity")


@pytest.fixture(scope="module")
def operator(people: People) -> str:
    return people.make("site-operator", operator=True)


def menu(row: Locator, page: Page, item: str) -> None:
    row.get_by_role("button", name="Actions").click()
    page.get_by_role("menuitem", name=item).click()


def said(page: Page, text: str) -> None:
    expect(page.get_by_role("status").get_by_text(text)).to_be_visible()


@pytest.mark.parametrize("name", PAGES)
def test_each_page_looks_well(browser_page: OpenWindow, operator: str, look: Look, name: str) -> None:
    view = browser_page(look, login=operator)
    page = view.open(f"/site/{name}")
    expect(page.get_by_role("heading", level=1)).to_have_text(words(look, PAGES[name]))
    view.check_accessible()
    view.screenshot(f"site-{name}")


def test_all_of_an_account_looks_well(browser_page: OpenWindow, operator: str, look: Look) -> None:
    view = browser_page(look, login=operator)
    page = view.open(f"/site/accounts/{ACCOUNT}")
    for tab in TABS:
        page.get_by_role("tab", name=words(look, f"account.tab.{tab}"), exact=True).click()
        view.settle()
        view.check_accessible()
        view.screenshot(f"site-account-{tab}")


def test_an_account_is_made_with_its_owner_and_given_credit_and_a_group(
    browser_page: OpenWindow, surface: Surface, operator: str
) -> None:
    surface.admin("PUT", "/groups/site-pages", {})
    view = browser_page(login=operator)
    page = view.open("/site/accounts")
    page.get_by_role("button", name="New account").first.click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Name", exact=True).fill("site-made")
    dialog.get_by_label("Owner").fill("site-owner")
    view.expected(404, "/logins/site-owner")
    dialog.get_by_role("button", name="New account").click()
    expect(dialog.get_by_label("Owner")).to_have_attribute("aria-invalid", "true")
    dialog.get_by_text("Make this login, too").click()
    dialog.get_by_role("combobox", name="Groups").fill("site-pages")
    expect(dialog.get_by_role("option", name="site-pages", exact=True)).to_be_visible()  # once the groups are read
    dialog.get_by_role("combobox", name="Groups").press("Enter")
    dialog.get_by_label("First credit").fill("2.5")
    view.check_accessible()
    view.screenshot("site-accounts-new", full=False)
    dialog.get_by_role("button", name="New account").click()
    link = page.locator("[data-secret]").text_content()
    assert link is not None
    assert "#/set-password/" in link
    page.get_by_role("dialog").get_by_role("button", name="Close").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("site-made")

    page.get_by_role("button", name="Grant credit").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Amount").fill("10")
    dialog.get_by_label("Reference").fill("invoice 17")
    dialog.get_by_role("button", name="Grant credit").click()
    said(page, "Credit was granted. The balance is $12.50.")
    expect(page.get_by_role("row", name="invoice 17")).to_contain_text("+$10.00")

    page.get_by_role("button", name="Correct the balance").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Amount").fill("0.5")
    dialog.get_by_label("Reference").fill("typing error")
    dialog.get_by_label("Corrects").fill("invoice 17")
    dialog.get_by_role("button", name="Correct the balance").click()
    said(page, "Corrected. The balance is $12.00.")

    page.get_by_role("tab", name="Terms").click()
    page.get_by_role("button", name="Change").first.click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_role("button", name="Remove site-pages").click()
    dialog.get_by_label("Time zone").select_option("Asia/Tokyo")
    dialog.get_by_role("button", name="Save").click()
    said(page, "The account was changed.")
    page.get_by_role("button", name="Change").nth(1).click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Requests per minute").fill("30")
    dialog.get_by_role("button", name="Save").click()
    expect(page.get_by_role("dialog")).to_have_count(0)
    view.settle()

    made = surface.admin("GET", "/accounts/site-made")
    assert (made["groups"], made["time_zone"], made["limits"], made["balance_nano"]) == (
        ["default"],
        "Asia/Tokyo",
        {"rpm": 30},
        12_000_000_000,
    )
    [user] = surface.admin("GET", "/accounts/site-made/users")
    assert (user["login"], user["role"]) == ("site-owner", "owner")


def test_keys_of_all_accounts_are_found_and_blocked(browser_page: OpenWindow, surface: Surface, operator: str) -> None:
    surface.admin("POST", f"/accounts/{ACCOUNT}/keys", {"name": "site-leaked"})
    surface.admin("POST", f"/accounts/{ACCOUNT}/keys", {"name": HOSTILE})
    view = browser_page(login=operator)
    page = view.open("/site/keys")
    page.get_by_role("searchbox").fill("site-leaked")
    row = page.get_by_role("row", name="site-leaked")
    expect(page.locator("tbody tr")).to_have_count(1)
    menu(row, page, "Block")
    page.get_by_role("dialog").get_by_role("button", name="Block").click()
    expect(row).to_contain_text("Blocked")
    assert surface.admin("GET", f"/accounts/{ACCOUNT}/keys/site-leaked")["blocked"] is True
    menu(row, page, "Unblock")
    expect(row).to_contain_text("Valid")
    page.get_by_role("searchbox").fill(HOSTILE)
    expect(page.get_by_role("row", name=HOSTILE)).to_be_visible()
    assert page.locator("main img").count() == 0
    surface.admin("DELETE", f"/accounts/{ACCOUNT}/keys/%3Cimg%20src=x%20onerror=alert(1)%3E")


def test_the_ledger_is_checked_to_the_end(browser_page: OpenWindow, operator: str) -> None:
    view = browser_page(login=operator)
    page = view.open("/site/ledger")
    page.get_by_role("button", name="Check").click()
    expect(page.get_by_text("All of it agrees.", exact=True)).to_be_visible()
    steps = page.locator(".checks li")
    expect(steps).to_have_count(8)
    expect(steps.first).to_contain_text("Balances")
    expect(steps.get_by_text("agrees")).to_have_count(8)
    view.check_accessible()
    view.screenshot("site-ledger-checked")
    page.get_by_role("button", name="Rebuild").click()
    page.get_by_role("dialog").get_by_role("button", name="Rebuild").click()
    expect(page.get_by_text("Balances, spending and budgets are made anew.")).to_be_visible()


def test_codes_are_made_once_and_redeemed_by_an_owner(
    browser_page: OpenWindow, surface: Surface, people: People, operator: str, tmp_path: Path
) -> None:
    surface.admin("POST", "/accounts", {"name": "site-redeems"})
    owner = people.make("site-redeemer", roles={"site-redeems": "owner"})
    view = browser_page(login=operator)
    page = view.open("/site/codes")
    page.get_by_role("button", name="Make codes").first.click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Worth of each").fill("3")
    dialog.get_by_label("How many").fill("2")
    dialog.get_by_label("Note").fill(HOSTILE)
    view.check_accessible()
    dialog.get_by_role("button", name="Make codes").click()
    expect(page.get_by_role("heading", name="2 codes of $3.00")).to_be_visible()
    with page.expect_download() as download:
        page.get_by_role("link", name="Download as text").click()
    download.value.save_as(tmp_path / "codes.txt")
    codes = (tmp_path / "codes.txt").read_text().split()
    assert len(codes) == 2
    view.check_accessible()
    view.screenshot("site-codes-made", full=False)
    page.get_by_role("button", name="I have kept them").click()
    expect(page.get_by_text(codes[0])).to_have_count(0)

    own = browser_page(login=owner).open("/a/site-redeems/billing")
    own.get_by_label("Redemption code").fill(codes[0])
    own.get_by_role("button", name="Redeem", exact=True).click()
    said(own, "$3.00 came into the balance.")

    view.open("/site/codes")
    page.reload()
    row = page.get_by_role("row", name=HOSTILE)
    expect(row).to_contain_text("1 of 2")
    menu(row, page, "Withdraw")
    page.get_by_role("dialog").get_by_role("button", name="Withdraw").click()
    expect(row).to_contain_text("withdrawn")
    assert page.locator("main img").count() == 0


def execute(dsn: str, statement: str, *values: object) -> None:
    """Run a statement beside Playwright, whose loop runs in this thread."""

    async def run() -> None:
        connection = await asyncpg.connect(dsn)
        try:
            await connection.execute(statement, *values)
        finally:
            await connection.close()

    with ThreadPoolExecutor(1) as pool:
        pool.submit(asyncio.run, run()).result()


def test_a_payment_that_waits_is_assigned(browser_page: OpenWindow, surface: Surface, operator: str) -> None:
    surface.admin("POST", "/accounts", {"name": "site-pays"})
    execute(
        surface.ready.postgres_dsn,
        "insert into payments (provider, reference, account, amount, currency, reason) values ($1, $2, $3, $4, $5, $6)",
        "stripe",
        "cs/of a test",
        HOSTILE,
        2500,
        "eur",
        "paid in eur",
    )
    view = browser_page(login=operator)
    page = view.open("/site/payments")
    page.get_by_role("button", name="Waiting").click()
    row = page.get_by_role("row", name="cs/of a test")
    expect(row).to_contain_text("€25.00")
    expect(row).to_contain_text(HOSTILE)
    view.check_accessible()
    view.screenshot("site-payments-waiting")
    row.get_by_role("button", name="Assign").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Account").fill("site-pays")
    dialog.get_by_label("Worth").fill("27.1")
    view.check_accessible()
    dialog.get_by_role("button", name="Assign").click()
    said(page, "The payment was booked for site-pays.")
    expect(page.get_by_text("No payment waits for you")).to_be_visible()
    page.get_by_role("button", name="All", exact=True).click()
    expect(row).to_contain_text("$27.10")
    assert page.locator("main img").count() == 0
    assert surface.admin("GET", "/accounts/site-pays")["balance_nano"] == 27_100_000_000


def test_an_announcement_is_shown_to_its_readers(browser_page: OpenWindow, surface: Surface, operator: str) -> None:
    view = browser_page(login=operator)
    page = view.open("/site/announcements")
    page.get_by_role("button", name="Announce").first.click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_role("button", name="Announce").click()
    expect(dialog.get_by_label("Text in English")).to_have_attribute("aria-invalid", "true")
    dialog.get_by_label("Text in English").fill(f"Maintenance on **Sunday** {HOSTILE}")
    expect(dialog.locator(".notice strong")).to_have_text("Sunday")
    dialog.get_by_role("button", name="简体中文").click()
    dialog.get_by_label("Text in 简体中文").fill("**周日**维护")
    dialog.get_by_label("Level").select_option("warning")
    view.check_accessible()
    view.screenshot("site-announcements-new", full=False)
    dialog.get_by_role("button", name="Announce").click()
    said(page, "It is announced.")
    expect(page.locator("main")).to_contain_text(HOSTILE)
    assert page.locator("main img").count() == 0

    until(lambda: surface.admin("GET", "/announcements/current"), READ_AGAIN_S, "the announcement is current")
    reader = browser_page(Look("zh", "dark", 360)).open("/sign-in")
    expect(reader.locator(".banner")).to_contain_text("周日维护")

    card = page.locator(".announcement-list > *").first
    menu(card, page, "Delete")
    page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    said(page, "The announcement was deleted.")


def test_what_the_site_offers_is_changed(browser_page: OpenWindow, surface: Surface, operator: str) -> None:
    before = surface.admin("GET", "/offers")
    view = browser_page(login=operator)
    view.expected(400, "/apply")
    page = view.open("/site/settings")
    card = page.get_by_role("region", name="Free trial")
    card.get_by_role("button", name="Change").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Amount").fill("1.5")
    dialog.get_by_label("Days").fill("7")
    dialog.get_by_role("button", name="Save").click()
    said(page, "The trial was changed.")
    page.get_by_role("region", name="Volume discounts").get_by_role("button", name="Change").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_role("button", name="Add a step").click()
    dialog.get_by_label("From USD a month 1").fill("100000")
    dialog.get_by_label("Percent off 1").fill("101")
    dialog.get_by_role("button", name="Save").click()
    expect(dialog.get_by_text("must be between 0 and 100")).to_be_visible()
    dialog.get_by_label("Percent off 1").fill("2.5")
    view.check_accessible()
    dialog.get_by_role("button", name="Save").click()
    said(page, "The discounts were changed.")
    assert surface.admin("GET", "/offers") == {
        "trial": {"amount_nano": 1_500_000_000, "days": 7},
        "discounts": [{"monthly_nano": 100_000_000_000_000, "discount_ppm": 25_000}],
    }
    view.check_accessible()
    view.screenshot("site-settings-changed")
    surface.admin(
        "POST", "/apply", {"discounts": [], "trial": {"amount": before["trial"]["amount_nano"] / 10**9, "days": 1}}
    )


def test_a_file_is_checked_put_right_and_applied(browser_page: OpenWindow, surface: Surface, operator: str) -> None:
    view = browser_page(login=operator)
    view.expected(400, "/apply")
    page = view.open("/site/apply")
    editor = page.get_by_label("Configuration", exact=True)
    editor.fill(WRONG)
    page.get_by_role("button", name="Check").click()
    fault = page.get_by_role("alert")
    expect(fault).to_contain_text("tiers[0].rpm: expected `int`")
    fault.get_by_role("button", name="Line 5").click()
    expect(editor).to_be_focused()
    assert page.evaluate("getSelection().toString()") == "    rpm: many"
    view.check_accessible()
    view.screenshot("site-apply-fault")

    editor.fill(WRONG.replace("many", "7") + MORE)
    page.get_by_role("button", name="Check").click()
    page.get_by_label("OF_A_FILE").fill("planted-secret")
    page.get_by_role("button", name="Check").click()
    expect(page.get_by_role("heading", name="What would change")).to_be_visible()
    changes = page.locator(".changes > li")
    expect(changes).to_have_count(4)
    expect(changes.nth(1)).to_contain_text("of-a-file")
    assert "planted-secret" not in page.locator("main").inner_text()
    view.check_accessible()
    view.screenshot("site-apply-diff")
    page.get_by_role("button", name="Apply 4 changes").click()
    page.get_by_role("dialog").get_by_role("button", name="Apply", exact=True).click()
    said(page, "The configuration was applied.")
    assert len(surface.admin("GET", "/channels/of-a-file")["credentials"]) == 1
    assert surface.admin("GET", "/tiers/of-a-file/limits") == {"rpm": 7}

    page.get_by_role("button", name="Export").click()
    with page.expect_download() as download:
        page.get_by_role("menuitem", name="With accounts").click()
    exported = Path(download.value.path()).read_text()
    assert "of-a-file" in exported
    assert ACCOUNT in exported
    assert "planted-secret" not in exported
    editor.fill(exported)
    page.get_by_role("button", name="Check").click()
    expect(page.get_by_text("Nothing differs: everything is as the file says.")).to_be_visible()
    leave(page)
    surface.admin("DELETE", "/channels/of-a-file")
    surface.admin("DELETE", "/models/of-a-file")


def test_a_file_of_another_gateway_is_previewed_and_imported(
    browser_page: OpenWindow, surface: Surface, operator: str, tmp_path: Path
) -> None:
    file = tmp_path / "config.yaml"
    file.write_text(LITELLM)
    view = browser_page(login=operator)
    page = view.open("/site/import")
    page.locator("input[type=file]").set_input_files(file)
    expect(page.get_by_label("Content of the file")).to_have_value(LITELLM)
    page.get_by_role("button", name="Preview").click()
    expect(page.get_by_text("general_settings")).to_be_visible()
    expect(page.get_by_role("heading", name="What would change")).to_be_visible()
    assert "sk-of-litellm" not in page.locator("main ul").all_inner_texts()
    page.get_by_label("IMPORTED_KEY").fill("planted-secret")
    view.check_accessible()
    view.screenshot("site-import-preview")
    page.get_by_role("button", name="Import", exact=True).click()
    page.get_by_role("dialog").get_by_role("button", name="Import").click()
    said(page, "The configuration was applied.")
    model = surface.admin("GET", "/models/imported-model")
    [channel] = model["channels"]
    assert len(surface.admin("GET", f"/channels/{channel}")["credentials"]) == 1
    leave(page)
    surface.admin("DELETE", f"/channels/{channel}")
    surface.admin("DELETE", "/models/imported-model")


def test_pages_of_operators_are_not_for_others(browser_page: OpenWindow, people: People) -> None:
    owner = people.make("site-no-operator", roles={ACCOUNT: "owner"})
    page = browser_page(login=owner).open("/site/accounts")
    expect(page.get_by_role("heading", level=1)).to_have_text("Not for your role")
