"""A bucket is read whole, each time: an edge that took a full bucket for an empty one would forget every model."""

from trunkline.bus import subjects
from trunkline.runtime.nats_bus import NATSBus


async def test_a_bucket_is_never_taken_for_empty(bus: NATSBus) -> None:
    await bus.kv_put(subjects.KV_MODELS, "only", b"one")
    for _ in range(300):
        assert await bus.kv_all(subjects.KV_MODELS) == {"only": b"one"}
    await bus.kv_delete(subjects.KV_MODELS, "only")
    assert await bus.kv_all(subjects.KV_MODELS) == {}


async def test_many_entries_and_an_empty_bucket(bus: NATSBus) -> None:
    assert await bus.kv_all(subjects.KV_SETTINGS) == {}
    entries = {f"name-{number}": str(number).encode() for number in range(300)}
    for token, value in entries.items():
        await bus.kv_put(subjects.KV_SETTINGS, token, value)
    await bus.kv_delete(subjects.KV_SETTINGS, "name-7")
    del entries["name-7"]
    assert await bus.kv_all(subjects.KV_SETTINGS) == entries
