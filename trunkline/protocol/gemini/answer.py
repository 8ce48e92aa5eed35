"""A whole Gemini answer: its usage and what is wrong with it. Called by the dispatcher."""

from trunkline.core.usage import Units
from trunkline.protocol.dialect import WholeAnswer
from trunkline.protocol.gemini.ends import provider_failed
from trunkline.protocol.gemini.stream import part_texts
from trunkline.protocol.gemini.usage import read_usage
from trunkline.protocol.gemini.wire import Frame, read_frame, reason_name
from trunkline.protocol.tokens import count_text
from trunkline.protocol.upstream_error import invalid_answer, read_upstream_error

_INVALID = "The provider's answer is not a generateContent response."


def read_whole(body: bytes) -> WholeAnswer:
    """Return what a body says that came with status 200. Never raises, whatever the bytes."""
    try:
        frame = read_frame(body)
    except ValueError:
        frame = None
    if frame is None:
        return WholeAnswer(None, 0, invalid_answer(_INVALID))
    texts, output = _texts(frame)
    units, counted = _usage(frame, texts, output=output)
    error = None
    if frame.failed:
        error = read_upstream_error(200, {}, body, 0)
    elif any(provider_failed(reason, output=output) for reason in _reasons(frame)):
        error = read_upstream_error(500, {}, b"", 0)
    elif not (output or _reasons(frame) or frame.block_reason):
        error = invalid_answer(_INVALID)
    return WholeAnswer(units, counted, error, finish_reason=next(iter(_reasons(frame)), ""))


def _reasons(frame: Frame) -> list[str]:
    names = [reason_name(candidate.finish_reason) for candidate in frame.candidates or ()]
    return [name for name in names if name]


def _texts(frame: Frame) -> tuple[list[str], bool]:
    """Return the texts of an answer, and whether there is any output at all."""
    contents = [candidate.content for candidate in frame.candidates or () if candidate.content is not None]
    found = [part_texts(part) for content in contents for part in content.all_parts]
    outputs = [texts for texts in found if texts is not None]
    return [text for texts in outputs for text in texts if text], bool(outputs)


def _usage(frame: Frame, texts: list[str], *, output: bool) -> tuple[Units | None, int]:
    units = read_usage(frame.usage_metadata) if frame.usage_metadata is not None else None
    # No output tokens for an output that is there: the report is missing, whatever it says (DIALECTS section 5).
    if units is not None and (units.output_total or not output):
        return units, 0
    return None, count_text("\n".join(texts))
