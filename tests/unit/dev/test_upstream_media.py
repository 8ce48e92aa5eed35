"""The demo upstream's images, voice and transcripts: what they answer, refuse, count, and do by a script."""

import base64
import json
import zlib
from typing import Any

import pytest

from tests.support.upstream_client import Client, UpstreamClient
from tests.support.upstream_dialects import KEY, counts, send
from tests.support.upstream_forms import form, send_form, wav
from trunkline.dev.demo.beside_speech import PIECE_BYTES, PIECES, sound
from trunkline.dev.demo.counts import ModelUsage
from trunkline.dev.demo.pieces import SENTENCE

HEAD = {"authorization": f"Bearer {KEY}", "content-type": "application/json"}
WORDS = len(SENTENCE.split())
PICTURE = b"\x89PNG\r\n\x1a\nx\r\n--bord\r\n\r\n"


@pytest.fixture
def upstream() -> UpstreamClient:
    return UpstreamClient()


def ask(upstream: UpstreamClient, path: str, **fields: object) -> Client:
    return send(upstream, "POST", path, fields, HEAD)


def told(answer: Client) -> Any:
    assert (answer.status, answer.whole) == (200, True), answer.body
    return json.loads(answer.body)


def told_events(answer: Client) -> list[Any]:
    assert answer.whole
    lines = answer.body.decode().split("\n")
    return [json.loads(line.removeprefix("data: ")) for line in lines if line.startswith("data: ")]


# --- images ------------------------------------------------------------------------------------------------------


def test_images_are_pngs(upstream: UpstreamClient) -> None:
    answer = told(ask(upstream, "/v1/images/generations", model="dall-e-2", prompt="a cat", n=3))
    pictures = [base64.b64decode(item["b64_json"]) for item in answer["data"]]
    assert len(set(pictures)) == 3
    for picture in pictures:
        data = picture[picture.index(b"IDAT") : -16]
        assert len(zlib.decompress(data[4:])) == 4
        assert int.from_bytes(picture[-16:-12]) == zlib.crc32(data)
    assert "usage" not in answer
    assert counts(upstream).unreported == {"dall-e-2": ModelUsage(1, images=3)}


def test_an_image_may_be_an_address(upstream: UpstreamClient) -> None:
    answer = told(ask(upstream, "/v1/images/generations", prompt="a cat", response_format="url"))
    assert answer["data"][0]["url"].startswith("https://")


def test_gpt_image_reports_tokens(upstream: UpstreamClient) -> None:
    usage = told(ask(upstream, "/v1/images/generations", model="gpt-image-1", prompt="a cat", n=2))["usage"]
    assert (usage["input_tokens"], usage["output_tokens"], usage["total_tokens"]) == (2, 544, 546)
    assert counts(upstream).reported == {"gpt-image-1": ModelUsage(1, 2, 544)}


@pytest.mark.parametrize(
    "fields",
    [
        {"prompt": ""},
        {"n": 11},
        {"response_format": "jpeg"},
        {"model": "gpt-image-1", "response_format": "b64_json"},
        {"model": "gpt-image-1", "style": "vivid"},
        {"stream": True},
    ],
)
def test_images_that_openai_refuses(upstream: UpstreamClient, fields: dict[str, object]) -> None:
    assert ask(upstream, "/v1/images/generations", **{"prompt": "a cat", "model": "dall-e-2", **fields}).status == 400


def test_images_stream(upstream: UpstreamClient) -> None:
    fields = {"model": "gpt-image-1", "prompt": "a cat", "stream": True, "partial_images": 2}
    events = told_events(ask(upstream, "/v1/images/generations", **fields))
    partial, completed = "image_generation.partial_image", "image_generation.completed"
    assert [event["type"] for event in events] == [partial, partial, completed]
    assert events[-1]["usage"]["output_tokens"] == 272
    assert counts(upstream).reported == {"gpt-image-1": ModelUsage(1, 2, 272)}


@pytest.mark.parametrize("name", ["image", "image[]"])
def test_an_edit_needs_its_images(upstream: UpstreamClient, name: str) -> None:
    fields = [("model", "gpt-image-1"), ("prompt", "a cat"), ("n", "2")]
    answer = told(send_form(upstream, "/v1/images/edits", *fields, (name, PICTURE)))
    assert len(answer["data"]) == 2
    assert answer["usage"]["input_tokens_details"] == {"text_tokens": 2, "image_tokens": 85}
    refused = json.loads(send_form(upstream, "/v1/images/edits", *fields).body)
    assert (refused["error"]["param"], refused["error"]["code"]) == ("image", "missing_required_parameter")
    assert send_form(upstream, "/v1/images/edits", (name, PICTURE)).status == 400


def test_an_edit_takes_several_images(upstream: UpstreamClient) -> None:
    fields = [("image[]", PICTURE), ("image[]", PICTURE), ("mask", PICTURE), ("prompt", "x"), ("model", "gpt-image-1")]
    usage = told(send_form(upstream, "/v1/images/edits", *fields))["usage"]
    assert usage["input_tokens_details"]["image_tokens"] == 170


def test_a_variation_has_one_image_and_no_prompt(upstream: UpstreamClient) -> None:
    path = "/v1/images/variations"
    assert len(told(send_form(upstream, path, ("image", PICTURE)))["data"]) == 1
    assert counts(upstream).unreported == {"dall-e-2": ModelUsage(1, images=1)}
    assert send_form(upstream, path).status == 400
    assert send_form(upstream, path, ("image", PICTURE), ("image", PICTURE)).status == 400
    assert send_form(upstream, path, ("image", PICTURE), ("prompt", "x")).status == 400


# --- forms -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{}",
        b"--border--\r\n",
        form(("image", PICTURE), ("prompt", "x"))[:-10],
        form(("image", PICTURE), ("prompt", "x")).replace(b"\r\n\r\n", b"\n\n"),
        form(("image", PICTURE), ("prompt", "x"), boundary="other"),
        form(("image", PICTURE), ("prompt", "x"), ("of_nobody", "x")),
        form(("image", PICTURE), ("prompt", "x"), ("prompt", "y")),
        form(("image", PICTURE), ("prompt", "x"), ("n", "many")),
        form(("image", "text"), ("prompt", "x")),
        form(("image", b""), ("prompt", "x")),
        form(("image", PICTURE), ("prompt", "x"), ("trunkline_demo", "{")),
        form(("image", PICTURE), ("prompt", "x"), ("model", "é")).replace("é".encode(), b"\xff"),
    ],
)
def test_a_broken_form_is_refused(upstream: UpstreamClient, body: bytes) -> None:
    head = {**HEAD, "content-type": "multipart/form-data; boundary=border"}
    assert send(upstream, "POST", "/v1/images/edits", body, head).status == 400
    assert send(upstream, "POST", "/v1/images/edits", body, {**HEAD, "content-type": "text/plain"}).status == 400


def test_a_form_may_have_a_script(upstream: UpstreamClient) -> None:
    answer = send_form(upstream, "/v1/images/variations", ("image", PICTURE), ("trunkline_demo", '{"status": 418}'))
    assert answer.status == 418


def test_azure_takes_forms(upstream: UpstreamClient) -> None:
    head = {"api-key": "k"}
    path = "/openai/deployments/whisper/audio/transcriptions"
    told(send_form(upstream, path, ("file", wav(1)), headers=head, query="api-version=1"))
    path = "/openai/deployments/gpt-image-1/images/edits"
    told(send_form(upstream, path, ("image", PICTURE), ("prompt", "x"), headers=head, query="api-version=1"))
    assert counts(upstream).reported.keys() == {"whisper", "gpt-image-1"}


# --- voice -------------------------------------------------------------------------------------------------------

SPEECH = {"model": "tts-1", "input": "Good day, all.", "voice": "alloy"}


@pytest.mark.parametrize(
    ("response_format", "content_type", "start"),
    [
        ("mp3", "audio/mpeg", b"\xff\xf3"),
        ("opus", "audio/ogg", b"OggS"),
        ("aac", "audio/aac", b"\xff\xf1"),
        ("flac", "audio/flac", b"fLaC"),
        ("wav", "audio/wav", b"RIFF\xff\xff\xff\xffWAVE"),
        ("pcm", "audio/pcm", b""),
    ],
)
def test_a_voice_comes_in_pieces(
    upstream: UpstreamClient, response_format: str, content_type: str, start: bytes
) -> None:
    answer = ask(upstream, "/v1/audio/speech", **SPEECH, response_format=response_format)
    assert f"content-type: {content_type}\r\n" in answer.head + "\r\n"
    assert answer.body == b"".join(sound(SPEECH["input"], response_format))
    assert answer.body.startswith(start)
    assert (answer.whole, len(answer.body)) == (True, PIECES * PIECE_BYTES)
    assert answer.received.count(b"8000\r\n") >= 2, "all in one piece"
    assert counts(upstream).unreported == {"tts-1": ModelUsage(1, characters=14)}


def test_a_voice_is_paced_and_cut_by_a_script(upstream: UpstreamClient) -> None:
    answer = ask(
        upstream, "/v1/audio/speech", **SPEECH, trunkline_demo={"chunks": 9, "chunk_bytes": 10, "delay_ms": 100}
    )
    upstream.clock.advance(0.25)
    assert len(answer.body) == 20
    answer.leave()
    (abort,) = counts(upstream).aborts
    assert (abort.model, abort.chunks) == ("tts-1", 2)
    assert counts(upstream).unreported == {"tts-1": ModelUsage(1, characters=14)}
    cut = ask(upstream, "/v1/audio/speech", **SPEECH, trunkline_demo={"cut_after": 2})
    assert (cut.body, cut.whole) == (answer_of_two(), False)
    assert ask(upstream, "/v1/audio/speech", **SPEECH, trunkline_demo={"error_mid_stream": 1}).status == 400


def answer_of_two() -> bytes:
    return b"".join(sound(SPEECH["input"], "mp3")[:2])


def test_a_voice_in_events_reports_tokens(upstream: UpstreamClient) -> None:
    fields = {**SPEECH, "model": "gpt-4o-mini-tts", "stream_format": "sse", "trunkline_demo": {"chunks": 3}}
    *deltas, done = told_events(ask(upstream, "/v1/audio/speech", **fields))
    heard = b"".join(base64.b64decode(delta["audio"]) for delta in deltas)
    assert heard == b"".join(sound(SPEECH["input"], "mp3", 3))
    usage = {"input_tokens": 3, "output_tokens": 30, "total_tokens": 33}
    assert done == {"type": "speech.audio.done", "usage": usage}
    assert counts(upstream).reported == {"gpt-4o-mini-tts": ModelUsage(1, 3, 30)}


@pytest.mark.parametrize(
    "fields",
    [
        {"input": ""},
        {"voice": None},
        {"input": "x" * 4097},
        {"response_format": "midi"},
        {"stream_format": "sse"},
        {"speed": 9},
    ],
)
def test_voices_that_openai_refuses(upstream: UpstreamClient, fields: dict[str, object]) -> None:
    assert ask(upstream, "/v1/audio/speech", **{**SPEECH, **fields}).status == 400


# --- transcripts -------------------------------------------------------------------------------------------------


def transcribe(
    upstream: UpstreamClient, *fields: tuple[str, str], model: str = "whisper-1", seconds: float = 1.5
) -> Client:
    return send_form(upstream, "/v1/audio/transcriptions", ("model", model), *fields, ("file", wav(seconds)))


def test_started_seconds_are_reported(upstream: UpstreamClient) -> None:
    assert told(transcribe(upstream)) == {"text": SENTENCE, "usage": {"type": "duration", "seconds": 2}}
    assert counts(upstream).reported == {"whisper-1": ModelUsage(1, seconds=2)}


@pytest.mark.parametrize(
    ("response_format", "body"),
    [
        ("text", f"{SENTENCE}\n"),
        ("srt", f"1\n00:00:00,000 --> 00:00:01,500\n{SENTENCE}\n\n\n"),
        ("vtt", f"WEBVTT\n\n00:00:00.000 --> 00:00:01.500\n{SENTENCE}\n\n"),
    ],
)
def test_plain_forms_report_nothing(upstream: UpstreamClient, response_format: str, body: str) -> None:
    answer = transcribe(upstream, ("response_format", response_format))
    assert (answer.status, answer.body.decode()) == (200, body)
    assert "content-type: text/plain; charset=utf-8" in answer.head
    assert counts(upstream).unreported == {"whisper-1": ModelUsage(1, seconds=2)}


def test_the_verbose_form_has_segments(upstream: UpstreamClient) -> None:
    fields = [("response_format", "verbose_json"), ("timestamp_granularities[]", "segment")]
    answer = told(transcribe(upstream, *fields))
    assert (answer["task"], answer["duration"], answer["segments"][0]["end"]) == ("transcribe", 1.5, 1.5)
    assert answer["usage"] == {"type": "duration", "seconds": 2}


def test_newer_models_report_tokens_and_stream(upstream: UpstreamClient) -> None:
    model = "gpt-4o-transcribe"
    usage = told(transcribe(upstream, model=model))["usage"]
    assert (usage["type"], usage["input_tokens"], usage["output_tokens"]) == ("tokens", 15, WORDS)
    *deltas, done = told_events(transcribe(upstream, ("stream", "true"), model=model))
    assert "".join(delta["delta"] for delta in deltas).strip() == done["text"] == SENTENCE
    assert done["usage"] == usage
    assert counts(upstream).reported == {model: ModelUsage(2, 30, 2 * WORDS)}
    assert transcribe(upstream, ("response_format", "srt"), model=model).status == 400


def test_a_translation_reports_nothing(upstream: UpstreamClient) -> None:
    path, fields = "/v1/audio/translations", [("model", "whisper-1"), ("file", wav(2))]
    assert told(send_form(upstream, path, *fields)) == {"text": SENTENCE}
    assert counts(upstream).unreported == {"whisper-1": ModelUsage(1, seconds=2)}
    assert send_form(upstream, path, *fields, ("language", "de")).status == 400


def test_a_script_decides_what_was_heard(upstream: UpstreamClient) -> None:
    assert told(transcribe(upstream, ("trunkline_demo", '{"text": "Guten Tag"}')))["text"] == "Guten Tag"


def test_transcripts_that_openai_refuses(upstream: UpstreamClient) -> None:
    path = "/v1/audio/transcriptions"
    assert send_form(upstream, path, ("model", "whisper-1")).status == 400
    assert send_form(upstream, path, ("file", wav(1))).status == 400
    assert send_form(upstream, path, ("model", "whisper-1"), ("file", b"")).status == 400
    assert transcribe(upstream, ("response_format", "xml")).status == 400
    assert transcribe(upstream, ("timestamp_granularities[]", "word")).status == 400
    nameless = form(("model", "whisper-1"), ("file", wav(1))).replace(b"file.wav", b"file.txt")
    head = {**HEAD, "content-type": "multipart/form-data; boundary=border"}
    assert send(upstream, "POST", path, nameless, head).status == 400
