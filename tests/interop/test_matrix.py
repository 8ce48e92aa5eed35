"""Every client dialect over every upstream dialect, streamed and whole, without a socket: all 16 pairs hold.

A rich request (instructions, several turns, parallel calls with results, pictures) crosses; all golden answers of the
provider come back. What was written is read again by the reader of the dialect it was written in, and has to say the
same. The table of all pairs is printed: what a crossing keeps, and how much of it is said otherwise or left out.
"""

import functools
import json
from collections.abc import Iterator
from typing import NamedTuple

import pytest

from tests.interop.event_laws import broken_laws, said
from tests.interop.golden_files import (
    CASES,
    golden,
    read_answer,
    read_request,
    read_stream,
    write_answer,
    write_request,
    write_stream,
)
from trunkline.protocol import names
from trunkline.protocol.events import Event
from trunkline.protocol.model import Image, Request, Text, ToolCall, ToolMode, ToolResult

PAIRS = [(client, upstream) for client in names.CONVERSATIONAL for upstream in names.CONVERSATIONAL]
WAYS = ("stream", "whole")


class Asked(NamedTuple):
    """A request as far as every dialect can say it.

    Attributes:
        texts: instructions and turns, with their role; not those inside results.
        pictures: base64 of all, wherever they stand.
        calls: id, name and arguments as JSON.
        results: id, name and texts as JSON where they are some.
        tools: name, description and schema as JSON; a schema without properties is none.
    """

    texts: list[tuple[str, str]]
    pictures: list[str]
    calls: list[tuple[str, str, object]]
    results: list[tuple[str, str, list[object]]]
    tools: list[tuple[str, str, object]]
    mode: ToolMode | None
    max_output: int | None
    temperature: float | None


def asked(request: Request) -> Asked:
    """Return what a request asks."""
    parts = [(turn.role, part) for turn in request.turns for part in turn.parts]
    results = [part for _, part in parts if isinstance(part, ToolResult)]
    return Asked(
        texts=[("instructions", "\n\n".join(text.text for text in request.instructions))]
        + [(role.value, part.text) for role, part in parts if isinstance(part, Text)],
        pictures=list(_pictures(request)),
        calls=[(part.id, part.name, _tree(part.arguments)) for _, part in parts if isinstance(part, ToolCall)],
        results=[(part.id, part.name, [_tree(text.text) for text in _texts(part)]) for part in results],
        tools=[(tool.name, tool.description, _schema(tool.schema)) for tool in request.tools],
        mode=request.tool_choice.mode if request.tool_choice else None,
        max_output=request.max_output,
        temperature=request.sampling.temperature,
    )


def _pictures(request: Request) -> Iterator[str]:
    for part in (part for turn in request.turns for part in turn.parts):
        inner = part.parts if isinstance(part, ToolResult) else (part,)
        yield from (picture.data for picture in inner if isinstance(picture, Image))


def _texts(result: ToolResult) -> list[Text]:
    return [part for part in result.parts if isinstance(part, Text)]


def _tree(source: str) -> object:
    """Return decoded JSON with all digits of its numbers; what is none as it is."""
    try:
        return json.loads(source, parse_int=str, parse_float=str)
    except ValueError:
        return source


def _schema(source: bytes) -> object:
    schema = _tree(source.decode())
    return schema if isinstance(schema, dict) and schema.get("properties") else None


def in_order(wanted: list[tuple[str, str]], there: list[tuple[str, str]]) -> bool:
    """Return whether all that is wanted is there in its order; a writer may add words of its own."""
    rest = iter(there)
    return all(one in rest for one in wanted)


@functools.cache
def crossed(client: str, upstream: str) -> str:
    """Check a pair's request; returns what the crossing cost, as the fidelity header says it."""
    request = read_request(client, golden(client, "rich").request)
    written, lost = write_request(request, client, upstream)
    before, after = asked(request), asked(read_request(upstream, written.body))
    assert in_order(before.texts, after.texts)
    assert after._replace(texts=before.texts) == before
    assert len(after.texts) == len(before.texts) + ("tool_result_image" in lost)
    return lost


def answered(client: str, upstream: str, way: str) -> None:
    """Check all of a provider's golden answers on their way to a client."""
    written, _ = write_request(read_request(client, golden(client, "rich").request), client, upstream)
    for name in CASES:
        case = golden(upstream, name)
        events: list[Event]
        if way == "stream":
            events = read_stream(upstream, [case.stream], written)
            back = read_stream(client, [write_stream(client, events)])
        else:
            events = read_answer(upstream, case.answer, written)
            back = read_answer(client, write_answer(client, events))
        assert broken_laws(events) == [], case
        assert broken_laws(back) == [], case
        assert said(back) == said(events), case


@functools.cache
def cell(client: str, upstream: str) -> str:
    """Return what the table says of a pair, after both ways have been checked."""
    for way in WAYS:
        answered(client, upstream, way)
    return f"{'+'.join(WAYS)} {crossed(client, upstream) or 'lossless'}"


@pytest.mark.parametrize(("client", "upstream"), PAIRS)
def test_a_rich_request_says_the_same_in_the_providers_words(client: str, upstream: str) -> None:
    crossed(client, upstream)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(("client", "upstream"), PAIRS)
def test_every_answer_says_the_same_in_the_clients_words(client: str, upstream: str, way: str) -> None:
    answered(client, upstream, way)


def test_no_pair_is_missing(capsys: pytest.CaptureFixture[str]) -> None:
    table = {(client, upstream): cell(client, upstream) for client, upstream in PAIRS}
    assert len(table) == len(names.CONVERSATIONAL) ** 2
    assert all(table.values())
    with capsys.disabled():
        lines = [f"  {client:18}over {upstream:18}{told}" for (client, upstream), told in table.items()]
        print("\n" + "\n".join(lines))  # noqa: T201  # the table is what this test is for
