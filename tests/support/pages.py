"""The pages of the console, from the page's own table."""

import re
from collections.abc import Mapping
from typing import NamedTuple
from urllib.parse import quote

from services.console.web_files import FOLDER

_ROUTE = re.compile(r'page\("([^"]+)", "([^"]+)", "([^"]+)", "([^"]+)"')


class Route(NamedTuple):
    """A page: its address with names after colons, its module, and the access that it needs."""

    path: str
    module: str
    access: str
    title: str

    def at(self, names: Mapping[str, str]) -> str:
        """Return the address with names filled in: what ``:name`` is, is found by the module."""
        known = {**names, "name": names.get(self.module, "")}
        return re.sub(r":(\w+)", lambda found: quote(known[found[1]], safe=""), self.path)


ROUTES = [Route(*found) for found in _ROUTE.findall((FOLDER / "routes.js").read_text())]

FOR_STRANGERS = {
    "/",
    "/sign-in",
    "/sign-up",
    "/confirm/:token",
    "/set-password",
    "/set-password/:token",
    "/first/:token",
}
"""Where nobody is who has signed in."""
