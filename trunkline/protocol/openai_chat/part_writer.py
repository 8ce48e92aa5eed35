"""Neutral parts as parts of a chat message (DIALECTS section 2.2). Called by `message_writer` and `tool_writer`."""

import base64
from collections.abc import Iterable, Sequence

from trunkline.protocol.fidelity import Crossing, Feature
from trunkline.protocol.model import Audio, CacheMark, File, Image, Part, Refusal, Text
from trunkline.protocol.openai_chat.client_error import not_carried
from trunkline.protocol.openai_chat.losses import conversation_field, lose
from trunkline.protocol.vendor import VendorOptions

_REFUSED_IMAGES = frozenset({"image/heic", "image/heif", "image/avif"})

_AUDIO_FORMATS = {"mpeg": "mp3", "x-wav": "wav", "wave": "wav"}

_SHOWN = Text | Image | File | Audio | Refusal

Written = dict[str, object]


class PartWriter:
    """Writes parts.

    Args:
        crossing: told of what is lost.
        options: of the channel.
    """

    __slots__ = ("_crossing", "_marks")

    def __init__(self, crossing: Crossing, options: VendorOptions) -> None:
        self._crossing = crossing
        self._marks = options.cache_marks

    def content(self, parts: Iterable[Part]) -> str | list[Written] | None:
        """Return parts as a message's content: a string for a single text, which every vendor takes; None for nothing.

        Empty texts are dropped (DIALECTS section 2.1), and so is what is no content.
        """
        kept = [part for part in parts if isinstance(part, _SHOWN) and not (isinstance(part, Text) and not part.text)]
        if len(kept) == 1 and isinstance(kept[0], Text) and not (self._marks and kept[0].cache):
            self.mark({}, kept[0].cache)
            return kept[0].text
        return [written for part in kept for written in self._part(part)] or None

    def joined(self, texts: Sequence[Text]) -> str | list[Written] | None:
        """Return instructions as a message's content: one string, as chat templates take it; parts only for marks."""
        if self._marks and any(text.cache for text in texts):
            return self.content(texts)
        for text in texts:
            self.mark({}, text.cache)
        return "\n\n".join(text.text for text in texts if text.text) or None

    def mark(self, written: Written, cache: CacheMark | None) -> Written:
        """Return a part, tool or message with its cache breakpoint, where the vendor takes one."""
        if cache is not None:
            if self._marks:
                long = {"ttl": cache.value} if cache is CacheMark.LONG else {}
                written["cache_control"] = {"type": "ephemeral", **long}
            else:
                lose(self._crossing, Feature.CACHE_MARKS)
        return written

    def _part(self, part: Part) -> list[Written]:
        match part:
            case Text():
                return [self.mark({"type": "text", "text": part.text}, part.cache)]
            case Refusal():
                return [{"type": "text", "text": part.text}]
            case Image():
                return [self._image(part)]
            case File():
                return self._file(part)
            case Audio():
                kind = part.media_type.partition("/")[2]
                sound = {"data": part.data, "format": _AUDIO_FORMATS.get(kind, kind)}
                return [{"type": "input_audio", "input_audio": sound}]
            case _:
                return []

    def _image(self, image: Image) -> Written:
        if image.media_type in _REFUSED_IMAGES:
            raise not_carried(conversation_field(self._crossing), f"An image of type {image.media_type}")
        url = image.url or f"data:{image.media_type};base64,{image.data}"
        source = {"url": url, "detail": image.detail} if image.detail else {"url": url}
        return self.mark({"type": "image_url", "image_url": source}, image.cache)

    def _file(self, file: File) -> list[Written]:
        if file.url:
            lose(self._crossing, Feature.FILE_URL)
        if file.citations:
            lose(self._crossing, Feature.EXTRA, "citations")
        if file.text or not file.data:
            media_type, data = "text/plain", base64.b64encode(file.text.encode()).decode()
        else:
            media_type, data = file.media_type, file.data
        name = file.name or ("document.pdf" if media_type == "application/pdf" else "document.txt")
        shown: Written = {"filename": name, "file_data": f"data:{media_type};base64,{data}"}
        written = self.mark({"type": "file", "file": shown}, file.cache)
        if not file.context:
            return [written]
        lose(self._crossing, Feature.FILE_CONTEXT)
        return [{"type": "text", "text": file.context}, written]
