"""Gemini streams, answers and requests: chunking never matters, no bytes raise, and what is written reads the same."""

import json
from collections.abc import Sequence
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

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
    StreamError,
    TextDelta,
    ToolCallDelta,
    ToolCallEnd,
    ToolCallStart,
    UsageReport,
)
from trunkline.protocol.fidelity import Crossing
from trunkline.protocol.gemini.answer import read_whole
from trunkline.protocol.gemini.count import count_input
from trunkline.protocol.gemini.event_reader import GeminiEventReader, read_answer
from trunkline.protocol.gemini.event_writer import GeminiEventWriter, write_answer
from trunkline.protocol.gemini.request import prepare, read_head
from trunkline.protocol.gemini.request_reader import read_request
from trunkline.protocol.gemini.request_writer import write_request
from trunkline.protocol.gemini.stream import GeminiStreamRelay
from trunkline.protocol.model import (
    Audio,
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
from trunkline.protocol.names import GEMINI, OPENAI_CHAT
from trunkline.protocol.renaming import rename_model
from trunkline.protocol.vendor import DEFAULTS

UNTIMED = settings(deadline=None)
"""A busy machine is no failure, and the tokenizer loads within the first example."""

ASKED = Written(b'{"contents":[]}', names={"f_1": "f!"}, unwrap_field=("f_1",))


def event(**members: Any) -> bytes:
    return b"data: " + json.dumps({**members, "modelVersion": "up"}, ensure_ascii=False).encode()


def parts(*found: Any, finish: object = None, index: int = 0, **members: Any) -> bytes:
    return event(candidates=[{"content": {"parts": found}, "finishReason": finish, "index": index}], **members)


USAGE = {"promptTokenCount": 5, "candidatesTokenCount": 4, "thoughtsTokenCount": 3, "totalTokenCount": 12}
EVENTS = st.sampled_from(
    [
        parts({"text": "Hel"}),
        parts({"text": "é中😀"}),
        parts({"text": "t", "thought": True}),
        parts({"text": "", "thoughtSignature": "AbCd"}),
        parts({"text": "x"}, finish="STOP", usageMetadata=USAGE),
        parts({"functionCall": {"name": "f", "args": {"a": 1}}}, {"functionCall": {"name": "f_1"}}, index=1),
        parts({"inlineData": {"mimeType": "image/png", "data": "AAAA"}}),
        parts(finish="MAX_TOKENS", index=1),
        event(usageMetadata=USAGE),
        event(promptFeedback={"blockReason": "SAFETY"}),
        event(candidates=[]),
        b'data: {"candidates":[],\ndata: "modelVersion":"up"}',
        b": ping",
        b"event: message\ndata:" + parts({"text": "y"})[6:],
        b"data: [DONE]",
        b"data:",
        b"data: null",
        b"",
    ]
)
FATAL = st.sampled_from([b"data: {", b'data: {"error":{"message":"boom","code":429}}', b"data: \xff", b"data: x"])
ENDS = st.sampled_from([b"\n\n", b"\r\n\r\n", b"\n\n\n", b"\n\r\n"])
STREAMS = st.lists(st.tuples(st.one_of(EVENTS, EVENTS, EVENTS, EVENTS, FATAL), ENDS), max_size=12)
BORDERS = st.lists(st.integers(0, 2**16), max_size=20)
RELAYS = st.fixed_dictionaries(
    {
        "public_model": st.sampled_from([None, "p", "up"]),
        "array": st.booleans(),
        "count_input": st.sampled_from([None, lambda: 7]),
    }
)


def pieces(stream: bytes, borders: list[int]) -> list[bytes]:
    marks = sorted(border % (len(stream) + 1) for border in borders)
    return [stream[a:b] for a, b in zip([0, *marks], [*marks, len(stream)], strict=True)]


def read(stream: bytes, borders: list[int]) -> list[Event]:
    reader = GeminiEventReader(ASKED)
    events = [event for piece in pieces(stream, borders) for event in reader.receive(piece)]
    return [*events, *reader.finish()]


def relay(stream: bytes, borders: list[int], options: dict[str, Any]) -> tuple[bytes, tuple[object, ...]]:
    one = GeminiStreamRelay(**options)
    out = b"".join([one.receive(piece) for piece in pieces(stream, borders)]) + one.finish()
    return out, (one.first_output, one.complete, one.units, one.error, one.output_tokens_counted())


def require_sound(events: Sequence[Event]) -> None:
    """Check what `protocol.events` guarantees."""
    assert isinstance(events[-1], MessageEnd | StreamError)
    assert not any(isinstance(event, MessageEnd | StreamError) for event in events[:-1])
    assert [isinstance(event, MessageStart) for event in events[:-1]] == [True] + [False] * (len(events) - 2) or (
        len(events) == 1 and isinstance(events[0], StreamError)
    )
    calls: dict[int, int] = {}
    open_calls: dict[int, int] = {}
    thinking: set[int] = set()
    finished: set[int] = set()
    for event in events:
        choice = getattr(event, "choice", None)
        if choice is None:
            continue
        assert choice not in finished
        if isinstance(event, ToolCallStart):
            assert event.call == calls.get(choice, 0)
            calls[choice] = event.call + 1
            open_calls[choice] = event.call
        elif isinstance(event, ToolCallDelta | ToolCallEnd):
            assert event.call == open_calls[choice]
            if isinstance(event, ToolCallEnd):
                del open_calls[choice]
        else:
            assert choice not in open_calls
        if isinstance(event, ReasoningDelta):
            thinking.add(choice)
        elif isinstance(event, ReasoningEnd):
            thinking.discard(choice)
        elif not isinstance(event, ToolCallDelta):
            assert choice not in thinking
        if isinstance(event, Finish):
            finished.add(choice)


@given(STREAMS, st.integers(0, 12), BORDERS)
@UNTIMED
def test_any_chunking_gives_the_same_events(parts: list[tuple[bytes, bytes]], cut: int, borders: list[int]) -> None:
    stream = b"".join([a + b for a, b in parts])
    stream = stream[: len(stream) - cut]
    events = read(stream, borders)
    assert events == read(stream, [])
    require_sound(events)


@given(STREAMS, st.integers(0, 12), BORDERS, RELAYS)
@UNTIMED
def test_any_chunking_relays_the_same_bytes_and_facts(
    parts: list[tuple[bytes, bytes]], cut: int, borders: list[int], options: dict[str, Any]
) -> None:
    stream = b"".join([a + b for a, b in parts])
    stream = stream[: len(stream) - cut]
    out, facts = relay(stream, borders, options)
    assert (out, facts) == relay(stream, [], options)
    if options["array"]:
        assert not out or isinstance(json.loads(out if facts[1] else out + b"]"), list)
    else:
        # Nothing but plain events with an object each: all that Google's SDKs take.
        for line in out.splitlines():
            assert not line or isinstance(json.loads(line.removeprefix(b"data: ")), dict)


def mutated(stream: bytes, mutations: list[tuple[int, bytes, int]]) -> bytes:
    for number, new, removed in mutations:
        position = number % (len(stream) + 1)
        stream = stream[:position] + new + stream[position + removed :]
    return stream


MUTATIONS = st.lists(st.tuples(st.integers(0, 2**16), st.binary(max_size=4), st.integers(0, 5)), min_size=1, max_size=5)


@given(MUTATIONS, BORDERS, RELAYS)
@UNTIMED
def test_mutated_streams_raise_nothing(
    mutations: list[tuple[int, bytes, int]], borders: list[int], options: dict[str, Any]
) -> None:
    call = {"functionCall": {"name": "f_1", "args": {"input": "x"}}, "thoughtSignature": "AbCd"}
    good = (
        parts({"text": "t", "thought": True}),
        parts({"text": "a"}, call),
        parts(finish="STOP", usageMetadata=USAGE),
    )
    stream = mutated(b"\n\n".join([*good, b""]), mutations)
    events = read(stream, borders)
    require_sound(events)
    assert events == read(stream, [])
    assert relay(stream, borders, options) == relay(stream, [], options)


KEYS = st.sampled_from(
    [
        *("error", "code", "message", "candidates", "content", "parts", "text", "thought", "thoughtSignature"),
        *("functionCall", "name", "args", "id", "inlineData", "mimeType", "data", "finishReason", "index"),
        *("usageMetadata", "promptTokenCount", "promptTokensDetails", "modality", "tokenCount", "promptFeedback"),
        *("blockReason", "contents", "role", "functionResponse", "response", "tools", "functionDeclarations"),
        *("parameters", "type", "anyOf", "properties", "generationConfig", "thinkingConfig", "generation_config"),
        *("systemInstruction", "system_instruction", "fileData", "fileUri", "toolConfig", "functionCallingConfig"),
    ]
)
WORDS = st.sampled_from(["STOP", "model", "user", "image/png", "OBJECT", "AAAA", "", "x", "https://x/a.png"])
TREES = st.recursive(
    st.none() | st.integers() | WORDS | st.text(max_size=5) | st.floats(allow_nan=False),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=14,
)
BODIES = st.one_of(st.binary(max_size=80), TREES.map(lambda tree: json.dumps(tree).encode()))
FRAMES = TREES.map(lambda tree: json.dumps({"candidates": [{"content": {"parts": [tree]}, "finishReason": tree}]}))
REQUESTS = st.one_of(
    BODIES,
    TREES.map(lambda tree: json.dumps({"contents": [{"parts": [tree]}], "generationConfig": tree}).encode()),
    TREES.map(lambda tree: json.dumps({"contents": [{"role": "model", "parts": tree}], "tools": tree}).encode()),
)


@given(st.one_of(BODIES, FRAMES.map(str.encode)))
@UNTIMED
def test_no_answer_raises(body: bytes) -> None:
    require_sound(read_answer(body, ASKED))
    require_sound(read(b"data: " + body + b"\n\n", []))
    whole = read_whole(body)
    if whole.valid:
        assert json.loads(rename_model(body, "p", key="modelVersion")).get("modelVersion", "p") == "p"


@given(REQUESTS)
@UNTIMED
def test_no_request_raises_anything_but_a_fault(body: bytes) -> None:
    assert count_input(body) >= 0
    try:
        read_head(body)
        prepare(body)
        request = read_request(body, stream=False)
        write_request(request, Crossing(OPENAI_CHAT, GEMINI), "gemini-3-pro", DEFAULTS)
    except FaultError:
        pass


# --- what is written reads the same --------------------------------------------------------------------------------

TEXTS = st.text(min_size=1, max_size=8)
WORD = st.text("abc", min_size=1, max_size=3)
NUMBERS = st.sampled_from(["1", "1.10", "12345678901234567890123", "-0.0", "1e3"])
ARGUMENTS = st.dictionaries(WORD, NUMBERS, max_size=2).map(
    lambda found: "{" + ", ".join(f'"{key}":{value}' for key, value in found.items()) + "}"
)
PROOFS = st.sampled_from([Proof("gemini", "AbCd"), Proof("anthropic", "sig"), Proof("openai-responses", "ünï")])
UNITS = st.builds(Units, input=st.integers(1, 99), cache_read=st.integers(0, 9), reasoning=st.integers(0, 9)).map(
    lambda units: Units(input=units.input, cache_read=units.cache_read, reasoning=units.reasoning, output=99)
)


@st.composite
def answers(draw: st.DrawFn) -> list[Event]:
    """Events of one choice, as a reader of any dialect may give them."""
    events: list[Event] = [MessageStart("job")]
    calls = 0
    for kind in draw(st.lists(st.sampled_from(["text", "reasoning", "redacted", "call"]), max_size=6)):
        if kind == "text":
            events += [TextDelta(text) for text in draw(st.lists(TEXTS, min_size=1, max_size=3))]
        elif kind == "reasoning":
            events += [ReasoningDelta(text) for text in draw(st.lists(TEXTS, min_size=1, max_size=3))]
            events.append(ReasoningEnd(draw(st.none() | PROOFS)))
        elif kind == "redacted":
            events.append(ReasoningEnd(draw(PROOFS), redacted=True))
        else:
            events.append(ToolCallStart(calls, f"c{calls}", draw(WORD), proof=draw(st.none() | PROOFS)))
            events += [ToolCallDelta(calls, draw(ARGUMENTS)), ToolCallEnd(calls)]
            calls += 1
    reason = FinishReason.TOOL_CALLS if calls else FinishReason.STOP
    return [*events, UsageReport(draw(UNITS)), Finish(reason), MessageEnd()]


def answer_turn(events: Sequence[Event]) -> tuple[object, ...]:
    """An answer as the parts of the turn that a client gives back."""
    found: list[object] = []
    thought = ""
    for event in events:
        match event:
            case TextDelta(text):
                last = found[-1] if found else None
                if isinstance(last, Text):
                    found[-1] = Text(last.text + text)
                else:
                    found.append(Text(text))
            case ReasoningDelta(text):
                thought += text
            case ReasoningEnd(proof, redacted):
                last = found[-1] if found else None
                if not redacted and isinstance(last, Reasoning) and last.proof is None:
                    # Nothing stood between them.
                    thought = last.text + thought
                    found.pop()
                found.append(Reasoning(thought, proof, redacted))
                thought = ""
            case ToolCallStart():
                found.append(ToolCall(event.id, event.name, "", proof=event.proof))
            case ToolCallDelta(_, arguments):
                last = found[-1]
                assert isinstance(last, ToolCall)
                found[-1] = ToolCall(last.id, last.name, arguments, proof=last.proof)
            case _:
                pass
    return tuple(found)


@given(answers(), st.booleans())
@UNTIMED
def test_an_answer_comes_back_in_history_as_it_was(events: list[Event], array: bool) -> None:
    frame = AnswerFrame(id="job", model="p", created=1, array=array)
    writer = GeminiEventWriter(frame)
    stream = b"".join([writer.write(event) for event in events])
    frames = json.loads(stream) if array else [json.loads(line[6:]) for line in stream.split(b"\n\n") if line]
    streamed = [frame["candidates"][0]["content"] for frame in frames if "content" in frame["candidates"][0]]
    whole = json.loads(write_answer(events, frame))["candidates"][0].get("content")
    expected = answer_turn(events)
    for contents in (streamed, [whole] if whole else []):
        body = json.dumps({"contents": [{"parts": [{"text": "hi"}]}, *contents]}, ensure_ascii=False)
        turns = read_request(body.encode(), stream=False).turns
        found = [part for part in turns[1].parts if part != Text("")] if len(turns) > 1 else []
        assert without_spaces(found) == without_spaces(expected)


def without_spaces(parts: Sequence[object]) -> list[object]:
    """Parts with the white space and the numbers of arguments out of the way: json has read them in between."""
    return [
        ToolCall(part.id, part.name, json.dumps(json.loads(part.arguments)), proof=part.proof)
        if isinstance(part, ToolCall)
        else part
        for part in parts
    ]


@st.composite
def requests(draw: st.DrawFn) -> Request:
    """Requests that cross without a loss: what Gemini has no other word for is left out."""
    own = Proof("gemini", "AbCd")
    user_part = (
        TEXTS.map(Text)
        | st.just(Image(data="iVBORw0KGgo=", media_type="image/png"))
        | st.just(File(data="AAAA", media_type="application/pdf"))
        | TEXTS.map(lambda text: File(text=text))
        | st.just(File(url="https://x.org/a.pdf", media_type="application/pdf"))
        | st.just(Audio("AAAA", "audio/wav"))
    )
    turns = [Turn(Role.USER, tuple(draw(st.lists(user_part, min_size=1, max_size=3))))]
    number = 0
    for _ in range(draw(st.integers(0, 3))):
        model: list[Any] = []
        if draw(st.booleans()):
            model.append(Reasoning(draw(TEXTS), own))
        model.append(Text(draw(TEXTS)))
        if draw(st.booleans()):
            model.append(Reasoning(proof=own, redacted=True))
        calls = [
            ToolCall(f"c{number + n}", draw(WORD), draw(ARGUMENTS), proof=own if n == 0 else None)
            for n in range(draw(st.integers(0, 2)))
        ]
        number += len(calls)
        results = tuple(
            ToolResult(call.id, call.name, (Text(draw(TEXTS | ARGUMENTS)),), draw(st.booleans())) for call in calls
        )
        turns.append(Turn(Role.ASSISTANT, (*model, *calls)))
        turns.append(Turn(Role.USER, results or (Text(draw(TEXTS)),)))
    names = draw(st.lists(WORD, max_size=2, unique=True))
    only = tuple(names[:1]) if draw(st.booleans()) else ()
    choices = (ToolChoice(ToolMode.NONE), ToolChoice(ToolMode.AUTO, only), ToolChoice(ToolMode.REQUIRED, only))
    return Request(
        turns=tuple(turns),
        instructions=tuple(Text(text) for text in draw(st.lists(TEXTS, max_size=2))),
        tools=tuple(Tool(name, draw(st.sampled_from(["", "d"])), b'{"type": "object"}') for name in names),
        tool_choice=draw(st.sampled_from([None, *choices])) if names else None,
        max_output=draw(st.sampled_from([None, 9])),
        stop=tuple(draw(st.lists(WORD, max_size=5))),
        choices=draw(st.integers(1, 3)),
        sampling=Sampling(*draw(st.sampled_from([(), (0.5, 0.9, 3, 0.1, 0.2, 7)]))),
        thinking=draw(st.sampled_from([Thinking(), Thinking(show=True), Thinking(budget=-1)])),
        output=draw(
            st.sampled_from(
                [OutputFormat(Format.TEXT), OutputFormat(Format.JSON), OutputFormat(Format.SCHEMA, schema=b"{}")]
            )
        ),
        service_tier=draw(st.sampled_from(["", "flex"])),
        stream=draw(st.booleans()),
    )


@given(requests())
@UNTIMED
def test_what_is_lossless_reads_as_it_was_written(request: Request) -> None:
    crossing = Crossing(OPENAI_CHAT, GEMINI)
    written = write_request(request, crossing, "gemini-2.5-pro", DEFAULTS)
    assert crossing.header() == ""
    assert read_request(written.body, stream=request.stream) == request
