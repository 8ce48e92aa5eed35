"""Why a job goes where it goes: the plan that a dispatcher would make now, written out. Asked by the console.

It is made with the very tables and scores that dispatchers use (`policy.routing`), of what the console sees: snapshots,
health's weights and figures, and the credentials that are known to be refused. Where dispatchers draw, the shares are
told in place of one draw. Pure.
"""

import datetime as dt

from trunkline.bus.messages import FallbackOn
from trunkline.bus.snapshots import KeyPolicy, ModelSnapshot, Strategy
from trunkline.policy.admin_explain import (
    NotKnown,
    Refused,
    RouteFallback,
    RoutePlan,
    RouteQuestion,
    StrategySource,
)
from trunkline.policy.keys import CompiledKey
from trunkline.policy.route_view import RouteView, Site
from trunkline.policy.strategies import SCORES

_REFUSALS = {
    Refused.NO_MODEL: "There is no model of this name. Add it, or name another.",
    Refused.NOT_ALLOWED: "The key may not use this model: none of its patterns matches the name.",
    Refused.NO_GROUP: "No enabled channel serves this model through a group that the key may use.",
    Refused.UNPRICED: "The model has no price, and is not free. Give it one.",
    Refused.KEY_BLOCKED: "The key is blocked.",
    Refused.KEY_EXPIRED: "The key has expired.",
}


def explain(question: RouteQuestion, policy: KeyPolicy, site: Site, now_ms: int) -> RoutePlan:
    """Return the plan of a job.

    Args:
        question: see there.
        policy: of its key.
        site: see there.
        now_ms: Unix time in milliseconds.
    """
    key, model = CompiledKey(policy), site.models.get(question.model)
    open_groups = () if model is None else tuple(group for group in model.groups if group not in site.closed)
    groups = tuple(group for group in policy.groups if group in open_groups)
    strategy, source = _strategy(question, policy, model, groups)
    refused = _refusal(key, model, groups, now_ms)
    view = RouteView(question, site, strategy, policy.groups)
    candidates = view.candidates(groups) if refused is None else []
    return RoutePlan(
        at=dt.datetime.fromtimestamp(now_ms / 1000, dt.UTC),
        model=question.model,
        groups=groups,
        strategy=strategy,
        strategy_from=source,
        refused=refused,
        message=_REFUSALS[refused] if refused is not None else "" if candidates else view.refusal(groups),
        candidates=tuple(candidates),
        left_out=tuple(view.left_out()),
        fallbacks=_fallbacks(model, key, site),
        hedge=model is not None and model.routing.hedge,
        continues=model is not None and model.routing.continues,
        not_known=_not_known(strategy, site),
    )


def _refusal(key: CompiledKey, model: ModelSnapshot | None, groups: tuple[str, ...], now_ms: int) -> Refused | None:
    """Return why an edge would refuse a job, in the order in which it looks."""
    if key.policy.blocked:
        return Refused.KEY_BLOCKED
    if key.policy.expires_ms is not None and now_ms >= key.policy.expires_ms:
        return Refused.KEY_EXPIRED
    if model is None:
        return Refused.NO_MODEL
    if not key.allows_model(model.name):
        return Refused.NOT_ALLOWED
    if not groups:
        return Refused.NO_GROUP
    return None if model.free or model.prices else Refused.UNPRICED


def _strategy(
    question: RouteQuestion, policy: KeyPolicy, model: ModelSnapshot | None, groups: tuple[str, ...]
) -> tuple[Strategy, StrategySource]:
    if question.strategy is not None:
        return question.strategy, StrategySource.REQUEST
    if policy.strategy is not None:
        return policy.strategy, StrategySource.KEY
    if model is not None and model.routing.strategy is not None:
        return model.routing.strategy, StrategySource.MODEL
    for group in groups:
        if model is not None and group in model.strategies:
            return model.strategies[group], StrategySource.GROUP
    return Strategy.PRIORITY, StrategySource.DEFAULT


def _fallbacks(model: ModelSnapshot | None, key: CompiledKey, site: Site) -> tuple[RouteFallback, ...]:
    if model is None:
        return ()
    routing = model.routing
    occasions: dict[str, list[FallbackOn]] = {}
    for on, names in (
        (FallbackOn.FAILURE, routing.fallbacks),
        (FallbackOn.CONTEXT, routing.context_fallbacks),
        (FallbackOn.FILTER, routing.filter_fallbacks),
    ):
        for name in dict.fromkeys(names):
            occasions.setdefault(name, []).append(on)

    def reached(name: str) -> bool:
        other = site.models.get(name)
        return other is not None and key.allows_model(name) and bool(set(other.groups) & set(key.policy.groups))

    return tuple(RouteFallback(name, tuple(on), reached(name)) for name, on in occasions.items())


def _not_known(strategy: Strategy, site: Site) -> tuple[NotKnown, ...]:
    known = [NotKnown.OWN_JUDGEMENT, NotKnown.COOLING, NotKnown.CONVERSATION]
    if strategy in SCORES:
        known.append(NotKnown.UNDER_WAY)
    if site.refused is None:
        known.append(NotKnown.REFUSED_CREDENTIALS)
    return tuple(known)
