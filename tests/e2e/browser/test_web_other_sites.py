"""A page of another site calls the gateway with its reader's key, as chat programs in the browser do."""

import http.server
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Page

from tests.support.surface import Surface

CALL = """async ([url, key, stream]) => {
  const answer = await fetch(url, {
    method: "POST",
    headers: { authorization: `Bearer ${key}`, "content-type": "application/json", "x-stainless-lang": "js" },
    body: JSON.stringify({ model: "demo", stream, messages: [{ role: "user", content: "Hi" }] }),
  });
  const text = await answer.text();
  return { status: answer.status, id: answer.headers.get("x-request-id"), text };
}"""


class _Page(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("content-type", "text/html")
        self.end_headers()
        self.wfile.write(b"<!doctype html><title>another site</title>")

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A page whose origin is not the gateway's."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Page) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        page = browser.new_page()
        page.goto(f"http://127.0.0.1:{server.server_port}/")
        yield page
        page.close()
        server.shutdown()
        thread.join()


@pytest.fixture
def call(page: Page, surface: Surface) -> Callable[[str, bool], dict[str, Any]]:
    def call(key: str, stream: bool) -> dict[str, Any]:
        found: dict[str, Any] = page.evaluate(CALL, [f"{surface.ready.base_url}/v1/chat/completions", key, stream])
        return found

    return call


def test_it_gets_answers_and_streams_with_their_headers(
    call: Callable[[str, bool], dict[str, Any]], surface: Surface
) -> None:
    plain = call(surface.ready.api_key, False)
    assert (plain["status"], len(plain["id"])) == (200, 36)
    assert '"chat.completion"' in plain["text"]
    streamed = call(surface.ready.api_key, True)
    assert (streamed["status"], streamed["text"].rstrip().endswith("data: [DONE]")) == (200, True)


def test_it_can_read_why_it_was_refused(call: Callable[[str, bool], dict[str, Any]]) -> None:
    refused = call("sk-tl-wrong", False)
    assert refused["status"] == 401
    assert "invalid_api_key" in refused["text"]
