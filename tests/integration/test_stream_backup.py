"""Streams are saved and brought back on a real broker: messages, numbers, and what consumers have done of them."""

import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import nats
import pytest
from nats.aio.client import Client
from nats.js.api import ConsumerConfig, RetentionPolicy, StorageType, StreamConfig
from nats.js.errors import APIError

from tests.support.waiting import eventually
from trunkline.runtime.stream_backup import DATA, DESCRIPTION, BackupError, check, read_description, restore, save
from trunkline.runtime.tasks import TaskSet

MESSAGES = 300
LONG = b"x" * 4000
"""A megabyte in all: several chunks."""


@pytest.fixture
async def client(nats_url: str) -> AsyncIterator[Client]:
    client = await nats.connect(nats_url)
    jetstream = client.jetstream()
    for stream in await jetstream.streams_info():
        await jetstream.delete_stream(stream.config.name)
    yield client
    await client.close()


async def _queue(client: Client) -> None:
    """Make a work queue of which a consumer has done three messages."""
    jetstream = client.jetstream()
    config = StreamConfig(
        name="QUEUE", subjects=["queue.>"], retention=RetentionPolicy.WORK_QUEUE, storage=StorageType.FILE
    )

    async def made() -> bool:
        # The broker refuses a name whose files it has not removed yet.
        with contextlib.suppress(APIError):
            await jetstream.add_stream(config)
            return True
        return False

    await eventually(made, within_s=10, what="the stream is there")
    for number in range(MESSAGES):
        await jetstream.publish(f"queue.{number}", b"%d " % number + LONG, headers={"Nats-Msg-Id": str(number)})
    pull = await jetstream.pull_subscribe("queue.>", durable="worker", config=ConsumerConfig(ack_wait=30))
    for message in await pull.fetch(3):
        await message.ack_sync()
    await pull.unsubscribe()


async def test_a_stream_comes_back_as_it_was(client: Client, tmp_path: Path) -> None:
    await _queue(client)
    saved = await save(client, "QUEUE", tmp_path / "QUEUE")
    assert saved.messages == MESSAGES - 3
    assert sorted(path.name for path in (tmp_path / "QUEUE").iterdir()) == [DESCRIPTION, DATA]
    jetstream = client.jetstream()
    await jetstream.delete_stream("QUEUE")

    assert (await restore(client, "QUEUE", tmp_path / "QUEUE")).messages == MESSAGES - 3
    found = await jetstream.stream_info("QUEUE")
    assert (found.state.first_seq, found.state.last_seq) == (4, MESSAGES)
    assert found.config.retention == RetentionPolicy.WORK_QUEUE
    pull = await jetstream.pull_subscribe("queue.>", durable="worker", config=ConsumerConfig(ack_wait=30))
    message = (await pull.fetch(1))[0]
    assert (message.subject, message.headers, message.data) == ("queue.3", {"Nats-Msg-Id": "3"}, b"3 " + LONG)
    await pull.unsubscribe()


async def test_an_empty_stream_gives_way_and_one_with_messages_does_not(client: Client, tmp_path: Path) -> None:
    await _queue(client)
    await save(client, "QUEUE", tmp_path)
    with pytest.raises(BackupError, match=r"is there and holds 297 messages\. Stop the services"):
        await restore(client, "QUEUE", tmp_path)
    jetstream = client.jetstream()
    await jetstream.purge_stream("QUEUE")
    await restore(client, "QUEUE", tmp_path)
    assert (await jetstream.stream_info("QUEUE")).state.messages == MESSAGES - 3


async def test_a_stream_that_services_read_does_not_give_way_even_if_it_is_empty(
    client: Client, tmp_path: Path, tasks: TaskSet
) -> None:
    await _queue(client)
    await save(client, "QUEUE", tmp_path)
    jetstream = client.jetstream()
    await jetstream.purge_stream("QUEUE")
    await check(client, "QUEUE", tmp_path)
    pull = await jetstream.pull_subscribe("queue.>", durable="worker", config=ConsumerConfig(ack_wait=30))
    reading = tasks.spawn(pull.fetch(1, timeout=60), name="reading")

    async def waits() -> bool:
        return bool((await jetstream.consumer_info("QUEUE", "worker")).num_waiting)

    await eventually(waits, within_s=10, what="a service waits for a message")
    with pytest.raises(BackupError, match="stream QUEUE is there, and read at this moment"):
        await check(client, "QUEUE", tmp_path)
    await tasks.end(reading)
    await pull.unsubscribe()


async def test_what_is_not_whole_is_refused(client: Client, tmp_path: Path) -> None:
    with pytest.raises(BackupError, match="stream QUEUE cannot be saved: stream not found"):
        await save(client, "QUEUE", tmp_path)
    with pytest.raises(BackupError, match="holds no whole stream"):
        await restore(client, "QUEUE", tmp_path)
    await _queue(client)
    await save(client, "QUEUE", tmp_path)
    await client.jetstream().delete_stream("QUEUE")
    whole = (tmp_path / DATA).read_bytes()
    (tmp_path / DATA).write_bytes(whole[: len(whole) // 2])
    with pytest.raises(BackupError, match="stream QUEUE cannot be brought back: "):
        await restore(client, "QUEUE", tmp_path)
    (tmp_path / DESCRIPTION).write_text("{")
    with pytest.raises(BackupError, match="cannot be read"):
        read_description(tmp_path)
