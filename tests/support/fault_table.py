"""What a provider can do wrong, and what the gateway makes of it: one table for the tests and for the page of the docs.

`tests/e2e/test_fault_upstreams.py` brings each row about; docs/generate.py makes docs/faults.md of it.
"""

from collections.abc import Mapping
from types import MappingProxyType

from tests.support.fault_answers import (
    BEGUN,
    BOMB,
    COMMENT,
    DONE,
    FINISH,
    HTML,
    LAST,
    NESTED,
    NO_CHOICE,
    NO_CHOICES,
    OPENING,
    REPORT,
    STREAM,
    STREAM_TYPE,
    WHOLE,
    Act,
    answer,
    chunked_head,
    drip,
    error,
    event,
    letters,
    piece,
    plain,
    stream,
)
from tests.support.fault_kinds import (
    CUT,
    FAILED,
    FINE,
    INVALID,
    LATE,
    OVERLOADED,
    UNREACHABLE,
    Against,
    Fault,
    alike,
    midway,
)
from tests.support.fault_refusals import FAILURES, LIMITS, REFUSALS

REFUSES_CONNECTIONS = "refuses-connections"

_CONNECTIONS = {
    REFUSES_CONNECTIONS: alike("refuses the connection", UNREACHABLE, Against.CHANNEL, ()),
    "resets": alike("resets the connection instead of an answer", UNREACHABLE, Against.CHANNEL, (Act.RESET,)),
    "hangs-up": alike("closes the connection instead of an answer", UNREACHABLE, Against.CHANNEL, (Act.CLOSE,)),
    "half-a-head": alike(
        "closes in the middle of its answer's head",
        UNREACHABLE,
        Against.CHANNEL,
        (b"HTTP/1.1 200 OK\r\ncontent-ty", Act.CLOSE),
    ),
    "no-http": alike("answers something that is not HTTP", UNREACHABLE, Against.CHANNEL, (b"220 smtp\r\n", Act.HOLD)),
    "endless-head": alike(
        "sends header fields without end",
        UNREACHABLE,
        Against.CHANNEL,
        (b"HTTP/1.1 200 OK\r\n", b"x-filler: %b\r\n" % (b"x" * 1000) * 100, Act.HOLD),
    ),
    "switches-protocols": alike(
        "switches to another protocol",
        UNREACHABLE,
        Against.CHANNEL,
        (b"HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: h2c\r\n\r\n", Act.HOLD),
    ),
    "interim-answers": Fault(
        "sends interim answers (100, 103) first",
        FINE,
        Against.NOTHING,
        plain=(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\n", *plain(WHOLE)),
        stream=(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\n", *stream(STREAM)),
    ),
    "no-length": Fault(
        "ends its answer with the connection",
        FINE,
        Against.NOTHING,
        plain=(b"HTTP/1.0 200 OK\r\ncontent-type: application/json\r\n\r\n", WHOLE, Act.CLOSE),
        stream=(b"HTTP/1.0 200 OK\r\ncontent-type: text/event-stream\r\n\r\n", STREAM, Act.CLOSE),
    ),
}

_BODIES = {
    "too-short": Fault(
        "sends less than its content-length",
        CUT,
        Against.CHANNEL,
        plain=(answer(200, WHOLE, length=len(WHOLE) + 10), Act.CLOSE),
        stream=(answer(200, OPENING, kind=STREAM_TYPE, length=10_000), Act.CLOSE),
    ),
    "too-long": Fault(
        "sends more than its content-length",
        INVALID,
        Against.CHANNEL,
        plain=(answer(200, WHOLE, length=len(WHOLE) - 10),),
    ),
    "cut": Fault(
        "cuts a chunked answer before its output",
        CUT,
        Against.CHANNEL,
        plain=(chunked_head(kind=b"application/json"), piece(WHOLE[:50]), Act.CLOSE),
        stream=stream(OPENING, Act.CLOSE),
    ),
    "ends-early": Fault(
        "ends an answer properly, but before it is whole",
        INVALID,
        Against.CHANNEL,
        plain=plain(WHOLE[:50]),
        stream=stream(OPENING),
        streamed=CUT,
    ),
    "bad-chunk-size": Fault(
        "sends a chunk whose size is no number",
        CUT,
        Against.CHANNEL,
        plain=(chunked_head(kind=b"application/json"), b"zz\r\n", Act.HOLD),
        stream=(chunked_head(), piece(OPENING), b"zz\r\n", Act.HOLD),
    ),
    "gzip": Fault(
        "sends a gzip bomb, which nobody asked for",
        INVALID,
        Against.CHANNEL,
        plain=plain(BOMB, b"content-encoding: gzip"),
        stream=(answer(200, BOMB, b"content-encoding: gzip", kind=STREAM_TYPE),),
        streamed=CUT,
    ),
    "garbled": Fault(
        "sends bytes that are no text",
        INVALID,
        Against.CHANNEL,
        plain=plain(WHOLE.replace(b"Yes", b"\xff\xfe\xc3")),
        stream=stream(OPENING, b"data: \xff\xfe\xc3\x28\n\n", FINISH, DONE),
    ),
    "html": Fault(
        "answers 200 with a web page",
        INVALID,
        Against.CHANNEL,
        plain=(answer(200, HTML, kind=b"text/html"),),
        stream=(answer(200, HTML, kind=b"text/html"),),
    ),
    "empty": Fault(
        "answers 200 with nothing", INVALID, Against.CHANNEL, plain=plain(b""), stream=stream(), streamed=CUT
    ),
    "no-content": alike("answers 204", FAILED, Against.CHANNEL, (b"HTTP/1.1 204 No Content\r\n\r\n",)),
    "another-shape": Fault(
        "answers 200 with JSON of another shape",
        INVALID,
        Against.CHANNEL,
        plain=plain(b'{"result":{"answer":"Yes, well."}}'),
        stream=stream(event({"result": {"answer": "Yes, well."}}), DONE),
        streamed=CUT,
    ),
    "no-choices": Fault(
        "answers 200 without a choice",
        INVALID,
        Against.CHANNEL,
        plain=plain(NO_CHOICES),
        stream=stream(NO_CHOICE, DONE),
        streamed=CUT,
    ),
    "nested": Fault(
        "answers 200 with lists in lists, 100,000 deep",
        INVALID,
        Against.CHANNEL,
        plain=plain(NESTED),
        stream=stream(b"data: " + NESTED + b"\n\n"),
    ),
    "whole-for-a-stream": Fault("answers a stream with JSON", INVALID, Against.CHANNEL, stream=plain(WHOLE)),
    "stream-for-a-whole": Fault("answers a plain request with events", INVALID, Against.CHANNEL, plain=stream(STREAM)),
    "two-answers": Fault(
        "sends a second answer behind the first",
        FINE,
        Against.NOTHING,
        plain=(plain(WHOLE)[0] + plain(WHOLE)[0],),
        stream=(b"".join([chunked_head(), piece(STREAM), LAST, chunked_head(), piece(STREAM), LAST]),),
    ),
    "two-bodies": Fault(
        "sends a second answer in the body of the first",
        INVALID,
        Against.CHANNEL,
        plain=plain(WHOLE + WHOLE),
        stream=stream(STREAM + STREAM),
        streamed=FINE,
    ),
    "garbage-behind": Fault(
        "sends rubbish behind its answer",
        FINE,
        Against.NOTHING,
        plain=(plain(WHOLE)[0] + b"\x00\xffGood bye!\r\n",),
        stream=(b"".join([chunked_head(), piece(STREAM + b"\x00\xff bye\n\n"), LAST, b"\x00\xffGood bye!\r\n"]),),
    ),
    "no-done": Fault("ends a stream without `[DONE]`", FINE, Against.NOTHING, stream=stream(BEGUN, FINISH, REPORT)),
    "cut-behind-its-end": Fault(
        "cuts the connection behind the last event",
        FINE,
        Against.NOTHING,
        stream=stream(STREAM, Act.CLOSE),
    ),
    "reset-behind-its-end": Fault(
        "resets the connection behind the last event",
        FINE,
        Against.NOTHING,
        stream=stream(STREAM, 0.05, Act.RESET),
    ),
    "stays-behind-its-end": Fault(
        "keeps a stream open behind its last event",
        FINE,
        Against.NOTHING,
        stream=stream(STREAM, Act.HOLD),
        late=True,
    ),
    "drips-behind-its-end": Fault(
        "goes on with comments behind the last event",
        FINE,
        Against.NOTHING,
        stream=stream(STREAM, *drip(COMMENT, 50)),
        late=True,
    ),
}

_MIDWAY = {
    "cut-midway": midway("cuts a stream that has begun", CUT, Act.CLOSE),
    "reset-midway": midway("resets the connection in a stream that has begun", CUT, Act.RESET),
    "ends-midway": midway("ends a stream that has begun properly, but before its answer is whole", CUT),
    "done-midway": midway("says `[DONE]` before its answer is whole", CUT, DONE),
    "broken-midway": midway("sends an event that is no JSON", INVALID, b'data: {"choices":[{"del\n\n', FINISH, DONE),
    "error-midway": midway("sends an error event", FAILED, event(error("The model crashed."))),
    "overloaded-midway": midway(
        "sends an error event that says that it is overloaded",
        OVERLOADED,
        event(error("Overloaded", "overloaded_error")),
    ),
    "answer-behind-an-error": midway(
        "sends an error event, and then another answer", FAILED, event(error("The model crashed.")), STREAM
    ),
    "stalls-midway": midway("stalls in a stream that has begun", LATE, Act.HOLD, late=True),
    "drips-midway": midway("goes on with nothing but comments", LATE, *drip(COMMENT, 50), late=True),
}

_LATE = {
    "never-answers": alike("takes the request and says nothing", LATE, Against.CHANNEL, (Act.HOLD,), late=True),
    "stalls": Fault(
        "stalls before its output",
        LATE,
        Against.CHANNEL,
        plain=(chunked_head(kind=b"application/json"), piece(WHOLE[:50]), Act.HOLD),
        stream=stream(OPENING, Act.HOLD),
        late=True,
    ),
    "drips-its-head": alike(
        "sends its head letter by letter",
        LATE,
        Against.CHANNEL,
        letters(b"HTTP/1.1 200 OK\r\nx-slow: very\r\n", 0.2),
        late=True,
    ),
    "drips": Fault(
        "sends its answer letter by letter, or nothing but comments",
        LATE,
        Against.CHANNEL,
        plain=(chunked_head(kind=b"application/json"), *drip(piece(b" "), 50)),
        stream=stream(*drip(COMMENT, 50)),
        late=True,
    ),
}

GROUPS: Mapping[str, Mapping[str, Fault]] = MappingProxyType(
    {
        "Connections": _CONNECTIONS,
        "Bodies": _BODIES,
        "Streams that have begun": _MIDWAY,
        "Too late": _LATE,
        "Refusals": REFUSALS,
        "Limits": LIMITS,
        "Failures": FAILURES,
    }
)
FAULTS: Mapping[str, Fault] = MappingProxyType(
    {name: fault for group in GROUPS.values() for name, fault in group.items()}
)
