"""Gemini's sides in one object: how it is called."""

import pytest

from trunkline.protocol import names
from trunkline.protocol.dialect import ClientDialect, RelayDialect, TokenCounter, UpstreamDialect
from trunkline.protocol.gemini.dialect import Gemini
from trunkline.protocol.vendor import DEFAULTS

GEMINI = Gemini()


def test_it_has_all_sides() -> None:
    client: ClientDialect = GEMINI
    upstream: UpstreamDialect = GEMINI
    relay: RelayDialect = GEMINI
    counter: TokenCounter = GEMINI
    assert client.name == upstream.name == relay.name == names.GEMINI
    assert counter.render_count(1) == b'{"totalTokens":1}'


@pytest.mark.parametrize(
    ("model", "path"),
    [
        ("gemini-3-pro", "/models/gemini-3-pro"),
        ("models/gemini-3-pro", "/models/gemini-3-pro"),
        ("tunedModels/mine-1", "/tunedModels/mine-1"),
        ("org/x@001", "/models/org/x@001"),
        ("a b:free?#%", "/models/a%20b%3Afree%3F%23%25"),
    ],
)
def test_the_model_is_in_the_path(model: str, path: str) -> None:
    assert GEMINI.call(model, stream=False, options=DEFAULTS).path == f"{path}:generateContent"
    assert GEMINI.call(model, stream=True, options=DEFAULTS).path == f"{path}:streamGenerateContent?alt=sse"


def test_headers_and_types() -> None:
    assert GEMINI.credential_header("k", DEFAULTS) == b"x-goog-api-key: k\r\n"
    assert GEMINI.carried({"x": "y"}, DEFAULTS) == b""
    assert GEMINI.stream_type(array=True).startswith("application/json")
    assert GEMINI.stream_type(array=False).startswith("text/event-stream")
