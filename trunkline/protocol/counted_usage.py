"""Usage that no provider reported: counted by the gateway, and stated in an answer that stays in its dialect.

The books and the client get the same numbers (DIALECTS section 5, missing usage). Called by the relays of streams and
the relay sides of the dialects; a translated answer gets them as a neutral event.
"""

from collections.abc import Callable

import msgspec

from trunkline.core.usage import Units
from trunkline.protocol.json_span import edit_object, top_level_spans

CountInput = Callable[[], int]
"""Counts the input tokens of the request that is answered; called only where no usage was reported."""


def counted_units(opening: Units | None, output_tokens: int, count_input: CountInput) -> Units:
    """Return a count of what was used.

    Args:
        opening: what the provider said of the input all the same; None if it said nothing.
        output_tokens: counted.
        count_input: see there.
    """
    if opening is None:
        return Units(input=count_input(), output=output_tokens)
    return msgspec.structs.replace(opening, output=output_tokens, reasoning=0)


def state_usage(source: bytes, usage: bytes, *, key: str = "usage") -> bytes:
    """Return an answer, or an event's data, that states its usage; every other byte as it was.

    Args:
        source: a JSON object. A report that it has is of no use, and replaced.
        usage: the report, as JSON.
        key: of the top-level member that has it.

    Raises:
        MalformedJSONError: the source is not a JSON object.
    """
    members = top_level_spans(source)
    replaced = {index: usage for index, member in enumerate(members) if member.key == key}
    inserted = () if replaced else (msgspec.json.encode(key) + b":" + usage,)
    return edit_object(source, members, replaced=replaced, inserted=inserted)


def state_usage_inside(data: bytes, outer: str, usage: bytes) -> bytes:
    """As `state_usage`, for an object inside an event's data.

    Args:
        data: JSON.
        outer: key of the object.
        usage: the report, as JSON.

    Raises:
        MalformedJSONError: the data is not a JSON object.
    """
    members = top_level_spans(data)
    replaced = {}
    for index, member in enumerate(members):
        value = data[member.value_start : member.value_end]
        if member.key == outer and value.startswith(b"{"):
            replaced[index] = state_usage(value, usage)
    return edit_object(data, members, replaced=replaced)
