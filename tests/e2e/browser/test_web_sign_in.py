"""How people come in and go: the pages before one is signed in, and that of one's own login."""

import re
import secrets
from collections.abc import Callable, Iterator

import pyotp
import pytest
from playwright.sync_api import Page, expect

from tests.support.browser import PASSWORD, Look, View, words
from tests.support.site import Site
from tests.support.stack import until
from trunkline.runtime.clock import SystemClock

OpenWindow = Callable[..., View]

OTHER_PASSWORD = "another long one of the tests"
ENDED_WITHIN_S = 5.0
"""What a console has read of a session it believes for two seconds; a busy machine gets more."""

TRIES_MAX = 11
"""Five a minute may fail. Where one minute ends among them: five of it, five of the next, and one that has to wait."""

ENGLISH = Look()
PHONE = Look("zh", "dark", 360)


@pytest.fixture(autouse=True)
def open_registration(site: Site) -> None:
    site.register()


def fill_in(page: Page, name: str, password: str = PASSWORD, look: Look = ENGLISH) -> None:
    page.get_by_label(words(look, "sign.name_or_email")).fill(name)
    page.get_by_label(words(look, "sign.password"), exact=True).fill(password)
    page.get_by_role("main").get_by_role("button", name=words(look, "nav.sign_in")).click()


def next_code(app: pyotp.TOTP) -> str:
    """Return the code that the app will show next: it is good already, as clocks differ."""
    return app.at(SystemClock().wall_ms() // 1000 + app.interval)


def prove(page: Page, button: str) -> None:
    """Open a dialog that asks for the password, and give it."""
    page.get_by_role("main").get_by_role("button", name=button).click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Present password", exact=True).fill(PASSWORD)
    dialog.get_by_role("button", name=button).click()


NAMED = "() => document.title === `${document.querySelector('main h1').innerText} · Physics Gateway`"
"""What the site is called comes with an answer of its own, and changes title and heading one after the other."""

PAGES = ("/sign-in", "/sign-up", "/set-password", f"/set-password/{'x' * 43}", "/confirm/x", "/first/x")


def test_the_pages_before_look_well(site_page: OpenWindow, site: Site, look: Look) -> None:
    site.register(approval=True, email_required=True, email_domains=["campus.example"])
    view = site_page(look)
    for path in PAGES:
        page = view.open(path)
        expect(page.get_by_role("main").get_by_role("button").last).to_be_visible()
        page.wait_for_function(NAMED)
        view.check_accessible()
        view.screenshot(path[1:].replace(f"/{'x' * 43}", "-by-link").partition("/")[0])


def test_a_name_and_a_password_let_in(site_page: OpenWindow, site: Site) -> None:
    site.people.make("ines")
    page = site_page().open("/sign-in")
    expect(page.get_by_role("heading", level=1)).to_have_text("Sign in to Physics Gateway")
    expect(page.get_by_label("Name or e-mail address")).to_be_focused()
    fill_in(page, "ines")
    expect(page.get_by_role("heading", level=1)).to_have_text("Your profile")
    cookies = page.context.cookies()
    assert [(cookie["name"], cookie["httpOnly"], cookie["sameSite"], cookie["path"]) for cookie in cookies] == [
        ("trunkline_session", True, "Strict", "/some/prefix/")
    ]


def test_a_proved_address_lets_in_as_the_name_does(site_page: OpenWindow, site: Site) -> None:
    address = site.with_email("by-address")
    page = site_page().open("/sign-in")
    fill_in(page, address.upper())
    expect(page.get_by_role("heading", level=1)).to_have_text("Your profile")


@pytest.mark.parametrize("look", [ENGLISH, PHONE], ids=str)
def test_a_wrong_password_says_nothing_of_the_name(site_page: OpenWindow, site: Site, look: Look) -> None:
    site.people.make("there")
    view = site_page(look)
    view.expected(401, "/session")
    said = []
    for name in ("there", f"nobody-{look}"):
        page = view.open("/sign-in")
        page.reload()
        fill_in(page, name, "wrong " * 3, look)
        alert = page.get_by_role("alert")
        expect(alert).to_be_visible()
        said.append(alert.text_content())
        expect(page.get_by_label(words(look, "sign.name_or_email"))).to_have_value(name)
        view.check_accessible()
        assert page.context.cookies() == []
    view.screenshot("sign-in-wrong")
    assert said == [words(look, "sign.wrong")] * 2


def test_too_many_tries_have_to_wait(site_page: OpenWindow) -> None:
    view = site_page(PHONE)
    view.expected(401, "/session")
    view.expected(429, "/session")
    page = view.open("/sign-in")
    answers: list[int] = []
    while 429 not in answers and len(answers) < TRIES_MAX:
        with page.expect_response("**/session") as answered:
            fill_in(page, "guessed-at", "wrong " * 3, PHONE)
        answers.append(answered.value.status)
        expect(page.locator("form[aria-busy]")).to_have_count(0)
    assert answers == [*[401] * max(5, len(answers) - 1), 429]
    expect(page.get_by_role("alert")).to_have_text(words(PHONE, "sign.too_many"))


def test_an_app_is_set_up_and_asked_for(site_page: OpenWindow, site: Site) -> None:
    view = site_page(login=site.people.make("twofold"))
    page = view.open("/me")
    prove(page, "Set up")
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_role("img", name="Code to scan with your app")).to_be_visible()
    view.check_accessible()
    secret = dialog.locator("code").first.text_content() or ""
    app = pyotp.TOTP(secret)
    view.expected(403, "/me/totp/confirm")
    dialog.get_by_label("Code", exact=True).fill("000000" if app.now() != "000000" else "000001")
    dialog.get_by_role("button", name="Confirm").click()
    expect(dialog.get_by_role("alert")).to_contain_text("The code is wrong.")
    dialog.get_by_label("Code", exact=True).fill(app.now())
    dialog.get_by_role("button", name="Confirm").click()
    codes = page.get_by_role("dialog").locator("pre").text_content() or ""
    recovery = codes.split()
    assert len(set(recovery)) == 10
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_be_visible()
    view.check_accessible()
    view.screenshot("me-codes", full=False)
    page.get_by_role("button", name="I have kept them").click()
    expect(page.get_by_text("10 recovery codes left")).to_be_visible()

    again = site_page()
    page = again.open("/sign-in")
    fill_in(page, "twofold")
    expect(page.get_by_role("heading", level=1)).to_have_text("One more step")
    assert page.context.cookies() == []
    again.check_accessible()
    again.screenshot("second-factor")
    used = next_code(app)
    page.get_by_label("Code").fill(used)
    page.get_by_role("button", name="Continue").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Your profile")

    third = site_page()
    third.expected(401, "/session/second-factor")
    page = third.open("/sign-in")
    fill_in(page, "twofold")
    # The code that was just used is used up.
    page.get_by_label("Code").fill(used)
    page.get_by_role("button", name="Continue").click()
    expect(page.get_by_role("alert")).to_have_text(words(ENGLISH, "sign.code_wrong"))
    page.get_by_label("Code").fill(f" {recovery[0]} ")
    page.get_by_role("button", name="Continue").click()
    expect(page.get_by_text("9 recovery codes left")).to_be_visible()
    prove(page, "Turn off")
    expect(page.get_by_role("button", name="Set up")).to_be_visible()


def test_a_forgotten_password_is_set_by_mail(site_page: OpenWindow, site: Site) -> None:
    address = site.with_email("forgetful")
    elsewhere = site_page(login="forgetful")
    elsewhere.expected(401, "/admin/v1/")
    elsewhere.open("/me")
    view = site_page()
    page = view.open("/sign-in")
    page.get_by_role("link", name="Forgotten your password?").click()
    # The page before has a field of the same name.
    expect(page.get_by_role("heading", level=1)).to_have_text("Forgotten your password?")
    page.get_by_label("Name or e-mail address").fill("forgetful")
    page.get_by_role("button", name="Send the link").click()
    sent = "If there is a login with a confirmed address, a link is on its way to it."
    expect(page.get_by_text(sent)).to_be_visible()
    link = site.link_to(address)
    assert link.startswith(f"{site.url}/#/set-password/")
    # How long a password must be comes with an answer of its own; without it the server alone would say so.
    with page.expect_response("**/admin/v1/site") as bounds:
        page.goto(link)
    bounds.value.finished()
    view.settle()
    new = page.get_by_label("New password", exact=True)
    new.fill("short")
    page.get_by_role("button", name="Save").click()
    expect(new).to_have_accessible_description("At least 12 characters are needed.")
    view.expected(400, "/password-resets/finish")
    new.fill("forgetful1234")
    page.get_by_role("button", name="Save").click()
    expect(new).to_have_attribute("aria-invalid", "true")
    new.fill(OTHER_PASSWORD)
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("The password of forgetful is set.")).to_be_visible()
    # Whoever was signed in with the old one is out.
    elsewhere.page.reload()
    elsewhere.page.wait_for_url("**/#/sign-in?to=%2Fme")
    page.get_by_role("link", name="To the sign-in").click()
    view.expected(401, "/session")
    fill_in(page, "forgetful")
    expect(page.get_by_role("alert")).to_be_visible()
    fill_in(page, "forgetful", OTHER_PASSWORD)
    expect(page.get_by_role("heading", level=1)).to_have_text("Your profile")
    # The link worked once.
    view.expected(404, "/password-resets/finish")
    page.goto(link)
    view.settle()
    page.get_by_label("New password", exact=True).fill("a third one of these")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("alert")).to_contain_text("link")


def test_whoever_asks_for_a_link_learns_nothing(site_page: OpenWindow) -> None:
    page = site_page().open("/set-password")
    page.get_by_label("Name or e-mail address").fill("nobody-at-all")
    page.get_by_role("button", name="Send the link").click()
    sent = "If there is a login with a confirmed address, a link is on its way to it."
    expect(page.get_by_text(sent)).to_be_visible()


def test_a_registration_is_confirmed_by_mail(site_page: OpenWindow, site: Site, look: Look) -> None:
    site.register(email_required=True, email_domains=["campus.example"])
    name = f"newcomer-{look}"
    address = f"{name}@campus.example"
    view = site_page(look)
    page = view.open("/sign-up")
    page.get_by_label(words(look, "sign.name"), exact=True).fill(name)
    email = page.get_by_label(words(look, "sign.email"))
    email.fill("someone@elsewhere.example")
    page.get_by_label(words(look, "sign.password"), exact=True).fill(PASSWORD)
    button = page.get_by_role("main").get_by_role("button", name=words(look, "nav.sign_up"))
    view.expected(400, "/registrations")
    button.click()
    expect(email).to_have_attribute("aria-invalid", "true")
    view.check_accessible()
    email.fill(address)
    button.click()
    expect(page.get_by_text(words(look, "sign.made.unconfirmed"))).to_be_visible()
    page.goto(f"{site.url}/#/sign-in")
    view.expected(403, "/session")
    fill_in(page, name, look=look)
    expect(page.get_by_role("alert")).to_be_visible()
    text = site.mail_to(address)
    assert ("确认" in text) == (look.language == "zh"), "the mail is in the language of the page"
    page.goto(site.link_to(address))
    page.get_by_role("button", name=words(look, "sign.confirm")).click()
    expect(page.get_by_text(words(look, "sign.made.active"))).to_be_visible()
    view.check_accessible()
    page.get_by_role("link", name=words(look, "sign.to_sign_in")).click()
    fill_in(page, name, look=look)
    expect(page.get_by_role("heading", level=1)).to_have_text(words(look, "nav.overview"))


def test_a_closed_site_says_whom_to_ask(site_page: OpenWindow, site: Site) -> None:
    site.register(open=False)
    page = site_page().open("/sign-up")
    expect(page.get_by_text("Ask whoever runs this gateway for a login.")).to_be_visible()
    page = site_page().open("/sign-in")
    expect(page.get_by_role("link", name="Make a login")).to_have_count(0)


@pytest.fixture
def without_operator(site: Site) -> Iterator[None]:
    """No login is an operator for the length of the test."""
    operators = site.make_operators([])
    yield
    site.make_operators(operators)


@pytest.mark.usefixtures("without_operator")
def test_the_first_operator_comes_by_a_link(site_page: OpenWindow, site: Site) -> None:
    assert site.surface.ready.console_login.startswith(f"{site.url}/#/first/")
    link = site.surface.admin("POST", "/first-operator/link")["url"]
    view = site_page()
    page = view.open("/sign-in")
    expect(page.get_by_text("No operator yet")).to_be_visible()
    page.goto(link)
    view.settle()
    view.check_accessible()
    page.get_by_label("Name").fill(f"foundress-{secrets.token_hex(3)}")
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    page.get_by_role("button", name="Continue").click()
    expect(page.get_by_role("navigation", name="Main").get_by_role("link", name="Live board")).to_be_visible()
    again = site_page()
    again.expected(404, "/first-operator")
    page = again.page
    page.goto(link)
    again.settle()
    page.get_by_label("Name").fill("second")
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    page.get_by_role("button", name="Continue").click()
    expect(page.get_by_role("alert")).to_be_visible()
    assert page.context.cookies() == []


def test_the_campus_lets_in(site_page: OpenWindow, site: Site) -> None:
    site.provider.person = {"sub": "campus-1", "preferred_username": "campus-kim"}
    page = site_page().open("/sign-in")
    page.get_by_role("link", name="Sign in with Campus ID").click()
    page.wait_for_url(f"{site.url}/#/a/campus-kim/overview")
    expect(page.get_by_role("button", name="Signed in as campus-kim")).to_be_visible()


@pytest.mark.parametrize(
    ("person", "registration", "key"),
    [
        ({"sub": "campus-2", "preferred_username": "late"}, {"open": False}, "sign.oidc.closed"),
        ({"sub": "campus-3", "preferred_username": "awaited"}, {"approval": True}, "sign.oidc.waiting"),
        ({"sub": "campus-4", "preferred_username": "x"}, {"name_pattern": "[0-9]{10}"}, "sign.oidc.name"),
        ({"sub": "campus-5", "preferred_username": "mailless"}, {"email_required": True}, "sign.oidc.email"),
    ],
)
def test_why_the_campus_does_not_let_in(
    site_page: OpenWindow, site: Site, person: dict[str, str], registration: dict[str, object], key: str
) -> None:
    site.provider.person = person
    site.register(**registration)
    view = site_page(PHONE)
    page = view.open("/sign-in")
    page.get_by_role("link", name="Campus ID").click()
    page.wait_for_url("**/#/sign-in?oidc=*")
    expect(page.get_by_text(words(view.look, key))).to_be_visible()
    view.check_accessible()


def test_a_login_is_connected_with_the_campus(site_page: OpenWindow, site: Site) -> None:
    site.provider.person = {"sub": "campus-9", "preferred_username": "another name"}
    page = site_page(login=site.people.make("both-ways")).open("/me")
    prove(page, "Connect Campus ID")
    page.wait_for_url(f"{site.url}/#/me?oidc=linked")
    expect(page.get_by_text("It is connected: you can sign in with it from now on.")).to_be_visible()
    other = site_page().open("/sign-in")
    other.get_by_role("link", name="Sign in with Campus ID").click()
    expect(other.get_by_role("button", name="Signed in as both-ways")).to_be_visible()
    prove(page, "Disconnect Campus ID")
    expect(page.get_by_role("button", name="Connect Campus ID", exact=True)).to_be_visible()


def test_a_session_ended_from_another_window_is_over_at_once(site_page: OpenWindow, site: Site) -> None:
    name = site.people.make("twice-here")
    away = site_page(login=name)
    away.expected(401, "/admin/v1/")
    away.open("/me")
    here = site_page(login=name)
    page = here.open("/me")
    rows = page.get_by_role("table", name="Sessions").get_by_role("row")
    expect(rows).to_have_count(3)
    expect(rows.filter(has_text="this one")).to_have_count(1)
    expect(rows.filter(has_text="this one").get_by_role("button")).to_have_count(0)
    rows.filter(has_not_text="this one").get_by_role("button", name="Actions").click()
    page.get_by_role("menuitem", name="End").click()
    expect(page.get_by_text("The session has ended.")).to_be_visible()
    session = f"{site.url}/admin/v1/session"
    until(lambda: away.page.request.get(session).status == 401, ENDED_WITHIN_S, "the session is over")
    # What is done there next leads to the sign-in, and back to where one was.
    away.page.get_by_role("navigation").get_by_role("link", name="Documentation").first.click()
    away.settle()
    away.open("/me?from=here")
    away.page.wait_for_url("**/#/sign-in?to=%2Fme%3Ffrom%3Dhere")
    fill_in(away.page, name)
    away.page.wait_for_url("**/#/me?from=here")
    expect(away.page.get_by_role("heading", level=1)).to_have_text("Your profile")


def test_all_other_sessions_end_with_one_click(site_page: OpenWindow, site: Site) -> None:
    name = site.people.make("everywhere")
    others = [site_page(login=name) for _ in range(2)]
    page = site_page(login=name).open("/me")
    page.get_by_role("button", name="End all others").click()
    expect(page.get_by_text("2 sessions have ended.")).to_be_visible()
    expect(page.get_by_role("table", name="Sessions").get_by_role("row")).to_have_count(2)
    for other in others:
        other.expected(401, "/session")
        assert other.page.request.get(f"{site.url}/admin/v1/session").status == 401


def test_a_password_is_changed(site_page: OpenWindow, site: Site) -> None:
    name = site.people.make("careful")
    other = site_page(login=name)
    view = site_page(login=name)
    page = view.open("/me")
    page.get_by_role("button", name="Change password").click()
    dialog = page.get_by_role("dialog")
    present = dialog.get_by_label("Present password", exact=True)
    present.fill("not this one, no")
    dialog.get_by_label("New password", exact=True).fill(OTHER_PASSWORD)
    view.expected(403, "/me/password")
    dialog.get_by_role("button", name="Change password").click()
    expect(dialog.get_by_role("alert")).to_contain_text("The password is wrong.")
    present.fill(PASSWORD)
    dialog.get_by_role("button", name="Change password").click()
    expect(page.get_by_text("The password was changed; other sessions have ended.")).to_be_visible()
    assert other.page.request.get(f"{site.url}/admin/v1/session").status == 401
    assert page.request.get(f"{site.url}/admin/v1/session").status == 200


def test_language_and_theme_are_kept(site_page: OpenWindow, site: Site) -> None:
    chinese = Look("zh")
    name = site.people.make("polyglot")
    view = site_page(login=name)
    page = view.open("/me")
    # The last of what the choice asks for: a sign-out on the way would overtake it.
    with page.expect_response("**/admin/v1/session"):
        page.get_by_role("main").get_by_role("button", name="中文").click()
    expect(page.get_by_role("heading", level=1)).to_have_text(words(chinese, "nav.me"))
    page.get_by_role("button", name=words(chinese, "nav.theme")).click()
    page.get_by_role("menuitemradio", name=words(chinese, "nav.theme.dark")).click()
    page.get_by_role("button", name=re.compile(name)).click()
    page.get_by_role("menuitem", name=words(chinese, "nav.sign_out")).click()
    expect(page.get_by_role("heading", level=1)).to_have_text(
        words(chinese, "sign.in_to").format(site="Physics Gateway")
    )
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    # In another browser, whose language is English, the login's own language holds once it is known who it is.
    other = site_page(login=name).open("/me")
    expect(other.get_by_role("heading", level=1)).to_have_text(words(chinese, "nav.me"))
    expect(other.locator("html")).to_have_attribute("lang", "zh-CN")


def test_the_own_page_looks_well(site_page: OpenWindow, site: Site, look: Look) -> None:
    view = site_page(look, login=site.people.make(f"looked-at-{look}", roles={"demo": "viewer"}))
    page = view.open("/me")
    expect(page.get_by_role("heading", level=2)).not_to_have_count(0)
    view.check_accessible()
    view.screenshot("me")
