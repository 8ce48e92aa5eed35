"""The console below a path of a reverse proxy, which is all that it is not told in advance."""

from collections.abc import Callable
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import expect

from tests.support.browser import PASSWORD, View
from tests.support.site import PATH, Site

OpenWindow = Callable[..., View]

HEARD_MS = 15_000
"""The board hears of the processes each second; a busy machine takes longer."""

OF_DEMO = "prefix-owner"


@pytest.fixture(autouse=True)
def nothing_beside(site: Site) -> None:
    site.proxy.strays.clear()


@pytest.fixture
def watched(site_page: OpenWindow, site: Site) -> Callable[..., tuple[View, set[str]]]:
    """What opens a window, and gives what its requests begin with: host, and the path's first two parts."""

    def watch(login: str | None = None) -> tuple[View, set[str]]:
        view = site_page(login=login)
        seen: set[str] = set()

        def note(url: str) -> None:
            parts = urlsplit(url)
            seen.add(f"{parts.scheme}://{parts.netloc}{'/'.join(parts.path.split('/')[:3])}")

        view.page.on("request", lambda request: note(request.url))
        return view, seen

    return watch


def test_one_signs_in_and_out_below_it(watched: Callable[..., tuple[View, set[str]]], site: Site) -> None:
    site.people.make(OF_DEMO, roles={"demo": "owner"})
    view, seen = watched()
    view.expected(401, "/admin/v1/")
    page = view.open("/")
    page.get_by_role("main").get_by_role("link", name="Sign in").first.click()
    page.get_by_label("Name or e-mail address").fill(OF_DEMO)
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    page.get_by_role("main").get_by_role("button", name="Sign in").click()
    page.wait_for_url(f"{site.url}/#/a/demo/overview")
    view.settle()
    page.reload()
    view.settle()
    page.get_by_role("button", name=f"Signed in as {OF_DEMO}").click()
    page.get_by_role("menuitem", name="Sign out").click()
    page.wait_for_url(f"{site.url}/#/sign-in")
    assert page.context.cookies() == []
    assert seen == {site.url}
    assert site.proxy.strays == []


def test_streams_come_through(watched: Callable[..., tuple[View, set[str]]], site: Site) -> None:
    view, seen = watched(site.people.make("prefix-operator", operator=True, roles={"demo": "owner"}))
    page = view.open("/site/live")
    expect(page.get_by_role("table").last.get_by_role("row").nth(1)).to_be_visible(timeout=HEARD_MS)
    page = view.open("/a/demo/playground?model=demo")
    box = page.get_by_role("textbox", name="Ask something")
    box.fill("Hello")
    expect(page.get_by_role("button", name="Send", exact=True)).to_be_enabled()  # once the model is chosen
    box.press("Enter")
    expect(page.locator(".play-turn.assistant")).to_have_attribute("data-state", "done")
    assert seen == {site.url}


def test_files_and_public_pages_are_there(watched: Callable[..., tuple[View, set[str]]], site: Site) -> None:
    view, seen = watched(site.people.make(OF_DEMO, roles={"demo": "owner"}))
    page = view.open("/a/demo/usage")
    with page.expect_download() as download:
        page.get_by_role("link", name="Export CSV").click()
    assert download.value.path().read_text().startswith("started_at,")
    page = view.open("/docs")
    page.get_by_role("navigation", name="Main").get_by_role("link", name="Prices").click()
    page.get_by_role("link", name="Status").first.click()
    page.wait_for_url(f"{site.url}/status")
    assert page.locator("h1").count() == 1
    assert seen == {site.url}
    assert site.proxy.strays == []


def test_the_path_is_the_only_one(site: Site, watched: Callable[..., tuple[View, set[str]]]) -> None:
    view, _ = watched()
    assert view.page.request.get(f"{site.url.removesuffix(PATH)}/").status == 404
    assert site.proxy.strays == ["GET /"]
    view.page.request.get(f"{site.url}/oidc/start", max_redirects=0)
    (cookie,) = view.page.context.cookies()
    assert (cookie["path"], cookie["httpOnly"]) == (f"{PATH}/oidc", True)
