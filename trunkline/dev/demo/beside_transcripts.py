"""The demo upstream's transcripts: it hears the same sentence in every sound, and how long that is. Pure.

A model with ``gpt-4o`` in its name behaves as OpenAI's do: it answers in JSON alone, streams, and reports tokens.
Others are as Whisper is, and report seconds. Source: OpenAI API reference, "Audio".
"""

import io
import math
import wave
from typing import Any, ClassVar

import msgspec

from trunkline.dev.demo import openai
from trunkline.dev.demo.beside import (
    Endpoint,
    bare,
    failing_event,
    missing,
    one_of,
    product,
    token_usage,
    whole_speech,
    whole_text,
    within,
)
from trunkline.dev.demo.beside_form import Form, FormFile
from trunkline.dev.demo.completion import Plan, Product, steps
from trunkline.dev.demo.counts import Usage
from trunkline.dev.demo.pieces import SENTENCE
from trunkline.dev.demo.request import Asked, RequestError, SpeechMaker, names
from trunkline.runtime.http_exchange import Request

BY_TOKENS = "gpt-4o"
BYTES_PER_SECOND = 16_000
"""Of a sound that is no WAV."""

AUDIO_TOKENS_PER_SECOND = 10
FILE_BYTES_MAX = 25 * 1024 * 1024

_JSON_FORMATS = frozenset({"json", "verbose_json"})
_FORMATS = _JSON_FORMATS | {"text", "srt", "vtt"}
_ENDINGS = frozenset({"flac", "m4a", "mp3", "mp4", "mpeg", "mpga", "oga", "ogg", "wav", "webm"})
_FIELDS = names(
    "file model prompt response_format temperature language timestamp_granularities include stream chunking_strategy"
)
_TRANSLATION_FIELDS = names("file model prompt response_format temperature")
_GRANULARITIES = frozenset({"word", "segment"})
_PLAIN = b"content-type: text/plain; charset=utf-8\r\n"


class Transcriptions(Endpoint):
    """``POST /v1/audio/transcriptions``."""

    _fields = _FIELDS
    _task = "transcribe"

    def read(self, request: Request) -> Asked:
        """See `Dialect`."""
        form = Form(request, self._fields)
        model = self.model(form.text("model"))
        seconds = _seconds(_file(form))
        response_format = form.text("response_format") or "json"
        by_tokens = BY_TOKENS in bare(model)
        one_of(response_format, frozenset({"json"}) if by_tokens else _FORMATS, "response_format")
        within(form.number("temperature"), 0, 1, "temperature")
        _check_granularities(form, response_format)
        stream = by_tokens and form.flag("stream")
        speech = TranscriptSpeech if stream else self._speech(response_format, seconds)
        in_json = response_format in _JSON_FORMATS and self._task == "transcribe"
        used = Usage(seconds=math.ceil(seconds))
        if by_tokens:
            words = len(SENTENCE.split())
            used = Usage(math.ceil(seconds * AUDIO_TOKENS_PER_SECOND), words)
        headers = openai.JSON if response_format in _JSON_FORMATS else _PLAIN
        made = Product(used, reported=in_json, pieces=None, headers=headers)
        return product(model, speech, made, stream=stream, script=form.script)

    def _speech(self, response_format: str, seconds: float) -> SpeechMaker:
        match response_format:
            case "text":
                return whole_text(lambda plan: f"{_text(plan)}\n")
            case "srt":
                cue = f"00:00:00,000 --> {_clock(seconds, ',')}"
                return whole_text(lambda plan: f"1\n{cue}\n{_text(plan)}\n\n\n")
            case "vtt":
                cue = f"00:00:00.000 --> {_clock(seconds, '.')}"
                return whole_text(lambda plan: f"WEBVTT\n\n{cue}\n{_text(plan)}\n\n")
            case "verbose_json":
                return whole_speech(lambda plan: self._verbose(plan, seconds))
            case _:
                return whole_speech(self._plain)

    def _plain(self, plan: Plan) -> object:
        return {"text": _text(plan), **self._usage(plan)}

    def _verbose(self, plan: Plan, seconds: float) -> object:
        text = _text(plan)
        segment = {
            "id": 0,
            "seek": 0,
            "start": 0.0,
            "end": seconds,
            "text": f" {text}",
            "tokens": [50364],
            "temperature": 0.0,
            "avg_logprob": -0.25,
            "compression_ratio": 1.5,
            "no_speech_prob": 0.01,
        }
        told = {"task": self._task, "language": "english", "duration": seconds, "text": text, "segments": [segment]}
        return {**told, **self._usage(plan)}

    def _usage(self, plan: Plan) -> dict[str, Any]:
        """Return the member that reports usage; translations have none."""
        if plan.script.no_usage or plan.product is None or not plan.product.reported:
            return {}
        return {"usage": usage_report(plan.total)}


class Translations(Transcriptions):
    """``POST /v1/audio/translations``."""

    _fields = _TRANSLATION_FIELDS
    _task = "translate"


def usage_report(used: Usage) -> dict[str, object]:
    """Return a report of either type."""
    if used.seconds:
        return {"type": "duration", "seconds": used.seconds}
    details = {"audio_tokens": used.prompt, "text_tokens": 0}
    return {"type": "tokens", **token_usage(used), "input_token_details": details}


def _file(form: Form) -> FormFile:
    files = form.files.get("file", [])
    if len(files) != 1:
        raise missing("file")
    (file,) = files
    if file.name.rpartition(".")[2].lower() not in _ENDINGS or not file.content:
        formats = ", ".join(f"'{ending}'" for ending in sorted(_ENDINGS))
        raise RequestError(f"Invalid file format. Supported formats: [{formats}]", param="file")
    if len(file.content) > FILE_BYTES_MAX:
        raise RequestError(f"Maximum content size limit ({FILE_BYTES_MAX}) exceeded.", status=413)
    return file


def _check_granularities(form: Form, response_format: str) -> None:
    asked = form.texts("timestamp_granularities")
    for granularity in asked:
        one_of(granularity, _GRANULARITIES, "timestamp_granularities")
    if asked and response_format != "verbose_json":
        raise RequestError(
            "The 'timestamp_granularities' parameter is only supported with 'response_format' verbose_json.",
            param="timestamp_granularities",
        )


def _seconds(file: FormFile) -> float:
    """Return how long a sound is."""
    try:
        with wave.open(io.BytesIO(file.content)) as heard:
            length: float = heard.getnframes() / heard.getframerate()
    except (wave.Error, EOFError, ZeroDivisionError):
        length = len(file.content) / BYTES_PER_SECOND
    return max(0.01, length)


def _text(plan: Plan) -> str:
    return "".join(block.text for block in plan.blocks)


def _clock(seconds: float, point: str) -> str:
    whole, milliseconds = divmod(round(seconds * 1000), 1000)
    minutes, whole = divmod(whole, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:02}:{minutes:02}:{whole:02}{point}{milliseconds:03}"


class TranscriptSpeech:
    """See `Speech`. A transcript word by word; its last event has all of it, and the usage."""

    stream_headers: ClassVar[bytes] = openai.EVENT_STREAM
    id_header: ClassVar[bytes] = b"x-request-id"
    told: ClassVar[int] = 0
    broken: ClassVar[bytes] = b'data: {"type":"transcript.text.delta","delta":"\n\n'

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._steps = steps(plan.blocks)

    def opening(self) -> bytes:
        """Return nothing."""
        return b""

    def event(self, number: int) -> bytes:
        """Return a word."""
        return b'data: {"type":"transcript.text.delta","delta":"%b"}\n\n' % next(self._steps).text

    def closing(self) -> bytes:
        """Return the event that has all of the text."""
        report = {} if self._plan.script.no_usage else {"usage": usage_report(self._plan.total)}
        done = {"type": "transcript.text.done", "text": _text(self._plan), **report}
        return b"data: %b\n\n" % msgspec.json.encode(done)

    def failing(self) -> bytes:
        """See `Speech`."""
        return failing_event()

    def whole(self) -> bytes:
        """Return nothing: this is the stream."""
        return b""
