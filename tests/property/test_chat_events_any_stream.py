"""Chat as a translating dialect: chunking never matters, no bytes raise, and what is written is read back."""

import base64
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
    ImageOutput,
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
    Audio,
    CacheMark,
    Effort,
    File,
    Format,
    Image,
    OutputFormat,
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
from trunkline.protocol.names import ANTHROPIC, OPENAI_CHAT
from trunkline.protocol.openai_chat.dialect import OpenAIChat
from trunkline.protocol.openai_chat.event_reader import ChatEventReader
from trunkline.protocol.vendor import ReasoningReplay, VendorOptions

UNTIMED = settings(deadline=None, max_examples=examples(0.4))
"""A busy machine is no failure."""

CHAT = OpenAIChat()


# --- Streams of a provider -------------------------------------------------------------------------------------------


def event(**members: Any) -> bytes:
    return b"data: " + json.dumps({"id": "1", "model": "up", **members}, ensure_ascii=False).encode()


def said(finish: object = None, index: int = 0, **delta: Any) -> bytes:
    return event(choices=[{"index": index, "delta": delta, "finish_reason": finish}], usage=None)


def call(**piece: Any) -> bytes:
    return said(tool_calls=[piece])


USAGE = {"prompt_tokens": 5, "completion_tokens": 4, "total_tokens": 9}
DETAILS = [{"type": "reasoning.text", "text": "d", "signature": "s", "index": 0}]
EVENTS = st.sampled_from(
    [
        said(content="Hel"),
        said(content="é中😀"),
        said(content="<think>"),
        said(content="</think>"),
        said(content=[{"type": "text", "text": "x"}]),
        said(content="x", finish="stop"),
        said(content="y", index=1),
        said(finish="length", index=1),
        said(reasoning_content="hm"),
        said(reasoning="hm", reasoning_details=DETAILS),
        said(refusal="no"),
        said(images=[{"image_url": {"url": "data:image/png;base64,AAAA"}}]),
        call(index=0, id="a", function={"name": "f", "arguments": ""}),
        call(index=0, function={"arguments": '{"a"'}),
        call(index=0, function={"arguments": ":1}"}),
        call(index=1, id="b", function={"name": "g", "arguments": {"b": 2}}),
        call(index=1, function={"arguments": "{}"}),
        call(function={"name": "h"}),
        call(index=0, id="c", type="custom", custom={"name": "sh", "input": "ls"}),
        said(function_call={"name": "old", "arguments": "{}"}),
        event(choices=[{"message": {"content": "m"}}]),
        event(choices=[], usage=USAGE),
        event(choices=[]),
        b'data: {"choices":[],\ndata: "model":"up"}',
        *(b": ping", b"data: [DONE]", b"data:", b"data: null", b"event: ping", b""),
    ]
)
FATAL = st.sampled_from([b"data: {", b'data: {"error":{"message":"boom","code":429}}', b"data: \xff", b"data: x"])
ENDS = st.sampled_from([b"\n\n", b"\r\n\r\n", b"\n\n\n", b"\n\r\n"])
PARTS = st.lists(st.tuples(st.one_of(EVENTS, EVENTS, EVENTS, EVENTS, FATAL), ENDS), max_size=14)
BORDERS = st.lists(st.integers(0, 2**16), max_size=20)
OPTIONS = st.builds(VendorOptions, think_tags=st.booleans(), lenient_end=st.booleans())
WRITTEN = Written(b"{}", {"g": "mapped.g"}, "", ("h",))


def read(stream: bytes, borders: list[int], options: VendorOptions) -> list[Event]:
    reader = ChatEventReader(WRITTEN, options)
    marks = sorted(border % (len(stream) + 1) for border in borders)
    events: list[Event] = []
    for start, end in zip([0, *marks], [*marks, len(stream)], strict=True):
        events += reader.receive(stream[start:end])
    return events + reader.finish()


def require_guarantees(events: list[Event]) -> None:
    """Check what `protocol.events` promises of any reader."""
    assert [found for found in events if isinstance(found, MessageEnd | StreamError)] == events[-1:]
    if not isinstance(events[0], StreamError):
        assert [number for number, found in enumerate(events) if isinstance(found, MessageStart)] == [0]
    for choice in {found.choice for found in events if isinstance(found, TextDelta | Finish | ToolCallStart)}:
        require_blocks([found for found in events if getattr(found, "choice", None) == choice], events[-1])


def require_blocks(events: list[Event], last: Event) -> None:
    open_call, thinking, calls = -1, False, 0
    for number, found in enumerate(events):
        if isinstance(found, ToolCallDelta | ToolCallEnd):
            assert found.call == open_call
        else:
            assert open_call < 0
        if isinstance(found, ReasoningDelta | ReasoningEnd):
            thinking = isinstance(found, ReasoningDelta)
        else:
            assert not thinking
        if isinstance(found, ToolCallStart):
            assert (found.call, bool(found.id), bool(found.name)) == (calls, True, True)
            open_call, calls = found.call, calls + 1
        elif isinstance(found, ToolCallEnd):
            open_call = -1
        elif isinstance(found, Finish):
            assert number == len(events) - 1
            assert found.reason is not FinishReason.TOOL_CALLS or calls
    if isinstance(last, MessageEnd):
        assert open_call < 0
        assert not thinking


@given(PARTS, st.integers(0, 12), BORDERS, OPTIONS)
@UNTIMED
def test_any_chunking_gives_the_same_events(
    parts: list[tuple[bytes, bytes]], cut: int, borders: list[int], options: VendorOptions
) -> None:
    stream = b"".join([a + b for a, b in parts])
    stream = stream[: len(stream) - cut]
    events = read(stream, borders, options)
    assert events == read(stream, [], options)
    require_guarantees(events)


@given(
    PARTS,
    st.lists(st.tuples(st.integers(0, 2**16), st.binary(max_size=4), st.integers(0, 5)), min_size=1, max_size=5),
    BORDERS,
    OPTIONS,
)
@UNTIMED
def test_mutated_streams_raise_nothing(
    parts: list[tuple[bytes, bytes]],
    mutations: list[tuple[int, bytes, int]],
    borders: list[int],
    options: VendorOptions,
) -> None:
    stream = b"".join([a + b for a, b in parts])
    for number, new, removed in mutations:
        position = number % (len(stream) + 1)
        stream = stream[:position] + new + stream[position + removed :]
    events = read(stream, borders, options)
    assert events == read(stream, [], options)
    require_guarantees(events)


KEYS = st.sampled_from(
    [
        *("choices", "index", "delta", "message", "finish_reason", "content", "text", "thinking", "type", "error"),
        *("tool_calls", "function", "function_call", "custom", "name", "arguments", "input", "id", "extra_content"),
        *("google", "thought_signature", "reasoning", "reasoning_details", "signature", "images", "image_url", "url"),
        *("usage", "x_groq", "prompt_tokens", "completion_tokens", "messages", "role", "tools", "tool_choice", "file"),
    ]
)
TREES = st.recursive(
    st.none() | st.integers() | st.floats() | st.booleans() | st.text(max_size=5) | st.just("tool"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=5),
    max_leaves=16,
)
CHOICES = st.fixed_dictionaries({"choices": st.lists(st.fixed_dictionaries({"delta": TREES, "finish_reason": TREES}))})
BODIES = st.one_of(st.binary(max_size=80), TREES.map(lambda tree: json.dumps(tree).encode()))


@given(BODIES | CHOICES.map(lambda tree: json.dumps(tree).encode()), OPTIONS)
@UNTIMED
def test_no_answer_raises(body: bytes, options: VendorOptions) -> None:
    require_guarantees(CHAT.read_answer(body, WRITTEN, options))
    require_guarantees(CHAT.read_answer(b"data: " + body + b"\n\n", WRITTEN, options))


@given(BODIES | TREES.map(lambda tree: json.dumps({"messages": [{"role": "user", "content": tree}]}).encode()))
@UNTIMED
def test_a_request_is_read_or_refused_and_nothing_else(body: bytes) -> None:
    try:
        request = CHAT.read_request(body, stream=False)
        CHAT.write_request(request, Crossing(ANTHROPIC, OPENAI_CHAT), "up", VendorOptions())
    except FaultError:
        pass


# --- Answers: what is written is read back ---------------------------------------------------------------------------

WORDS = st.text(st.characters(codec="utf-8"), min_size=1, max_size=8)
NAMES = st.from_regex(r"[A-Za-z0-9_-]{1,12}", fullmatch=True)
FREE_NAMES = st.one_of(NAMES, st.text(st.characters(codec="utf-8"), min_size=1, max_size=80))
OBJECTS = st.dictionaries(st.text(max_size=3), st.integers() | st.text(max_size=5), min_size=1, max_size=3)
ARGUMENTS = OBJECTS.map(json.dumps)


@st.composite
def blocks(draw: st.DrawFn, choice: int) -> list[Event]:
    """Blocks of one choice in an order that a chat stream can show."""
    events: list[Event] = []
    for _ in range(draw(st.integers(0, 2))):
        events += [ReasoningDelta(draw(WORDS), choice), ReasoningEnd(choice=choice)]
        events += [TextDelta(draw(WORDS), choice), RefusalDelta(draw(WORDS), choice)]
    calls = draw(st.lists(st.tuples(NAMES, ARGUMENTS, st.booleans()), max_size=3))
    for number, (name, arguments, custom) in enumerate(calls):
        events.append(ToolCallStart(number, f"call_{choice}_{number}", name, custom, choice=choice))
        cut = draw(st.integers(0, len(arguments)))
        pieces = [piece for piece in (arguments[:cut], arguments[cut:]) if piece]
        events += [ToolCallDelta(number, piece, choice) for piece in pieces]
        events.append(ToolCallEnd(number, choice))
    events += [ImageOutput(data, "image/png", choice) for data in draw(st.lists(st.just("AAAA"), max_size=2))]
    reasons = [FinishReason.TOOL_CALLS if calls else FinishReason.STOP, FinishReason.LENGTH, FinishReason.FILTER]
    return [*events, Finish(draw(st.sampled_from(reasons)), choice=choice)]


ANSWERS = st.tuples(blocks(0), blocks(1)).map(lambda both: both[0] + both[1])
FRAME = AnswerFrame(id="j", model="public", created=7, wants_usage=True)
REPORT = UsageReport(Units(input=5, cache_read=3, output=4, reasoning=2))


def by_choice(events: list[Any]) -> tuple[list[list[Any]], list[Any]]:
    """The events of each choice with neighbouring pieces joined, and all others."""
    choices: list[list[Any]] = [[], []]
    others: list[Any] = []
    for found in events:
        if not hasattr(found, "choice"):
            others.append(found)
            continue
        before = choices[found.choice]
        last: Any = before[-1] if before else None
        if isinstance(found, TextDelta | RefusalDelta | ReasoningDelta) and type(last) is type(found):
            before[-1] = found._replace(text=last.text + found.text)
        elif isinstance(found, ToolCallDelta) and isinstance(last, ToolCallDelta):
            before[-1] = found._replace(arguments=last.arguments + found.arguments)
        else:
            before.append(found)
    return choices, others


@given(ANSWERS)
@UNTIMED
def test_a_written_stream_is_read_back(events: list[Event]) -> None:
    writer = CHAT.event_writer(FRAME)
    stream = b"".join([writer.write(found) for found in [MessageStart("up"), *events, REPORT, MessageEnd()]])
    found = CHAT.read_answer(stream, Written(b""), VendorOptions())
    choices, others = by_choice(found)
    assert choices == by_choice(events)[0]
    assert others == [MessageStart("chatcmpl-j"), REPORT, MessageEnd()]


@given(ANSWERS)
@UNTIMED
def test_a_written_answer_says_what_the_stream_says(events: list[Event]) -> None:
    body = CHAT.write_answer([MessageStart("up"), *events, REPORT, MessageEnd()], FRAME)
    found = CHAT.read_answer(body, Written(b""), VendorOptions())

    def content(all_events: list[Any], kind: type) -> list[str]:
        kinds: list[Any] = [found for found in all_events if isinstance(found, kind)]
        return ["".join(getattr(found, "text", "") for found in kinds if found.choice == choice) for choice in (0, 1)]

    for kind in (TextDelta, RefusalDelta, ReasoningDelta):
        assert content(found, kind) == content(events, kind)
    kept = (ToolCallStart, ToolCallDelta, ToolCallEnd, Finish)
    in_both = [by_choice([found for found in some if isinstance(found, kept)])[0] for some in (found, events)]
    assert in_both[0] == in_both[1]


# --- Requests: what is written is read back --------------------------------------------------------------------------

MARKS = st.sampled_from([None, None, *CacheMark])
TEXTS = st.builds(Text, WORDS, MARKS)
PNG = st.binary(max_size=40).map(lambda tail: base64.b64encode(b"\x89PNG\r\n\x1a\n" + tail).decode())
IMAGES = st.one_of(
    st.builds(Image, url=NAMES.map("https://x/{}".format), detail=st.sampled_from(["", "low", "high"]), cache=MARKS),
    st.builds(Image, data=PNG, media_type=st.just("image/png"), cache=MARKS),
)
FILES = st.one_of(
    st.builds(File, text=WORDS, name=NAMES, cache=MARKS),
    st.builds(File, data=PNG, media_type=st.just("application/pdf"), name=NAMES, cache=MARKS),
)
SOUNDS = st.builds(Audio, PNG, st.sampled_from(["audio/wav", "audio/mp3"]))
CALL_ITEMS = st.tuples(FREE_NAMES, ARGUMENTS, st.booleans(), st.sampled_from([None, Proof(OPENAI_CHAT, "sig")]))
OWN_DETAILS = st.builds(
    lambda text: Reasoning(
        text, Proof(OPENAI_CHAT, msgspec.json.encode([{"type": "reasoning.text", "text": text, "data": "d"}]).decode())
    ),
    WORDS,
)


@st.composite
def rounds(draw: st.DrawFn, number: int) -> list[Turn]:
    """A question, an answer, and where that has calls, their results."""
    question = draw(st.lists(TEXTS | IMAGES | FILES | SOUNDS, min_size=1, max_size=3))
    calls = [
        ToolCall(f"call_{number}_{position}", name, arguments, custom, proof)
        for position, (name, arguments, custom, proof) in enumerate(draw(st.lists(CALL_ITEMS, max_size=3)))
    ]
    reasoning = draw(st.lists(OWN_DETAILS, max_size=1))
    words = draw(st.lists(TEXTS, min_size=0 if calls else 1, max_size=2))
    refusals = [Refusal(text) for text in draw(st.lists(WORDS, max_size=1))]
    turns = [
        Turn(Role.USER, tuple(question), draw(st.sampled_from(["", "ann"]))),
        Turn(Role.ASSISTANT, (*reasoning, *words, *refusals, *calls)),
    ]
    if calls:
        results = [
            ToolResult(call.id, call.name, tuple(draw(st.lists(TEXTS, min_size=1, max_size=2))), custom=call.custom)
            for call in calls
        ]
        turns.append(Turn(Role.USER, tuple(results)))
    if draw(st.booleans()):
        turns.append(Turn(Role.SYSTEM, (draw(TEXTS),)))
    return turns


@st.composite
def requests(draw: st.DrawFn) -> Request:
    names = draw(st.lists(FREE_NAMES, max_size=3, unique=True))
    tools = tuple(
        Tool(
            name,
            draw(st.text(st.characters(codec="utf-8"), max_size=5)),
            b"" if custom else json.dumps(draw(OBJECTS)).encode(),
            strict=None if custom else draw(st.sampled_from([None, True, False])),
            custom=custom,
            cache=draw(MARKS),
        )
        for name, custom in [(name, draw(st.booleans())) for name in names]
    )
    only = draw(st.lists(st.sampled_from(names), max_size=2, unique=True)) if names else []
    choice = ToolChoice(draw(st.sampled_from([ToolMode.AUTO, ToolMode.REQUIRED])), tuple(only))
    none = ToolChoice(ToolMode.NONE)
    formats = [
        OutputFormat(Format.TEXT),
        OutputFormat(Format.JSON),
        OutputFormat(Format.SCHEMA, "form", "d", b'{"type":"object"}', strict=True),
    ]
    halves = st.integers(0, 4).map(lambda number: number / 2)
    turns = [turn for number in range(draw(st.integers(0, 2))) for turn in draw(rounds(number))]
    return Request(
        turns=(*turns, Turn(Role.USER, (draw(TEXTS),))),
        instructions=tuple(draw(st.lists(TEXTS, max_size=2))),
        tools=tools,
        tool_choice=draw(st.sampled_from([None, none, choice])) if tools else None,
        parallel_tools=draw(st.sampled_from([None, True, False])) if tools else None,
        max_output=draw(st.none() | st.integers(1, 9)),
        stop=tuple(draw(st.lists(WORDS, max_size=4))),
        choices=draw(st.integers(1, 3)),
        sampling=Sampling(
            *(draw(st.none() | halves), draw(st.none() | halves), None),
            *(draw(st.none() | halves), draw(st.none() | halves), draw(st.none() | st.integers(0, 9))),
        ),
        thinking=Thinking(draw(st.none() | st.sampled_from(Effort))),
        output=draw(st.sampled_from(formats)),
        cache_key=draw(st.sampled_from(["", "k"])),
        stream=True,
        wants_usage=True,
    )


def renamed(request: Request, names: dict[str, str]) -> Request:
    """A request under the names that the client knows."""

    def part(found: Any) -> Any:
        if not isinstance(found, ToolCall | ToolResult):
            return found
        return msgspec.structs.replace(found, name=names.get(found.name, found.name))

    choice = request.tool_choice
    return msgspec.structs.replace(
        request,
        turns=tuple(msgspec.structs.replace(turn, parts=tuple(map(part, turn.parts))) for turn in request.turns),
        tools=tuple(msgspec.structs.replace(tool, name=names.get(tool.name, tool.name)) for tool in request.tools),
        tool_choice=choice and ToolChoice(choice.mode, tuple(names.get(name, name) for name in choice.only)),
    )


def joined(instructions: tuple[Text, ...]) -> str:
    return "\n\n".join(text.text for text in instructions)


@given(requests())
@UNTIMED
def test_a_written_request_is_read_back_as_it_was(request: Request) -> None:
    """For all that the fidelity table calls lossless towards a vendor that knows everything."""
    crossing = Crossing(ANTHROPIC, OPENAI_CHAT)
    options = VendorOptions(
        cache_marks=True, reasoning_replay=ReasoningReplay.ALWAYS, reasoning_field="reasoning_details"
    )
    written = CHAT.write_request(request, crossing, "up", options)
    assert crossing.header() == ""
    assert CHAT.write_request(request, crossing, "up", options) == written
    found = renamed(CHAT.read_request(written.body, stream=True), written.names)
    assert joined(found.instructions) == joined(request.instructions)
    assert msgspec.structs.replace(found, instructions=request.instructions) == request
