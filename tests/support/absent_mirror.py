"""A mirror of home's usage in a region that is away: what the broker of home keeps of it."""

import msgspec

from trunkline.bus import subjects
from trunkline.runtime.nats_bus import NATSBus

API_TIMEOUT_S = 5.0

_CONSUMER = {
    "name": "JS_MIRROR_away",
    "durable_name": "JS_MIRROR_away",
    "deliver_subject": "of.nobody",
    "deliver_policy": "all",
    "ack_policy": "flow_control",
    "max_ack_pending": 1000,
    "flow_control": True,
    "idle_heartbeat": 1_000_000_000,
    "sourcing": True,
}
"""As a broker of 2.15 makes it for a mirror; nats-py has no words for some of it."""


async def add_absent_mirror(bus: NATSBus) -> None:
    """Have the stream of usage, which is there, keep all for a mirror that never confirms anything."""
    name = f"{subjects.USAGE_STREAM}.{_CONSUMER['name']}"
    request = msgspec.json.encode({"stream_name": subjects.USAGE_STREAM, "config": _CONSUMER})
    answer = await bus.request(f"$JS.API.CONSUMER.CREATE.{name}", request, timeout_s=API_TIMEOUT_S)
    assert "error" not in msgspec.json.decode(answer), answer
