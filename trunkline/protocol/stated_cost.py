"""What an answer costs, said inside the answer: ``cost`` in its usage report, in USD, for a client that asked for it.

The form is OpenRouter's: ``usage: {"include": true}`` in the request, ``usage.cost`` in the answer. Called by the
dispatcher, where the bytes of an answer are looked at anyhow. What a provider itself says there is its price for us,
and goes.
"""

from collections.abc import Callable

import msgspec

from trunkline.core.money import usd_text
from trunkline.protocol.counted_usage import state_usage
from trunkline.protocol.json_span import MalformedJSONError, edit_object, top_level_spans
from trunkline.protocol.sse import event_data, split_events, with_data

REPORTS = frozenset({"usage", "usageMetadata"})
"""Names of usage reports in all dialects."""

_MARK = b'"usage'
"""Where this is not, no report is."""

_OUTER = "response"
"""The member in which Responses' events have the whole answer, with its report."""

_COST = "cost"


class _Wish(msgspec.Struct):
    include: bool = False


_decode_wish = msgspec.json.Decoder(_Wish).decode


def asks_cost(wish: msgspec.Raw) -> bool:
    """Return whether a request's field ``usage`` asks for the cost; whatever else it is asks for nothing."""
    try:
        return bool(memoryview(wish)) and _decode_wish(wish).include
    except msgspec.DecodeError:
        return False


def cost_number(nano: int) -> bytes:
    """Return an amount in USD as a JSON number, without losing a digit."""
    return usd_text(nano).encode()


def with_cost(body: bytes, cost: bytes) -> bytes:
    """Return a whole answer with its cost; without a report it gets one. What is no JSON object stays as it is.

    Args:
        body: of the answer.
        cost: JSON.
    """
    try:
        stated = _stated(body, cost)
        if stated is body and body.lstrip()[:1] == b"{":
            stated = state_usage(body, b'{"cost":%b}' % cost)
    except MalformedJSONError:
        return body
    return stated


def events_with_cost(block: bytes, cost: Callable[[], bytes]) -> bytes:
    """Return whole events of a stream, with the cost in each report that is among them.

    Args:
        block: of events; every other byte stays.
        cost: returns JSON; called only where there is a report.
    """
    if _MARK not in block:
        return block
    return b"".join([_event_with_cost(event, cost) for event in split_events(block)])


def _event_with_cost(event: bytes, cost: Callable[[], bytes]) -> bytes:
    data = event_data(event) if _MARK in event else None
    if not data:
        return event
    try:
        stated = _stated(data, cost())
    except MalformedJSONError:
        return event
    return event if stated is data else with_data(event, data, stated)


def _stated(source: bytes, cost: bytes, *, inside: bool = True) -> bytes:
    """Return an object with the cost in its reports; the very same bytes if it has none.

    Args:
        source: JSON.
        cost: JSON.
        inside: whether the report may be that of an answer inside the object.

    Raises:
        MalformedJSONError: it is no JSON object.
    """
    members = top_level_spans(source)
    replaced = {}
    for index, member in enumerate(members):
        value = source[member.value_start : member.value_end]
        if not value.startswith(b"{"):
            continue
        if member.key in REPORTS:
            replaced[index] = _report_with_cost(value, cost)
        elif member.key == _OUTER and inside:
            stated = _stated(value, cost, inside=False)
            if stated is not value:
                replaced[index] = stated
    return edit_object(source, members, replaced=replaced)


def _report_with_cost(report: bytes, cost: bytes) -> bytes:
    members = top_level_spans(report)
    # OpenRouter's `cost_details` says what its own providers get.
    foreign = {index for index, member in enumerate(members) if member.key in {_COST, "cost_details"}}
    return edit_object(report, members, removed=foreign, inserted=(b'"cost":' + cost,))
