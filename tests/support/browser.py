"""The console's web page in a real browser: Debian's Chromium, driven by Playwright.

A view collects what went wrong behind its page: errors in the console, failed requests, texts that are missing. A test
that looks only at what is on the screen would not notice them.
"""

import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote

import msgspec
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import (
    APIResponse,
    Browser,
    BrowserContext,
    ConsoleMessage,
    Page,
    Request,
    Response,
    expect,
    sync_playwright,
)

from services.console.web_files import FOLDER, read_folder
from tests.support.surface import Surface
from trunkline.policy.admin_api import PREFIX

SCREENSHOTS = Path(__file__).parents[2] / ".data" / "screenshots"
"""Made by whoever wants to look at some."""

TIMEOUT_MS = 30_000
"""A busy machine takes seconds for what else takes milliseconds."""

STILL_LOADING = "main :is(.skeleton, .skeleton-line, .table-skeleton, [aria-busy=true])"

PASSWORD = "a long password of the tests"

FITS_WITHIN_MS, LOOK_MS = 2_000, 50
"""What is drawn by its container's width follows that a frame or two later."""

TOO_WIDE = """() => {
  if (document.documentElement.scrollWidth <= innerWidth) return "";
  const scrolls = (each) => getComputedStyle(each).overflowX !== "visible";
  const held = (each) => each !== document.body && (scrolls(each) || held(each.parentElement));
  const wide = (each) => each.getBoundingClientRect().right > innerWidth && !held(each.parentElement);
  const found = [...document.querySelectorAll("body *")].filter(wide);
  const named = found.map((each) => `${each.localName}.${each.getAttribute("class") ?? ""}`);
  return [...new Set(named)].join(" ") || "a margin";
}"""
"""Which elements make a page scroll sideways; empty if none does."""


FIRST_PAINT_MS = """() => new Promise((resolve) => {
  const seen = (list) => list.getEntriesByName("first-contentful-paint").forEach((entry) => resolve(entry.startTime));
  new PerformanceObserver(seen).observe({ type: "paint", buffered: true });
})"""
"""When a page was first painted. The browser may tell of it later than the page is there."""


class Look(NamedTuple):
    """How a page is looked at.

    Attributes:
        language: ``en`` or ``zh``.
        theme: ``light`` or ``dark``.
        width: of the window, in pixels.
    """

    language: str = "en"
    theme: str = "light"
    width: int = 1280

    def __str__(self) -> str:
        return f"{self.language}-{self.theme}-{self.width}"


LOOKS = (Look(), Look("zh", "dark"), Look("en", "dark", 360), Look("zh", "light", 360))
"""Both languages, themes and widths, each with each of the others once."""

_FOLLOW = """(() => {
  const follow = () => { window.followed = location.href };
  follow();
  addEventListener("hashchange", () => requestAnimationFrame(() => setTimeout(() => setTimeout(follow))));
})()"""
"""Notes which address the page has followed: it draws when it hears of it, after this listener, and begins to read in a
timer that it sets in the next frame."""

_FOLLOWED = "() => window.followed === location.href"

_TAGS = {"en": "en-US", "zh": "zh-CN"}


@cache
def _words(language: str) -> dict[str, str]:
    found: dict[str, str] = msgspec.json.decode(read_folder(FOLDER)[f"words/{language}.json"])
    return found


def words(look: Look, key: str) -> str:
    """Return what the page says for a key in the language of a look."""
    return _words(look.language)[key]


class View:
    """A page in a window of its own.

    Args:
        page: of Playwright.
        url: of the console.
        look: see there.
    """

    def __init__(self, page: Page, url: str, look: Look) -> None:
        self.page = page
        self.look = look
        self.problems: list[str] = []
        self.url = url
        self._expected: list[tuple[int, str]] = []
        self._csrf = ""
        page.add_init_script(_FOLLOW)
        page.on("console", self._said)
        page.on("pageerror", lambda error: self.problems.append(f"page error: {error}"))
        page.on("response", self._answered)
        page.on("requestfailed", self._failed)

    def open(self, path: str) -> Page:
        """Go to a page, ``/a/lab/keys``, and return once its heading and what it reads are there."""
        self.page.goto(f"{self.url}/#{path}")
        self.settle()
        return self.page

    def settle(self) -> None:
        """Return once the page is that of its address, and nothing on it is still loading."""
        # A link that was followed leaves the page before it for a moment, heading and all.
        self.page.wait_for_function(_FOLLOWED)
        self.page.locator("main h1").first.wait_for()
        expect(self.page.locator(STILL_LOADING)).to_have_count(0)

    def expected(self, status: int, part: str) -> None:
        """Let answers of a status to addresses with ``part`` in them be; all others that are errors fail the test."""
        self._expected.append((status, part))

    def send(self, method: str, path: str, body: object = None) -> APIResponse:
        """Send a request of the admin API by hand, with the window's session and all that its page would send."""
        request = self.page.context.request
        url = f"{self.url}{PREFIX}"
        if not self._csrf:
            self._csrf = request.get(f"{url}/session").json()["csrf"]
        headers = {"x-csrf-token": self._csrf, "content-type": "application/json"}
        data = None if body is None else msgspec.json.encode(body)
        return request.fetch(f"{url}{path}", method=method, headers=headers, data=data)

    def screenshot(self, name: str, *, full: bool = True) -> None:
        """Keep a picture for people to look at, if they want some."""
        if SCREENSHOTS.is_dir():
            self.page.screenshot(path=SCREENSHOTS / f"{name}-{self.look}.png", full_page=full, animations="disabled")

    def check_accessible(self) -> None:
        """Assert that axe finds nothing, and that the page fits into the window's width."""
        found = [
            f"{violation['id']}: {node['target']} {node.get('failureSummary', '')}"
            for violation in Axe().run(self.page).response["violations"]
            for node in violation["nodes"]
        ]
        assert not found, "\n".join(found)
        for _ in range(FITS_WITHIN_MS // LOOK_MS):
            if not (wide := self.page.evaluate(TOO_WIDE)):
                return
            self.page.wait_for_timeout(LOOK_MS)
        raise AssertionError(f"the page scrolls sideways: {wide}")

    def _said(self, message: ConsoleMessage) -> None:
        # Answers that are errors are judged by `_answered`.
        if message.type in {"error", "warning"} and "Failed to load resource" not in message.text:
            self.problems.append(f"console: {message.text}")

    def _answered(self, response: Response) -> None:
        if response.status < 400:
            return
        if any(status == response.status and part in response.url for status, part in self._expected):
            return
        self.problems.append(f"{response.request.method} {response.url}: {response.status}")

    def _failed(self, request: Request) -> None:
        # Whoever goes to another page leaves what the one before still reads.
        if request.failure != "net::ERR_ABORTED":
            self.problems.append(f"{request.method} {request.url}: {request.failure}")


def leave(page: Page) -> None:
    """Let a page ask for nothing any more, since what it shows is about to be deleted."""
    page.goto("about:blank")


class People:
    """Logins of a console, made when they are first asked for.

    Args:
        surface: the running stack.
    """

    def __init__(self, surface: Surface) -> None:
        self._surface = surface
        self._made: set[str] = set()

    def make(self, name: str, *, operator: bool = False, roles: Mapping[str, str] | None = None) -> str:
        """Make a login with `PASSWORD`, unless it is there, and return its name.

        Args:
            name: of the login.
            operator: whether it may do everything.
            roles: by account, what it is there.
        """
        if name in self._made:
            return name
        created = self._surface.admin("POST", "/logins", {"name": name, "operator": operator})
        token = created["link"]["url"].rpartition("/")[2]
        self._surface.admin("POST", "/password-resets/finish", {"token": token, "password": PASSWORD})
        for account, role in (roles or {}).items():
            self._surface.admin("POST", f"/accounts/{quote(account, safe='')}/members", {"login": name, "role": role})
        self._made.add(name)
        return name


def sign_in(context: BrowserContext, url: str, name: str) -> None:
    """Give a browser's context the session of a login that `People` has made."""
    answer = context.request.post(f"{url}{PREFIX}/session", data={"name": name, "password": PASSWORD})
    assert answer.ok, answer.text()


@contextmanager
def chromium() -> Iterator[Browser]:
    """Run Debian's Chromium for the length of the block.

    Raises:
        AssertionError: there is none.
    """
    program = shutil.which("chromium")
    assert program, "these tests need Chromium: apt-get install chromium"
    # Expectations have a limit beside that of their context: five seconds, unless they are told another one.
    expect.set_options(timeout=TIMEOUT_MS)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program)
        try:
            yield browser
        finally:
            browser.close()


@contextmanager
def views(browser: Browser, url: str) -> Iterator[Callable[..., View]]:
    """Give what opens windows, and close them afterwards.

    The windows' call takes a `Look`, and the name of a login that is signed in, None for nobody.

    Raises:
        AssertionError: something went wrong behind one of the pages.
    """
    made: list[View] = []

    def view(look: Look = LOOKS[0], *, login: str | None = None) -> View:
        context = browser.new_context(
            locale=_TAGS[look.language],
            color_scheme="dark" if look.theme == "dark" else "light",
            viewport={"width": look.width, "height": 800},
            reduced_motion="reduce",
        )
        context.set_default_timeout(TIMEOUT_MS)
        if login is not None:
            sign_in(context, url, login)
        new = View(context.new_page(), url, look)
        made.append(new)
        return new

    try:
        yield view
    finally:
        for each in made:
            each.page.context.close()
    problems = [problem for each in made for problem in each.problems]
    assert not problems, "\n".join(problems)
