"""An export of New API, or of one-api from which it comes, as a configuration."""

from collections.abc import Callable, Collection
from enum import StrEnum
from typing import Any, Final

from trunkline.policy import configuration_values as values
from trunkline.policy.configuration import DEFAULT_GROUP
from trunkline.policy.imports import tolerant
from trunkline.policy.imports.new_api_accounts import AccountReader
from trunkline.policy.imports.new_api_channels import ChannelReader
from trunkline.policy.imports.new_api_document import Tables, read_tables
from trunkline.policy.imports.new_api_prices import PriceReader
from trunkline.policy.imports.remarks import Imported, RemarkList
from trunkline.policy.list_prices import Serving


class Part(StrEnum):
    """What may be taken out of an export."""

    CHANNELS = "channels"
    """Channels, models with their prices, and groups."""
    ACCOUNTS = "accounts"
    """Users and tokens."""


ALL_PARTS: Final = frozenset(Part)


def convert(data: object, include: Collection[Part], mint: Callable[[], str], now_ms: int) -> Imported:
    """Return what an export is in our terms.

    Args:
        data: plain, as `reading.read_json` returns it.
        include: what is to be taken.
        mint: makes a key's secret.
        now_ms: Unix time in milliseconds.

    Raises:
        ConfigurationError: it is no such document.
    """
    remarks = RemarkList()
    tables = read_tables(data, remarks)
    prices = PriceReader(tables.options, remarks, now_ms)
    configuration: dict[str, Any] = {}
    variables: tuple[str, ...] = ()
    if Part.CHANNELS in include:
        if not tables.options:
            remarks.changed("options", "are not in the export: list prices, and multipliers of 1")
        reader = ChannelReader(remarks, weighted=_weighted(tables))
        rows = enumerate(tables.channels)
        channels = [one for number, row in rows if (one := reader.read(row, f"channels[{number}]")) is not None]
        configuration["channels"] = channels
        configuration["models"] = _models(channels, prices)
        variables = tuple(dict.fromkeys(reader.variables))
    elif tables.channels:
        remarks.left_out("channels", "were not asked for")
    if Part.ACCOUNTS in include:
        accounts = AccountReader(remarks, prices.quota_per_usd, mint, now_ms)
        configuration["accounts"] = accounts.read(tables.users, tables.tokens)
    elif tables.users or tables.tokens:
        remarks.left_out("users", "users and tokens were not asked for")
    configuration["groups"] = prices.groups(_named_groups(configuration, remarks))
    return Imported({name: part for name, part in configuration.items() if part}, remarks.all(), variables)


def _weighted(tables: Tables) -> bool:
    return any(tolerant.whole(row.get("weight"), 0, 1) for row in tables.channels)


def _models(channels: list[dict[str, Any]], prices: PriceReader) -> list[dict[str, Any]]:
    servings: dict[str, list[Serving]] = {}
    for channel in channels:
        for public, upstream in channel["models"].items():
            servings.setdefault(public, []).append(Serving(channel["dialect"], channel["base_url"], upstream))
    models = [entry for name, served in servings.items() if (entry := prices.model(name, served)) is not None]
    prices.rest(servings)
    return models


def _named_groups(configuration: dict[str, Any], remarks: RemarkList) -> list[str]:
    """Return the groups of channels and keys, and take those from channels that cannot be."""
    named: list[str] = []
    for number, channel in enumerate(configuration.get("channels", ())):
        kept = []
        for group in channel["groups"]:
            try:
                values.check_name(group)
            except ValueError as error:
                remarks.left_out(f"channels[{number}].group", f"a group's name {error}")
            else:
                kept.append(group)
        channel["groups"] = kept or [DEFAULT_GROUP]
        named += channel["groups"]
    for account in configuration.get("accounts", ()):
        named += account.get("groups", ())
    return named
