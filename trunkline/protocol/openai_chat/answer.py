"""A whole chat answer: its usage and what is wrong with it. Called by the dispatcher."""

from trunkline.core.usage import Units
from trunkline.protocol.dialect import WholeAnswer
from trunkline.protocol.openai_chat.usage import read_usage
from trunkline.protocol.openai_chat.wire import FAILED_FINISHES, Answer, output_texts, read_answer_object
from trunkline.protocol.tokens import count_text
from trunkline.protocol.upstream_error import invalid_answer, read_upstream_error

_INVALID = "The provider's answer is not a chat completion."


def read_answer(body: bytes) -> WholeAnswer:
    """Return what a body says that came with status 200. Never raises, whatever the bytes.

    Args:
        body: all of it.
    """
    try:
        answer = read_answer_object(body)
    except ValueError:
        answer = None
    if answer is None:
        return WholeAnswer(None, 0, invalid_answer(_INVALID))
    units, counted = _usage(answer)
    if answer.failed:
        return WholeAnswer(units, counted, read_upstream_error(200, {}, body, 0))
    if not answer.choices:
        return WholeAnswer(units, counted, invalid_answer(_INVALID))
    if any(choice.finish_reason in FAILED_FINISHES for choice in answer.choices):
        return WholeAnswer(units, counted, read_upstream_error(500, {}, b"", 0))
    return WholeAnswer(units, counted, None, finish_reason=answer.choices[0].finish_reason or "")


def _usage(answer: Answer) -> tuple[Units | None, int]:
    outputs = [choice.message or choice.delta for choice in answer.choices or ()]
    texts = [text for output in outputs if output is not None for text in output_texts(output) or ()]
    report = answer.reported
    units = read_usage(report) if report else None
    # No output tokens for a text that is there: the report is missing, whatever it says (DIALECTS section 5).
    if units is not None and (units.output_total or not texts):
        return units, 0
    return None, count_text("\n".join(texts))
