"""Streams to files and back, by JetStream's own snapshots: messages, their numbers, and how far consumers have got.

A stream is a folder as the tool ``nats`` has it (``nats stream backup``): ``stream.tar.s2``, and ``backup.json`` with
its configuration, written last, so that a folder without one is none. Called by `trunkline backup` and `restore`.
"""

import asyncio
from pathlib import Path
from typing import BinaryIO

import msgspec
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.errors import Error as NATSError
from nats.js.api import StreamState
from nats.js.errors import NotFoundError

DATA = "stream.tar.s2"
DESCRIPTION = "backup.json"

CHUNK_BYTES = 128 * 1024
"""As large as the broker sends them by itself."""

CHUNK_TIMEOUT_S = 30.0
"""For the next chunk, or for one to be taken: the broker reads or writes a disk meanwhile."""

_SNAPSHOT = "$JS.API.STREAM.SNAPSHOT"
_RESTORE = "$JS.API.STREAM.RESTORE"
_EXISTS = 10058
"""JetStream's code for a stream that is there already."""

_STATUS, _DONE = "Status", "204"


class BackupError(Exception):
    """A stream cannot be saved or brought back; says why and what to do."""


class _State(msgspec.Struct):
    messages: int = 0
    first_seq: int = 0
    last_seq: int = 0


class Description(msgspec.Struct):
    """What stands in a folder beside the data; JetStream's request for a restore.

    Attributes:
        config: of the stream, as JetStream has it.
        state: of it when it was saved.
    """

    config: msgspec.Raw
    state: msgspec.Raw

    @property
    def messages(self) -> int:
        """How many messages there are."""
        return msgspec.json.decode(self.state, type=_State).messages


class _Error(msgspec.Struct):
    description: str = ""
    err_code: int = 0


class _SnapshotAnswer(msgspec.Struct):
    config: msgspec.Raw = msgspec.Raw(b"null")
    state: msgspec.Raw = msgspec.Raw(b"null")
    error: _Error | None = None


class _RestoreAnswer(msgspec.Struct):
    deliver_subject: str = ""
    error: _Error | None = None


class _SnapshotRequest(msgspec.Struct):
    deliver_subject: str
    chunk_size: int = CHUNK_BYTES
    no_consumers: bool = False
    jsck: bool = True
    """Have the messages' checksums looked at first."""


async def save(client: Client, stream: str, folder: Path) -> Description:
    """Write a stream to a folder of its own; one that it holds from earlier is replaced.

    Args:
        client: connected as a user that may do anything.
        stream: its name.
        folder: made if need be.

    Raises:
        BackupError: there is no such stream, or it did not come whole.
        OSError: the folder cannot be written.
    """
    await asyncio.to_thread(_clear, folder)
    inbox = client.new_inbox()
    chunks = await client.subscribe(inbox)
    try:
        answer = await _ask(client, f"{_SNAPSHOT}.{stream}", msgspec.json.encode(_SnapshotRequest(inbox)))
        described = msgspec.json.decode(answer, type=_SnapshotAnswer)
        if described.error is not None:
            raise BackupError(f"stream {stream} cannot be saved: {described.error.description}")
        with (folder / DATA).open("wb") as target:
            while chunk := await _next_chunk(chunks.next_msg(CHUNK_TIMEOUT_S), stream):
                await asyncio.to_thread(target.write, chunk.data)
                if chunk.reply:  # the broker sends a window of chunks, and waits to be told
                    await chunk.respond(b"")
    finally:
        await chunks.unsubscribe()
    description = Description(described.config, described.state)
    await asyncio.to_thread((folder / DESCRIPTION).write_bytes, msgspec.json.encode(description))
    return description


def _clear(folder: Path) -> None:
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)  # sealed credentials and hashes of keys are in it
    (folder / DESCRIPTION).unlink(missing_ok=True)


async def _next_chunk(coming: object, stream: str) -> Msg | None:
    """Return a chunk, None for the end of all."""
    try:
        message: Msg = await coming  # type: ignore[misc]  # nats-py says no more of it than that it is awaited
    except (NATSError, TimeoutError) as error:
        raise BackupError(f"stream {stream} did not come whole: {type(error).__name__}; try again") from error
    if message.data:
        return message
    # The last message is empty, and says how it went.
    status = (message.headers or {}).get(_STATUS, _DONE)
    if status != _DONE:
        raise BackupError(f"stream {stream} did not come whole: the broker ended it with {status}; try again")
    return None


def read_description(folder: Path) -> Description | None:
    """Return what a folder holds, None if it holds no whole stream.

    Raises:
        BackupError: it cannot be read.
    """
    try:
        return msgspec.json.decode((folder / DESCRIPTION).read_bytes(), type=Description)
    except FileNotFoundError:
        return None
    except (OSError, msgspec.MsgspecError) as error:
        raise BackupError(f"{folder / DESCRIPTION} cannot be read: {type(error).__name__}") from error


async def check(client: Client, stream: str, folder: Path) -> Description:
    """Return what a folder holds, if it can be brought back.

    Raises:
        BackupError: there is no whole stream in the folder, or one is there with messages, or with services that wait
            for some.
    """
    description = await _wanted(client, stream, folder)
    if await _is_read(client, stream):
        raise BackupError(f"stream {stream} is there, and read at this moment. Stop the services and try again")
    return description


async def _wanted(client: Client, stream: str, folder: Path) -> Description:
    description = read_description(folder)
    if description is None:
        raise BackupError(f"{folder} holds no whole stream: {DESCRIPTION} is missing, which is written last")
    found = await _find(client, stream)
    if found is not None and found.messages:
        raise BackupError(
            f"stream {stream} is there and holds {found.messages} messages. Stop the services; if these"
            f" messages are not wanted, delete the stream and try again"
        )
    return description


async def restore(client: Client, stream: str, folder: Path) -> Description:
    """Bring a stream back as it was saved. One that is there and empty gives way.

    Raises:
        BackupError: there is no whole stream in the folder, one with messages is there, or the broker refuses it.
        OSError: the data cannot be read.
    """
    description = await _wanted(client, stream, folder)
    if await _find(client, stream) is not None:
        await client.jetstream().delete_stream(stream)
    request = msgspec.json.encode(description)
    answer = msgspec.json.decode(await _ask(client, f"{_RESTORE}.{stream}", request), type=_RestoreAnswer)
    if answer.error is not None:
        raise BackupError(f"stream {stream} cannot be brought back: {_said(answer.error)}")
    with (folder / DATA).open("rb") as source:
        await _send(client, answer.deliver_subject, source, stream)
    return description


async def _find(client: Client, stream: str) -> StreamState | None:
    try:
        return (await client.jetstream().stream_info(stream)).state
    except NotFoundError:
        return None
    except (NATSError, TimeoutError) as error:
        raise BackupError(f"JetStream does not answer: {type(error).__name__}") from error


async def _is_read(client: Client, stream: str) -> bool:
    try:
        return any(consumer.num_waiting for consumer in await client.jetstream().consumers_info(stream))
    except NotFoundError:
        return False
    except (NATSError, TimeoutError) as error:
        raise BackupError(f"JetStream does not answer: {type(error).__name__}") from error


async def _send(client: Client, subject: str, source: BinaryIO, stream: str) -> None:
    while True:
        chunk = await asyncio.to_thread(source.read, CHUNK_BYTES)
        answer = await _ask(client, subject, chunk)
        # A chunk is taken without a word; the last, empty one is answered by what has become of it all.
        if answer and (error := msgspec.json.decode(answer, type=_RestoreAnswer).error) is not None:
            raise BackupError(f"stream {stream} cannot be brought back: {_said(error)}")
        if not chunk:
            return


def _said(error: _Error) -> str:
    if error.err_code == _EXISTS:
        return "a service has made it anew; stop the services and try again"
    return error.description


async def _ask(client: Client, subject: str, payload: bytes) -> bytes:
    try:
        return bytes((await client.request(subject, payload, timeout=CHUNK_TIMEOUT_S)).data)
    except (NATSError, TimeoutError) as error:
        raise BackupError(f"JetStream does not answer: {type(error).__name__}") from error
