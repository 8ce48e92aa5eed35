"""Prices of models and costs of channels with their history, the refresh of list prices, and comparisons."""

import datetime as dt
from collections.abc import Mapping, Sequence

import msgspec
from aiohttp import web

from services.console.context import Context
from services.console.http import answer, bad_request, bind, read_struct
from services.console.query import path_id
from trunkline.policy import list_prices
from trunkline.policy.admin_api import Comparison, NewPrices, Refreshed, UsedModel
from trunkline.policy.changes import compare, entity_id
from trunkline.policy.comparison import NOTE, UsedUnits, compare_models
from trunkline.policy.configuration import ConfigurationError, Names
from trunkline.policy.configuration_checks import Checker
from trunkline.policy.configuration_values import FREE, nano_prices
from trunkline.policy.discounts import month_of
from trunkline.policy.entities import FREE_OF_CHARGE, FROM_OPERATOR, Channel, Model, Prices
from trunkline.policy.list_prices import Serving
from trunkline.policy.operations import prices as operations
from trunkline.policy.strict import FaultList
from trunkline.store import comparison, outbox, price_versions
from trunkline.store.configuration import find_model, read_channels, read_models
from trunkline.store.configuration_writes import find_account, find_channel
from trunkline.store.database import Connection
from trunkline.store.price_versions import add_cost_version, add_model_version

MODELS_MAX = 200
"""Named in one comparison."""


class PricesAPI:
    """Handlers of ``/models/…/prices``, ``/channels/…/costs`` and ``/prices``.

    Args:
        context: of the console.
    """

    def __init__(self, context: Context) -> None:
        self._context = context

    def routes(self) -> list[web.RouteDef]:
        """Return the routes."""
        return [
            bind(operations.SHOW, self._show),
            bind(operations.SET, self._set),
            bind(operations.WITHDRAW, self._withdraw),
            bind(operations.LIST_COSTS, self._show_costs),
            bind(operations.SHOW_COSTS, self._show_costs),
            bind(operations.SET_COSTS, self._set_cost),
            bind(operations.WITHDRAW_COSTS, self._withdraw_cost),
            bind(operations.REFRESH, self._refresh),
            bind(operations.COMPARE, self._compare),
        ]

    # --- models --------------------------------------------------------------------------------------------------

    async def _show(self, request: web.Request) -> web.Response:
        async with self._context.database.connection() as connection:
            return answer(await price_versions.model_versions(connection, request.match_info["name"]))

    async def _set(self, request: web.Request) -> web.Response:
        model, new = request.match_info["name"], await self._read(request)
        async with self._context.changing() as connection:
            await find_model(connection, model)
            prices, source, overrides = await self._priced(connection, model, new)
            await add_model_version(
                connection, model, prices, source, overrides=overrides, effective_from=new.effective_from
            )
            await outbox.enqueue_models(connection, [model])
            return answer(await price_versions.model_versions(connection, model))

    async def _priced(self, connection: Connection, model: str, new: NewPrices) -> tuple[Prices, str, Prices]:
        """Return the prices that are meant, where they come from, and those of them that override a list."""
        if new.free:
            return FREE, FREE_OF_CHARGE, {}
        prices = nano_prices(new.price)
        if not new.over_list:
            return prices, FROM_OPERATOR, {}
        listed = list_prices.list_prices(
            model, _servings(model, await read_channels(connection)), self._context.clock.wall_ms()
        )
        if listed is None:
            raise bad_request(f"No list price is known for {model!r}. Set all of its prices, without over_list.")
        return {**listed, **prices}, list_prices.SOURCE, prices

    async def _withdraw(self, request: web.Request) -> web.Response:
        async with self._context.changing() as connection:
            await price_versions.withdraw_model_version(connection, request.match_info["name"], _version(request))
        return web.Response(status=204)

    async def _read(self, request: web.Request) -> NewPrices:
        """Return the prices that a request sets, checked.

        Raises:
            ConfigurationError: they cannot be.
        """
        new = await read_struct(request, NewPrices)
        faults = FaultList()
        Checker(Names(), faults).price(new.price, "price")
        if new.free and (new.price or new.over_list):
            faults.add("free", "leaves nothing else to be said")
        if not new.price and not new.free and not new.over_list:
            faults.add("price", "must name at least one kind of unit")
        if new.effective_from is not None:
            if new.effective_from.tzinfo is None:
                faults.add("effective_from", "must say its time zone, such as 2030-01-31T00:00:00Z")
            elif new.effective_from.timestamp() * 1000 < self._context.clock.wall_ms():
                faults.add("effective_from", "is past; what was in force then stays. Leave it out for now")
        if faults.faults:
            raise ConfigurationError(faults.faults)
        return new

    # --- channels ------------------------------------------------------------------------------------------------

    async def _show_costs(self, request: web.Request) -> web.Response:
        channel, model = request.match_info["name"], request.match_info.get("model")
        async with self._context.database.connection() as connection:
            return answer(await price_versions.cost_versions(connection, channel, model))

    async def _set_cost(self, request: web.Request) -> web.Response:
        channel, model, new = request.match_info["name"], request.match_info["model"], await self._read(request)
        if new.over_list:
            raise bad_request("Costs follow no list: say all of them, without over_list.")
        async with self._context.changing() as connection:
            channel_id = await find_channel(connection, channel)
            (row,) = await read_channels(connection, [channel])
            if model not in row.models:
                raise bad_request(f"Channel {channel!r} does not serve model {model!r}.")
            prices = FREE if new.free else nano_prices(new.price)
            await add_cost_version(connection, channel_id, model, prices, new.effective_from)
            await outbox.enqueue_channels(connection, [channel_id])
            return answer(await price_versions.cost_versions(connection, channel, model))

    async def _withdraw_cost(self, request: web.Request) -> web.Response:
        channel, model = request.match_info["name"], request.match_info["model"]
        async with self._context.changing() as connection:
            await price_versions.withdraw_cost_version(connection, channel, model, _version(request))
        return web.Response(status=204)

    # --- lists and comparisons -----------------------------------------------------------------------------------

    async def _refresh(self, request: web.Request) -> web.Response:
        dry_run = request.query.get("dry_run", "false")
        if dry_run not in {"true", "false"}:
            raise bad_request("dry_run must be true or false.")
        async with self._context.changing() as connection:
            models = [model for model in await read_models(connection) if model.price_source == list_prices.SOURCE]
            newest, unlisted = _newest(models, await read_channels(connection), self._context.clock.wall_ms())
            changes = compare(newest, {entity_id(model): model for model in models})
            if dry_run == "false":
                changed = [model for model in newest if model not in models]
                for model in changed:
                    await add_model_version(
                        connection, model.name, model.prices, model.price_source, overrides=model.overrides
                    )
                await outbox.enqueue_models(connection, [model.name for model in changed])
        return answer(Refreshed(dry_run == "true", tuple(change for change, _ in changes), tuple(unlisted)))

    async def _compare(self, request: web.Request) -> web.Response:
        account = request.query.get("account", "")
        models = asked_models(request)
        now_ms = self._context.clock.wall_ms()
        month = asked_month(request.query.get("month"), now_ms)
        async with self._context.database.connection() as connection:
            account_id = await find_account(connection, account)
            used = await comparison.month_usage(connection, account_id, month)
            prices = await comparison.prices_now(connection, account_id=account_id, month=month, models=models)
        return answer(compared(account, month, now_ms, used, prices, models=models))


def _version(request: web.Request) -> int:
    return path_id(request, "id")


def _servings(model: str, channels: list[Channel]) -> list[Serving]:
    return [
        Serving(channel.dialect, channel.base_url, channel.models[model])
        for channel in channels
        if model in channel.models
    ]


def _newest(models: list[Model], channels: list[Channel], now_ms: int) -> tuple[list[Model], list[str]]:
    """Return models with what the list says now, and the names of those that it has no more."""
    found, unlisted = [], []
    for model in models:
        listed = list_prices.list_prices(model.name, _servings(model.name, channels), now_ms)
        if listed is None:
            unlisted.append(model.name)
        else:
            found.append(msgspec.structs.replace(model, prices={**listed, **model.overrides}))
    return found, unlisted


def asked_month(text: str | None, now_ms: int) -> dt.date:
    """Return the first day of the month that a request names, or of the present one.

    Raises:
        RequestError: it is none, or to come.
    """
    if text is None:
        return month_of(now_ms)
    try:
        month = dt.date.fromisoformat(f"{text}-01")
    except ValueError as error:
        raise bad_request("month must be a month such as 2030-01.") from error
    if month > month_of(now_ms):
        raise bad_request("month must not be one that is to come.")
    return month


def asked_models(request: web.Request) -> list[str]:
    """Return the models that a request wants to compare with; none of them for all.

    Raises:
        RequestError: there are too many.
    """
    models = [name for name in request.query.get("models", "").split(",") if name]
    if len(models) > MODELS_MAX:
        raise bad_request(f"At most {MODELS_MAX} models can be compared.")
    return models


def compared(
    account: str,
    month: dt.date,
    now_ms: int,
    used: list[UsedUnits],
    prices: Mapping[str, Prices],
    *,
    models: Sequence[str],
) -> Comparison:
    """Return a comparison.

    Args:
        account: whose usage.
        month: its first day.
        now_ms: when the prices were read, in Unix milliseconds.
        used: in the month.
        prices: of the models to compare with.
        models: those that were asked for by name.
    """
    costs = compare_models(used, prices)
    shown = {cost.model for cost in costs}
    return Comparison(
        account=account,
        month=f"{month:%Y-%m}",
        prices_at=dt.datetime.fromtimestamp(now_ms / 1000, dt.UTC),
        note=NOTE,
        paid_nano=sum(part.charge_nano for part in used),
        used=_by_model(used),
        models=tuple(costs),
        left_out=tuple(name for name in dict.fromkeys(models) if name not in shown),
    )


def _by_model(used: list[UsedUnits]) -> tuple[UsedModel, ...]:
    rows: dict[str, UsedModel] = {}
    for part in used:
        row = rows.get(part.model, UsedModel(part.model, 0, 0, 0, 0))
        rows[part.model] = UsedModel(
            model=part.model,
            requests=row.requests + part.units.requests,
            input_tokens=row.input_tokens + part.units.input_total,
            output_tokens=row.output_tokens + part.units.output_total,
            paid_nano=row.paid_nano + part.charge_nano,
        )
    return tuple(sorted(rows.values(), key=lambda row: (-row.paid_nano, row.model)))
