"""Parts of a chat message's content into neutral ones (DIALECTS section 2.2). Called by `message_reader`."""

import base64

from trunkline.protocol.fidelity import Feature
from trunkline.protocol.model import Audio, CacheMark, File, Image, Part, Reasoning, Refusal, Text
from trunkline.protocol.openai_chat import request_wire as wire
from trunkline.protocol.openai_chat.client_error import bad_field
from trunkline.protocol.openai_chat.media import read_data_url, sniffed_type, standard_base64

DETAILS = frozenset({"low", "high", "auto", "original"})

_LONG_TTLS = frozenset({"1h", "12h"})

_PLAIN_TEXT = "text/plain"


class PartReader:
    """Reads parts, and notes what the neutral model cannot hold.

    Attributes:
        features: what was met, in order.
    """

    __slots__ = ("features",)

    def __init__(self) -> None:
        self.features: dict[Feature, None] = {}

    def read(self, content: str | list[wire.Part] | None, param: str) -> list[Part]:
        """Return the parts of a message's content.

        Args:
            content: as the client sent it.
            param: where it stands.

        Raises:
            FaultError: ``client_bad_request``.
        """
        if content is None:
            return []
        if isinstance(content, str):
            return [Text(content)]
        return [part for said in content if (part := self._part(said, param)) is not None]

    def _part(self, said: wire.Part, param: str) -> Part | None:
        kind = said.type or ("text" if said.text is not None else "")
        match kind:
            case "text" | "input_text" | "output_text":
                return Text(said.text or "", cache_mark(said.cache_control, said.prompt_cache_breakpoint))
            case "image_url" | "input_image":
                return self._image(said, param)
            case "input_audio" if said.input_audio is not None:
                return _audio(said.input_audio, param)
            case "file" | "input_file" if said.file is not None:
                return self._file(said, said.file, param)
            case "refusal":
                return Refusal(said.refusal or "")
            case "thinking":
                return Reasoning(_thoughts(said.thinking))
            case "video_url" | "input_video" | "video":
                self.features[Feature.VIDEO_INPUT] = None
                return None
            case _:
                shown = kind[:64] or "nothing"
                raise bad_field(
                    param, f"`{param}` has a part of an unknown type ({shown}). Use text, image_url or file."
                )

    def _image(self, said: wire.Part, param: str) -> Part | None:
        source = said.image_url
        url, detail = (source.url, source.detail) if isinstance(source, wire.ImageURL) else (source or "", None)
        if detail is not None and detail not in DETAILS:
            raise bad_field(param, f"`{param}`: an image's `detail` must be low, high, auto or original.")
        cache = cache_mark(said.cache_control, said.prompt_cache_breakpoint)
        if url[:8].lower().startswith(("http://", "https://")):
            return Image(url=url, detail=detail or "", cache=cache)
        media_type, data = _inline(url, param)
        # Clients mislabel images, so that the bytes count.
        media_type = sniffed_type(data) or media_type
        if media_type.startswith("image/"):
            return Image(data=data, media_type=media_type, detail=detail or "", cache=cache)
        if media_type.startswith("video/"):
            self.features[Feature.VIDEO_INPUT] = None
            return None
        if media_type == "application/pdf":
            return File(data=data, media_type=media_type, cache=cache)
        raise bad_field(param, f"`{param}`: an image must be an http(s) URL, or a data URL of an image.")

    def _file(self, said: wire.Part, file: wire.FileContent, param: str) -> Part | None:
        cache = cache_mark(said.cache_control, said.prompt_cache_breakpoint)
        source, name = file.file_data or "", file.filename or ""
        if not source:
            if not file.file_id:
                raise bad_field(param, f"`{param}`: a file needs `file_data`, a data URL.")
            self.features[Feature.FILE_ID] = None
            return None
        if source[:8].lower().startswith(("http://", "https://")):
            return File(url=source, name=name, cache=cache)
        media_type, data = _inline(source, param)
        media_type = media_type or sniffed_type(data) or _type_by_name(name)
        if not media_type:
            raise bad_field(
                param, f"`{param}`: say a file's type in a data URL, such as data:application/pdf;base64,…."
            )
        if media_type == _PLAIN_TEXT:
            try:
                return File(text=base64.b64decode(data).decode(), name=name, cache=cache)
            except UnicodeDecodeError:
                raise bad_field(param, f"`{param}`: a plain text file must be UTF-8.") from None
        return File(data=data, media_type=media_type, name=name, cache=cache)


def cache_mark(control: wire.CacheControl | None, own: wire.CacheBreakpoint | None = None) -> CacheMark | None:
    """Return the cache breakpoint that a vendor's words or OpenAI's mean."""
    said = control or own
    if said is None:
        return None
    return CacheMark.LONG if said.ttl in _LONG_TTLS else CacheMark.SHORT


def _inline(url: str, param: str) -> tuple[str, str]:
    """Return the media type, empty if unsaid, and the base64 of a data URL; some clients send the base64 alone."""
    try:
        if url[:5].lower() == "data:":
            return read_data_url(url)
        return "", standard_base64(url)
    except ValueError:
        raise bad_field(param, f"`{param}`: the data of an image or a file must be a data URL in base64.") from None


def _audio(audio: wire.InputAudio, param: str) -> Audio:
    try:
        return Audio(standard_base64(audio.data), f"audio/{audio.format}")
    except ValueError:
        raise bad_field(param, f"`{param}`: the data of `input_audio` must be base64.") from None


def _type_by_name(name: str) -> str:
    lowered = name.lower()
    if lowered.endswith(".pdf"):
        return "application/pdf"
    return _PLAIN_TEXT if lowered.endswith((".txt", ".md")) else ""


def _thoughts(said: str | list[wire.Part] | None) -> str:
    return "".join(part.text or "" for part in said) if isinstance(said, list) else said or ""
