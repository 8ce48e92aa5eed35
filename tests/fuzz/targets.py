"""What is fuzzed: one function per reader, which takes any bytes and raises where the reader broke its promise.

The first two bytes choose what else may vary: the options (`_Given.flags`) and how a stream is cut into chunks. What
follows them is what a provider or a client sent.
"""

import contextlib
from collections.abc import Callable
from typing import NamedTuple

import msgspec

from tests.fuzz import seeds
from tests.fuzz.soundness import merged, require_sound
from trunkline.core.errors import FaultError
from trunkline.core.usage import Units
from trunkline.protocol import names, registry
from trunkline.protocol.dialect import AnswerFrame, Written
from trunkline.protocol.endpoints import multipart
from trunkline.protocol.events import Event, MessageEnd
from trunkline.protocol.fidelity import Crossing
from trunkline.protocol.json_span import without_lone_surrogates
from trunkline.protocol.rules import RequestRules
from trunkline.protocol.sse import EventBuffer, EventSplitter, event_data, parse_event, split_events
from trunkline.protocol.vendor import (
    DEFAULTS,
    ReasoningReplay,
    ThinkingField,
    ToolIDRule,
    ToolSchemaRule,
    VendorOptions,
)

_OPTIONS = (
    DEFAULTS,
    VendorOptions(think_tags=True, lenient_end=True, reasoning_replay=ReasoningReplay.ALWAYS),
    VendorOptions(
        max_completion_tokens=True,
        developer_role=True,
        json_schema=False,
        tool_strict=False,
        tool_ids=ToolIDRule.ALPHANUMERIC_9,
        instructions_midway=True,
        forward_fields=("top_k", "service_tier"),
    ),
    VendorOptions(
        forced_tools=False,
        instructions_midway=False,
        thinking_field=ThinkingField.REASONING,
        tool_bridge="OK.",
        tool_schemas=ToolSchemaRule.PLAIN,
    ),
    VendorOptions(parallel_switch=False, cache_marks=True, reasoning_replay=ReasoningReplay.TOOL_LOOP, max_output=4096),
)
_WRITTEN = (
    Written(b"{}"),
    Written(b"{}", names={"weather": "weather!", "f": "f!"}, unwrap_field=("now", "f")),
    Written(b"{}", unwrap_tool="weather"),
    Written(b"{}", unwrap_tool="f", names={"now": "now!"}),
)
_RULES = RequestRules(
    drop=("user",),
    set={"top_k": b"5", "metadata.a": b"1"},
    default={"seed": b"1"},
    clamp={"temperature": (0.0, 1.0)},
    rename={"max_tokens": "max_completion_tokens"},
)
_FORM_ENDPOINTS = ("audio_transcriptions", "images_edits", "images_variations")
_EVENT_BYTES_MAX = 64
"""A small bound, so that the fuzzer meets it."""


class _Given(NamedTuple):
    flags: int
    step: int
    body: bytes

    def chunks(self) -> list[bytes]:
        """The body in pieces; a step of 0 leaves it whole."""
        step = self.step or len(self.body) or 1
        return [self.body[start : start + step] for start in range(0, len(self.body), step)]

    def bits(self, start: int, count: int) -> int:
        return self.flags >> start & (1 << count) - 1


class Target(NamedTuple):
    """One thing to fuzz.

    Attributes:
        name: for the command line.
        run: raises if a promise is broken.
        seeds: inputs to begin with.
    """

    name: str
    run: Callable[[bytes], None]
    seeds: tuple[bytes, ...]


def _given(data: bytes) -> _Given:
    head = data[:2].ljust(2, b"\0")
    return _Given(head[0], head[1], data[2:])


def _with_heads(bodies: tuple[bytes, ...]) -> tuple[bytes, ...]:
    """Return seeds: each body whole and in small chunks, and under several options."""
    return tuple(head + body for body in bodies for head in (b"\x00\x00", b"\x1b\x07", b"\xee\x01"))


def _require_json(body: bytes) -> None:
    body.decode()
    msgspec.json.decode(body, type=msgspec.Raw)


def _require_passed_json(body: bytes) -> None:
    """As `_require_json`, for bytes that are passed on: half an emoji in an escape stays what the sender made of it."""
    _require_json(without_lone_surrogates(body))


# --- Server-sent events --------------------------------------------------------------------------------------------


def _sse(data: bytes) -> None:
    given = _given(data)
    splitter = EventSplitter()
    found = [event for chunk in given.chunks() for event in splitter.receive(chunk)]
    if rest := splitter.finish():
        found.append(rest)
    assert b"".join(found) == given.body
    buffer = EventBuffer()
    whole = [split_events(block) for block in (buffer.receive(given.body), buffer.finish()) if block]
    assert [parse_event(event) for event in found] == [parse_event(event) for events in whole for event in events]
    for event in found:
        assert event_data(event) == parse_event(event).data
    bounded = EventSplitter(_EVENT_BYTES_MAX)
    with contextlib.suppress(FaultError):
        for chunk in given.chunks():
            bounded.receive(chunk)


# --- Answers -------------------------------------------------------------------------------------------------------


def _write(events: list[Event], given: _Given) -> None:
    """Have a client's side say what was read: it must take whatever a reader gives it."""
    client = registry.CLIENTS[names.CONVERSATIONAL[given.bits(0, 2)]]
    array = bool(given.bits(2, 1))
    frame = AnswerFrame(id="1", model="m", created=1, wants_usage=array, array=array)
    writer = client.event_writer(frame)
    complete = isinstance(events[-1], MessageEnd)
    said = b"".join([writer.write(event) for event in (events if complete else events[:-1])])
    said.decode()
    if complete:
        _require_json(client.write_answer(events, frame))


def _event_reader(upstream: str) -> Callable[[bytes], None]:
    dialect = registry.UPSTREAMS[upstream]

    def run(data: bytes) -> None:
        given = _given(data)
        written, options = _WRITTEN[given.bits(3, 2)], _OPTIONS[given.bits(5, 2)]
        reader = dialect.event_reader(written, options)
        events = [event for chunk in given.chunks() for event in reader.receive(chunk)]
        events += reader.finish()
        require_sound(events, lenient_end=options.lenient_end)
        assert not reader.receive(b"data: {}\n\n")
        assert not reader.finish()
        reader = dialect.event_reader(written, options)
        assert merged([*reader.receive(given.body), *reader.finish()]) == merged(events)
        _write(events, given)

    return run


def _answer_reader(upstream: str) -> Callable[[bytes], None]:
    dialect = registry.UPSTREAMS[upstream]
    relay = registry.RELAYS[dialect.name]

    def run(data: bytes) -> None:
        given = _given(data)
        options = _OPTIONS[given.bits(5, 2)]
        events = dialect.read_answer(given.body, _WRITTEN[given.bits(3, 2)], options)
        require_sound(events, lenient_end=options.lenient_end)
        _write(events, given)
        if relay.read_whole(given.body).valid:
            _require_passed_json(relay.rename(given.body, "public"))
            _require_passed_json(relay.state_usage(given.body, Units(input=1, output=2)))

    return run


def _relay(name: str) -> Callable[[bytes], None]:
    dialect = registry.RELAYS[name]

    def relayed(chunks: list[bytes], given: _Given) -> tuple[object, ...]:
        relay = dialect.relay(
            public_model="public" if given.bits(0, 1) else None,
            hide_usage=bool(given.bits(1, 1)),
            array=bool(given.bits(2, 1)),
            options=_OPTIONS[given.bits(5, 2)],
            count_input=(lambda: 7) if given.bits(3, 1) else None,
        )
        out = b"".join([relay.receive(chunk) for chunk in chunks]) + relay.finish()
        assert not (relay.complete and relay.error)
        assert not relay.receive(b"") + relay.finish()
        # Before any output an attempt may still be given up, so what was passed of a body that is no stream is nothing.
        shown = out if relay.error is None or relay.first_output else b""
        return shown, relay.first_output, relay.complete, relay.units, relay.error, relay.output_tokens_counted()

    def run(data: bytes) -> None:
        given = _given(data)
        assert relayed(given.chunks(), given) == relayed([given.body], given)

    return run


# --- Requests ------------------------------------------------------------------------------------------------------


def _head_reader(name: str) -> Callable[[bytes], None]:
    client, relay, counter = registry.CLIENTS[name], registry.RELAYS[name], registry.COUNTERS.get(name)

    def run(data: bytes) -> None:
        given = _given(data)
        assert client.count_input(given.body) >= 0
        if counter is not None:
            with contextlib.suppress(FaultError):
                counter.read_count_head(given.body)
        with contextlib.suppress(FaultError):
            client.read_head(given.body)
            prepared = relay.prepare(
                given.body,
                upstream_model="up",
                ask_usage=bool(given.bits(0, 1)),
                rules=_RULES if given.bits(1, 1) else None,
            )
            _require_passed_json(prepared)

    return run


def _request_reader(name: str) -> Callable[[bytes], None]:
    client = registry.CLIENTS[name]

    def run(data: bytes) -> None:
        given = _given(data)
        upstream = registry.UPSTREAMS[names.UPSTREAMS[given.bits(0, 3) % len(names.UPSTREAMS)]]
        options = _OPTIONS[given.bits(5, 2)]
        with contextlib.suppress(FaultError):
            # The edge has read the head before; with it go the bodies that are no JSON in UTF-8.
            client.read_head(given.body)
            request = client.read_request(given.body, stream=bool(given.bits(3, 1)))
            if upstream.name == name:
                return
            written = upstream.write_request(request, Crossing(name, upstream.name), "up", options)
            _require_json(written.body)
            again = client.read_request(given.body, stream=bool(given.bits(3, 1)))
            assert upstream.write_request(again, Crossing(name, upstream.name), "up", options) == written

    return run


# --- Forms ---------------------------------------------------------------------------------------------------------


def _form(data: bytes) -> None:
    given = _given(data)
    # The boundary is the client's as well: with the flag, what comes before the first line end.
    kind, body = seeds.FORM_TYPE, given.body
    if given.bits(0, 1):
        first, _, body = given.body.partition(b"\n")
        kind = "multipart/form-data; " + first.decode("latin-1")
    for name in _FORM_ENDPOINTS:
        endpoint = registry.ENDPOINTS[name]
        assert endpoint.count_input(body) >= 0
        with contextlib.suppress(FaultError):
            endpoint.read_head(body, kind)
    try:
        parts = multipart.read_form(body, kind)
    except FaultError:
        return
    assert multipart.edit_form(body, parts) is body
    contents = [body[part.start : part.end] for part in parts]
    with contextlib.suppress(FaultError):
        changed = multipart.edit_form(body, parts, replaced={0: b"new"}, inserted={"added": b"1"})
        found = multipart.read_form(changed, kind)
        assert [changed[part.start : part.end] for part in found] == [b"1", b"new", *contents[1:]]


# --- All of them ---------------------------------------------------------------------------------------------------


def _all() -> tuple[Target, ...]:
    every_stream = tuple(stream for name in names.CONVERSATIONAL for stream in seeds.streams(name))
    found = [Target("sse", _sse, _with_heads(every_stream))]
    for upstream in names.UPSTREAMS:
        if upstream == names.UPSTREAM_AZURE:
            continue  # reads as OpenAI's
        name = registry.UPSTREAMS[upstream].name
        streams, answers = _with_heads(seeds.streams(name)), _with_heads(seeds.answers(name))
        requests = _with_heads(seeds.requests(name))
        found += [
            Target(f"{name}.events", _event_reader(upstream), streams),
            Target(f"{name}.answer", _answer_reader(upstream), answers),
            Target(f"{name}.relay", _relay(name), streams),
            Target(f"{name}.request", _request_reader(name), requests),
            Target(f"{name}.head", _head_reader(name), requests),
        ]
    forms = (*seeds.FORMS, b"boundary=b0\n" + seeds.FORMS[0])
    found.append(Target("form", _form, tuple(head + form for form in forms for head in (b"\x00\x00", b"\x01\x00"))))
    return tuple(found)


TARGETS: dict[str, Target] = {target.name: target for target in _all()}
"""By name."""
