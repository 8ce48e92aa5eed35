"""Text made from sound: ``/audio/transcriptions`` and ``/audio/translations``.

The form passes but for the model, and the answer in the format that was asked for, whatever its content type: JSON,
plain text or subtitles (DIALECTS section 8, regression 26). It is paid by the tokens or seconds that the provider
reports, else by the length of the sound.
"""

import re

import msgspec

from trunkline.core.usage import Units
from trunkline.protocol.dialect import ClientRequest, WholeAnswer
from trunkline.protocol.endpoint import EndpointCall, Provider
from trunkline.protocol.endpoints.answer_form import AnswerForm, FormReader
from trunkline.protocol.endpoints.asked_units import asked_transcript
from trunkline.protocol.endpoints.media_form import MediaForm
from trunkline.protocol.endpoints.media_stream import MediaEvent, MediaStreamRelay, has_content
from trunkline.protocol.endpoints.multipart import Part
from trunkline.protocol.endpoints.provider_call import openai_call
from trunkline.protocol.endpoints.sound_length import (
    last_timestamp_seconds,
    size_seconds,
    started_seconds,
    wav_seconds,
)
from trunkline.protocol.upstream_error import UpstreamError, invalid_answer
from trunkline.protocol.usage_report import count_of, inner_report, report_of
from trunkline.protocol.utf8 import is_utf8

_INVALID = "The provider's answer is not a transcript."
_JSON_FORMATS = frozenset({"json", "verbose_json", "diarized_json"})
_SUBTITLES = frozenset({"srt", "vtt"})
_OBJECT_START = re.compile(rb"[ \t\r\n]*+\{")
_PAGE_START = re.compile(rb"[ \t\r\n]*+<(?:!doctype html|html)", re.IGNORECASE)


class Transcriptions:
    """See `endpoint.Endpoint`."""

    name = "audio_transcriptions"
    _path = "/audio/transcriptions"
    _offer = "transcriptions"

    def read_head(self, body: bytes, content_type: str) -> ClientRequest:
        """See `Endpoint`."""
        form = MediaForm(body, content_type)
        file = form.require_one("file")
        form.text("response_format")
        beside = asked_transcript(body, file.start, file.end, prompt_bytes=form.size_bytes("prompt"))
        return msgspec.structs.replace(form.head(), beside=beside)

    def open(self, body: bytes, content_type: str, provider: Provider) -> EndpointCall:
        """See `Endpoint`."""
        form = MediaForm(body, content_type)
        answers = TranscriptReader(body, form.require_one("file"), form.text("response_format") or "json")
        stream = form.stream
        return EndpointCall(
            body=form.prepared(provider.model, provider.rules),
            content_type=content_type,
            call=openai_call(provider, self._path, self._offer),
            whole=None if stream else answers.read,
            stream=MediaStreamRelay(TranscriptFacts(answers), answers.read) if stream else None,
        )

    def count_input(self, body: bytes) -> int:
        """Return 0: sound is paid by its length, or by tokens that only the provider knows."""
        return 0


class Translations(Transcriptions):
    """See `endpoint.Endpoint`. As transcriptions, with a text in English."""

    name = "audio_translations"
    _path = "/audio/translations"
    _offer = "translations"


# --- answers -------------------------------------------------------------------------------------------------------


class _Answer(AnswerForm, gc=False):
    text: msgspec.Raw = msgspec.Raw()
    segments: msgspec.Raw = msgspec.Raw()
    words: msgspec.Raw = msgspec.Raw()
    duration: msgspec.Raw = msgspec.Raw()
    usage: msgspec.Raw = msgspec.Raw()


_ANSWERS = FormReader(_Answer, _INVALID)
_decode = msgspec.json.Decoder().decode


class TranscriptReader:
    """Reads what answers one form.

    Args:
        body: the form.
        file: the part with the sound.
        response_format: as the client asked for it.
    """

    __slots__ = ("_body", "_file", "_format")

    def __init__(self, body: bytes, file: Part, response_format: str) -> None:
        self._body = body
        self._file = file
        self._format = response_format

    def read(self, body: bytes) -> tuple[WholeAnswer, bytes]:
        """Return what a whole answer says, and the very same body. See `endpoint.ReadWhole`. Never raises."""
        if not is_utf8(body):
            return WholeAnswer(None, 0, invalid_answer(_INVALID)), body
        answer = _ANSWERS.read(body) if _OBJECT_START.match(body) else None
        if isinstance(answer, _Answer):
            return self._read_object(answer), body
        if self._format in _JSON_FORMATS or _PAGE_START.match(body):
            return WholeAnswer(None, 0, answer or invalid_answer(_INVALID)), body
        if isinstance(answer, UpstreamError) and _is_json(body):
            return WholeAnswer(None, 0, answer), body
        subtitles = last_timestamp_seconds(body) if self._format in _SUBTITLES else None
        return WholeAnswer(self.seconds(subtitles), 0, None), body

    def _read_object(self, answer: _Answer) -> WholeAnswer:
        if not any(has_content(member) for member in (answer.segments, answer.words)) and not bytes(answer.text):
            return WholeAnswer(None, 0, invalid_answer(_INVALID))
        units = reported_units(answer.usage)
        if units is None:
            stated = _stated_seconds(answer.duration)
            units = Units(seconds=stated) if stated is not None else self.seconds()
        return WholeAnswer(units, 0, None)

    def seconds(self, from_answer: int | None = None) -> Units:
        """Return the length of the sound: by its own header, by the answer, or by its size."""
        file = self._file
        length = wav_seconds(self._body, file.start, file.end)
        if length is None:
            length = from_answer
        return Units(seconds=size_seconds(file.end - file.start) if length is None else length)


def reported_units(usage: msgspec.Raw) -> Units | None:
    """Return what a usage report says, None if it says nothing usable.

    It is of one of two types: ``duration`` with ``seconds``, or ``tokens`` with ``input_tokens`` (split in
    ``input_token_details``) and ``output_tokens``.
    """
    report = report_of(usage)
    if report.get("type") != "tokens":
        seconds = started_seconds(report.get("seconds"))
        if seconds is not None:
            return Units(seconds=seconds)
    details = inner_report(report, "input_token_details")
    total = count_of(report, "input_tokens") or 0
    # Without a split all of it is taken to be the sound; what is left of it is a prompt.
    sound = count_of(details, "audio_tokens")
    sound = total if sound is None else sound
    units = Units(input=max(0, total - sound), input_audio=sound, output=count_of(report, "output_tokens") or 0)
    return units if units.any() else None


def _stated_seconds(duration: msgspec.Raw) -> int | None:
    try:
        return started_seconds(_decode(duration))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


def _is_json(body: bytes) -> bool:
    try:
        _decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return False
    return True


class TranscriptFacts:
    """See `media_stream.EventFacts`, for ``transcript.text.delta``, ``.segment`` and ``.done``.

    Args:
        reader: knows the file, whose length is what is paid where the provider reports nothing.
    """

    __slots__ = ("_reader", "_reported", "done", "first_output")

    def __init__(self, reader: TranscriptReader) -> None:
        self._reader = reader
        self._reported: Units | None = None
        self.first_output = False
        self.done = False

    def take(self, kind: str, event: MediaEvent) -> None:
        """See `EventFacts`."""
        if has_content(event.delta) or has_content(event.text):
            self.first_output = True
        if kind == "transcript.text.done":
            # A silent sound has no text, but that is its transcript.
            self.first_output = self.done = True
        if has_content(event.usage):
            self._reported = reported_units(event.usage) or self._reported

    @property
    def units(self) -> Units | None:
        """See `EventFacts`."""
        if self._reported is not None:
            return self._reported
        return self._reader.seconds() if self.first_output else None
