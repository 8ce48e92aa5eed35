"""A whole Messages answer: its usage and what is wrong with it. Called by the dispatcher."""

from trunkline.protocol.anthropic.usage import read_usage
from trunkline.protocol.anthropic.wire import FAILED_STOPS, Block, present, read_blocks, read_message
from trunkline.protocol.dialect import WholeAnswer
from trunkline.protocol.event_relay import NO_STREAM
from trunkline.protocol.tokens import count_text
from trunkline.protocol.upstream_error import UpstreamError, invalid_answer, read_upstream_error

_INVALID = "The provider's answer is not a message."


def read_whole(body: bytes) -> WholeAnswer:
    """Return what a body says that came with status 200. Never raises, whatever the bytes.

    Args:
        body: all of it.
    """
    try:
        message = read_message(body)
    except ValueError:
        message = None
    if message is None:
        return WholeAnswer(None, 0, invalid_answer(_INVALID))
    blocks = read_blocks(message.content)
    texts = [text for block in blocks or () for text in _texts(block)]
    report = present(message.usage)
    units = read_usage(report) if report else None
    # No output tokens for a text that is there: the report is missing, whatever it says (DIALECTS section 5).
    if units is not None and not units.output_total and texts:
        units = None
    counted = 0 if units is not None else count_text("\n".join(texts))
    if message.failed:
        return WholeAnswer(units, counted, read_upstream_error(200, {}, body, 0))
    if blocks is None:
        return WholeAnswer(units, counted, invalid_answer(_INVALID))
    if message.stop_reason in FAILED_STOPS:
        return WholeAnswer(units, counted, read_upstream_error(500, {}, b"", 0))
    return WholeAnswer(units, counted, None, finish_reason=message.stop_reason or "")


def _texts(block: Block) -> list[str]:
    """Return the texts in a block that its provider was paid to produce."""
    arguments = present(block.input).decode(errors="replace")
    return [text for text in (block.text, block.thinking, block.name, arguments) if text]


def foreign_error(body: bytes) -> UpstreamError:
    """Return what a body means that came instead of an event stream."""
    try:
        message = read_message(body)
    except ValueError:
        message = None
    if message is not None and message.failed:
        return read_upstream_error(200, {}, body, 0)
    return invalid_answer(NO_STREAM)
