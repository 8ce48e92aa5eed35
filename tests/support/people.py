"""A person at a browser: keeps cookies, and sends the header that proves it is the console's own page."""

import contextlib
import re
from collections.abc import AsyncIterator, Mapping
from typing import Any

import aiohttp
import msgspec
import pytest
from yarl import URL

from tests.support.console import AdminClient, Answer
from trunkline.policy.logins import guesses
from trunkline.policy.logins.guesses import DAY_S, Window

PASSWORD = "seven lazy harbours"


class Browser:
    """One browser at one or more consoles.

    Attributes:
        csrf: what it sends with changes.
        headers: that it sends besides.
    """

    def __init__(self, http: aiohttp.ClientSession, url: str) -> None:
        self._http = http
        self.url = url
        self.csrf = ""
        self.headers: dict[str, str] = {}
        self.answered: Mapping[str, str] = {}

    @property
    def cookies(self) -> dict[str, str]:
        """The cookies that it has of the console."""
        return {cookie.key: cookie.value for cookie in self._http.cookie_jar}

    def plant(self, name: str, value: str, *, path: str = "/") -> None:
        """Have the browser send a cookie that no console has made."""
        self._http.cookie_jar.update_cookies({name: value}, URL(f"{self.url}{path}"))

    async def call(self, method: str, path: str, body: object = None, **headers: str) -> Answer:
        """Send a request to the admin API as the page does; ``headers`` with underscores for hyphens."""
        sent = {"sec-fetch-site": "same-origin", **self.headers}
        if self.csrf:
            sent["x-csrf-token"] = self.csrf
        sent |= {name.replace("_", "-"): value for name, value in headers.items()}
        data = None if body is None else msgspec.json.encode(body)
        async with self._http.request(method, f"{self.url}/admin/v1{path}", data=data, headers=sent) as response:
            content = await response.read()
            self.answered = response.headers
            return Answer(response.status, msgspec.json.decode(content) if content else None)

    async def sign_in(self, name: str, password: str = PASSWORD) -> Answer:
        """Sign in, and keep what changes must carry."""
        answer = await self.call("POST", "/session", {"name": name, "password": password})
        self.take(answer)
        return answer

    def take(self, answer: Answer) -> None:
        """Keep what an answer says that changes must carry."""
        if answer.status < 300 and answer.body and answer.body.get("csrf"):
            self.csrf = answer.body["csrf"]

    async def get(self, path: str) -> aiohttp.ClientResponse:
        """Follow a link to a page of the console, but no redirect; the answer's body is read."""
        async with self._http.get(URL(path, encoded=True), allow_redirects=False) as response:
            await response.read()
            return response

    def at(self, url: str) -> "Browser":
        """Return the same browser, with its cookies, at another console."""
        other = Browser(self._http, url)
        other.csrf = self.csrf
        return other


def stretch_windows(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have failures be counted in windows of a day each: of a minute's one may end in the middle of a test."""
    for name in ("OF_NAME", "OF_SECOND_FACTOR", "OF_NETWORK"):
        windows: tuple[Window, ...] = getattr(guesses, name)
        # None is as long as another: they are told apart by that.
        longer = tuple(Window(DAY_S + more_s, window.failures_max) for more_s, window in enumerate(windows))
        monkeypatch.setattr(guesses, name, longer)


@contextlib.asynccontextmanager
async def browser(url: str) -> AsyncIterator[Browser]:
    """Open a browser without any cookies for the length of the block."""
    jar = aiohttp.CookieJar(unsafe=True)  # cookies of an address are kept, too
    async with aiohttp.ClientSession(cookie_jar=jar) as http:
        yield Browser(http, url)


def token_of(link: Mapping[str, Any]) -> str:
    """Return the token in a link of the admin API."""
    found = re.search(r"#/[a-z-]+/([A-Za-z0-9_-]{43})$", link["url"])
    assert found is not None, "no token in the link"
    return found[1]


async def first_operator(admin: AdminClient, person: Browser, name: str = "root") -> None:
    """Make a browser's person the first operator, signed in."""
    link = await admin.call("POST", "/first-operator/link")
    assert link.status == 201, link.body
    answer = await person.call(
        "POST", "/first-operator", {"token": token_of(link.body), "name": name, "password": PASSWORD}
    )
    assert answer.status == 201, answer.body
    person.take(answer)


async def new_login(admin: AdminClient, name: str, **fields: object) -> None:
    """Make a login with `PASSWORD`."""
    made = await admin.call("POST", "/logins", {"name": name, **fields})
    assert made.status == 201, made.body
    body = {"token": token_of(made.body["link"]), "password": PASSWORD}
    answer = await admin.call("POST", "/password-resets/finish", body)
    assert answer.status == 200, answer.body
