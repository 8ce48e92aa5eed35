"""Anthropic's usage report as disjoint buckets, and the way back (DIALECTS section 5).

Called by the readers of answers and streams, by the relay, and by the event writer.
"""

import msgspec

from trunkline.core.usage import Units
from trunkline.protocol.usage_report import count_of, inner_report, report_of

_COUNTS = ("input_tokens", "cache_read_input_tokens", "cache_creation_input_tokens", "output_tokens")
_OBJECTS = ("cache_creation", "output_tokens_details", "server_tool_use")

_BESIDE = frozenset({"compaction", "advisor_message"})
"""Kinds of ``iterations`` whose tokens are not in the numbers of the top level; the others only explain those."""

_encode = msgspec.json.Encoder().encode


class UsageTally:
    """The reports of one answer put together: per field the last value that is one, never a sum."""

    __slots__ = ("_fields", "output_reported")

    def __init__(self) -> None:
        self._fields: dict[str, object] = {}
        self.output_reported = False
        """Whether a report at the end has said how much output there was. What a stream begins with is a foretaste."""

    def take(self, report: bytes | msgspec.Raw, *, final: bool) -> None:
        """Note a ``usage`` value.

        Args:
            report: its JSON; anything unusable in it is ignored.
            final: it is not the one that a stream begins with.
        """
        usage = report_of(report)
        for name in _COUNTS:
            count = count_of(usage, name)
            if count is not None:
                self._fields[name] = count
                if final and name == "output_tokens":
                    self.output_reported = True
        for name in _OBJECTS:
            if isinstance(usage.get(name), dict):
                self._fields[name] = usage[name]
        if isinstance(usage.get("iterations"), list):
            self._fields["iterations"] = usage["iterations"]

    def units(self) -> Units | None:
        """Return what was used, or None if the reports are unusable, so that the caller counts.

        Unusable are reports without input or without output, and such of zeros alone.
        """
        if "output_tokens" not in self._fields or self._fields.keys().isdisjoint(_COUNTS[:3]):
            return None
        units = _units(self._fields)
        return units if units.input_total or units.output_total else None

    def input_units(self) -> Units | None:
        """Return what is known of the input, with ``output`` tokens beside it, or None if nothing is."""
        units = _units({name: value for name, value in self._fields.items() if not name.startswith("output")})
        return units if units.input_total else None


def read_usage(report: bytes | msgspec.Raw) -> Units | None:
    """Return what the ``usage`` value of a whole answer says, or None if it is unusable.

    Args:
        report: the value's JSON.
    """
    tally = UsageTally()
    tally.take(report, final=True)
    return tally.units()


def render_usage(units: Units) -> bytes:
    """Return units as a ``usage`` value: `read_usage`'s inverse. What has no word there is input or output."""
    usage: dict[str, object] = {
        "input_tokens": units.input + units.input_audio + units.input_image,
        "cache_creation_input_tokens": units.cache_write_5m + units.cache_write_1h,
        "cache_read_input_tokens": units.cache_read,
    }
    if units.cache_write_5m or units.cache_write_1h:
        usage["cache_creation"] = {
            "ephemeral_5m_input_tokens": units.cache_write_5m,
            "ephemeral_1h_input_tokens": units.cache_write_1h,
        }
    usage["output_tokens"] = units.output_total
    if units.reasoning:
        usage["output_tokens_details"] = {"thinking_tokens": units.reasoning}
    if units.searches:
        usage["server_tool_use"] = {"web_search_requests": units.searches}
    return _encode(usage)


def _units(usage: dict[str, object]) -> Units:
    fresh, read, short, long, output = _tokens(usage)
    reasoning = min(count_of(inner_report(usage, "output_tokens_details"), "thinking_tokens") or 0, output)
    iterations = usage.get("iterations")
    for iteration in iterations if isinstance(iterations, list) else ():
        if isinstance(iteration, dict) and iteration.get("type") in _BESIDE:
            beside = _tokens(iteration)
            fresh, read, short, long, output = (
                fresh + beside[0],
                read + beside[1],
                short + beside[2],
                long + beside[3],
                output + beside[4],
            )
    return Units(
        input=fresh,
        cache_read=read,
        cache_write_5m=short,
        cache_write_1h=long,
        output=output - reasoning,
        reasoning=reasoning,
        searches=count_of(inner_report(usage, "server_tool_use"), "web_search_requests") or 0,
    )


def _tokens(usage: dict[str, object]) -> tuple[int, int, int, int, int]:
    """Return input, cache reads, cache writes for 5 minutes and for an hour, and output.

    Without the split all writes are for 5 minutes. The end of a stream states only their sum, so that the split may be
    older than it; what the sum has more than the split is taken for short.
    """
    split = inner_report(usage, "cache_creation")
    short = count_of(split, "ephemeral_5m_input_tokens") or 0
    long = count_of(split, "ephemeral_1h_input_tokens") or 0
    written = max(count_of(usage, "cache_creation_input_tokens") or 0, short + long)
    return (
        count_of(usage, "input_tokens") or 0,
        count_of(usage, "cache_read_input_tokens") or 0,
        written - long,
        long,
        count_of(usage, "output_tokens") or 0,
    )
