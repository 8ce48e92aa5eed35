"""Single changes of the configuration, with their projection. Called by the admin API.

Each runs in the caller's transaction, under `configuration.lock_configuration`.
"""

from collections.abc import Mapping

from trunkline.bus import subjects
from trunkline.policy.entities import Credential
from trunkline.store import outbox
from trunkline.store.configuration import ConflictError, NotFoundError, decode_map, json_text
from trunkline.store.configuration_writes import Seal, find_channel, put_credential
from trunkline.store.database import Connection


async def set_channel_enabled(connection: Connection, channel: str, enabled: bool) -> None:
    """Enable or disable a channel.

    Raises:
        NotFoundError: there is no such channel.
    """
    row = await connection.fetchrow(
        "update channels set enabled = $2 where name = $1 returning id, models", channel, enabled
    )
    if row is None:
        raise NotFoundError(f"there is no channel {channel!r}")
    await outbox.enqueue_channels(connection, [row["id"]])
    await outbox.enqueue_models(connection, decode_map(row["models"]))


async def set_channel_drained(connection: Connection, channel: str, drained: bool) -> None:
    """Drain a channel, or let it take jobs again.

    Raises:
        NotFoundError: there is no such channel.
    """
    channel_id: int | None = await connection.fetchval(
        "update channels set drained = $2 where name = $1 returning id", channel, drained
    )
    if channel_id is None:
        raise NotFoundError(f"there is no channel {channel!r}")
    # What its models offer stays: keys may still ask for them.
    await outbox.enqueue_channels(connection, [channel_id])


async def delete_channel(connection: Connection, channel: str) -> None:
    """Delete a channel with its credentials; what it has earned and its cost prices stay, for the ledger names them.

    Raises:
        NotFoundError: there is no such channel.
    """
    row = await connection.fetchrow("delete from channels where name = $1 returning id, models", channel)
    if row is None:
        raise NotFoundError(f"there is no channel {channel!r}")
    await outbox.enqueue_models(connection, decode_map(row["models"]))
    await outbox.enqueue_delete(connection, subjects.KV_CHANNELS, [str(row["id"])])


async def store_credential(
    connection: Connection, channel: str, credential: Credential, secret: str, seal: Seal
) -> tuple[int, bool]:
    """Add a credential to a channel, or change its weight and limits; return its id and whether it is new.

    Raises:
        NotFoundError: there is no such channel.
    """
    channel_id = await find_channel(connection, channel)
    credential_id, new = await put_credential(connection, channel_id, credential, secret, seal)
    await outbox.enqueue_channels(connection, [channel_id])
    return credential_id, new


async def change_credential(
    connection: Connection, channel: str, credential_id: int, weight: int | None, limits: Mapping[str, int | None]
) -> None:
    """Change a credential's share and limits.

    Args:
        connection: in a transaction.
        channel: its name.
        credential_id: of the credential.
        weight: its new share; None leaves it.
        limits: those that are to be others, by the names of `CredentialLimits`; None takes one away.

    Raises:
        NotFoundError: there is no such channel, or it has no such credential.
    """
    channel_id = await find_channel(connection, channel)
    status = await connection.execute(
        "update credentials set weight = coalesce($3, weight), limits = jsonb_strip_nulls(limits || $4::jsonb)"
        " where channel_id = $1 and id = $2",
        channel_id,
        credential_id,
        weight,
        json_text(limits),
    )
    if status != "UPDATE 1":
        raise NotFoundError(f"channel {channel!r} has no credential {credential_id}")
    await outbox.enqueue_channels(connection, [channel_id])


async def delete_credential(connection: Connection, channel: str, credential_id: int) -> None:
    """Remove a credential from a channel.

    Raises:
        NotFoundError: there is no such channel, or it has no such credential.
    """
    channel_id = await find_channel(connection, channel)
    status = await connection.execute(
        "delete from credentials where channel_id = $1 and id = $2", channel_id, credential_id
    )
    if status != "DELETE 1":
        raise NotFoundError(f"channel {channel!r} has no credential {credential_id}")
    await outbox.enqueue_channels(connection, [channel_id])


async def delete_model(connection: Connection, model: str) -> None:
    """Delete a model that no channel serves; its price versions stay, since the ledger names them.

    Raises:
        NotFoundError: there is no such model.
        ConflictError: a channel serves it, or it takes over for another model.
    """
    serving = await connection.fetch("select name from channels where models ? $1 order by name", model)
    if serving:
        names = ", ".join(row["name"] for row in serving)
        raise ConflictError(f"model {model!r} is served by {names}; take it from there first")
    relying = await connection.fetch(
        "select name from models where routing -> 'fallbacks' ? $1 or routing -> 'context_fallbacks' ? $1"
        " or routing -> 'filter_fallbacks' ? $1 order by name",
        model,
    )
    if relying:
        names = ", ".join(row["name"] for row in relying)
        raise ConflictError(f"model {model!r} is a fallback of {names}; take it from there first")
    if await connection.execute("delete from models where name = $1", model) != "DELETE 1":
        raise NotFoundError(f"there is no model {model!r}")
    await outbox.enqueue_delete(connection, subjects.KV_MODELS, [subjects.kv_token(model)])
