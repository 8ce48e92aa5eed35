"""Speech: requests, raw sound, and the form with events."""

import json
from typing import Any

import pytest

from trunkline.core import limits
from trunkline.core.errors import ErrorType, FaultError
from trunkline.core.usage import Units
from trunkline.protocol import names
from trunkline.protocol.dialect import ClientRequest
from trunkline.protocol.endpoint import Endpoint, Provider
from trunkline.protocol.endpoints.speech import Speech
from trunkline.protocol.rules import RequestRules
from trunkline.protocol.tokens import count_text
from trunkline.protocol.vendor import VendorOptions

JSON = "application/json"
SPEECH: Endpoint = Speech()
REQUEST = b'{"input":"Good m\xc3\xb6rning","model":"tts","voice":{"id":"v_1"},"response_format":"wav"}'
EVENTS = REQUEST.replace(b'"response_format":"wav"', b'"stream_format":"sse"')
WAV = b"RIFF\xff\xff\xff\xffWAVEfmt "


def provider(dialect: str = names.UPSTREAM_OPENAI, rules: RequestRules | None = None, **options: Any) -> Provider:
    return Provider(dialect, "up", "public", VendorOptions(**options), rules or RequestRules())


def opened(body: bytes = REQUEST) -> Any:
    return SPEECH.open(body, JSON, provider()).stream


# --- requests ------------------------------------------------------------------------------------------------------


def test_sound_is_a_raw_stream_and_events_are_not() -> None:
    assert SPEECH.read_head(REQUEST, JSON) == ClientRequest("tts", stream=True, raw=True, beside=Units(characters=12))
    assert SPEECH.read_head(REQUEST.replace(b"wav", b"pcm"), JSON).raw
    assert SPEECH.read_head(EVENTS.replace(b"sse", b"audio"), JSON).raw
    beside = Units(characters=12, output_audio=60)
    assert SPEECH.read_head(EVENTS, JSON) == ClientRequest("tts", stream=True, raw=False, beside=beside)


@pytest.mark.parametrize(
    ("body", "param"),
    [
        (b'{"input":"x"}', "model"),
        (b'{"model":"m"}', "input"),
        (b'{"model":"m","input":""}', "input"),
        (b'{"model":"m","input":["x"]}', "input"),
        (b'{"model":"m","input":"x","stream_format":1}', "stream_format"),
    ],
)
def test_a_bad_request_names_its_field(body: bytes, param: str) -> None:
    with pytest.raises(FaultError) as caught:
        SPEECH.read_head(body, JSON)
    assert (caught.value.fault.type, caught.value.fault.param) == (ErrorType.CLIENT_BAD_REQUEST, param)


def test_only_the_model_changes() -> None:
    call = SPEECH.open(REQUEST, JSON, provider())
    assert call.body == REQUEST.replace(b'"tts"', b'"up"')
    assert (call.content_type, call.call.path, call.answer_type, call.whole) == (JSON, "/audio/speech", "", None)
    ruled = SPEECH.open(REQUEST, JSON, provider(rules=RequestRules(drop=("voice",))))
    assert b"voice" not in ruled.body


def test_azure_has_a_path_with_the_deployment() -> None:
    azure = provider(names.UPSTREAM_AZURE, api_version="v1")
    assert SPEECH.open(REQUEST, JSON, azure).call.path == "/openai/deployments/up/audio/speech?api-version=v1"
    with pytest.raises(FaultError):
        SPEECH.open(REQUEST, JSON, provider(names.UPSTREAM_GEMINI))


def test_the_text_is_counted_in_tokens() -> None:
    assert Speech().count_input(REQUEST) == count_text("Good mörning")
    assert Speech().count_input(b"\xff{") >= 0


# --- raw sound -----------------------------------------------------------------------------------------------------


def test_sound_passes_as_it_comes_and_is_paid_by_its_characters() -> None:
    relay = opened()
    assert (relay.units, relay.first_output, relay.complete) == (None, False, False)
    assert relay.receive(WAV) == WAV
    assert relay.first_output
    for piece in (b"{", b"\x00" * 10, b"<html>"):
        assert relay.receive(piece) is piece
    assert relay.finish() == b""
    assert (relay.complete, relay.error) == (True, None)
    assert relay.units == Units(characters=12)
    assert relay.output_tokens_counted() == 0


def test_characters_are_those_of_the_text_and_not_of_its_json() -> None:
    for text, characters in ((b"\\u00e9\\n", 2), (b"\xf0\x9f\x98\x80", 1), (b"\\ud83d\\ude00", 1), (b"a\\ud83d", 2)):
        relay = opened(b'{"model":"m","input":"' + text + b'"}')
        relay.receive(WAV)
        assert relay.units == Units(characters=characters)


@pytest.mark.parametrize(
    "start", [b"{\x22\x00\x01", b"{\x01", b"{{", b" \x00", b"[\x00", b"<h\x00", b"\xff\xfb", b"OggS"]
)
def test_sound_that_begins_like_words_is_still_sound(start: bytes) -> None:
    for size in (1, len(start)):
        relay = opened()
        pieces = [relay.receive(start[at : at + size]) for at in range(0, len(start), size)]
        assert b"".join(pieces) == start
        assert relay.finish() == b""
        assert relay.complete


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b'{"error":{"message":"slow down","code":429}}', ErrorType.UPSTREAM_RATE_LIMITED),
        (b' \n { "error": {"message":"boom"}}', ErrorType.UPSTREAM_ERROR),
        (b'[{"error":{"code":503,"message":"overloaded"}}]', ErrorType.UPSTREAM_OVERLOADED),
        (b'{"detail":"no such voice"}', ErrorType.UPSTREAM_ERROR),
        (b'{"error":{"message":"cut', ErrorType.UPSTREAM_INVALID),
        (b"<!DOCTYPE html><html></html>", ErrorType.UPSTREAM_INVALID),
        (b"\r\n<html>", ErrorType.UPSTREAM_INVALID),
        (b"\n", ErrorType.UPSTREAM_INVALID),
    ],
)
def test_an_error_with_status_200_is_no_sound(body: bytes, kind: ErrorType) -> None:
    for size in (1, 3, len(body)):
        relay = opened()
        pieces = [relay.receive(body[at : at + size]) for at in range(0, len(body), size)]
        assert b"".join(pieces) + relay.finish() == b""
        assert relay.error is not None
        assert relay.error.fault.type is kind
        assert (relay.first_output, relay.complete, relay.units) == (False, False, None)


def test_what_is_kept_for_an_error_is_bounded() -> None:
    for size in (1000, 200_000):
        relay = opened()
        body = b'{"audio":"' + b"A" * 200_000 + b'"}\x00'
        for at in range(0, len(body), size):
            assert relay.receive(body[at : at + size]) == b""
        assert relay.finish() == b""
        assert relay.error is not None
        assert relay.error.fault.type is ErrorType.UPSTREAM_INVALID
        assert not relay._held


def test_an_empty_body_is_not_complete() -> None:
    relay = opened()
    assert relay.receive(b"") + relay.finish() == b""
    assert not relay.complete


# --- events --------------------------------------------------------------------------------------------------------

DELTA = b'data: {"type":"speech.audio.delta","audio":"QUJD"}\n\n'


def done(**members: object) -> bytes:
    return b"data: " + json.dumps({"type": "speech.audio.done", **members}).encode() + b"\n\n"


def test_events_are_paid_by_tokens() -> None:
    relay = opened(EVENTS)
    last = done(usage={"input_tokens": 14, "output_tokens": 101, "total_tokens": 115})
    assert relay.receive(DELTA) is DELTA
    assert (relay.first_output, relay.complete) == (True, False)
    assert relay.receive(last) + relay.finish() == last
    assert relay.complete
    assert relay.units == Units(input=14, output_audio=101)


@pytest.mark.parametrize("usage", [None, {}, {"input_tokens": 14}, {"input_tokens": 14, "output_tokens": 0}])
def test_events_without_usage_are_paid_by_characters(usage: object) -> None:
    relay = opened(EVENTS)
    relay.receive(DELTA + done(usage=usage))
    assert relay.complete
    assert relay.units == Units(characters=12)


def test_events_that_are_cut_are_not_complete() -> None:
    relay = opened(EVENTS)
    assert relay.receive(DELTA) + relay.finish() == DELTA
    assert not relay.complete
    assert relay.units == Units(characters=12)


def test_nothing_is_paid_before_the_first_sound() -> None:
    relay = opened(EVENTS)
    relay.receive(b': wait\n\ndata: {"type":"speech.audio.delta","audio":""}\n\n')
    assert (relay.first_output, relay.units) == (False, None)


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (WAV, ErrorType.UPSTREAM_INVALID),
        (b'{"error":{"message":"slow down","code":429}}', ErrorType.UPSTREAM_RATE_LIMITED),
        (b'data: {"error":{"message":"slow down","code":429}}\n\n', ErrorType.UPSTREAM_RATE_LIMITED),
    ],
)
def test_a_client_that_asked_for_events_gets_nothing_else(body: bytes, kind: ErrorType) -> None:
    relay = opened(EVENTS)
    assert relay.receive(body) + relay.finish() == b""
    assert relay.error is not None
    assert relay.error.fault.type is kind


def test_an_endless_answer_without_events_is_bounded() -> None:
    relay = opened(EVENTS)
    part = bytes(8 * 1024 * 1024)
    for _ in range(limits.UPSTREAM_ANSWER_BYTES_MAX // len(part) + 2):
        assert relay.receive(part) == b""
    assert relay.error is not None
    assert relay.error.fault.type is ErrorType.UPSTREAM_INVALID
    assert not relay._held


def test_an_endless_event_is_bounded() -> None:
    relay = opened(EVENTS)
    part = b"data: " + b"x" * (8 * 1024 * 1024)
    for _ in range(limits.UPSTREAM_EVENT_BYTES_MAX // len(part) + 2):
        assert relay.receive(part) == b""
    assert relay.error is not None
    assert relay.error.fault.type is ErrorType.UPSTREAM_INVALID
