"""Channels, and what health says of them, for tests of the console's history."""

from collections.abc import Iterable

from trunkline.bus import messages, subjects
from trunkline.bus.messages import CredentialEvent, HealthSample
from trunkline.runtime.nats_bus import NATSBus
from trunkline.store.database import Connection

STATES = {"s": "serving", "e": "ejected", "p": "probing"}


def sample(channel: int, letter: str, at_ms: int, model: str = "", *, successes: int = 6) -> HealthSample:
    """Return a sample: ``s`` serving, ``e`` ejected, ``p`` probing; every other success is a stream."""
    return HealthSample(channel, model, at_ms, STATES[letter], 1.0, successes, 1, 200, successes // 2)


async def add_channel(
    connection: Connection, name: str, models: Iterable[str], groups: Iterable[str] = ("default",)
) -> int:
    """Add a channel and return its id."""
    number: int = await connection.fetchval(
        "insert into channels (name, dialect, base_url, models, groups, timeouts, params)"
        " values ($1, 'openai', 'http://secret-provider.example', (select coalesce(jsonb_object_agg(m, m), '{}')"
        " from unnest($2::text[]) m), $3, '{}', '{}') returning id",
        name,
        list(models),
        list(groups),
    )
    return number


async def add_credential(connection: Connection, channel: int, fingerprint: str) -> int:
    """Add a credential and return its id."""
    number: int = await connection.fetchval(
        "insert into credentials (channel_id, fingerprint, master, nonce, ciphertext)"
        " values ($1, $2, 1, '\\x00', '\\x00') returning id",
        channel,
        fingerprint,
    )
    return number


async def store(bus: NATSBus, body: HealthSample | CredentialEvent, *, twice_as: str = "") -> None:
    """Store a sample or an event as health does; with another id the broker takes it for another message."""
    if isinstance(body, HealthSample):
        subject = subjects.health(body.channel)
        message_id = f"{body.channel}-{body.at_ms}-{subjects.kv_token(body.model)}"
    else:
        subject = subjects.credential(body.channel, body.credential)
        message_id = f"credential-{body.credential}-{body.at_ms}-{body.refused}"
    await bus.store(subject, messages.encode(body), message_id=message_id + twice_as, timeout_s=5)
