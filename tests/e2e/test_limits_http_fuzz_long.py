"""Requests with random damage: each is answered in time with a success or a 4xx in the right shape, never a 5xx."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.raw_http import NoAnswerError, RawClient, Response, exchange
from tests.support.surface import READ_TIMEOUT_S, Surface, read_error

EXAMPLES = 40
BATCH = 64
"""Requests of one example: they wait for the edge's patience together, not one after the other."""

LATE_S = 6.0
KEY = b"<key>"
"""Stands for a good key until a request is sent, so that no example depends on it."""

_HEAD = b"POST /v1/chat/completions HTTP/1.1\r\nhost: gateway\r\nauthorization: Bearer <key>\r\n"
_PLAIN = b'{"model":"demo","messages":[{"role":"user","content":"hi \xe2\x98\x83"}],"max_tokens":3,"stop":["a"]}'
_STREAM = b'{"stream":true,"stream_options":{"include_usage":true},"model":"renamed","messages":[{"role":"user"}]}'
TEMPLATES = (
    b"%bcontent-length: %d\r\n\r\n%b" % (_HEAD, len(_PLAIN), _PLAIN),
    b"%bcontent-length: %d\r\n\r\n%b" % (_HEAD, len(_STREAM), _STREAM),
    b"%btransfer-encoding: chunked\r\n\r\n%x\r\n%b\r\n0\r\n\r\n" % (_HEAD, len(_PLAIN), _PLAIN),
    b"%btransfer-encoding: chunked\r\n\r\n5;a=b\r\n%b\r\n%x\r\n%b\r\n0\r\nx: y\r\n\r\n"
    % (_HEAD, _STREAM[:5], len(_STREAM) - 5, _STREAM[5:]),
    b"GET /v1/models/vendor%2Fmodel:free?a=b HTTP/1.1\r\nhost: gateway\r\nAuthorization: Bearer <key>\r\n\r\n",
)
TOKENS = (
    *(b"\r\n", b"\n", b"\r", b"\r\n\r\n", b" ", b"\t", b"\x00", b"\xff", b"\xc3", b":", b";", b",", b"=", b"%", b"/"),
    *(b"{", b"}", b"[", b"]", b'"', b"\\", b"\\u", b"\\ud800", b"null", b"true", b"-1", b"1e999", b"0" * 30, b"?"),
    *(b"content-length: 7\r\n", b"transfer-encoding: chunked\r\n", b"connection: close\r\n"),
    *(b"x: " + b"a" * 9000 + b"\r\n", b'"model":', b'"messages":', b"Bearer "),
    *(b"0\r\n\r\n", b"ffffffff\r\n", b"HTTP/1.1", b"HTTP/1.0", b"GET ", b"POST "),
)  # fmt: skip


class Damage(NamedTuple):
    """One change at a place (a share of the request's length): bytes taken out, and bytes put in."""

    place: float
    removed: int
    added: bytes

    def apply(self, wire: bytes) -> bytes:
        """Return the damaged request."""
        at = int(self.place * len(wire))
        return wire[:at] + self.added + wire[at + self.removed :]


damages = st.builds(
    Damage,
    st.floats(0, 1, exclude_max=True),
    st.one_of(st.just(0), st.integers(1, 4), st.integers(1, 200)),
    st.one_of(st.just(b""), st.sampled_from(TOKENS), st.binary(min_size=1, max_size=4)),
)
requests = st.tuples(st.sampled_from(TEMPLATES), st.lists(damages, min_size=1, max_size=4))


@pytest.fixture(scope="module")
def threads() -> Iterator[ThreadPoolExecutor]:
    """As many threads as clients."""
    with ThreadPoolExecutor(BATCH) as threads:
        yield threads


def _answers(surface: Surface, wire: bytes) -> list[Response]:
    """Return all answers to bytes, up to the end of the connection or to a moment's silence after the first."""
    answers: list[Response] = []
    with RawClient(surface.ready.base_url, timeout_s=READ_TIMEOUT_S + LATE_S) as client:
        client.send(wire)
        try:
            answers.append(client.receive())
            client.be_patient_for(0.1)
            while True:
                answers.append(client.receive())
        except NoAnswerError as ended:
            return [] if ended.args[0] else answers  # half an answer is none
        except TimeoutError:
            return answers


@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
@given(batch=st.lists(requests, min_size=BATCH, max_size=BATCH))
def test_damaged_requests(
    surface: Surface, threads: ThreadPoolExecutor, batch: list[tuple[bytes, list[Damage]]]
) -> None:
    wires = []
    for template, changes in batch:
        wire = template
        for change in changes:
            wire = change.apply(wire)
        wires.append(wire)
    key = surface.ready.api_key.encode()
    pid = surface.ready.processes["edge"][0].pid
    results = threads.map(lambda wire: _answers(surface, wire.replace(KEY, key)), wires)
    for wire, answers in zip(wires, results, strict=True):
        assert answers or not wire.strip(b"\r\n"), wire
        for answer in answers:
            if answer.status != 200:
                read_error(answer, own_words=False)
    assert surface.ready.processes["edge"][0].pid == pid
    good = exchange(surface.ready.base_url, TEMPLATES[0].replace(KEY, key))
    assert good.status == 200
