"""Anthropic's streams, answers and requests: chunking never matters, no bytes raise, what is lossless comes back."""

import json
from contextlib import suppress
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.protocol.anthropic.anthropic_frames import (
    PING,
    PLAIN,
    RICH,
    STOP,
    arguments,
    assert_guarantees,
    begin,
    end,
    frame,
    merged,
    signature,
    start,
    stop,
    text,
    thought,
)
from trunkline.core.errors import FaultError
from trunkline.protocol import names
from trunkline.protocol.anthropic.answer import read_whole
from trunkline.protocol.anthropic.count import count_input
from trunkline.protocol.anthropic.event_reader import AnthropicEventReader, read_answer
from trunkline.protocol.anthropic.event_writer import AnthropicEventWriter, write_answer
from trunkline.protocol.anthropic.request import read_count_head, read_head
from trunkline.protocol.anthropic.request_reader import read_request
from trunkline.protocol.anthropic.request_writer import write_request
from trunkline.protocol.anthropic.schema import closed_schema
from trunkline.protocol.anthropic.stream import AnthropicStreamRelay
from trunkline.protocol.anthropic.usage import read_usage
from trunkline.protocol.dialect import AnswerFrame, Written
from trunkline.protocol.events import Event, MessageEnd
from trunkline.protocol.fidelity import Crossing
from trunkline.protocol.model import (
    CacheMark,
    File,
    Format,
    Image,
    OutputFormat,
    Proof,
    Reasoning,
    Request,
    Role,
    Sampling,
    Text,
    Thinking,
    Tool,
    ToolCall,
    ToolChoice,
    ToolMode,
    ToolResult,
    Turn,
)
from trunkline.protocol.renaming import rename_model
from trunkline.protocol.vendor import DEFAULTS

UNTIMED = settings(deadline=None)
"""A busy machine is no failure, and the tokenizer loads within the first example."""

FRAME = AnswerFrame("x", "public", 1)
INDICES = st.integers(0, 3)
EVENTS = st.one_of(
    st.sampled_from(
        [
            begin(),
            begin(usage={}),
            PING,
            STOP,
            end(),
            end("tool_use"),
            end(None, {"output_tokens": 0}),
            b": comment\n\n",
            b"data: null\n\n",
            b"data: [DONE]\n\n",
            b"data:\n\n",
            b"\n\n",
            frame("of_the_future", index=0),
            text(0, "x").partition(b"\n")[2],
            text(1, "x").replace(b"\n", b"\r\n"),
            text(1, "x").replace(b'"index":1,', b""),
        ]
    ),
    st.builds(text, INDICES, st.sampled_from(["Hel", "é中😀", "", "\u2028"])),
    st.builds(thought, INDICES, st.sampled_from(["hm", ""])),
    st.builds(signature, INDICES, st.just("sig")),
    st.builds(arguments, INDICES, st.sampled_from(["{}", '{"a":', "1}", "", '{"input":"x"}'])),
    st.builds(start, INDICES, st.sampled_from(["text", "thinking", "odd"])),
    st.builds(lambda index: start(index, "redacted_thinking", data="r"), INDICES),
    st.builds(
        lambda index, name: start(index, "tool_use", id="t", name=name, input={}),
        INDICES,
        st.sampled_from(["f", "custom", "answer"]),
    ),
    st.builds(stop, INDICES),
)
FATAL = st.sampled_from(
    [b"data: {\n\n", b"data: \xff\n\n", frame("error", error={"type": "overloaded_error", "message": "x"})]
)
ENDS = st.lists(st.sampled_from([end(), STOP, end("max_tokens")]), max_size=2)
STREAMS = st.builds(
    lambda events, fatal, ends: b"".join([*events, *fatal, *ends]),
    st.lists(EVENTS, max_size=14),
    st.lists(FATAL, max_size=1) | st.just([]) | st.just([]),
    ENDS,
)
BORDERS = st.lists(st.integers(0, 2**16), max_size=20)
WRITTEN = Written(b"", names={"f": "client.f"}, unwrap_tool="answer", unwrap_field=("custom",))


def pieces(stream: bytes, borders: list[int]) -> list[bytes]:
    marks = sorted(border % (len(stream) + 1) for border in borders)
    return [stream[a:b] for a, b in zip([0, *marks], [*marks, len(stream)], strict=True)]


def events_of(stream: bytes, borders: list[int]) -> list[Event]:
    reader = AnthropicEventReader(WRITTEN)
    events = [event for piece in pieces(stream, borders) for event in reader.receive(piece)]
    events += reader.finish()
    assert_guarantees(events)
    return events


def relay_of(stream: bytes, borders: list[int]) -> tuple[bytes, tuple[object, ...]]:
    relay = AnthropicStreamRelay(public_model="public", count_input=lambda: 7)
    out = b"".join([relay.receive(piece) for piece in pieces(stream, borders)]) + relay.finish()
    facts = (relay.first_output, relay.finished, relay.stopped, relay.complete, relay.units, relay.error, relay.flaws)
    return out, (*facts, relay.output_tokens_counted())


@given(STREAMS, st.integers(0, 12), BORDERS)
@UNTIMED
def test_any_chunking_gives_the_same_events_and_relayed_bytes(stream: bytes, cut: int, borders: list[int]) -> None:
    stream = stream[: len(stream) - cut]
    assert merged(events_of(stream, borders)) == merged(events_of(stream, []))
    assert relay_of(stream, borders) == relay_of(stream, [])


MUTATIONS = st.lists(st.tuples(st.integers(0, 2**16), st.binary(max_size=4), st.integers(0, 5)), min_size=1, max_size=5)


@given(MUTATIONS, BORDERS, st.sampled_from([PLAIN, RICH]))
@UNTIMED
def test_mutated_streams_raise_nothing(
    mutations: list[tuple[int, bytes, int]], borders: list[int], transcript: tuple[bytes, ...]
) -> None:
    stream = b"".join(transcript)
    for number, new, removed in mutations:
        position = number % (len(stream) + 1)
        stream = stream[:position] + new + stream[position + removed :]
    assert merged(events_of(stream, borders)) == merged(events_of(stream, []))
    assert relay_of(stream, borders) == relay_of(stream, [])


@given(STREAMS)
@UNTIMED
def test_whatever_was_read_is_written_in_order_and_read_as_the_same(stream: bytes) -> None:
    events = events_of(stream, [])
    if not isinstance(events[-1], MessageEnd):
        return
    writer = AnthropicEventWriter(FRAME)
    written = b"".join([writer.write(event) for event in events])
    frames = [json.loads(line[6:]) for line in written.split(b"\n") if line.startswith(b"data: ")]
    opened = [frame["index"] for frame in frames if frame["type"] == "content_block_start"]
    assert opened == list(range(len(opened)))
    assert [frame["index"] for frame in frames if frame["type"] == "content_block_stop"] == opened
    reader = AnthropicEventReader(Written(b""))
    again = reader.receive(written) + reader.finish()
    assert_guarantees(again)
    content = [block["type"] for block in json.loads(write_answer(events, FRAME))["content"]]
    assert content == [frame["content_block"]["type"] for frame in frames if frame["type"] == "content_block_start"]


KEYS = st.sampled_from(
    [
        *("type", "id", "content", "text", "thinking", "input", "name", "usage", "error", "message", "stop_reason"),
        *("messages", "role", "system", "tools", "max_tokens", "model", "source", "tool_use_id", "input_schema"),
        *("thinking", "output_config", "format", "schema", "metadata", "cache_control", "properties", "anyOf"),
    ]
)
WORDS = st.sampled_from(["text", "tool_use", "tool_result", "user", "image", "document", "thinking", "object", "x", ""])
TREES = st.recursive(
    st.none() | st.integers() | st.booleans() | WORDS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=5),
    max_leaves=14,
)
BODIES = st.one_of(st.binary(max_size=80), TREES.map(lambda tree: json.dumps(tree).encode()))


@given(BODIES)
@UNTIMED
def test_no_body_raises_anywhere(body: bytes) -> None:
    assert_guarantees(read_answer(body, WRITTEN))
    read_usage(body)
    closed_schema(body)
    assert count_input(body) >= 0
    answer = read_whole(body)
    if answer.valid:
        assert json.loads(rename_model(body, "p")).get("model", "p") == "p"
    for read in (read_head, read_count_head, lambda source: read_request(source, stream=False)):
        with suppress(FaultError):
            read(body)


BLOCKS = st.dictionaries(KEYS, TREES, max_size=5)
MESSAGES = st.fixed_dictionaries(
    {"role": st.sampled_from(["user", "assistant", "system", "tool"]), "content": st.lists(BLOCKS, max_size=3) | TREES}
)
REQUESTS = st.fixed_dictionaries(
    {"messages": st.lists(MESSAGES, max_size=3)}, optional={"tools": st.lists(BLOCKS, max_size=2), "system": TREES}
)


@given(REQUESTS)
@UNTIMED
def test_no_request_raises_anything_but_a_fault(tree: dict[str, Any]) -> None:
    with suppress(FaultError):
        request = read_request(json.dumps(tree).encode(), stream=True)
        write_request(request, Crossing(names.ANTHROPIC, names.ANTHROPIC), "claude-sonnet-4-5", DEFAULTS)


# --- what is lossless ------------------------------------------------------------------------------------------------

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=8).map(lambda words: f"a{words}z")
MARKS = st.sampled_from([None, None, CacheMark.SHORT, CacheMark.LONG])
PNG = "iVBORw0KGgoAAAAAAAAA"
PDF = "JVBERi0xLjcKAAAAAAAA"
IMAGES = st.sampled_from([Image(url="https://x/a.png"), Image(data=PNG, media_type="image/png")])
FILES = st.builds(
    File,
    data=st.just(PDF),
    media_type=st.just("application/pdf"),
    name=st.sampled_from(["", "T"]),
    context=st.sampled_from(["", "C"]),
    citations=st.booleans(),
    cache=MARKS,
)
SHOWN = st.one_of(st.builds(Text, TEXTS, MARKS), IMAGES, FILES)
THOUGHTS = st.sampled_from(
    [Reasoning("hm", Proof("anthropic", "s")), Reasoning(proof=Proof("anthropic", "r"), redacted=True)]
)
SOURCES = st.sampled_from(["{}", '{"a": 1.10}', '{"big":123456789012345678901}', '{ "é":"\\u00e9" }'])


@st.composite
def conversations(draw: st.DrawFn) -> tuple[Turn, ...]:
    """Return turns as this dialect itself has them: alternating, results first, calls and results paired."""
    turns: list[Turn] = []
    results: tuple[ToolResult, ...] = ()
    for number in range(draw(st.integers(0, 3))):
        turns.append(Turn(Role.USER, (*results, *draw(st.lists(SHOWN, min_size=0 if results else 1, max_size=3)))))
        calls = [
            ToolCall(f"t{number}-{index}", "f", draw(SOURCES), cache=draw(MARKS))
            for index in range(draw(st.integers(0, 2)))
        ]
        results = tuple(
            ToolResult(
                call.id,
                "f",
                tuple(draw(st.lists(SHOWN, max_size=2))),
                failed=draw(st.booleans()),
                cache=draw(MARKS),
            )
            for call in calls
        )
        words = draw(st.lists(st.builds(Text, TEXTS, MARKS), min_size=1, max_size=2))
        turns.append(Turn(Role.ASSISTANT, (*draw(st.lists(THOUGHTS, max_size=2)), *words, *calls)))
    turns.append(Turn(Role.USER, (*results, draw(st.builds(Text, TEXTS, MARKS)))))
    return tuple(turns)


SCHEMA = b'{"type":"object","properties":{"n":{"type":"number","enum":[1.10]}},"additionalProperties":false}'
TOOLS = st.lists(
    st.builds(
        Tool,
        name=st.sampled_from(["f", "g", "h"]),
        description=st.sampled_from(["", "does"]),
        schema=st.just(SCHEMA),
        strict=st.sampled_from([None, True]),
        cache=MARKS,
    ),
    min_size=1,
    max_size=3,
    unique_by=lambda tool: tool.name,
).map(tuple)
CHOICES = st.sampled_from([None, ToolChoice(ToolMode.AUTO), ToolChoice(ToolMode.NONE), ToolChoice(ToolMode.REQUIRED)])
LOSSLESS = st.builds(
    Request,
    turns=conversations(),
    instructions=st.lists(st.builds(Text, TEXTS, MARKS), max_size=2).map(tuple),
    tools=TOOLS,
    tool_choice=CHOICES,
    max_output=st.integers(30_000, 64_000),
    stop=st.sampled_from([(), ("a", "b")]),
    sampling=st.sampled_from([Sampling(), Sampling(temperature=1.0), Sampling(top_p=0.99)]),
    thinking=st.sampled_from([Thinking(), Thinking(adaptive=True), Thinking(adaptive=True, show=True)]),
    output=st.sampled_from([OutputFormat(Format.TEXT), OutputFormat(Format.SCHEMA, schema=SCHEMA)]),
    service_tier=st.sampled_from(["", "auto", "standard_only"]),
    stream=st.booleans(),
)


@given(LOSSLESS)
@UNTIMED
def test_what_is_lossless_comes_back_as_it_was(request: Request) -> None:
    crossing = Crossing(names.OPENAI_CHAT, names.ANTHROPIC)
    written = write_request(request, crossing, "claude-opus-4-6", DEFAULTS)
    assert read_request(written.body, stream=request.stream) == request
    assert crossing.header() == ""
    assert read_head(written.body).stream is request.stream
