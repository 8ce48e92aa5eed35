import json

import msgspec
import pytest

from bench import dialects
from bench.report import text
from bench.results import Machine, Report, Translation, Translations
from bench.workloads import CHUNK_BYTES, MESSAGES, STREAM_CHUNKS
from trunkline.protocol import names, registry
from trunkline.protocol.dialect import Written
from trunkline.protocol.events import MessageEnd, TextDelta
from trunkline.protocol.vendor import DEFAULTS

NAMES = names.CONVERSATIONAL
PAIRS = [(client, upstream) for client in NAMES for upstream in NAMES]


@pytest.mark.parametrize("name", NAMES)
def test_a_request_holds_the_messages_of_the_benchmark(name: str) -> None:
    request = registry.CLIENTS[name].read_request(dialects.request_body(name), stream=False)
    assert [part.text for part in request.instructions] == [MESSAGES[0]["content"]]
    (turn,) = request.turns
    assert [getattr(part, "text", "") for part in turn.parts] == [MESSAGES[1]["content"]]


@pytest.mark.parametrize("name", NAMES)
def test_a_stream_is_as_long_as_that_of_the_benchmark(name: str) -> None:
    chunks = dialects.stream_chunks(name)
    reader = registry.UPSTREAMS[dialects.UPSTREAM_OF[name]].event_reader(Written(b"{}"), DEFAULTS)
    deltas = [event for chunk in chunks for event in reader.receive(chunk) if isinstance(event, TextDelta)]
    assert [len(delta.text) for delta in deltas] == [CHUNK_BYTES] * STREAM_CHUNKS


@pytest.mark.parametrize(("client", "upstream"), PAIRS)
def test_what_is_measured_gives_the_client_the_answer_in_its_dialect(client: str, upstream: str) -> None:
    within = client == upstream
    whole = dialects.request_within(client)() if within else dialects.request_across(client, upstream)()
    assert dialects.ANSWER in json.dumps(json.loads(whole))
    assert b'"bench"' in whole
    assert b'"demo"' not in whole
    stream = dialects.stream_within(client)() if within else dialects.stream_across(client, upstream)()
    # Read back as if the client were an upstream's reader: every piece came, and the end.
    reader = registry.UPSTREAMS[dialects.UPSTREAM_OF[client]].event_reader(Written(b"{}"), DEFAULTS)
    events = [*reader.receive(stream), *reader.finish()]
    assert len([event for event in events if isinstance(event, TextDelta)]) == STREAM_CHUNKS
    assert isinstance(events[-1], MessageEnd)


def test_every_pair_is_measured() -> None:
    found = dialects.measure(dialects.Amount(rounds=2, requests=1, streams=1))
    assert [(pair.client, pair.upstream) for pair in found.pairs] == PAIRS
    assert all(0 < pair.request_best_us <= pair.request_us for pair in found.pairs)
    assert all(0 < pair.chunk_best_us <= pair.chunk_us for pair in found.pairs)


def pair(client: str, upstream: str, request_us: float, chunk_us: float) -> Translation:
    return Translation(
        client=client,
        upstream=upstream,
        request_us=request_us,
        request_best_us=request_us - 1,
        chunk_us=chunk_us,
        chunk_best_us=chunk_us - 1,
    )


def report(*pairs: Translation) -> str:
    translations = Translations(pairs=list(pairs), rounds=3, slowed=0.1)
    machine = Machine("cpu", 2, "Linux 6", "3.11", 0.5)
    return text(Report(date="2026", commit="abc", machine=machine, quick=False, translations=translations))


def test_a_pair_is_set_against_the_clients_own_dialect() -> None:
    found = report(
        pair("a", "a", 20.0, 3.0), pair("a", "b", 60.0, 9.0), pair("b", "a", 50.0, 40.0), pair("b", "b", 5.0, 2.0)
    )
    requests, chunks = found.split("\n\n")[2:4]
    assert requests.splitlines()[2:] == [
        "  a  = 20.0 (19.0)  60.0 (59.0)           40.0",
        "  b    50.0 (49.0)  = 5.0 (4.0)           45.0",
        "  aim: at most 150 added; holds",
    ]
    assert chunks.splitlines()[-1] == "  aim: at most 25 added; MISSED"


def test_the_figures_are_in_the_json() -> None:
    translations = Translations(pairs=[pair("a", "a", 20.0, 3.0)], rounds=3, slowed=0.1)
    again = msgspec.json.decode(msgspec.json.encode(translations), type=Translations)
    assert again == translations
