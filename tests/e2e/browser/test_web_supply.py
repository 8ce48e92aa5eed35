"""The operators' pages of channels, models, groups and tiers, on a real stack with its demo upstream."""

from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import quote

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.support.browser import Look, People, View, leave, words
from tests.support.surface import Surface

OpenWindow = Callable[..., View]

HOSTILE = "<img src=x onerror=alert(1)>"
GROUP = "supply"
"""Of the channels here, so that other tests' keys do not reach them."""

TABS = ("overview", "models", "credentials", "settings", "rules", "json")


@pytest.fixture
def operator(people: People) -> str:
    return people.make("supplier", operator=True)


@pytest.fixture(scope="module", autouse=True)
def group(surface: Surface) -> Iterator[None]:
    surface.admin("PUT", f"/groups/{GROUP}", {"multiplier": "1.25", "limits": {"rpm": 600}, "strategy": "latency"})
    yield
    for each in surface.admin("GET", "/channels"):
        if each["groups"] == [GROUP]:
            surface.admin("DELETE", f"/channels/{quote(each['name'], safe='')}")


def channel(surface: Surface, name: str, **more: object) -> None:
    """Make a channel to the demo upstream, with a model of its name that is free."""
    entry: dict[str, Any] = {
        "name": name,
        "dialect": "openai",
        "base_url": f"{surface.ready.upstream_url}/v1",
        "credentials": ["any-secret"],
        "models": {f"{name}-chat": "demo"},
        "groups": [GROUP],
        **more,
    }
    models = [{"name": public, "free": True} for public in entry["models"]]
    surface.admin("POST", "/apply", {"channels": [entry], "models": models})


def channel_of(surface: Surface, name: str) -> dict[str, Any]:
    found: dict[str, Any] = surface.admin("GET", f"/channels/{quote(name, safe='')}")
    return found


def row_menu(page: Page, row: str, item: str) -> None:
    page.get_by_role("row", name=row).get_by_role("button", name="Actions").click()
    page.get_by_role("menuitem", name=item).click()


def wrong(field: Locator, words: str) -> None:
    expect(field).to_have_attribute("aria-invalid", "true")
    expect(field).to_have_accessible_description(words)


@pytest.mark.parametrize("page_name", ["channels", "models", "groups", "tiers"])
def test_lists_look_well(browser_page: OpenWindow, surface: Surface, operator: str, look: Look, page_name: str) -> None:
    channel(surface, "listed", priority=5)
    surface.admin("PUT", "/tiers/listed", {"rpm": 50, "families": [{"models": ["gpt-*"], "rpm": 5}]})
    view = browser_page(look, login=operator)
    page = view.open(f"/site/{page_name}")
    title = {"models": "nav.site_models"}.get(page_name, f"nav.{page_name}")
    expect(page.get_by_role("heading", level=1)).to_contain_text(words(look, title))
    expect(page.locator("tbody tr").first).to_be_visible()
    view.check_accessible()
    view.screenshot(f"site-{page_name}")


def test_all_of_a_channel_looks_well(browser_page: OpenWindow, surface: Surface, operator: str, look: Look) -> None:
    rules = {
        "params": {"drop": ["seed"], "clamp": {"top_p": {"max": 0.99}}},
        "headers": {"set": {"x-title": "Lab"}},
        "overrides": [{"models": ["looked-at*"], "timeouts": {"first_token_s": 120}}],
    }
    channel(surface, "looked-at", **rules)
    view = browser_page(look, login=operator)
    for tab in TABS:
        page = view.open(f"/site/channels/looked-at?tab={tab}")
        view.settle()
        name = words(look, f"channels.tab.{tab}")
        expect(page.get_by_role("tab", name=name)).to_have_attribute("aria-selected", "true")
        view.check_accessible()
        view.screenshot(f"site-channel-{tab}")


def test_a_channel_is_made_and_its_unlisted_model_priced(
    browser_page: OpenWindow, surface: Surface, operator: str
) -> None:
    view = browser_page(login=operator)
    view.expected(400, "/apply")
    page = view.open("/site/channels")
    page.get_by_role("button", name="New channel").first.click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Name", exact=True).fill("made-here")
    dialog.get_by_label("Base URL").fill(f"{surface.ready.upstream_url}/v1")
    dialog.get_by_label("Secret").fill("sk-of-the-provider")
    dialog.get_by_label("Public name 1").fill("made-chat")
    dialog.get_by_label("Provider's name 1").fill("demo")
    dialog.get_by_role("button", name="New channel").click()
    # No list knows the model: the fault stands at its line, with the way out of it.
    expect(dialog.get_by_label("Public name 1")).to_have_attribute("aria-invalid", "true")
    expect(dialog.get_by_text("No list price is known for 'made-chat'")).to_be_visible()
    dialog.get_by_role("button", name="Give it a price").click()
    dialog.get_by_label("Input, 1M tokens 1").fill("1.5")
    dialog.get_by_label("Output, 1M tokens 1").fill("6")
    view.check_accessible()
    view.screenshot("site-channel-new", full=False)
    dialog.get_by_role("button", name="New channel").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("made-here")
    made = channel_of(surface, "made-here")
    assert (made["models"], made["groups"], len(made["credentials"])) == ({"made-chat": "demo"}, ["default"], 1)
    prices = surface.admin("GET", "/models/made-chat")["prices"]
    assert prices == {"input": 1_500_000_000, "output": 6_000_000_000}
    leave(page)
    surface.admin("DELETE", "/channels/made-here")


def test_a_vendor_brings_what_it_needs_and_a_name_is_taken_once(
    browser_page: OpenWindow, surface: Surface, operator: str
) -> None:
    channel(surface, "there-already")
    page = browser_page(login=operator).open("/site/channels")
    page.get_by_role("button", name="New channel").first.click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Provider", exact=False).first.select_option("DeepSeek")
    expect(dialog.get_by_label("Base URL")).to_have_value("https://api.deepseek.com/v1")
    name = dialog.get_by_label("Name", exact=True)
    name.fill("there-already")
    dialog.get_by_label("Public name 1").fill("deepseek-chat")
    dialog.get_by_role("button", name="New channel").click()
    wrong(name, "Operators see it. It does not change. There is a channel of this name.")
    name.fill("deep")
    dialog.get_by_role("button", name="New channel").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("deep")
    made = channel_of(surface, "deep")
    assert made["options"]["reasoning_replay"] == "always"
    assert made["params"] == {"drop": ["seed"]}
    leave(page)
    surface.admin("DELETE", "/channels/deep")


def test_a_channel_is_tested_and_drained(browser_page: OpenWindow, surface: Surface, operator: str) -> None:
    channel(surface, "tried")
    view = browser_page(login=operator)
    page = view.open("/site/channels")
    row_menu(page, "tried", "Test")
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_role("status")).to_contain_text("Works")
    dialog.get_by_label("Ask for").select_option("tried-chat")
    dialog.get_by_role("button", name="Test").click()
    expect(dialog.get_by_role("status")).to_contain_text("One token of an answer: tried-chat")
    view.check_accessible()
    view.screenshot("site-channel-test", full=False)
    page.keyboard.press("Escape")

    row_menu(page, "tried", "Drain")
    expect(page.get_by_role("row", name="tried")).to_contain_text("Drained")
    assert channel_of(surface, "tried")["drained"] is True
    row_menu(page, "tried", "End draining")
    expect(page.get_by_role("row", name="tried")).to_contain_text("Serving")
    row_menu(page, "tried", "Disable")
    page.get_by_role("dialog").get_by_role("button", name="Disable").click()
    expect(page.get_by_role("row", name="tried")).to_contain_text("Disabled")
    row_menu(page, "tried", "Delete")
    question = page.get_by_role("dialog")
    question.get_by_label("Type tried to confirm").fill("tried")
    question.get_by_role("button", name="Delete").click()
    expect(page.get_by_role("row", name="tried")).to_have_count(0)


def test_models_are_found_at_the_provider_and_mapped(browser_page: OpenWindow, surface: Surface, operator: str) -> None:
    channel(surface, "mapped")
    view = browser_page(login=operator)
    view.expected(400, "/apply")
    page = view.open("/site/channels/mapped?tab=models")
    page.get_by_role("button", name="Find models").click()
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_text("served as mapped-chat")).to_be_visible()
    dialog.get_by_role("checkbox", name="demo").check()
    view.check_accessible()
    dialog.get_by_role("button", name="Go on with 1 model").click()
    dialog.get_by_label("Public name 1").fill("mapped/other.name")
    dialog.get_by_role("button", name="Serve these models").click()
    dialog.get_by_role("button", name="Give it a price").click()
    dialog.get_by_role("checkbox", name="Free").check()
    dialog.get_by_role("button", name="Serve these models").click()
    expect(page.get_by_role("row", name="mapped/other.name")).to_be_visible()
    assert channel_of(surface, "mapped")["models"] == {"mapped-chat": "demo", "mapped/other.name": "demo"}

    row_menu(page, "mapped/other.name", "Provider's name")
    dialog.get_by_label("Provider's name").fill("demo-2")
    dialog.get_by_role("button", name="Save").click()
    expect(page.get_by_role("row", name="mapped/other.name")).to_contain_text("demo-2")
    row_menu(page, "mapped/other.name", "Serve no more")
    dialog.get_by_role("button", name="Serve no more").click()
    expect(page.get_by_role("row", name="mapped/other.name")).to_have_count(0)
    assert channel_of(surface, "mapped")["models"] == {"mapped-chat": "demo"}


def test_costs_are_set_from_a_day_on_and_withdrawn(browser_page: OpenWindow, surface: Surface, operator: str) -> None:
    channel(surface, "costly")
    view = browser_page(login=operator)
    page = view.open("/site/channels/costly?tab=models")
    row_menu(page, "costly-chat", "Set costs")
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Input, 1M tokens").fill("0.5")
    dialog.get_by_label("Another kind of unit").select_option("seconds")
    dialog.get_by_role("button", name="Add").click()
    dialog.get_by_label("A minute").fill("0.006")
    dialog.get_by_role("button", name="Set costs").click()
    expect(dialog.get_by_text("In force", exact=True)).to_be_visible()
    (version,) = surface.admin("GET", "/channels/costly/costs")
    assert version["prices"] == {"input": 500_000_000, "seconds": 100_000_000_000}
    dialog.get_by_label("Input, 1M tokens").fill("0.4")
    dialog.get_by_label("In force from").fill("2040-01-01T00:00")
    dialog.get_by_role("button", name="Set costs").click()
    expect(dialog.get_by_text("To come", exact=True)).to_be_visible()
    dialog.get_by_role("button", name="Withdraw").click()
    page.get_by_role("dialog", name="Withdraw these prices?").get_by_role("button", name="Withdraw").click()
    expect(dialog.get_by_text("To come", exact=True)).to_have_count(0)
    assert len(surface.admin("GET", "/channels/costly/costs")) == 1


def test_credentials_are_added_tested_changed_and_deleted(
    browser_page: OpenWindow, surface: Surface, operator: str
) -> None:
    channel(surface, "secretive")
    view = browser_page(login=operator)
    view.expected(400, "/credentials")
    page = view.open("/site/channels/secretive?tab=credentials")
    page.get_by_role("button", name="Add a credential").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Secret").fill("another-secret")
    dialog.get_by_label("Weight").fill("0")
    dialog.get_by_role("button", name="Add a credential").click()
    expect(dialog.get_by_label("Weight")).to_have_attribute("aria-invalid", "true")
    dialog.get_by_label("Weight").fill("3")
    dialog.get_by_label("Requests per minute").fill("60")
    dialog.get_by_role("button", name="Add a credential").click()
    row = page.get_by_role("row").filter(has_text="60 requests/min")
    expect(row).to_be_visible()
    added = channel_of(surface, "secretive")["credentials"][-1]
    assert (added["weight"], added["limits"]) == (3, {"rpm": 60})
    assert "another-secret" not in page.content()
    row.get_by_role("button", name="Actions").click()
    page.get_by_role("menuitem", name="Test").click()
    expect(dialog.get_by_role("status")).to_contain_text("Works")
    page.keyboard.press("Escape")
    row.get_by_role("button", name="Actions").click()
    page.get_by_role("menuitem", name="Change").click()
    expect(dialog.get_by_label("Weight")).to_have_value("3")
    dialog.get_by_label("Requests per minute").fill("0")
    dialog.get_by_role("button", name="Save").click()
    wrong(dialog.get_by_label("Requests per minute"), "Must be between 1 and 1000000000000")
    view.check_accessible()
    view.screenshot("site-channel-credential", full=False)
    dialog.get_by_label("Requests per minute").fill("")
    dialog.get_by_label("Tokens per minute").fill("9000")
    dialog.get_by_role("button", name="Save").click()
    row = page.get_by_role("row").filter(has_text="9,000 tokens/min")
    expect(row).to_be_visible()
    changed = channel_of(surface, "secretive")["credentials"][-1]
    assert changed == {**added, "limits": {"tpm": 9000}}
    row.get_by_role("button", name="Actions").click()
    page.get_by_role("menuitem", name="Delete").click()
    dialog.get_by_role("button", name="Delete").click()
    expect(row).to_have_count(0)


def test_settings_are_saved_and_faults_stand_at_their_fields(
    browser_page: OpenWindow, surface: Surface, operator: str
) -> None:
    channel(surface, "set", options={"cache_marks": True}, headers={"set": {"x-title": "Lab"}})
    view = browser_page(login=operator)
    view.expected(400, "/channels/set")
    page = view.open("/site/channels/set?tab=settings")
    weight = page.get_by_label("Weight")
    weight.fill("2000000")
    page.get_by_label("To connect").fill("0")
    page.get_by_role("button", name="Save").click()
    wrong(weight, "Its share among channels of the same priority; 0 takes none. Must be between 0 and 1000000")
    wrong(page.get_by_label("To connect"), "Must be more than 0 and at most 86400 s")
    weight.fill("7")
    page.get_by_label("To connect").fill("2.5")
    page.get_by_label("Priority").fill("-1")
    page.get_by_label("Beginning of an answer").select_option("partial")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("status").get_by_text("The channel is changed.")).to_be_visible()
    changed = channel_of(surface, "set")
    assert (changed["weight"], changed["priority"], changed["timeouts"]["connect_s"]) == (7, -1, 2.5)
    # What the form does not show stays.
    assert changed["options"] == {"cache_marks": True, "prefix": "partial"}
    assert changed["headers"] == {"set": {"x-title": "Lab"}}


def test_rules_are_lines_and_json_with_faults_at_their_places(
    browser_page: OpenWindow, surface: Surface, operator: str
) -> None:
    channel(surface, "ruled")
    view = browser_page(login=operator)
    view.expected(400, "/channels/ruled")
    page = view.open("/site/channels/ruled?tab=rules")
    clamp = page.get_by_role("group", name="Keep within bounds")
    clamp.get_by_role("button", name="Add a line").click()
    clamp.get_by_label("Field 1").fill("top_p")
    clamp.get_by_label("At least 1").fill("1")
    clamp.get_by_label("At most 1").fill("0.99")
    fixed = page.get_by_role("group", name="Set always")
    fixed.get_by_role("button", name="Add a line").click()
    fixed.get_by_label("Field 1").fill("reasoning_format")
    fixed.get_by_label("Value 1").fill("parsed")
    options = page.get_by_label("Options as JSON")
    options.fill('{\n  "prefix": "none",\n  "tool_ids": "short"\n}')
    page.get_by_role("button", name="Save").click()
    expect(options).to_have_attribute("aria-invalid", "true")
    expect(page.get_by_role("listitem").filter(has_text="tool_ids")).to_contain_text("Line 3")
    view.check_accessible()
    options.fill('{"cache_marks": true}')
    page.get_by_role("button", name="Save").click()
    wrong(clamp.get_by_label("At most 1"), "Its min is above its max")
    view.check_accessible()
    clamp.get_by_label("At least 1").fill("")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("status").get_by_text("The channel is changed.")).to_be_visible()
    changed = channel_of(surface, "ruled")
    assert changed["params"] == {"set": {"reasoning_format": "parsed"}, "clamp": {"top_p": {"max": 0.99}}}
    assert changed["options"] == {"cache_marks": True}


def test_all_of_a_channel_is_said_as_json(browser_page: OpenWindow, surface: Surface, operator: str) -> None:
    channel(surface, "json")
    view = browser_page(login=operator)
    view.expected(400, "/channels/json")
    page = view.open("/site/channels/json?tab=json")
    editor = page.get_by_label("json as JSON")
    before = editor.input_value()
    editor.fill(before.replace('"weight": 100', '"weight": nothing'))
    page.get_by_role("button", name="Save").click()
    line = before[: before.index('"weight"')].count("\n") + 1
    wrong(editor, f"{words(Look(), 'channels.json_help')} Line {line}: this is no JSON here.")
    editor.fill(before.replace('"weight": 100', '"weight": 100, "colour": "red"'))
    page.get_by_role("button", name="Save").click()
    fault = page.get_by_role("listitem").filter(has_text="colour")
    expect(fault).to_contain_text(f"Line {line}")
    view.screenshot("site-channel-json-fault")
    editor.fill(before.replace('"status_map": {}', '"status_map": {"403": 429}'))
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("status").get_by_text("The channel is changed.")).to_be_visible()
    assert channel_of(surface, "json")["status_map"] == {"403": 429}


def test_a_model_is_priced_from_a_day_on(browser_page: OpenWindow, surface: Surface, operator: str) -> None:
    surface.admin("PUT", "/models/priced-here", {"price": {"input": "1", "output": "2"}})
    view = browser_page(login=operator)
    view.expected(400, "/prices")
    page = view.open("/site/models")
    page.get_by_role("button", name="priced-here").click()
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_label("Input, 1M tokens")).to_have_value("1")
    dialog.get_by_label("Input, 1M tokens").fill("much")
    dialog.get_by_role("button", name="Set prices").click()
    wrong(dialog.get_by_label("Input, 1M tokens"), "Write an amount in US dollars, such as 12.50.")
    dialog.get_by_label("Input, 1M tokens").fill("1.25")
    dialog.get_by_label("In force from").fill("2001-01-01T00:00")
    dialog.get_by_role("button", name="Set prices").click()
    expect(dialog.get_by_label("In force from")).to_have_attribute("aria-invalid", "true")
    dialog.get_by_label("In force from").fill("2040-01-01T00:00")
    dialog.get_by_role("button", name="Set prices").click()
    expect(dialog.get_by_text("1 price change is still to come")).to_be_visible()
    view.check_accessible()
    to_come, in_force = surface.admin("GET", "/models/priced-here/prices")
    assert (to_come["state"], to_come["prices"]) == ("to come", {"input": 1_250_000_000, "output": 2_000_000_000})
    assert (in_force["state"], in_force["prices"]["input"]) == ("in force", 1_000_000_000)

    dialog.get_by_role("tab", name="All prices").click()
    view.screenshot("site-model-prices", full=False)
    dialog.get_by_role("button", name="Withdraw").click()
    page.get_by_role("dialog", name="Withdraw these prices?").get_by_role("button", name="Withdraw").click()
    expect(dialog.get_by_text("To come", exact=True)).to_have_count(0)
    assert len(surface.admin("GET", "/models/priced-here/prices")) == 1


def test_a_model_is_routed_and_keeps_its_price(browser_page: OpenWindow, surface: Surface, operator: str) -> None:
    surface.admin("PUT", "/models/routed", {"price": {"input": "3", "images@high": "80000"}})
    page = browser_page(login=operator).open("/site/models?model=routed&tab=routing")
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Strategy").select_option("latency")
    fallbacks = dialog.get_by_role("combobox", name="When no channel could answer")
    fallbacks.fill("demo")
    fallbacks.press("Enter")
    dialog.get_by_text("Second attempts").click()
    dialog.get_by_role("button", name="Save").click()
    expect(page.get_by_role("status").get_by_text("The routing is changed.")).to_be_visible()
    routed = surface.admin("GET", "/models/routed")
    assert routed["routing"] == {"strategy": "latency", "fallbacks": ["demo"], "hedge": True}
    assert routed["prices"] == {"input": 3_000_000_000, "images@high": 80_000_000_000_000}
    page.keyboard.press("Escape")
    page.get_by_role("button", name="Refresh list prices").click()
    expect(page.get_by_role("dialog").get_by_text("All prices are those of the list.")).to_be_visible()
    leave(page)
    surface.admin("DELETE", "/models/routed")


def test_groups_are_made_changed_and_deleted_when_nothing_uses_them(
    browser_page: OpenWindow, surface: Surface, operator: str
) -> None:
    channel(surface, "user-of-group")
    view = browser_page(login=operator)
    view.expected(400, "/groups")
    view.expected(409, "/groups")
    page = view.open("/site/groups")
    page.get_by_role("button", name="New group").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Name").fill("brief")
    dialog.get_by_label("Price multiplier").fill("-1")
    families = dialog.get_by_role("group", name="Families of models")
    families.get_by_role("button", name="Add a line").click()
    families.get_by_label("Models 1").fill("gpt-*")
    families.get_by_label("Requests/min 1").fill("0")
    dialog.get_by_role("button", name="New group").click()
    wrong(
        dialog.get_by_label("Price multiplier"),
        "Prices of models are multiplied with it for those who use the group. Must be between 0 and 1000",
    )
    expect(families.get_by_label("Models 1")).to_have_attribute("aria-invalid", "true")
    view.check_accessible()
    dialog.get_by_label("Price multiplier").fill("0.8")
    families.get_by_label("Requests/min 1").fill("5")
    dialog.get_by_role("button", name="New group").click()
    expect(page.get_by_role("row", name="brief")).to_contain_text("0.8")
    (brief,) = [each for each in surface.admin("GET", "/groups") if each["name"] == "brief"]
    assert brief["limits"] == {"families": [{"models": ["gpt-*"], "rpm": 5}]}

    row_menu(page, "brief", "Delete")
    dialog.get_by_role("button", name="Delete").click()
    expect(page.get_by_role("row", name="brief")).to_have_count(0)
    row_menu(page, GROUP, "Delete")
    dialog.get_by_role("button", name="Delete").click()
    expect(dialog.get_by_role("alert")).to_contain_text("is used by channels")
    page.keyboard.press("Escape")


def test_tiers_are_made_and_changed(browser_page: OpenWindow, surface: Surface, operator: str) -> None:
    view = browser_page(login=operator)
    view.expected(400, "/tiers")
    page = view.open("/site/tiers")
    page.get_by_role("button", name="New tier").first.click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Name").fill("silver")
    dialog.get_by_label("Requests per minute").fill("0")
    dialog.get_by_role("button", name="New tier").click()
    expect(dialog.get_by_label("Requests per minute")).to_have_attribute("aria-invalid", "true")
    dialog.get_by_label("Requests per minute").fill("40")
    dialog.get_by_label("Priority").fill("4")
    dialog.get_by_role("button", name="New tier").click()
    expect(page.get_by_role("row", name="silver")).to_contain_text("40")
    page.get_by_role("button", name="silver").click()
    dialog.get_by_label("Tokens per day").fill("1000")
    dialog.get_by_role("button", name="Save").click()
    expect(page.get_by_role("row", name="silver")).to_contain_text("1,000")
    (silver,) = [tier for tier in surface.admin("GET", "/tiers") if tier["name"] == "silver"]
    assert silver == {"name": "silver", "limits": {"rpm": 40, "tpd": 1000}, "priority": 4}
    row_menu(page, "silver", "Delete")
    dialog.get_by_role("button", name="Delete").click()
    expect(page.get_by_role("row", name="silver")).to_have_count(0)


def test_names_are_text_whatever_they_say(browser_page: OpenWindow, surface: Surface, operator: str) -> None:
    surface.admin("PUT", f"/groups/{quote(HOSTILE)}", {"multiplier": "1"})
    surface.admin("PUT", f"/tiers/{quote(HOSTILE)}", {})
    channel(surface, HOSTILE, groups=[HOSTILE], headers={"set": {"x-title": HOSTILE}})
    view = browser_page(login=operator)
    for path in ("channels", "models", "groups", "tiers"):
        page = view.open(f"/site/{path}")
        expect(page.get_by_role("row", name=HOSTILE).first).to_be_visible()
        assert page.locator("main img").count() == 0
    for tab in TABS:
        page = view.open(f"/site/channels/{quote(HOSTILE)}?tab={tab}")
        expect(page.get_by_role("heading", level=1)).to_contain_text(HOSTILE)
        assert page.locator("main img").count() == 0
    leave(page)
    surface.admin("DELETE", f"/channels/{quote(HOSTILE)}")
    for path in (f"/models/{quote(f'{HOSTILE}-chat')}", f"/groups/{quote(HOSTILE)}", f"/tiers/{quote(HOSTILE)}"):
        surface.admin("DELETE", path)
