"""What others try: names that are markup, pages of other sites, stolen cookies, and other people's things."""

import http.server
import json
import threading
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import quote

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from tests.support import hostile
from tests.support.browser import PASSWORD, View, sign_in
from tests.support.hostile import ACCOUNT, UNPRINTABLE
from tests.support.site import Site
from tests.support.stack import until
from trunkline.cli import http as cli_http
from trunkline.policy.access import Access
from trunkline.policy.admin_api import PREFIX
from trunkline.policy.operations import ALL

OpenWindow = Callable[..., View]

SHOWN_WITHIN_S = 10.0

# --- names that are markup -------------------------------------------------------------------------------------------


def test_the_trap_catches(site_page: OpenWindow) -> None:
    """What all the others rely on: were a name put into a page as markup, they would see it."""
    view = site_page()
    view.page.add_init_script(hostile.TRAP)
    view.expected(401, "/x")  # The picture that the markup below asks for may be answered at any time.
    page = view.open("/")
    assert hostile.caught(page) == []
    page.evaluate("markup => { document.querySelector('main').innerHTML = markup }", hostile.ELEMENT)
    until(lambda: len(hostile.caught(page)) == 2, SHOWN_WITHIN_S, "the handler is there, and was refused")
    assert [problem for problem in view.problems if "Content Security Policy" in problem]
    view.problems.clear()
    page.evaluate("trap()")
    assert "ran 1 times" in hostile.caught(page)


@pytest.mark.usefixtures("hostile_names")
def test_an_error_of_a_provider_is_text(site_page: OpenWindow, site: Site) -> None:
    view = site_page(login=site.people.make(hostile.TEMPLATE, operator=True, roles={ACCOUNT: "owner"}))
    view.page.add_init_script(hostile.TRAP)
    view.expected(400, "/playground/chat")
    account = quote(ACCOUNT, safe="")
    page = view.open(f"/a/{account}/playground?model={quote(hostile.SCRIPT, safe='')}")
    box = page.get_by_role("textbox", name="Ask something")
    box.fill(hostile.MARKDOWN)
    expect(page.get_by_role("button", name="Send", exact=True)).to_be_enabled()  # once the model is chosen
    box.press("Enter")
    answer = page.locator(".play-turn.assistant")
    expect(answer).to_have_attribute("data-state", "failed")
    expect(answer.get_by_role("alert")).to_contain_text("<script>trap()</script>")
    assert hostile.caught(page) == []
    # The request is found among those of the account, and opened.
    view.open(f"/a/{account}/usage")
    view.check_accessible()
    assert hostile.caught(page) == []


@pytest.mark.usefixtures("hostile_names")
def test_questions_say_names_as_they_are(site_page: OpenWindow, site: Site) -> None:
    view = site_page(login=site.people.make(hostile.TEMPLATE, operator=True, roles={ACCOUNT: "owner"}))
    view.page.add_init_script(hostile.TRAP)
    page = view.open(f"/a/{quote(ACCOUNT, safe='')}/keys")
    for name in hostile.KEYS:
        title = page.locator(".cell-title").get_by_text(name, exact=True)
        row = page.get_by_role("row").filter(has=title)
        row.get_by_role("button", name="Actions").click()
        page.get_by_role("menuitem", name="Delete").click()
        expect(page.get_by_role("dialog").get_by_role("textbox")).to_be_visible()
        expect(page.get_by_role("dialog")).to_contain_text(name)
        assert hostile.caught(page) == []
        page.keyboard.press("Escape")


NAMED: list[tuple[str, str, Callable[[str], object]]] = [
    ("POST", "/logins", lambda name: {"name": name}),
    ("POST", "/registrations", lambda name: {"name": name, "password": PASSWORD}),
    ("POST", "/accounts", lambda name: {"name": name}),
    ("POST", "/accounts/demo/keys", lambda name: {"name": name}),
    ("POST", "/accounts/demo/users", lambda name: {"name": name}),
    ("POST", "/accounts/demo/credit", lambda name: {"usd": "1", "reference": name}),
    ("POST", "/apply", lambda name: {"groups": [{"name": name}]}),
    ("POST", "/apply", lambda name: {"tiers": [{"name": name}]}),
    ("POST", "/apply", lambda name: {"models": [{"name": name, "price": {}}]}),
]


def test_what_cannot_be_seen_is_no_name(site_page: OpenWindow, site: Site) -> None:
    site.register()
    view = site_page(login=site.people.make("names-operator", operator=True))
    for method, path, body in NAMED:
        for name in UNPRINTABLE:
            answer = view.send(method, path, body(f"a{name}"))
            assert (path, name, answer.status) == (path, name, 400), answer.text()


# --- pages of other sites --------------------------------------------------------------------------------------------


class _Elsewhere(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("content-type", "text/html")
        self.end_headers()
        self.wfile.write(b"<!doctype html><title>elsewhere</title><body></body>")

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def elsewhere() -> Iterator[int]:
    """The port of a page of somebody else's."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Elsewhere) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server.server_port
        server.shutdown()
        thread.join()


@pytest.fixture(params=["127.0.0.1", "localhost"], ids=["same-site", "cross-site"])
def lured(request: pytest.FixtureRequest, browser: Browser, site: Site, elsewhere: int) -> Iterator[Page]:
    """Somebody else's page, in the browser of an operator: on another port of the host, and on another host.

    To the browser the first is the same site: it sends the session's cookie along.
    """
    context = browser.new_context()
    sign_in(context, site.url, site.people.make("lured", operator=True))
    page = context.new_page()
    page.goto(f"http://{request.param}:{elsewhere}/")
    yield page
    context.close()


TRIED = [
    ("POST", "/accounts", {"name": "planted"}),
    ("POST", "/logins", {"name": "planted", "operator": True}),
    ("POST", "/session", {"name": "attacker", "password": PASSWORD}),
    ("POST", "/registrations", {"name": "planted", "password": PASSWORD}),
    ("POST", "/password-resets", {"name": "lured"}),
    ("POST", "/me/sessions/end-others", None),
]

SEND = """async ([method, url, body, type]) => {
  const headers = type ? { "content-type": type } : {};
  const mode = type === "application/json" ? "cors" : "no-cors";
  try {
    const answer = await fetch(url, { method, headers, body, mode, credentials: "include" });
    return answer.type;
  } catch (error) {
    return "blocked";
  }
}"""


def with_cookie(browser: Browser, site: Site, value: str) -> BrowserContext:
    """Return a browser that has a session's cookie and nothing else."""
    context = browser.new_context()
    context.add_cookies([{"name": "trunkline_session", "value": value, "url": f"{site.url}/"}])
    return context


def session_of(context: BrowserContext, site: Site) -> dict[str, Any]:
    found: dict[str, Any] = context.request.get(f"{site.url}{PREFIX}/session").json()
    return found


def made(site: Site) -> set[str]:
    logins = {login["name"] for login in site.surface.admin("GET", "/logins?limit=500")}
    return logins | {account["name"] for account in site.surface.admin("GET", "/accounts?limit=500")}


@pytest.mark.parametrize("type_", ["text/plain", "application/json"])
def test_another_site_changes_nothing(browser: Browser, lured: Page, site: Site, type_: str) -> None:
    site.register()
    site.people.make("attacker")
    beside = browser.new_context()
    sign_in(beside, site.url, "lured")
    for method, path, body in TRIED:
        sent = None if body is None else json.dumps(body)
        seen = lured.evaluate(SEND, [method, f"{site.url}{PREFIX}{path}", sent, type_])
        assert seen in {"opaque", "blocked"}, path
    assert session_of(lured.context, site)["login"]["name"] == "lured"
    assert session_of(beside, site)["login"]["name"] == "lured", "their other session goes on"
    assert "planted" not in made(site)
    beside.close()


FORM = """([action, fields]) => {
  const form = document.createElement("form");
  Object.assign(form, { method: "post", action, enctype: "text/plain" });
  for (const [name, value] of Object.entries(fields)) {
    const input = document.createElement("input");
    Object.assign(input, { name, value });
    form.append(input);
  }
  document.body.append(form);
  form.submit();
}"""


@pytest.mark.parametrize("path", ["/session", "/accounts", "/me/sessions/end-others"])
def test_a_form_of_another_site_does_nothing(lured: Page, site: Site, path: str) -> None:
    site.people.make("attacker")
    # A form can write JSON: the rest of it is in the field's value.
    fields = {f'{{"name":"attacker","password":"{PASSWORD}","x":"': '"}'}
    with lured.expect_response(f"**{path}") as answered:
        lured.evaluate(FORM, [f"{site.url}{PREFIX}{path}", fields])
    assert answered.value.status == 403
    assert "set-cookie" not in answered.value.headers
    assert session_of(lured.context, site)["login"]["name"] == "lured"


def test_another_site_reads_nothing(lured: Page, site: Site) -> None:
    for path in ("/session", "/logins", "/site", "/public/models"):
        read = """async (url) => {
          try { return await (await fetch(url, { credentials: "include" })).text() } catch { return "blocked" }
        }"""
        assert lured.evaluate(read, f"{site.url}{PREFIX}{path}") == "blocked"


FRAME = "url => document.body.replaceChildren(Object.assign(document.createElement('iframe'), { src: url }))"


def test_the_console_stands_in_no_frame(lured: Page, site: Site) -> None:
    for path in ("/", "/#/me", "/status"):
        with lured.expect_console_message(lambda message: "frame-ancestors" in message.text):
            lured.evaluate(FRAME, f"{site.url}{path}")


@pytest.mark.parametrize(
    "to", ["//elsewhere.example/", "https://elsewhere.example/", "javascript:trap()", "/\\\\elsewhere"]
)
def test_a_sign_in_leads_nowhere_else(site_page: OpenWindow, site: Site, to: str) -> None:
    site.people.make("led-on")
    view = site_page()
    view.page.add_init_script(hostile.TRAP)
    page = view.open(f"/sign-in?to={quote(to, safe='')}")
    page.get_by_label("Name or e-mail address").fill("led-on")
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    page.get_by_role("main").get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("button", name="Signed in as led-on")).to_be_visible()
    view.settle()
    assert page.url.startswith(f"{site.url}/#/")
    assert hostile.caught(page) == []


# --- cookies ---------------------------------------------------------------------------------------------------------


def test_a_page_cannot_read_its_session(site_page: OpenWindow, site: Site) -> None:
    view = site_page(login=site.people.make("cookie-owner"))
    page = view.open("/me")
    assert page.evaluate("document.cookie") == ""
    assert page.evaluate("Object.keys(sessionStorage).length") == 0
    kept = page.evaluate("JSON.stringify(localStorage)")
    (cookie,) = page.context.cookies()
    assert cookie["value"] not in kept
    csrf = session_of(page.context, site)["csrf"]
    assert csrf not in kept


def test_no_answer_is_kept_on_the_way(site_page: OpenWindow, site: Site) -> None:
    view = site_page(login=site.people.make("cookie-owner"))
    for path in ("/session", "/me/sessions", "/accounts/never-made/keys", "/nowhere"):
        headers = view.send("GET", path).headers
        assert headers["cache-control"] == "no-store"
        assert headers["x-content-type-options"] == "nosniff"


def test_a_stolen_cookie_ends_with_its_session(browser: Browser, site_page: OpenWindow, site: Site) -> None:
    view = site_page(login=site.people.make("robbed"))
    view.expected(401, "/admin/v1/")
    page = view.open("/me")
    (cookie,) = page.context.cookies()
    thief = with_cookie(browser, site, cookie["value"])
    assert session_of(thief, site)["login"]["name"] == "robbed"
    # A thief of the cookie alone changes nothing: the token is asked for, and is another one for another cookie.
    refused = thief.request.post(f"{site.url}{PREFIX}/me/sessions/end-others")
    assert refused.status == 403
    page.get_by_role("button", name="Signed in as robbed").click()
    page.get_by_role("menuitem", name="Sign out").click()
    page.wait_for_url("**/#/sign-in")
    assert thief.request.get(f"{site.url}{PREFIX}/session").status == 401
    thief.close()


def test_a_session_that_was_planted_becomes_nobody_elses(browser: Browser, site: Site) -> None:
    attacker = browser.new_context()
    sign_in(attacker, site.url, site.people.make("planter"))
    (planted,) = attacker.cookies()
    site.people.make("planted-on")
    for value in (planted["value"], "A" * 43):
        victim = with_cookie(browser, site, value)
        sign_in(victim, site.url, "planted-on")
        (own,) = victim.cookies()
        assert own["value"] != value
        assert session_of(victim, site)["login"]["name"] == "planted-on"
        stale = with_cookie(browser, site, value)
        assert stale.request.get(f"{site.url}{PREFIX}/session").status == 401
        stale.close()
        victim.close()
    attacker.close()


# --- other people's things -------------------------------------------------------------------------------------------

ONE, OTHER = "house-one", "house-other"


@pytest.fixture(scope="module")
def houses(site: Site) -> dict[str, str]:
    """Two accounts with an owner each, and what has an id in the first: a job, a key, a user."""
    accounts = [{"name": name, "credit": 5, "users": [{"name": "crew"}]} for name in (ONE, OTHER)]
    site.surface.admin("POST", "/apply", {"accounts": accounts})
    for name in (ONE, OTHER):
        site.people.make(f"{name}-owner", roles={name: "owner"})
    secret = site.surface.new_key(ONE, "the-key")
    job = chat(site, secret)
    known = f"/accounts/{ONE}/usage/requests/{job}"
    until(lambda: known_to_operator(site, known), SHOWN_WITHIN_S, "the job is settled")
    return {"job": job, "key": "the-key", "user": "crew", "month": "2026-11"}


def known_to_operator(site: Site, path: str) -> bool:
    try:
        site.surface.admin("GET", path)
    except AssertionError:
        return False
    return True


def chat(site: Site, secret: str) -> str:
    """Send a request through the gateway, and return its id."""
    body = json.dumps({"model": "demo", "messages": [{"role": "user", "content": "Hi"}]}).encode()
    headers = {"authorization": f"Bearer {secret}", "content-type": "application/json"}
    url = f"{site.surface.ready.base_url}/v1/chat/completions"
    with cli_http.opened("POST", url, body=body, headers=headers) as answer:
        assert answer.status == 200, answer.read()
        job: str = answer.headers["x-request-id"]
        answer.read()
    return job


OF_ACCOUNTS = [operation for operation in ALL if operation.places[:1] == ("account",)]


def test_an_account_of_others_is_not_there(site_page: OpenWindow, houses: dict[str, str]) -> None:
    """Each operation of an account, by hand, as an owner of another one."""
    view = site_page(login=f"{OTHER}-owner")
    absent = view.send("GET", "/accounts/never-made/place").text()
    assert len(OF_ACCOUNTS) > 30
    for operation in OF_ACCOUNTS:
        if operation.access is Access.OPERATOR:
            continue
        names = {**houses, "account": ONE}
        path = "".join(
            "/" + (quote(names.get(place_of(part), "1"), safe="") if part.startswith("{") else part)
            for part in operation.path.split("/")[1:]
        )
        answer = view.send(operation.method, path, {} if operation.body is not None else None)
        assert (operation.id, answer.status) == (operation.id, 404), answer.text()
        assert answer.text().replace(ONE, "never-made") == absent


def place_of(part: str) -> str:
    return part.strip("{}").partition(":")[0]


BY_ID: list[tuple[str, str, object]] = [
    ("GET", "/usage/requests/{job}", None),
    ("GET", "/keys/{key}", None),
    ("GET", "/keys/{key}/budgets", None),
    ("PATCH", "/keys/{key}", {"models": ["*"]}),
    ("POST", "/keys/{key}/block", None),
    ("POST", "/keys/{key}/rotate", {}),
    ("DELETE", "/keys/{key}", None),
]


def test_an_id_of_others_is_none_in_ones_own_account(site_page: OpenWindow, site: Site, houses: dict[str, str]) -> None:
    view = site_page(login=f"{OTHER}-owner")
    before = site.surface.admin("GET", f"/accounts/{ONE}/keys/the-key")
    for method, path, body in BY_ID:
        answer = view.send(method, f"/accounts/{OTHER}{path.format(**houses)}", body)
        assert (method, path, answer.status) == (method, path, 404), answer.text()
    assert site.surface.admin("GET", f"/accounts/{ONE}/keys/the-key") == before


def test_lists_are_of_ones_own(site_page: OpenWindow, houses: dict[str, str]) -> None:
    view = site_page(login=f"{OTHER}-owner")
    names = ["keys", "users", "statement", "audit", "usage/attempts", "usage/breakdown?by=key", "spending", "invoices"]
    for name in names:
        for filtered in ("", f"&account={ONE}", "&key=the-key"):
            answer = view.send("GET", f"/accounts/{OTHER}/{name}{'' if '?' in name else '?'}{filtered}")
            # An error says again what was asked for.
            text = answer.text() if answer.ok else answer.text().replace("the-key", "")
            assert answer.status in {200, 400, 404}, (name, text)
            # The log tells of what its own people have tried.
            tried = name == "audit"
            assert not [theirs for theirs in (houses["job"], "the-key") if theirs in text and not tried], name
