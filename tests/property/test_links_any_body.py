"""Links are found in any body without harm, and what takes their place leaves JSON that says the same beside it."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trunkline.protocol.links import Link, inline
from trunkline.protocol.names import ANTHROPIC, GEMINI, OPENAI_CHAT, OPENAI_RESPONSES
from trunkline.protocol.registry import LINKS

URL = "https://example.com/a.png"
SAID: dict[str, Any] = {
    OPENAI_CHAT: {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": URL}}]}]},
    OPENAI_RESPONSES: {"input": [{"role": "user", "content": [{"type": "input_file", "file_url": URL}]}]},
    ANTHROPIC: {"messages": [{"role": "user", "content": [{"type": "image", "source": {"type": "url", "url": URL}}]}]},
    GEMINI: {"contents": [{"parts": [{"fileData": {"fileUri": URL}}]}]},
}
KEYS = (
    "messages",
    "content",
    "image_url",
    "url",
    "input",
    "file_url",
    "source",
    "contents",
    "parts",
    "fileData",
    "fileUri",
    "x",
)

TREES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5) | st.sampled_from([URL, "http://", "https"]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=4),
    max_leaves=20,
)


def spans_of(links: list[Link], body: bytes) -> None:
    """Check that what is replaced stands in the body and does not overlap."""
    borders = [border for link in sorted(links, key=lambda link: link.start) for border in (link.start, link.end)]
    assert borders == sorted(borders)
    assert all(0 <= border <= len(body) for border in borders)


@pytest.mark.parametrize("dialect", list(LINKS))
@given(tree=TREES, indent=st.sampled_from([None, 1]), escaped=st.booleans())
def test_any_json(dialect: str, tree: object, indent: int | None, escaped: bool) -> None:
    body = json.dumps({**SAID[dialect], "x": tree}, indent=indent).encode()
    if escaped:
        body = body.replace(b"/", b"\\/")
    links = LINKS[dialect](body)
    assert [link.url for link in links] == [URL]
    spans_of(links, body)
    changed = json.loads(inline(body, [(links[0], "image/png", b"QUJD")]))
    assert changed["x"] == tree
    assert URL not in json.dumps({key: value for key, value in changed.items() if key != "x"})
    assert "QUJD" in json.dumps(changed)


@pytest.mark.parametrize("dialect", list(LINKS))
@given(tree=TREES)
def test_any_shape(dialect: str, tree: object) -> None:
    for key in ("messages", "input", "contents"):
        body = json.dumps({key: tree}).encode()
        links = LINKS[dialect](body)
        spans_of(links, body)
        json.loads(inline(body, [(link, "image/png", b"QUJD") for link in links]))


@pytest.mark.parametrize("dialect", list(LINKS))
@given(data=st.data())
def test_any_bytes(dialect: str, data: st.DataObject) -> None:
    body = bytearray(json.dumps(SAID[dialect]).encode())
    for _ in range(data.draw(st.integers(1, 4))):
        start = data.draw(st.integers(0, len(body)))
        body[start : start + data.draw(st.integers(0, 3))] = data.draw(st.binary(max_size=3))
    spans_of(LINKS[dialect](bytes(body)), bytes(body))
