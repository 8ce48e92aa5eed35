"""The usage report of a response, read into disjoint buckets and written from them (DIALECTS section 5)."""

import msgspec

from trunkline.core.usage import Units
from trunkline.protocol.usage_report import count_of, inner_report, report_of


class CacheWriteDetails(msgspec.Struct):
    """Tokens written to the cache, by how long they stay."""

    ttl_30m_tokens: int
    ttl_12h_tokens: int


class InputDetails(msgspec.Struct, omit_defaults=True):
    """Of the input tokens."""

    cached_tokens: int
    cache_write_tokens: int
    cache_write_tokens_details: CacheWriteDetails | None = None


class OutputDetails(msgspec.Struct):
    """Of the output tokens."""

    reasoning_tokens: int


class UsageShown(msgspec.Struct):
    """The report as a client sees it."""

    input_tokens: int
    input_tokens_details: InputDetails
    output_tokens: int
    output_tokens_details: OutputDetails
    total_tokens: int


def show_usage(units: Units) -> UsageShown:
    """Return the report for units: the inverse of `read_usage`."""
    written = units.cache_write_5m + units.cache_write_1h
    split = CacheWriteDetails(units.cache_write_5m, units.cache_write_1h) if units.cache_write_1h else None
    return UsageShown(
        input_tokens=units.input_total,
        input_tokens_details=InputDetails(units.cache_read, written, split),
        output_tokens=units.output_total,
        output_tokens_details=OutputDetails(units.reasoning),
        total_tokens=units.input_total + units.output_total,
    )


def read_usage(report: bytes, tool_report: bytes = b"") -> Units | None:
    """Return what a response's reports say, or None if they are unusable, so that the caller counts.

    Unusable is a report without input or output, with negative numbers or strings for them, or of zeros alone.

    Args:
        report: the JSON of ``usage``.
        tool_report: the JSON of ``tool_usage``, which counts what hosted tools used beside the model; may be empty.
    """
    usage = report_of(report)
    input_details = inner_report(usage, "input_tokens_details")
    output_details = inner_report(usage, "output_tokens_details")
    sent = count_of(usage, "input_tokens")
    made = count_of(usage, "output_tokens")
    if sent is None or made is None or not (sent or made):
        return None
    cached = count_of(input_details, "cached_tokens") or 0
    short, long = _cache_writes(input_details)
    reasoning = count_of(output_details, "reasoning_tokens") or 0
    # OpenAI counts reasoning inside the output; a total that fits only beside it says that this provider does not.
    outside = reasoning > made or (reasoning > 0 and count_of(usage, "total_tokens") == sent + made + reasoning)
    tools = report_of(tool_report)
    images = inner_report(tools, "image_gen")
    drawn = inner_report(images, "output_tokens_details")
    shown = inner_report(images, "input_tokens_details")
    return Units(
        input=max(0, sent - cached - short - long) + (count_of(shown, "text_tokens") or 0),
        cache_read=cached,
        cache_write_5m=short,
        cache_write_1h=long,
        input_image=count_of(shown, "image_tokens") or 0,
        output=(made if outside else made - reasoning) + (count_of(drawn, "text_tokens") or 0),
        reasoning=reasoning,
        output_image=count_of(drawn, "image_tokens") or 0,
        searches=count_of(inner_report(tools, "web_search"), "num_requests") or 0,
    )


def _cache_writes(details: dict[str, object]) -> tuple[int, int]:
    """Return tokens written to the cache for short and for long; without the split all are the former."""
    split = inner_report(details, "cache_write_tokens_details")
    short = count_of(split, "ttl_30m_tokens")
    long = count_of(split, "ttl_12h_tokens")
    if short is not None or long is not None:
        return short or 0, long or 0
    return count_of(details, "cache_write_tokens") or 0, 0
