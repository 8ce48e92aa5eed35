"""What the tests of the web page share: one browser per file, and windows that look behind the page."""

from collections.abc import Callable, Iterator
from urllib.parse import quote

import pytest
from playwright.sync_api import Browser

from tests.support import hostile
from tests.support.browser import LOOKS, Look, People, View, chromium, views
from tests.support.hostile import Hostile
from tests.support.site import Site, running_site
from tests.support.surface import Surface


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """A browser for one file: Playwright's loop would be in the way of asynchronous tests elsewhere."""
    with chromium() as browser:
        yield browser


@pytest.fixture(scope="session")
def people(surface: Surface) -> People:
    """Logins of the stack."""
    return People(surface)


@pytest.fixture
def browser_page(browser: Browser, surface: Surface) -> Iterator[Callable[..., View]]:
    """What opens a window: see `tests.support.browser.views`."""
    with views(browser, surface.ready.console_url) as view:
        yield view


@pytest.fixture(scope="session")
def site() -> Iterator[Site]:
    """Another stack, behind a proxy, with mail and an OpenID provider."""
    with running_site() as site:
        yield site


@pytest.fixture
def site_page(browser: Browser, site: Site) -> Iterator[Callable[..., View]]:
    """What opens a window of that one's console."""
    with views(browser, site.url) as view:
        yield view


@pytest.fixture(scope="module")
def hostile_names(site: Site) -> Iterator[Hostile]:
    """Things of all kinds on that stack whose names are markup, and an announcement while the file lasts."""
    with hostile.hostile_upstream() as url:
        made = hostile.configure(site.surface, url)
        for model in hostile.MODELS:
            site.surface.wait_for_status(made.secret, 200, f"/v1/models/{quote(model, safe='')}")
        yield made
        site.surface.admin("DELETE", f"/announcements/{made.announcement}")


@pytest.fixture(params=LOOKS, ids=str)
def look(request: pytest.FixtureRequest) -> Look:
    """Each way of looking at a page, one after the other."""
    found: Look = request.param
    return found
