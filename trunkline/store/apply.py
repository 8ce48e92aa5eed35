"""Applies a configuration in the caller's transaction. Called by the console; a dry run rolls the transaction back.

What the configuration does not name is left alone. Applying the same one again changes nothing.
"""

from collections.abc import Mapping, Sequence

from trunkline.core.money import usd_text
from trunkline.policy.changes import Change, EntityID, FieldChange, compare, entity_id, fingerprint, wanted_entities
from trunkline.policy.configuration import Configuration
from trunkline.policy.configuration_values import nano_amount
from trunkline.policy.entities import (
    Account,
    Channel,
    Cost,
    DiscountSchedules,
    Entity,
    FreeTrial,
    Group,
    Key,
    Model,
    SiteAlerts,
    Tier,
    User,
)
from trunkline.store import configuration_writes as writes
from trunkline.store import ledger, outbox
from trunkline.store.configuration import read_current, read_names, read_trial
from trunkline.store.database import Connection
from trunkline.store.key_writes import put_key
from trunkline.store.price_versions import add_cost_version, add_model_version
from trunkline.store.trials import grant_trial

CREDIT_REFERENCE = "configuration"
"""Reference of an account's credit from a configuration: one per account, so that it is granted once."""


async def apply_configuration(
    connection: Connection, configuration: Configuration, *, pepper: bytes, seal: writes.Seal, now_ms: int
) -> list[Change]:
    """Make the database hold what the configuration says, and return what has changed.

    Args:
        connection: in a transaction that holds `configuration.lock_configuration`.
        configuration: read and checked, secrets resolved.
        pepper: of the keyed hashes.
        seal: encrypts upstream secrets.
        now_ms: Unix time in milliseconds.

    Raises:
        ConflictError: a key's secret belongs to another key.
    """
    known = await read_names(connection)
    current = await read_current(connection, configuration)
    wanted = wanted_entities(configuration, current, known_models=known.models, pepper=pepper, now_ms=now_ms)
    secrets = {
        fingerprint(credential.secret, pepper): credential.secret
        for entry in configuration.channels
        for credential in entry.credential_entries()
    }
    application = _Application(connection, current, secrets, seal)
    changes = []
    for change, entity in compare(wanted, current):
        await application.write(entity)
        changes.append(change)
    changes += await _grant_credits(connection, configuration)
    new = [entry.name for entry in configuration.accounts if entry.trial and ("account", entry.name) not in current]
    changes += await _grant_trials(connection, new)
    await application.project()
    return changes


class _Application:
    """Writes entities and remembers what has to be projected."""

    def __init__(
        self,
        connection: Connection,
        current: Mapping[EntityID, Entity],
        secrets: Mapping[str, str],
        seal: writes.Seal,
    ) -> None:
        self._connection = connection
        self._current = current
        self._secrets = secrets
        self._seal = seal
        self._keys: set[int] = set()
        self._channels: set[int] = set()
        self._models: set[str] = set()
        self._groups: list[str] = []
        self._tiers: list[str] = []
        self._accounts: list[str] = []
        self._settings = False

    async def write(self, entity: Entity) -> None:
        there = self._current.get(entity_id(entity))
        self._note_priority(entity, there)
        match entity:
            case Group():
                await writes.put_group(self._connection, entity)
                self._groups.append(entity.name)
            case Tier():
                await writes.put_tier(self._connection, entity)
            case Account():
                await writes.put_account(self._connection, entity)
            case User():
                await writes.put_user(self._connection, entity)
            case Key():
                self._keys.add(await put_key(self._connection, entity))
            case Model():
                await self._write_model(entity, there)
            case Channel():
                self._channels.add(await writes.put_channel(self._connection, entity, self._secrets, self._seal))
                self._models.update(entity.models)
                self._models.update(there.models if isinstance(there, Channel) else ())
            case Cost():
                channel = await writes.find_channel(self._connection, entity.channel)
                await add_cost_version(self._connection, channel, entity.model, entity.prices)
                self._channels.add(channel)
            case DiscountSchedules():
                await writes.put_discounts(self._connection, entity)
                self._settings = True
            case FreeTrial() | SiteAlerts():
                await writes.put_console_setting(self._connection, entity)

    def _note_priority(self, entity: Entity, there: Entity | None) -> None:
        """Remember whose keys have another priority: a tier's stands in the snapshots of its accounts' keys."""
        match entity, there:
            case Tier(), Tier() if entity.priority != there.priority:
                self._tiers.append(entity.name)
            case Account(), Account() if entity.tier != there.tier:
                self._accounts.append(entity.name)

    async def _write_model(self, model: Model, there: Entity | None) -> None:
        await writes.put_model(self._connection, model)
        priced = (model.prices, model.price_source, model.overrides)
        if not isinstance(there, Model) or priced != (there.prices, there.price_source, there.overrides):
            await add_model_version(
                self._connection, model.name, model.prices, model.price_source, overrides=model.overrides
            )
        self._models.add(model.name)

    async def project(self) -> None:
        # Channels first: a model must not be announced before a dispatcher can know who serves it.
        if self._channels:
            await outbox.enqueue_channels(self._connection, sorted(self._channels))
        if self._groups:
            # A group's multiplier and strategy stand in the snapshots of the models that it reaches.
            self._models |= await outbox.models_of_groups(self._connection, self._groups)
        if self._settings:
            await outbox.enqueue_settings(self._connection)
        if self._models:
            await outbox.enqueue_models(self._connection, self._models)
        if self._accounts or self._tiers:
            self._keys.update(await outbox.keys_of(self._connection, accounts=self._accounts, tiers=self._tiers))
        if self._keys:
            await outbox.enqueue_keys(self._connection, sorted(self._keys))


async def _grant_credits(connection: Connection, configuration: Configuration) -> list[Change]:
    changes = []
    for entry in configuration.accounts:
        if not entry.credit:
            continue
        account_id = await writes.find_account(connection, entry.name)
        amount_nano = nano_amount(entry.credit)
        if await ledger.grant_credit(connection, account_id, amount_nano, CREDIT_REFERENCE):
            credit = FieldChange("credit", "none", f"{usd_text(amount_nano)} USD")
            changes.append(Change("grant", "account", entry.name, (credit,)))
    return changes


async def _grant_trials(connection: Connection, accounts: Sequence[str]) -> list[Change]:
    """Give new accounts the free trial."""
    trial = await read_trial(connection)
    changes = []
    for name in accounts if trial.amount_nano else ():
        if await grant_trial(connection, await writes.find_account(connection, name), trial):
            given = FieldChange("trial", "none", f"{usd_text(trial.amount_nano)} USD for {trial.days} days")
            changes.append(Change("grant", "account", name, (given,)))
    return changes
