"""Transcripts: requests, answers in every format, streams, and what is paid."""

import json
import struct
from typing import Any

import pytest

from tests.support.form_bodies import TYPE, field, form
from trunkline.core.errors import ErrorType, FaultError
from trunkline.core.usage import Units
from trunkline.protocol import names
from trunkline.protocol.dialect import ClientRequest, WholeAnswer
from trunkline.protocol.endpoint import Endpoint, Provider
from trunkline.protocol.endpoints.sound_length import (
    SECONDS_MAX,
    last_timestamp_seconds,
    size_seconds,
    started_seconds,
    wav_seconds,
)
from trunkline.protocol.endpoints.transcriptions import Transcriptions, Translations
from trunkline.protocol.rules import RequestRules
from trunkline.protocol.vendor import VendorOptions

TRANSCRIPTIONS: Endpoint = Transcriptions()
TRANSLATIONS: Endpoint = Translations()


def provider(dialect: str = names.UPSTREAM_OPENAI, **options: Any) -> Provider:
    return Provider(dialect, "up", "public", VendorOptions(**options), RequestRules())


def sound(size: int = 40_000) -> bytes:
    return field("file", b"\xff" * size, '; filename="a.m4a"\r\nContent-Type: audio/mp4')


def request(answer_format: str = "", *more: bytes, file: bytes = b"") -> bytes:
    chosen = (field("response_format", answer_format.encode()),) if answer_format else ()
    return form(field("model", b"whisper"), file or sound(), *chosen, *more)


def read(answer: bytes, answer_format: str = "", file: bytes = b"") -> WholeAnswer:
    call = TRANSCRIPTIONS.open(request(answer_format, file=file), TYPE, provider())
    assert call.whole is not None
    whole, shown = call.whole(answer)
    assert shown is answer
    return whole


def wav(
    data: bytes, *, rate: int = 8000, channels: int = 1, kind: int = 1, stated: int | None = None, more: bytes = b""
) -> bytes:
    block = channels * 2
    head = struct.pack("<4sIHHIIHH", b"fmt ", 16, kind, channels, rate, rate * block, block, 16)
    size = len(data) if stated is None else stated
    chunks = head + more + struct.pack("<4sI", b"data", size) + data
    return struct.pack("<4sI4s", b"RIFF", 4 + len(chunks), b"WAVE") + chunks


# --- requests ------------------------------------------------------------------------------------------------------


def test_the_head_is_read_from_the_form() -> None:
    beside = Units(seconds=28, input_audio=28 * 32, output=28 * 8)
    assert TRANSCRIPTIONS.read_head(request(), TYPE) == ClientRequest("whisper", stream=False, beside=beside)
    assert TRANSCRIPTIONS.read_head(request("json", field("stream", b"true")), TYPE).stream
    assert Transcriptions().count_input(request()) == Translations().count_input(b"\xff") == 0


@pytest.mark.parametrize(
    ("body", "param"),
    [
        (form(field("model", b"m")), "file"),
        (form(field("model", b"m"), sound(), sound()), "file"),
        (form(sound()), "model"),
        (request("json", field("response_format", b"text")), "response_format"),
        (request("json", field("stream", b"x")), "stream"),
        (b'{"model":"m","file":"x"}', None),
    ],
)
def test_a_bad_request_names_its_field(body: bytes, param: str | None) -> None:
    with pytest.raises(FaultError) as caught:
        TRANSCRIPTIONS.read_head(body, TYPE if param else "application/json")
    assert (caught.value.fault.type, caught.value.fault.param) == (ErrorType.CLIENT_BAD_REQUEST, param)


def test_only_the_model_changes_and_no_format_is_forced() -> None:
    body = request("srt", field("timestamp_granularities[]", b"word"))
    call = TRANSCRIPTIONS.open(body, TYPE, provider())
    assert call.body == body.replace(b"whisper", b"up")
    assert (call.content_type, call.answer_type, call.call.path) == (TYPE, "", "/audio/transcriptions")
    assert TRANSLATIONS.open(body, TYPE, provider()).call.path == "/audio/translations"


def test_azure_has_paths_with_the_deployment() -> None:
    azure = provider(names.UPSTREAM_AZURE, api_version="v1")
    path = TRANSLATIONS.open(request(), TYPE, azure).call.path
    assert path == "/openai/deployments/up/audio/translations?api-version=v1"
    with pytest.raises(FaultError):
        TRANSCRIPTIONS.open(request(), TYPE, provider(names.UPSTREAM_GEMINI))


# --- what is paid --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("members", "units"),
    [
        ({"usage": {"type": "duration", "seconds": 9.2}}, Units(seconds=10)),
        ({"usage": {"type": "duration", "seconds": 9}, "duration": 4.0}, Units(seconds=9)),
        ({"usage": {"seconds": 0}}, Units(seconds=1)),
        (
            {
                "usage": {
                    "type": "tokens",
                    "input_tokens": 14,
                    "input_token_details": {"text_tokens": 4, "audio_tokens": 10},
                    "output_tokens": 45,
                }
            },
            Units(input=4, input_audio=10, output=45),
        ),
        ({"usage": {"type": "tokens", "input_tokens": 14, "output_tokens": 45}}, Units(input_audio=14, output=45)),
        ({"usage": {"type": "tokens", "seconds": 5, "input_tokens": 0, "output_tokens": 0}}, Units(seconds=3)),
        ({"duration": 8.47}, Units(seconds=9)),
        ({"duration": "8.470000267028809"}, Units(seconds=9)),
        ({"duration": 30.0000001, "usage": None}, Units(seconds=30)),
        ({"duration": -1}, Units(seconds=3)),
        ({"duration": 1e300}, Units(seconds=3)),
        ({"duration": [1]}, Units(seconds=3)),
        ({"usage": {"type": "duration", "seconds": "x"}}, Units(seconds=3)),
        ({"usage": 5}, Units(seconds=3)),
        ({}, Units(seconds=3)),
    ],
)
def test_what_the_provider_reports_is_paid_else_the_length(members: dict[str, object], units: Units) -> None:
    body = json.dumps({"text": "hello", **members}).encode()
    for answer_format in ("", "json", "verbose_json"):
        assert read(body, answer_format) == WholeAnswer(units, 0, None)


def test_a_wav_file_tells_its_length() -> None:
    file = field("file", wav(bytes(16_000 * 5 + 1)), '; filename="a.wav"')
    assert read(b"hello", "text", file).units == Units(seconds=6)
    assert read(b'{"text":"hello"}', "", file).units == Units(seconds=6)


SRT = "1\n00:00:00,000 --> 00:00:04,500\nOne --> two\n\n2\n00:00:05,000 --> 00:01:04,020\n猫\n\n".encode()
VTT = b"WEBVTT\n\n00:00.000 --> 00:04.500\nHello\n\n00:05.000 --> 01:04.020 align:start\nWorld\n"


@pytest.mark.parametrize(("answer_format", "body"), [("srt", SRT), ("vtt", VTT)])
def test_subtitles_tell_the_length_of_a_file_that_does_not(answer_format: str, body: bytes) -> None:
    assert read(body, answer_format) == WholeAnswer(Units(seconds=65), 0, None)
    file = field("file", wav(bytes(16_000 * 5)), '; filename="a.wav"')
    assert read(body, answer_format, file).units == Units(seconds=5)
    assert read(b"\n", answer_format).units == Units(seconds=3)
    assert read(body, "text").units == Units(seconds=3)


# --- formats -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("answer_format", "body"),
    [
        ("text", b"hello\n"),
        ("text", b""),
        ("text", b"{laughs} hello"),
        ("text", b'{"text":"a vendor that ignores the format"}'),
        ("srt", SRT),
        ("vtt", VTT),
        ("", b'{"text":""}'),
        ("json", b'{"text":"\\ud83d"}'),
        ("diarized_json", b'{"task":"transcribe","duration":3,"segments":[{"id":"s"}]}'),
        ("verbose_json", b'{"words":[{"word":"a"}],"duration":3}'),
        ("ttml", b"<tt></tt>"),
    ],
)
def test_every_format_is_answered_as_the_provider_wrote_it(answer_format: str, body: bytes) -> None:
    whole = read(body, answer_format)
    assert whole.error is None
    assert whole.units == Units(seconds=65 if answer_format in {"srt", "vtt"} else 3)


@pytest.mark.parametrize("answer_format", ["", "json", "text", "srt"])
@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b'{"error":{"message":"slow down","code":429}}', ErrorType.UPSTREAM_RATE_LIMITED),
        (b'{"object":"error","message":"boom","code":500}', ErrorType.UPSTREAM_ERROR),
        (b'{"message":"none"}', ErrorType.UPSTREAM_INVALID),
        (b"\n<!DOCTYPE HTML><p>", ErrorType.UPSTREAM_INVALID),
        (b"<html>", ErrorType.UPSTREAM_INVALID),
        (b"\xff\xfe", ErrorType.UPSTREAM_INVALID),
    ],
)
def test_what_is_no_transcript_is_an_error_in_every_format(answer_format: str, body: bytes, kind: ErrorType) -> None:
    whole = read(body, answer_format)
    assert whole.error is not None
    assert whole.error.fault.type is kind


@pytest.mark.parametrize("body", [b"", b"hello", b'{"text":"cut', b"[]", b'"text"', b'{"text":' + b"[" * 10_000])
def test_json_that_was_asked_for_must_be_json(body: bytes) -> None:
    whole = read(body)
    assert whole.error is not None
    assert whole.error.fault.type is ErrorType.UPSTREAM_INVALID


# --- streams -------------------------------------------------------------------------------------------------------

DELTA = b'data: {"type":"transcript.text.delta","delta":"Hel","logprobs":[]}\n\n'
SEGMENT = b'data: {"type":"transcript.text.segment","id":"s","start":0,"end":2.5,"text":"Hel","speaker":"A"}\n\n'


def done(text: str = "Hello", **members: object) -> bytes:
    return b"data: " + json.dumps({"type": "transcript.text.done", "text": text, **members}).encode() + b"\n\n"


def opened(answer_format: str = "json") -> Any:
    return TRANSCRIPTIONS.open(request(answer_format, field("stream", b"true")), TYPE, provider()).stream


def test_a_stream_is_paid_as_its_last_event_says() -> None:
    relay = opened()
    assert relay.receive(DELTA) is DELTA
    assert (relay.first_output, relay.complete) == (True, False)
    last = done(usage={"type": "tokens", "input_tokens": 20, "output_tokens": 10, "total_tokens": 30})
    assert relay.receive(last) + relay.finish() == last
    assert relay.complete
    assert relay.units == Units(input_audio=20, output=10)
    assert relay.output_tokens_counted() == 0


@pytest.mark.parametrize("first", [DELTA, SEGMENT])
def test_a_stream_without_usage_is_paid_by_its_length(first: bytes) -> None:
    relay = opened()
    assert relay.units is None
    relay.receive(first)
    assert relay.first_output
    assert relay.units == Units(seconds=3)
    relay.receive(done() + b"data: [DONE]\n\n")
    assert relay.complete
    assert relay.units == Units(seconds=3)


def test_silence_is_a_transcript_too() -> None:
    relay = opened()
    relay.receive(done(""))
    assert relay.finish() == b""
    assert (relay.complete, relay.first_output, relay.units) == (True, True, Units(seconds=3))


def test_a_stream_that_is_cut_is_not_complete() -> None:
    relay = opened()
    assert relay.receive(DELTA + done()[:30]) + relay.finish() == DELTA
    assert not relay.complete


@pytest.mark.parametrize(
    ("answer_format", "body", "units"),
    [
        ("json", b'{"text":"hello","usage":{"type":"duration","seconds":7}}', Units(seconds=7)),
        ("text", b"even so", Units(seconds=3)),
        ("text", b"e", Units(seconds=3)),
        ("srt", SRT, Units(seconds=65)),
    ],
)
def test_a_model_that_cannot_stream_answers_whole(answer_format: str, body: bytes, units: Units) -> None:
    for size in (1, len(body)):
        relay = opened(answer_format)
        pieces = [relay.receive(body[at : at + size]) for at in range(0, len(body), size)]
        assert b"".join(pieces) + relay.finish() == body
        assert (relay.complete, relay.first_output, relay.units) == (True, True, units)


# --- lengths -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("file", "seconds"),
    [
        (wav(bytes(16_000)), 1),
        (wav(bytes(16_002)), 2),
        (wav(b""), 1),
        (wav(bytes(176_400 * 2), rate=44_100, channels=2), 2),
        (wav(bytes(16_000 * 3), kind=0xFFFE, more=b"LIST\x03\x00\x00\x00abc\x00"), 3),
        # Written as a stream: the length is a placeholder.
        (wav(bytes(16_000 * 3), stated=0), 3),
        (wav(bytes(16_000 * 3), stated=0xFFFFFFFF), 3),
        (b"RF64" + wav(bytes(16_000 * 3), stated=0xFFFFFFFF)[4:], 3),
        # Something stands behind the sound.
        (wav(bytes(16_000 * 3), stated=16_000), 1),
        # A codec says its rate itself.
        (wav(bytes(16_000 * 3), kind=0x11), 3),
        (wav(b"", rate=0), None),
        (wav(bytes(100), rate=2**30), None),
        (wav(bytes(100))[:40], None),
        (wav(bytes(100))[:30], None),
        (b"RIFF\x00\x00\x00\x00AVI ", None),
        (b"RIFF", None),
        (b"RIFF\x00\x00\x00\x00WAVE" + b"junk\x00\x00\x00\x00" * 1000, None),
        (b"ID3\x04" * 100, None),
    ],
)
def test_the_length_of_a_wav_file(file: bytes, seconds: int | None) -> None:
    body = b"before" + file + b"fmt data behind" * 10
    assert wav_seconds(body, 6, 6 + len(file)) == seconds


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (0, 1),
        (0.001, 1),
        (1, 1),
        (1.001, 2),
        (1.0004, 1),
        ("2.5", 3),
        (SECONDS_MAX, SECONDS_MAX),
        (SECONDS_MAX + 1, None),
        (-1, None),
        (True, None),
        ("nan", None),
        ("inf", None),
        ("x", None),
        ("1" * 33, None),
        (None, None),
        ({}, None),
    ],
)
def test_started_seconds(value: object, seconds: int | None) -> None:
    assert started_seconds(value) == seconds


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        (SRT, 65),
        (VTT, 65),
        (b"1:02:03.004 --> 1:02:03.004", 3724),
        (b"00:00.000 --> 00:02.000\na --> b --> c", 2),
        (b"--> " * 100, None),
        (b"no times", None),
        (b"", None),
    ],
)
def test_the_last_timestamp(text: bytes, seconds: int | None) -> None:
    assert last_timestamp_seconds(text) == seconds


def test_a_size_is_rounded_up() -> None:
    assert [size_seconds(size) for size in (0, 1, 16_000, 16_001)] == [1, 1, 1, 2]
