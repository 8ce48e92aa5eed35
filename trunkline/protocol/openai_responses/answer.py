"""A whole response: its usage and what is wrong with it. Called by the dispatcher."""

from trunkline.core.usage import Units
from trunkline.protocol.dialect import WholeAnswer
from trunkline.protocol.openai_responses.failures import read_failed_response, read_failure
from trunkline.protocol.openai_responses.usage import read_usage
from trunkline.protocol.openai_responses.wire import ResponseObject, output_texts, present, read_response
from trunkline.protocol.tokens import count_text
from trunkline.protocol.upstream_error import UpstreamError, invalid_answer

INVALID = "The provider's answer is not a response."

_ENDED = frozenset({None, "completed", "incomplete"})
"""States of an answer that may be passed on; some vendors leave the state out."""


def read_whole(body: bytes) -> WholeAnswer:
    """Return what a body says that came with status 200. Never raises, whatever the bytes.

    Args:
        body: all of it.
    """
    try:
        response = read_response(body)
    except ValueError:
        response = None
    if response is None:
        return WholeAnswer(None, 0, invalid_answer(INVALID))
    units, counted = _usage(response)
    return WholeAnswer(units, counted, failure_of(response, body), finish_reason=response.end_word)


def failure_of(response: ResponseObject, body: bytes) -> UpstreamError | None:
    """Return why a response is no answer, or None for a good one.

    Args:
        response: read from ``body``.
        body: its JSON.
    """
    if response.status == "failed":
        return read_failed_response(response)
    if present(response.error):
        return read_failure(body)
    if response.output is None or response.status not in _ENDED:
        return invalid_answer(INVALID)
    return None


def _usage(response: ResponseObject) -> tuple[Units | None, int]:
    texts = output_texts(response.output)
    units = read_usage(present(response.usage), present(response.tool_usage))
    # No output tokens for a text that is there: the report is missing, whatever it says (DIALECTS section 5).
    if units is not None and (units.output_total or not texts):
        return units, 0
    return None, count_text("\n".join(texts))
