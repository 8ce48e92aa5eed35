"""Looks at single JSON values in requests and answers of the endpoints, without trusting any of them."""

import msgspec

from trunkline.protocol.usage_report import count_of, report_of

__all__ = ["count_of", "report_of", "start_of"]


def start_of(value: msgspec.Raw) -> bytes:
    """Return the first byte of a value, which tells its kind; empty where the member is absent."""
    return bytes(memoryview(value)[:1])
