"""How a request is routed beyond its model's own channels: by which strategy, and which models take over.

A part of the step ``admit``. What the client wishes goes first (`protocol.routing_wish`, and two headers for SDKs that
refuse unknown fields), then what its key, its model and its groups say. docs/fallbacks.md tells clients.
"""

import json
from typing import Final

import msgspec

from services.edge.client_job import ClientJob
from services.edge.deployments import with_model
from services.edge.models import Models
from trunkline.bus.messages import Fallback, FallbackOn
from trunkline.bus.snapshots import Strategy
from trunkline.core import limits
from trunkline.core.errors import ErrorType, Fault, FaultError
from trunkline.protocol.names import OPENAI_CHAT
from trunkline.protocol.routing_wish import RoutingWish, names_of

FALLBACKS_HEADER: Final = "x-trunkline-fallback-models"
"""Names with commas between them."""

STRATEGY_HEADER: Final = "x-trunkline-strategy"

_NO_WISH: Final = RoutingWish()
_STRATEGIES: Final = {strategy.value: strategy for strategy in Strategy}
_ASKED: Final = (FallbackOn.FAILURE, FallbackOn.CONTEXT)
"""When the models that a client names take over: not where a filter refuses its request, since that is no failure."""


def read_wish(client: ClientJob) -> RoutingWish | None:
    """Return what a request wishes of its routing; its body goes before its headers.

    Raises:
        FaultError: ``client_bad_request``.
    """
    headers, wish = client.exchange.request.headers, client.asked.wish
    if FALLBACKS_HEADER not in headers and STRATEGY_HEADER not in headers:
        return wish
    wish = wish or _NO_WISH
    listed = headers.get(FALLBACKS_HEADER, "").strip()
    fallbacks = wish.fallbacks
    if listed and not fallbacks:
        fallbacks = names_of((name.strip() for name in listed.split(",")), None)
    return RoutingWish(fallbacks, wish.strategy or headers.get(STRATEGY_HEADER, ""), wish.first)


def choose_model(client: ClientJob, models: Models) -> None:
    """Find the model of a request; where no channel serves it now, the first that may take over from it.

    Raises:
        FaultError: the key may not use it, or it is not there and nothing takes over; or as `route`.
    """
    name = client.asked.model
    try:
        client.model, client.groups = models.find(name, client.key)
    except FaultError:
        if not models.unserved(name, client.key):
            raise
        wished = client.wish.fallbacks if client.wish is not None else ()
        for other in (*wished, *models.configured(name).routing.fallbacks):
            try:
                models.find(other, client.key)
            except FaultError:
                continue
            move(client, other, "fallback", models)
            return
        raise
    route(client, models)


def move(client: ClientJob, model: str, why: str, models: Models) -> None:
    """Let another model answer a request, before it becomes a job.

    Args:
        client: whose.
        model: public name.
        why: for the answer's header.
        models: that are there.

    Raises:
        FaultError: the key cannot use it now; or as `route`.
    """
    client.model, client.groups = models.find(model, client.key)
    client.moved_from = client.moved_from or client.asked.model
    client.moved_why = why
    match = client.match
    if match is None or not match.model or match.dialect == OPENAI_CHAT:
        # Elsewhere the path alone names it. Where both do, the body may reach a provider as it is.
        client.exchange.request = with_model(client.exchange.request, model)
    client.asked = msgspec.structs.replace(client.asked, model=model)
    route(client, models)


def route(client: ClientJob, models: Models) -> None:
    """Decide on the strategy of a request and the models that may take over; again where its model has changed.

    Args:
        client: with its wish, its model and its groups.
        models: that are there.

    Raises:
        FaultError: the client wishes a strategy that does not exist, or a model that its key may not use.
    """
    client.strategy = _strategy(client)
    wish = client.wish
    if (wish is not None and wish.fallbacks) or client.moved_from:
        client.fallbacks = _merged(client, models)
    else:
        client.fallbacks = models.fallbacks(client.model, client.key)


def _strategy(client: ClientJob) -> Strategy:
    wish, model = client.wish, client.model
    if wish is not None and wish.strategy:
        found = _STRATEGIES.get(wish.strategy)
        if found is None:
            message = f"There is no routing strategy of this name. There are: {', '.join(_STRATEGIES)}."
            in_body = client.asked.wish is not None and client.asked.wish.strategy
            param = "zenmux-route.strategy" if in_body else None
            raise FaultError(Fault(ErrorType.CLIENT_BAD_REQUEST, message, param=param))
        return found
    strategy = client.key.policy.strategy or model.routing.strategy
    if strategy is None and model.strategies:
        strategy = next((model.strategies[group] for group in client.groups if group in model.strategies), None)
    return Strategy.PRIORITY if strategy is None else strategy


def _merged(client: ClientJob, models: Models) -> tuple[Fallback, ...]:
    """Return the client's models and behind them the operator's, each once, without those that it comes from."""
    left_out = {client.model.name, client.moved_from}
    found: dict[str, Fallback] = {}
    for name in client.wish.fallbacks if client.wish is not None else ():
        if name not in left_out and (groups := _reach(name, client, models)):
            found[name] = Fallback(name, groups, _ASKED)
    if len(found) > limits.FALLBACKS_MAX:
        message = f"At most {limits.FALLBACKS_MAX} models can be named to fall back to. Name fewer."
        raise FaultError(Fault(ErrorType.CLIENT_BAD_REQUEST, message))
    for fallback in models.fallbacks(client.model, client.key):
        name = fallback.model
        if name in found:
            on = tuple(dict.fromkeys((*found[name].on, *fallback.on)))
            found[name] = Fallback(name, fallback.groups, on)
        elif name not in left_out and len(found) < limits.FALLBACKS_MAX:
            found[name] = fallback
    return tuple(found.values())


def _reach(name: str, client: ClientJob, models: Models) -> tuple[str, ...]:
    """Return the groups through which a client reaches a model that it names; none while no channel serves it.

    What is away for now is left out, so that it takes nothing down with it. What will never answer is refused: a list
    that silently shrinks would be found out in an outage.

    Raises:
        FaultError: there is no such model, or it is not for this key; says which.
    """
    try:
        return models.find(name, client.key)[1]
    except FaultError as error:
        if models.unserved(name, client.key):
            return ()
        fault = error.fault
        message = f"The fallback model {json.dumps(name)} cannot be used. {fault.message}"
        raise FaultError(Fault(fault.type, message)) from None
