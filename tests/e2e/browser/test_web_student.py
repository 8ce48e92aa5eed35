"""One whole way: a student asks for a login with a number, is let in, tries models, and calls them by a program."""

import json
import re
from collections.abc import Callable
from typing import NamedTuple

import openai
import pytest
from playwright.sync_api import Locator, Page, expect

from tests.support.browser import PASSWORD, Look, View, words
from tests.support.playground import ANSWER, CODE
from tests.support.site import Site
from tests.support.stack import until
from trunkline.cli import http

OpenWindow = Callable[..., View]

CREDENTIAL = "sk-campus"
VIP = "VIP"
SMALL, LARGE = "physics-small", "physics-large"

COST_WITHIN_S = 10.0

NAMED = {"en": "Your student number, ten digits", "zh": "十位数字学号"}


@pytest.fixture(scope="module")
def operator(site: Site) -> str:
    """The operator, on a site whose better model is for a group."""
    channel = {
        "dialect": "openai",
        "base_url": f"{site.surface.ready.upstream_url}/v1",
        "credentials": [CREDENTIAL],
    }
    site.surface.admin(
        "POST",
        "/apply",
        {
            "groups": [{"name": VIP, "multiplier": "0.8"}],
            "models": [{"name": name, "price": {"input": "1000", "output": "2000"}} for name in (SMALL, LARGE)],
            "channels": [
                {**channel, "name": "campus-small", "models": {SMALL: "demo"}},
                {**channel, "name": "campus-large", "models": {LARGE: "demo"}, "groups": [VIP]},
            ],
        },
    )
    script = json.dumps({"credential": CREDENTIAL, "script": {"text": ANSWER}}).encode()
    assert http.call("POST", f"{site.surface.ready.upstream_url}/script", body=script).status == 200
    return site.people.make("campus-operator", operator=True)


class Student(NamedTuple):
    """Who walks the way, and in which language."""

    number: str
    look: Look

    def say(self, key: str) -> str:
        """Return the words of a key."""
        return words(self.look, key)


@pytest.fixture(params=[Student("2400011223", Look("zh")), Student("2400011224", Look())], ids=["zh", "en"])
def student(request: pytest.FixtureRequest) -> Student:
    found: Student = request.param
    return found


def row(page: Page, name: str) -> Locator:
    return page.get_by_role("row").filter(has=page.get_by_text(name, exact=True))


def choose_group(dialog: Locator, label: str) -> None:
    """Choose the group in a dialog, once it has read which groups there are."""
    groups = dialog.get_by_role("combobox", name=label)
    groups.fill(VIP)
    expect(dialog.get_by_role("option", name=VIP, exact=True)).to_be_visible()
    groups.press("Enter")


def send(page: Page, student: Student, text: str) -> None:
    """Say something in the playground, once there is a model to hear it."""
    box = page.get_by_role("textbox", name=student.say("playground.message"))
    box.fill(text)
    expect(page.get_by_role("button", name=student.say("playground.send"), exact=True)).to_be_enabled()
    box.press("Enter")


def open_the_registration(view: View, student: Student) -> None:
    page = view.open("/site/logins")
    page.get_by_role("button", name=student.say("logins.registration")).click()
    dialog = page.get_by_role("dialog")
    for key in ("logins.open", "logins.approval"):
        switch = dialog.get_by_role("switch", name=student.say(key))
        if not switch.is_checked():
            switch.press("Space")
    dialog.get_by_label(student.say("logins.name_pattern")).fill("[0-9]{10}")
    for language, text in NAMED.items():
        label = student.say("logins.name_help").format(language={"en": "English", "zh": "中文"}[language])
        dialog.get_by_label(label).fill(text)
    view.check_accessible()
    dialog.get_by_role("button", name=student.say("common.save")).click()
    expect(dialog).to_have_count(0)


def register(view: View, student: Student) -> None:
    page = view.open("/sign-up")
    name = page.get_by_label(student.say("sign.name"), exact=True)
    expect(page.get_by_text(NAMED[student.look.language])).to_be_visible()
    name.fill("my name")
    page.get_by_label(student.say("sign.password"), exact=True).fill(PASSWORD)
    submit = page.get_by_role("main").get_by_role("button", name=student.say("nav.sign_up"))
    submit.click()
    expect(name).to_have_attribute("aria-invalid", "true")
    expect(name).to_have_accessible_description(re.compile(NAMED[student.look.language]))
    name.fill(student.number)
    submit.click()
    expect(page.get_by_text(student.say("sign.made.waiting"))).to_be_visible()


def sign_in(view: View, student: Student) -> None:
    page = view.open("/sign-in")
    page.get_by_label(student.say("sign.name_or_email")).fill(student.number)
    page.get_by_label(student.say("sign.password"), exact=True).fill(PASSWORD)
    page.get_by_role("main").get_by_role("button", name=student.say("nav.sign_in")).click()


def let_in(view: View, student: Student) -> None:
    """Approve, give the group, and grant credit."""
    page = view.open("/site/logins?state=waiting")
    row(page, student.number).get_by_role("button", name=student.say("common.actions")).click()
    page.get_by_role("menuitem", name=student.say("logins.approve")).click()
    expect(row(page, student.number)).to_have_count(0)

    page = view.open(f"/site/accounts/{student.number}")
    page.get_by_role("button", name=student.say("account.change")).first.click()
    choose_group(page.get_by_role("dialog"), student.say("accounts.groups"))
    page.get_by_role("dialog").get_by_role("button", name=student.say("common.save")).click()
    expect(page.get_by_role("dialog")).to_have_count(0)
    expect(page.get_by_role("main").get_by_text(VIP, exact=True)).to_be_visible()

    page.get_by_role("button", name=student.say("accounts.grant")).click()
    page.get_by_role("dialog").get_by_label(student.say("account.amount")).fill("12.50")
    page.get_by_role("dialog").get_by_role("button", name=student.say("accounts.grant")).click()
    expect(page.get_by_role("main")).to_contain_text("$12.50")


def talk(view: View, student: Student) -> None:
    """Chat, copy the code of the answer, and go on with another model."""
    view.page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page = view.open(f"/a/{student.number}/playground?model={SMALL}")
    answers = page.locator(".play-turn.assistant")
    send(page, student, "1 + 1 = ?")
    expect(answers.first).to_have_attribute("data-state", "done")
    code = answers.first.locator(".markdown")
    code.get_by_role("button", name=student.say("common.copy")).click()
    expect(code.get_by_role("button", name=student.say("common.copied"))).to_be_visible()
    assert page.evaluate("navigator.clipboard.readText()") == CODE
    page.locator(".play-model").first.click()
    page.keyboard.type(LARGE)
    page.keyboard.press("Enter")
    expect(page.locator(".play-model").first).to_contain_text(LARGE)
    expect(answers).to_have_count(1)
    send(page, student, "2 + 2 = ?")
    expect(answers.nth(1)).to_have_attribute("data-state", "done")
    expect(answers.nth(1)).to_contain_text(LARGE)
    view.screenshot(f"student-{student.look.language}", full=False)


def make_key(view: View, student: Student) -> str:
    """Make a key for the group alone, and return its secret."""
    page = view.open(f"/a/{student.number}/keys")
    page.get_by_role("button", name=student.say("keys.create")).first.click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label(student.say("keys.name")).fill("thesis")
    dialog.get_by_role("button", name=student.say("common.remove").format(name="default")).click()
    choose_group(dialog, student.say("keys.groups"))
    dialog.get_by_role("button", name=student.say("keys.create")).click()
    secret = page.locator("[data-secret]").text_content() or ""
    page.get_by_role("button", name=student.say("keys.kept")).click()
    expect(row(page, "thesis")).to_contain_text(VIP)
    return secret


def test_from_a_number_to_an_answer(site_page: OpenWindow, site: Site, operator: str, student: Student) -> None:
    site.register(open=False)
    office = site_page(student.look, login=operator)
    open_the_registration(office, student)
    view = site_page(student.look)
    view.expected(403, "/session")
    register(view, student)
    sign_in(view, student)
    expect(view.page.get_by_role("alert")).to_be_visible()
    let_in(office, student)
    sign_in(view, student)
    expect(view.page.get_by_role("heading", level=1)).to_have_text(student.say("nav.overview"))

    talk(view, student)
    secret = make_key(view, student)
    site.surface.wait_for_status(secret, 200, f"/v1/models/{LARGE}")
    client = openai.OpenAI(base_url=f"{site.surface.ready.base_url}/v1", api_key=secret, max_retries=0)
    try:
        said = client.chat.completions.create(model=LARGE, messages=[{"role": "user", "content": "3 + 3 = ?"}])
        assert said.choices[0].message.content == ANSWER
        with pytest.raises(openai.PermissionDeniedError):
            client.chat.completions.create(model=SMALL, messages=[{"role": "user", "content": "?"}])
        assert said.usage is not None
        nano = round((said.usage.prompt_tokens * 1000 + said.usage.completion_tokens * 2000) * 1000 * 0.8)
    finally:
        client.close()

    path = f"/accounts/{student.number}/usage/attempts?key=thesis"
    until(lambda: site.surface.admin("GET", path)["attempts"], COST_WITHIN_S, "the call is settled")
    (settled,) = site.surface.admin("GET", path)["attempts"]
    assert (settled["model"], settled["charge_nano"]) == (LARGE, nano)
    page = view.open(f"/a/{student.number}/usage?key=thesis")
    expect(page.get_by_role("main")).to_contain_text(f"${nano / 1e9:.4f}")
    expect(page.get_by_role("main")).to_contain_text(LARGE)
    view.check_accessible()
