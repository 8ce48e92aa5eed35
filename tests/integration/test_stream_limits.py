"""Streams that are there already: they keep what they hold and get the limits of this version."""

import pytest

from tests.support.servers import Server, free_port, nats_binary, server_directory
from trunkline.bus import subjects
from trunkline.runtime import nats_bus
from trunkline.runtime.nats_bus import NATSBus
from trunkline.runtime.nats_streams import HEALTH_AGE_S, HEALTH_BYTES_MAX
from trunkline.runtime.tasks import TaskSet

HEALTH = subjects.HEALTH_STREAM


async def store(bus: NATSBus, count: int) -> None:
    for number in range(count):
        await bus.store(subjects.health(1), b"x" * 500, message_id=f"{number}", timeout_s=5.0)


async def test_history_is_bounded_by_age_and_bytes_and_usage_is_not(bus: NATSBus) -> None:
    health = (await bus.jetstream.stream_info(HEALTH)).config
    assert (health.max_age, health.max_bytes, health.discard) == (HEALTH_AGE_S, HEALTH_BYTES_MAX, "old")
    usage = (await bus.jetstream.stream_info(subjects.USAGE_STREAM)).config
    assert (usage.max_age, usage.max_bytes, usage.retention) == (0, -1, "workqueue")


async def test_a_full_history_loses_its_oldest(bus: NATSBus) -> None:
    found = (await bus.jetstream.stream_info(HEALTH)).config
    await bus.jetstream.update_stream(found, max_bytes=2000)
    await store(bus, 5)
    assert await bus.stream_span(HEALTH) == (3, 5)


@pytest.mark.parametrize("before", [{"max_age": 3600.0}, {"max_bytes": -1}, {"max_age": 0.0, "max_bytes": 10_000_000}])
async def test_other_limits_are_replaced_and_nothing_else(bus: NATSBus, before: dict[str, float]) -> None:
    made = (await bus.jetstream.stream_info(HEALTH)).created
    found = (await bus.jetstream.stream_info(HEALTH)).config
    await bus.jetstream.update_stream(found, description="ours", **before)
    await store(bus, 3)
    await bus.ensure_streams()
    info = await bus.jetstream.stream_info(HEALTH)
    assert (info.config.max_age, info.config.max_bytes) == (HEALTH_AGE_S, HEALTH_BYTES_MAX)
    assert (info.config.description, info.created) == ("ours", made)
    assert await bus.stream_span(HEALTH) == (1, 3)


async def test_a_stream_that_cannot_be_changed_is_used_as_it_is(bus: NATSBus) -> None:
    found = (await bus.jetstream.stream_info(HEALTH)).config
    # The broker allows no age below the time in which it knows duplicates.
    await bus.jetstream.update_stream(found, max_age=0.0, duplicate_window=2 * HEALTH_AGE_S)
    await bus.ensure_streams()
    assert (await bus.jetstream.stream_info(HEALTH)).config.max_age == 0
    await store(bus, 1)


async def test_a_broker_with_little_room_reserves_less(tasks: TaskSet) -> None:
    with server_directory("nats") as directory:
        port, settings = free_port(), directory / "nats.conf"
        settings.write_text(f'jetstream {{ store_dir: "{directory}/data", max_file_store: 300MB }}')
        command = [nats_binary(), "-a", "127.0.0.1", "-p", str(port), "-c", str(settings)]
        server = Server(command, port, directory / "nats.log", None).start()
        try:
            small = await nats_bus.connect(f"nats://127.0.0.1:{port}", name="test", tasks=tasks)
            for _ in range(2):
                await small.ensure_streams()
                assert (await small.jetstream.stream_info(HEALTH)).config.max_bytes == HEALTH_BYTES_MAX // 4
            await small.close()
        finally:
            server.stop()
