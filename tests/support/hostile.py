"""Names that would do something if a page took them for more than text, given to everything that has a name."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import NamedTuple
from urllib.parse import quote

from playwright.sync_api import Page

from tests.support.surface import Surface

ELEMENT = '<img src=x onerror="trap()">'
"""No slash: most names hold none."""

BREAKS_OUT = "\"'><svg onload=trap()>"
TEMPLATE = "{{constructor.constructor('trap()')()}}${trap()}{name}"
SCRIPT = "<script>trap()</script>"
LINK = "javascript:trap()"

BIDI = "invoice\u202egpj.exe"
ZERO_WIDTH = "ad\u200bmin"
UNPRINTABLE = (BIDI, ZERO_WIDTH, "line\nbreak", "nul\0")
"""What looks like another name, or turns what stands around it: no name at all."""

ACCOUNT = ELEMENT
CHANNEL = BREAKS_OUT
GROUP = TEMPLATE
MODELS = (SCRIPT, LINK, ELEMENT)
USER = BREAKS_OUT
KEYS = (ELEMENT, TEMPLATE)
TIER = ELEMENT

MARKDOWN = f"""{SCRIPT} {ELEMENT} [a]({LINK}) <a href="{LINK}">b</a> ![c](x" onerror="trap())
<svg><a href="{LINK}">d</a></svg>

<details open ontoggle=trap()><summary>e</summary></details> <iframe srcdoc="<script>parent.trap()</script>"></iframe>
"""

TRAP = """
  window.trapped = 0;
  window.trap = () => { window.trapped += 1; };
  window.violations = [];
  document.addEventListener("securitypolicyviolation", (event) => {
    window.violations.push(`${event.effectiveDirective} ${event.sample}`);
  });
"""
"""Put into each page before its own scripts run."""

_FOUND = """() => {
  const found = [...window.violations];
  if (window.trapped) found.push(`ran ${window.trapped} times`);
  for (const element of document.querySelectorAll("body *")) {
    for (const { name, value } of element.attributes) {
      if (name.startsWith("on") || /^\\s*javascript:/i.test(value) && ["href", "src", "action"].includes(name)) {
        found.push(element.outerHTML.slice(0, 200));
      }
    }
    if (["IFRAME", "OBJECT", "EMBED", "SCRIPT"].includes(element.tagName)) found.push(element.outerHTML.slice(0, 200));
  }
  return found;
}"""


def caught(page: Page) -> list[str]:
    """Return what a page with `TRAP` has run, tried to run, or holds ready to be run."""
    found: list[str] = page.evaluate(_FOUND)
    return found


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        error = {"message": MARKDOWN, "type": ELEMENT, "param": SCRIPT, "code": BREAKS_OUT}
        body = json.dumps({"error": error}).encode()
        self.send_response(400)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def hostile_upstream() -> Iterator[str]:
    """Run a provider whose errors are markup for the length of the block; gives its URL."""
    with ThreadingHTTPServer(("127.0.0.1", 0), _Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


class Hostile(NamedTuple):
    """What `configure` has made: the secret of a key of the account, and the announcement."""

    secret: str
    announcement: int


def configure(surface: Surface, upstream_url: str) -> Hostile:
    """Give all kinds of things hostile names; errors come from ``upstream_url``."""
    demo = surface.ready.upstream_url
    channel = {"dialect": "openai", "credentials": ["sk-hostile"], "groups": [GROUP]}
    surface.admin(
        "POST",
        "/apply",
        {
            "groups": [{"name": GROUP, "multiplier": "1.5"}],
            "tiers": [{"name": TIER, "rpm": 1000}],
            "models": [{"name": name, "price": {"input": "1", "output": "2"}} for name in MODELS],
            "channels": [
                {**channel, "name": CHANNEL, "base_url": f"{demo}/v1", "models": {LINK: "demo", ELEMENT: "demo"}},
                {**channel, "name": TEMPLATE, "base_url": f"{upstream_url}/v1", "models": {SCRIPT: "demo"}},
            ],
            "accounts": [
                {
                    "name": ACCOUNT,
                    "credit": 50,
                    "tier": TIER,
                    "groups": ["default", GROUP],
                    "users": [{"name": USER}],
                }
            ],
        },
    )
    account = f"/accounts/{quote(ACCOUNT, safe='')}"
    there = {key["name"] for key in surface.admin("GET", f"{account}/keys")}
    secret = ""
    for name in (*KEYS, f"{ELEMENT} {len(there)}"):
        if name not in there:
            key = {"name": name, "groups": [GROUP], "user": USER}
            secret = surface.admin("POST", f"{account}/keys", key)["secret"]
    surface.admin("POST", f"{account}/credit", {"usd": "1", "reference": SCRIPT})
    surface.admin("POST", "/codes", {"usd": "1", "count": 2, "note": f"{ELEMENT} {SCRIPT}"})
    made = surface.admin("POST", "/announcements", {"texts": {"en": MARKDOWN, "zh": MARKDOWN}, "level": "warning"})
    return Hostile(secret, made["id"])
