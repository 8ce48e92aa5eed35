"""Responses streams, answers and requests: chunking never matters, no bytes raise, and what is lossless comes back."""

import contextlib
import json
from typing import Any

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.examples import examples
from trunkline.core.errors import FaultError
from trunkline.core.usage import Units
from trunkline.protocol.dialect import AnswerFrame, Written
from trunkline.protocol.events import (
    Event,
    Finish,
    FinishReason,
    MessageEnd,
    MessageStart,
    ReasoningDelta,
    ReasoningEnd,
    RefusalDelta,
    StreamError,
    TextDelta,
    ToolCallDelta,
    ToolCallEnd,
    ToolCallStart,
    UsageReport,
)
from trunkline.protocol.fidelity import Crossing
from trunkline.protocol.model import (
    Effort,
    File,
    Format,
    Image,
    OutputFormat,
    Part,
    Proof,
    Reasoning,
    Refusal,
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
from trunkline.protocol.names import OPENAI_CHAT, OPENAI_RESPONSES
from trunkline.protocol.openai_responses.answer import read_whole
from trunkline.protocol.openai_responses.event_reader import ResponsesEventReader, read_answer
from trunkline.protocol.openai_responses.event_writer import ResponsesEventWriter, write_answer
from trunkline.protocol.openai_responses.request import prepare, read_head
from trunkline.protocol.openai_responses.request_reader import read_request
from trunkline.protocol.openai_responses.request_writer import write_request
from trunkline.protocol.openai_responses.stream import ResponsesStreamRelay
from trunkline.protocol.vendor import DEFAULTS, VendorOptions

UNTIMED = settings(deadline=None, max_examples=examples(0.6))
"""A busy machine is no failure, and the tokenizer loads within the first example."""

PLAIN = Written(b"")
BORDERS = st.lists(st.integers(0, 2**16), max_size=20)


def pieces(stream: bytes, borders: list[int]) -> list[bytes]:
    marks = sorted(border % (len(stream) + 1) for border in borders)
    return [stream[a:b] for a, b in zip([0, *marks], [*marks, len(stream)], strict=True)]


# --- an upstream's stream --------------------------------------------------------------------------------------


def event(kind: str, **members: Any) -> bytes:
    data = json.dumps({"type": kind, **members}, ensure_ascii=False)
    return f"event: {kind}\ndata: {data}".encode()


def item(kind: str, index: int, **members: Any) -> dict[str, Any]:
    return {"output_index": index, "item": {"type": kind, "id": f"i{index}", **members}}


INDEX = st.integers(0, 2)
WORDS = st.sampled_from(["", "Hel", "é中😀", '{"a":', "\n"])
USAGE = {"input_tokens": 5, "output_tokens": 4, "total_tokens": 9}


@st.composite
def item_events(draw: st.DrawFn) -> bytes:
    index, words = draw(INDEX), draw(WORDS)
    at = {"output_index": index, "item_id": f"i{index}"}
    call = {"call_id": f"c{index}", "name": draw(st.sampled_from(["f", ""]))}
    return draw(
        st.sampled_from(
            [
                event("response.output_text.delta", **at, content_index=0, delta=words),
                event("response.output_text.done", **at, content_index=0, text=words),
                event("response.refusal.delta", **at, content_index=1, delta=words),
                event("response.reasoning_summary_text.delta", **at, summary_index=0, delta=words),
                event("response.reasoning_text.delta", **at, content_index=0, delta=words),
                event("response.function_call_arguments.delta", **at, delta=words),
                event("response.function_call_arguments.done", **at, arguments=words),
                event("response.custom_tool_call_input.delta", **at, delta=words),
                event("response.output_item.added", **item("function_call", index, arguments="", **call)),
                event("response.output_item.done", **item("function_call", index, arguments=words, **call)),
                event("response.output_item.added", **item("custom_tool_call", index, input="", **call)),
                event("response.output_item.done", **item("custom_tool_call", index, input=words, **call)),
                event("response.output_item.done", **item("reasoning", index, summary=[], encrypted_content=words)),
                event("response.output_item.done", **item("message", index, content=[{"text": words}])),
            ]
        )
    )


def response(status: str, **members: Any) -> dict[str, Any]:
    return {"id": "resp_1", "model": "up", "status": status, "output": [], **members}


OTHERS = st.sampled_from(
    [
        event("response.created", response=response("in_progress")),
        event("response.completed", response=response("completed", usage=USAGE)),
        event("response.incomplete", response=response("incomplete", incomplete_details={"reason": "content_filter"})),
        event("response.failed", response=response("failed", error={"code": "server_error", "message": "m"})),
        event("error", code="x", message="m"),
        b'data: {"type":"response.output_text.delta",\ndata: "delta":"x"}',
        b": ping",
        b"data: [DONE]",
        b"data:",
        b"data: null",
        b"event: ping",
        b"",
        b"data: {",
        b"data: \xff",
    ]
)
ENDS = st.sampled_from([b"\n\n", b"\n\n", b"\r\n\r\n", b"\n\n\n", b"\n\r\n"])
PARTS = st.lists(st.tuples(st.one_of(item_events(), item_events(), item_events(), OTHERS), ENDS), max_size=12)
CUTS = st.integers(0, 12)


def run_reader(chunks: list[bytes], options: VendorOptions = DEFAULTS) -> list[Event]:
    reader = ResponsesEventReader(PLAIN, options)
    events = [event for chunk in chunks for event in reader.receive(chunk)]
    return events + reader.finish()


def check_promises(events: list[Event]) -> None:
    """Check what `protocol.events` says of every reader."""
    ends = [event for event in events if isinstance(event, MessageEnd | StreamError)]
    assert len(ends) == 1
    assert events[-1] is ends[0]
    starts = [index for index, event in enumerate(events) if isinstance(event, MessageStart)]
    assert starts in ([], [0])
    assert starts == [0] or len(events) == 1
    open_call, thinking, calls = -1, False, 0
    for event in events:
        if open_call >= 0 and isinstance(ends[0], MessageEnd):
            assert isinstance(event, ToolCallDelta | ToolCallEnd)
            assert event.call == open_call
        if thinking and isinstance(ends[0], MessageEnd):
            assert isinstance(event, ReasoningDelta | ReasoningEnd)
        match event:
            case ToolCallStart(call=call):
                assert call == calls
                open_call, calls = call, calls + 1
            case ToolCallEnd():
                open_call = -1
            case ReasoningDelta():
                thinking = True
            case ReasoningEnd():
                thinking = False
            case _:
                pass
    finishes = sum(isinstance(event, Finish) for event in events)
    assert finishes == isinstance(ends[0], MessageEnd)


@given(PARTS, CUTS, BORDERS)
@UNTIMED
def test_any_chunking_gives_the_same_events_in_a_lawful_order(
    parts: list[tuple[bytes, bytes]], cut: int, borders: list[int]
) -> None:
    stream = b"".join([a + b for a, b in parts])
    stream = stream[: len(stream) - cut]
    events = run_reader(pieces(stream, borders))
    assert events == run_reader([stream])
    check_promises(events)


@given(PARTS, CUTS, BORDERS, st.sampled_from([None, "p", "up"]))
@UNTIMED
def test_any_chunking_relays_the_same_bytes_and_facts(
    parts: list[tuple[bytes, bytes]], cut: int, borders: list[int], public_model: str | None
) -> None:
    stream = b"".join([a + b for a, b in parts])
    stream = stream[: len(stream) - cut]

    def run(chunks: list[bytes]) -> tuple[object, ...]:
        relay = ResponsesStreamRelay(public_model=public_model, count_input=lambda: 7)
        out = b"".join([relay.receive(chunk) for chunk in chunks]) + relay.finish()
        facts = (relay.first_output, relay.ended, relay.complete, relay.units, relay.error)
        return out, facts, relay.output_tokens_counted()

    assert run(pieces(stream, borders)) == run([stream])


# --- any bytes -------------------------------------------------------------------------------------------------

WHOLE = json.dumps(
    response(
        "completed",
        output=[
            {"type": "reasoning", "summary": [{"text": "a"}], "encrypted_content": "gAAA"},
            {"type": "message", "content": [{"type": "output_text", "text": "é"}]},
            {"type": "function_call", "call_id": "c", "name": "f", "arguments": '{"n":1.50}'},
        ],
        usage=USAGE,
    )
).encode()
REQUEST = (
    b'{"model":"m","input":[{"role":"user","content":[{"type":"input_text","text":"a"}]},{"type":"function_call",'
    b'"call_id":"c","name":"f","arguments":"{}"},{"type":"function_call_output","call_id":"c","output":"x"}],"tools":'
    b'[{"type":"function","name":"f","parameters":{}}],"store":true,"include":["a"],"reasoning":{"effort":"low"}}'
)
SEEDS = [
    WHOLE,
    event("response.created", response=response("in_progress")) + b"\n\ndata: " + WHOLE + b"\n\n",
    event("response.completed", response=json.loads(WHOLE)) + b"\n\n",
    REQUEST,
]


@st.composite
def mutated(draw: st.DrawFn) -> bytes:
    source = bytearray(draw(st.sampled_from(SEEDS)))
    for _ in range(draw(st.integers(0, 4))):
        at = draw(st.integers(0, len(source) - 1))
        source[at : at + draw(st.integers(0, 3))] = draw(
            st.one_of(st.binary(max_size=3), st.sampled_from([b'"', b"{", b"null"]))
        )
        source = source or bytearray(b" ")
    return bytes(source)


@given(st.one_of(st.binary(max_size=60), mutated()), BORDERS)
@UNTIMED
def test_no_bytes_of_an_upstream_raise(body: bytes, borders: list[int]) -> None:
    check_promises(run_reader(pieces(body, borders)))
    events = read_answer(body, PLAIN, DEFAULTS)
    check_promises(events)
    if isinstance(events[-1], MessageEnd):
        assert write_answer(events, AnswerFrame("1", "m", 1))
    read_whole(body)
    relay = ResponsesStreamRelay(public_model="p", count_input=lambda: 7)
    for chunk in pieces(body, borders):
        relay.receive(chunk)
    relay.finish()


@given(st.one_of(st.binary(max_size=60), mutated()))
@UNTIMED
def test_no_bytes_of_a_client_raise_anything_but_a_fault(body: bytes) -> None:
    for read in (read_head, prepare, lambda source: read_request(source, stream=False)):
        with contextlib.suppress(FaultError):
            read(body)


# --- there and back ----------------------------------------------------------------------------------------------

TEXT = st.text(max_size=8)
PROOF = st.builds(Proof, st.just(OPENAI_RESPONSES), st.sampled_from(["gAAA", "gBBB"]))
UNITS = st.builds(
    Units, input=st.integers(1, 9), cache_read=st.integers(0, 9), output=st.integers(1, 9), reasoning=st.integers(0, 9)
)


@st.composite
def answers(draw: st.DrawFn) -> list[Event]:
    """Draw the events of an answer as readers give them."""
    events: list[Event] = [MessageStart("resp_1")]
    calls = 0
    for kind in draw(
        st.lists(st.sampled_from(["text", "refusal", "reasoning", "hidden", "call", "custom"]), max_size=5)
    ):
        words = draw(TEXT.filter(bool))
        match kind:
            case "text":
                events.append(TextDelta(words))
            case "refusal":
                events.append(RefusalDelta(words))
            case "reasoning":
                events += (ReasoningDelta(words), ReasoningEnd(draw(st.none() | PROOF)))
            case "hidden":
                events.append(ReasoningEnd(draw(PROOF), redacted=True))
            case _:
                events += (ToolCallStart(calls, f"c{calls}", "f", kind == "custom"), ToolCallDelta(calls, words))
                events.append(ToolCallEnd(calls))
                calls += 1
    reasons = [FinishReason.LENGTH, FinishReason.FILTER, FinishReason.TOOL_CALLS if calls else FinishReason.STOP]
    events += (UsageReport(draw(UNITS)), Finish(draw(st.sampled_from(reasons))), MessageEnd())
    return events


def merged(events: list[Event]) -> list[Event]:
    """Return events with neighbouring pieces of one block as one."""
    out: list[Event] = []
    for event in events:
        last = out[-1] if out else None
        if isinstance(event, TextDelta) and isinstance(last, TextDelta):
            out[-1] = TextDelta(last.text + event.text)
        elif isinstance(event, RefusalDelta) and isinstance(last, RefusalDelta):
            out[-1] = RefusalDelta(last.text + event.text)
        else:
            out.append(event)
    return out


@given(answers())
@UNTIMED
def test_an_answer_comes_back_as_it_was_written_streamed_and_whole(answer: list[Event]) -> None:
    frame = AnswerFrame("1", "m", 1)
    writer = ResponsesEventWriter(frame)
    stream = b"".join([writer.write(event) for event in answer])
    assert merged(run_reader([stream])) == merged(answer)
    assert merged(read_answer(write_answer(answer, frame), PLAIN, DEFAULTS)) == merged(answer)


NAMES = st.sampled_from(["f", "g", "look_up"])
SCHEMAS = st.sampled_from([b'{"type":"object"}', b'{ "n":1.50 }'])
FULL_TEXT = TEXT.filter(bool).map(Text)
MEDIA: st.SearchStrategy[Part] = st.sampled_from(
    [
        Image(url="https://x/a.png", detail="low"),
        Image(data="iVBORw0KGgoAAAAN", media_type="image/png", detail="auto"),
        File(url="https://x/a.pdf", name="a.pdf"),
        File(data="JVBERi0xLjc=", media_type="application/pdf", name="a.pdf"),
        File(text="é", media_type="text/plain", name="a.txt"),
    ]
)


@st.composite
def conversations(draw: st.DrawFn) -> tuple[Turn, ...]:
    """Draw turns that alternate, in a form that has no other spelling in this dialect."""
    turns: list[Turn] = []
    for number in range(draw(st.integers(0, 3))):
        turns.append(Turn(Role.USER, tuple(draw(st.lists(FULL_TEXT | MEDIA, min_size=1, max_size=3)))))
        parts: list[Part] = [Reasoning(draw(TEXT.filter(bool)), draw(PROOF))] if draw(st.booleans()) else []
        parts += draw(st.lists(FULL_TEXT | TEXT.filter(bool).map(Refusal), min_size=1, max_size=2))
        calls = [
            ToolCall(f"c{number}{i}", draw(NAMES), draw(st.sampled_from(["{}", '{"n":1.50}'])), draw(st.booleans()))
            for i in range(draw(st.integers(0, 2)))
        ]
        turns.append(Turn(Role.ASSISTANT, (*parts, *calls)))
        if calls:
            found = draw(st.lists(FULL_TEXT | MEDIA, max_size=2))
            results = [ToolResult(c.id, c.name, tuple(found) or (Text(""),), custom=c.custom) for c in calls]
            turns.append(Turn(Role.USER, tuple(results)))
        if draw(st.booleans()):
            turns.append(Turn(Role.SYSTEM, (draw(FULL_TEXT),)))
    turns.append(Turn(Role.USER, (draw(FULL_TEXT),)))
    return tuple(turns)


TOOLS = st.lists(
    st.builds(Tool, NAMES, TEXT, SCHEMAS, st.booleans()) | st.builds(Tool, NAMES, TEXT, custom=st.just(True)),
    min_size=1,
    max_size=3,
    unique_by=lambda tool: tool.name,
).map(tuple)


@st.composite
def requests(draw: st.DrawFn) -> Request:
    tools = draw(TOOLS)
    first = tools[0].name
    choices = [
        None,
        ToolChoice(ToolMode.AUTO),
        ToolChoice(ToolMode.REQUIRED, (first,)),
        ToolChoice(ToolMode.AUTO, (first,)),
    ]
    return Request(
        turns=draw(conversations()),
        instructions=tuple(draw(st.lists(FULL_TEXT, max_size=2))),
        tools=tools,
        tool_choice=draw(st.sampled_from(choices)),
        parallel_tools=draw(st.none() | st.booleans()),
        max_output=draw(st.none() | st.integers(1, 9)),
        sampling=Sampling(temperature=draw(st.none() | st.floats(0, 2)), top_p=draw(st.none() | st.floats(0, 1))),
        thinking=Thinking(effort=draw(st.none() | st.sampled_from(Effort)), show=draw(st.sampled_from([None, True]))),
        output=draw(
            st.sampled_from([OutputFormat(Format.TEXT), OutputFormat(Format.JSON)])
            | st.builds(OutputFormat, st.just(Format.SCHEMA), NAMES, TEXT, SCHEMAS, st.booleans())
        ),
        cache_key=draw(TEXT),
        service_tier=draw(st.sampled_from(["", "auto", "flex"])),
        stream=draw(st.booleans()),
    )


@given(requests())
@UNTIMED
def test_a_request_comes_back_as_it_was_written_and_nothing_is_lost(request: Request) -> None:
    crossing = Crossing(OPENAI_CHAT, OPENAI_RESPONSES)
    written = write_request(request, crossing, "up", DEFAULTS)
    assert crossing.header() == ""
    assert written.names == {}
    assert read_head(written.body).stream is request.stream
    assert prepare(written.body) is written.body
    back = read_request(written.body, stream=request.stream)
    assert back == request
    again = write_request(back, Crossing(OPENAI_CHAT, OPENAI_RESPONSES), "up", DEFAULTS)
    assert again.body == written.body
    msgspec.json.decode(written.body)
