"""The plan of a job, written out: who is asked in which order, who is not and why."""

from typing import Any

import pytest

from trunkline.bus.messages import FallbackOn
from trunkline.bus.snapshots import (
    ChannelSnapshot,
    ChannelState,
    ChannelWeight,
    KeyPolicy,
    ModelFigures,
    ModelRouting,
    ModelSnapshot,
    SealedCredential,
    Strategy,
)
from trunkline.policy.admin_explain import (
    LeftOut,
    NotKnown,
    Refused,
    RouteFallback,
    RoutePlan,
    RouteQuestion,
    StrategySource,
)
from trunkline.policy.credentials import CredentialStates
from trunkline.policy.explaining import explain
from trunkline.policy.route_view import Site
from trunkline.policy.routing import RoutingTable
from trunkline.protocol.fidelity import Feature

NOW_MS = 1_900_000_000_000
MODEL = ModelSnapshot("m", ("default", "vip"), prices={"input": 1})
KEY = KeyPolicy(1, "ci", 1, "acme")


def channel(number: int, dialect: str = "openai", **fields: Any) -> ChannelSnapshot:
    credentials = tuple(SealedCredential(number * 10 + step, 1, b"", b"") for step in (1, 2))
    models = {"m": f"m-at-{number}"}
    return ChannelSnapshot(number, f"channel-{number}", dialect, "http://upstream", credentials, models, **fields)


def weight(number: int, health: float = 1.0, reason: str = "", **fields: Any) -> ChannelWeight:
    state = ChannelState.EJECTED if health == 0 else ChannelState.SERVING if health == 1 else ChannelState.PROBING
    return ChannelWeight(number, state, health, 1, reason, **fields)


def plan(
    *parts: ChannelSnapshot | ChannelWeight,
    question: RouteQuestion | None = None,
    policy: KeyPolicy = KEY,
    model: ModelSnapshot | None = MODEL,
    refused: frozenset[int] | None = frozenset(),
    others: tuple[ModelSnapshot, ...] = (),
    closed: tuple[str, ...] = (),
) -> RoutePlan:
    channels = {part.id: part for part in parts if isinstance(part, ChannelSnapshot)}
    weights = {part.channel: part for part in parts if isinstance(part, ChannelWeight)}
    models = {found.name: found for found in (model, *others) if found is not None}
    site = Site(channels, weights, refused, models, closed)
    return explain(question or RouteQuestion("m"), policy, site, NOW_MS)


def order(found: RoutePlan) -> list[str]:
    return [candidate.channel.removeprefix("channel-") for candidate in found.candidates]


def left_out(found: RoutePlan) -> dict[str, LeftOut]:
    return {left.channel.removeprefix("channel-"): left.why for left in found.left_out}


def test_tiers_by_priority_and_shares_by_weight() -> None:
    found = plan(channel(1, weight=300), channel(2), channel(3, priority=5), weight(1, 0.5))

    assert order(found) == ["3", "1", "2"]
    assert [candidate.tier for candidate in found.candidates] == [1, 2, 2]
    assert [candidate.figures.share for candidate in found.candidates] == [1.0, 0.6, 0.4]
    first = found.candidates[1]
    assert (first.state, first.health, first.weight, first.upstream_model) == ("probing", 0.5, 300, "m-at-1")
    assert (found.strategy, found.strategy_from, found.refused, found.message) == ("priority", "default", None, "")


def test_the_shares_are_those_of_the_draws_of_a_dispatcher() -> None:
    channels = [channel(1, weight=300), channel(2), channel(3, weight=50)]
    found = plan(*channels, weight(1, 0.5))
    table = RoutingTable()
    for one in channels:
        table.put(one)
    table.set_weight(weight(1, 0.5))
    steps = 1000
    firsts = [
        table.plan("m", ("default",), CredentialStates(), lambda step=step: step / steps).next(0.0)  # type: ignore[misc]  # the default binds the loop's value
        for step in range(steps)
    ]

    for candidate in found.candidates:
        drawn = sum(first is not None and first.channel.name == candidate.channel for first in firsts)
        assert candidate.figures.share == pytest.approx(drawn / steps, abs=0.002)


def test_a_tier_that_recovers_comes_last_where_most_jobs_pass_it_over() -> None:
    found = plan(channel(1, priority=9), channel(2), weight(1, 0.05))

    assert order(found) == ["2", "1"]
    assert [(candidate.tier, candidate.turn) for candidate in found.candidates] == [(2, 1.0), (1, 0.05)]


def test_by_cost() -> None:
    question = RouteQuestion("m", strategy=Strategy.COST)
    found = plan(channel(1, costs={"m": 900}), channel(2), channel(3, costs={"m": 200}), question=question)

    assert order(found) == ["3", "1", "2"]
    assert [candidate.figures.cost_nano for candidate in found.candidates] == [200, 900, None]
    assert (found.strategy, found.strategy_from) == ("cost", "request")


def test_by_latency_of_streams_as_health_has_seen_it() -> None:
    question = RouteQuestion("m", strategy=Strategy.LATENCY)
    slow, quick = {"m": ModelFigures(900, 50)}, {"m": ModelFigures(200, 10)}
    found = plan(channel(1), channel(2), weight(1, figures=slow), weight(2, figures=quick), question=question)

    assert order(found) == ["2", "1"]
    assert [candidate.figures.score for candidate in found.candidates] == [0.2, 0.9]
    assert [candidate.figures.share for candidate in found.candidates] == [None, None]
    assert [candidate.figures.first_token_ms for candidate in found.candidates] == [200, 900]
    assert NotKnown.UNDER_WAY in found.not_known


def test_by_throughput() -> None:
    question = RouteQuestion("m", strategy=Strategy.THROUGHPUT)
    slow, quick = {"m": ModelFigures(200, 10)}, {"m": ModelFigures(900, 50)}
    found = plan(channel(1), channel(2), weight(1, figures=slow), weight(2, figures=quick), question=question)

    assert order(found) == ["2", "1"]
    assert [candidate.figures.score for candidate in found.candidates] == [0.02, 0.1]


@pytest.mark.parametrize(
    ("parts", "why", "words", "names"),
    [
        ((channel(1, enabled=False),), LeftOut.OFF, "switched off", ()),
        ((channel(1, drained=True),), LeftOut.DRAINED, "drained", ()),
        ((channel(1, groups=("vip",)),), LeftOut.GROUP, "It is in vip, and the key may use default.", ("vip",)),
        ((channel(1, "cohere"),), LeftOut.UNREADABLE, "'cohere'", ()),
        ((channel(1), weight(1, 0.0, "fails")), LeftOut.EJECTED, "Health has ejected it: fails. It", ("fails",)),
        ((channel(1), weight(1, 0.0)), LeftOut.EJECTED, "Health has ejected it. It", ()),
        ((channel(1), weight(1, refused=("m",))), LeftOut.MODEL_REFUSED, "does not let", ()),
    ],
)
def test_who_is_left_out_and_why(parts: tuple[Any, ...], why: LeftOut, words: str, names: tuple[str, ...]) -> None:
    found = plan(*parts, channel(2))

    assert order(found) == ["2"]
    assert left_out(found) == {"1": why}
    assert words in found.left_out[0].message
    assert found.left_out[0].names == names


def test_a_channel_without_a_credential_that_is_accepted_is_left_out() -> None:
    found = plan(channel(1), channel(2), refused=frozenset({11, 12, 21}))

    assert order(found) == ["2"]
    assert left_out(found) == {"1": LeftOut.CREDENTIALS_REFUSED}
    assert (found.candidates[0].credentials, found.candidates[0].credentials_refused) == (2, 1)


def test_what_is_not_known_of_credentials_leaves_nobody_out_and_is_said() -> None:
    found = plan(channel(1), refused=None)

    assert order(found) == ["1"]
    assert NotKnown.REFUSED_CREDENTIALS in found.not_known
    assert NotKnown.REFUSED_CREDENTIALS not in plan(channel(1)).not_known


def test_a_need_that_a_dialect_cannot_carry() -> None:
    needs = (Feature.AUDIO_INPUT, Feature.SEED)
    question = RouteQuestion("m", dialect="openai-chat", needs=needs)
    found = plan(channel(1), channel(2, "anthropic"), channel(3, "gemini"), question=question)

    assert sorted(order(found)) == ["1", "3"]
    assert left_out(found) == {"2": LeftOut.NEED}
    assert found.left_out[0].message == "Its dialect cannot carry audio_input."
    assert found.left_out[0].names == ("audio_input",)
    assert {one.channel: (one.translated, one.lost) for one in found.candidates} == {
        "channel-1": (False, ()),
        "channel-3": (True, ()),
    }


def test_a_need_that_is_lost_on_the_way_is_told() -> None:
    question = RouteQuestion("m", dialect="openai-chat", needs=(Feature.SEED,))
    found = plan(channel(2, "anthropic"), question=question)

    assert found.candidates[0].lost == (Feature.SEED,)


def test_nothing_is_said_of_translation_where_no_dialect_was_asked_about() -> None:
    found = plan(channel(1, "anthropic"), question=RouteQuestion("m", needs=(Feature.AUDIO_INPUT,)))

    assert (found.candidates[0].translated, found.candidates[0].lost) == (None, ())


@pytest.mark.parametrize(
    ("policy", "model", "refused"),
    [
        (KeyPolicy(1, "ci", 1, "acme", blocked=True), MODEL, Refused.KEY_BLOCKED),
        (KeyPolicy(1, "ci", 1, "acme", expires_ms=NOW_MS), MODEL, Refused.KEY_EXPIRED),
        (KEY, None, Refused.NO_MODEL),
        (KeyPolicy(1, "ci", 1, "acme", models=("gpt-*",)), MODEL, Refused.NOT_ALLOWED),
        (KeyPolicy(1, "ci", 1, "acme", groups=("other",)), MODEL, Refused.NO_GROUP),
        (KEY, ModelSnapshot("m", ("default",)), Refused.UNPRICED),
    ],
)
def test_what_an_edge_refuses_has_no_candidates(
    policy: KeyPolicy, model: ModelSnapshot | None, refused: Refused
) -> None:
    found = plan(channel(1), policy=policy, model=model)

    assert (found.refused, found.candidates) == (refused, ())
    assert found.message


def test_a_free_model_needs_no_price() -> None:
    assert plan(channel(1), model=ModelSnapshot("m", ("default",), free=True)).refused is None


def test_a_group_through_which_no_provider_lets_us_is_as_if_it_were_not_there() -> None:
    found = plan(channel(1, groups=("default", "vip")), policy=KeyPolicy(1, "ci", 1, "acme", ("vip", "default")))
    assert (found.groups, found.candidates[0].group) == (("vip", "default"), "vip")

    assert plan(channel(1), closed=("default", "vip")).refused is Refused.NO_GROUP


def test_nobody_is_left_because_all_fail() -> None:
    found = plan(channel(1), weight(1, 0.0, "probes fail"))

    assert (found.refused, found.candidates) == (None, ())
    assert found.message == "Every channel that serves this model is failing now. Try again later."


def test_nobody_is_left_because_of_a_need() -> None:
    question = RouteQuestion("m", dialect="openai-chat", needs=(Feature.AUDIO_INPUT,))
    found = plan(channel(2, "anthropic"), question=question)

    assert found.message == "No channel that serves this model can be told what the request needs."


@pytest.mark.parametrize(
    ("policy", "model", "expected"),
    [
        (
            KeyPolicy(1, "ci", 1, "acme", strategy=Strategy.LATENCY),
            ModelSnapshot("m", ("default",), free=True, routing=ModelRouting(strategy=Strategy.COST)),
            (Strategy.LATENCY, StrategySource.KEY),
        ),
        (
            KEY,
            ModelSnapshot(
                "m",
                ("default",),
                free=True,
                routing=ModelRouting(strategy=Strategy.COST),
                strategies={"default": Strategy.LATENCY},
            ),
            (Strategy.COST, StrategySource.MODEL),
        ),
        (
            KEY,
            ModelSnapshot("m", ("default",), free=True, strategies={"default": Strategy.LEAST_BUSY}),
            (Strategy.LEAST_BUSY, StrategySource.GROUP),
        ),
    ],
)
def test_who_decides_on_the_strategy(
    policy: KeyPolicy, model: ModelSnapshot, expected: tuple[Strategy, StrategySource]
) -> None:
    found = plan(channel(1), policy=policy, model=model)
    assert (found.strategy, found.strategy_from) == expected


def test_fallbacks_and_when_they_take_over() -> None:
    routing = ModelRouting(fallbacks=("b", "gone"), context_fallbacks=("b", "c"), hedge=True)
    found = plan(
        channel(1),
        policy=KeyPolicy(1, "ci", 1, "acme", models=("m", "b")),
        model=ModelSnapshot("m", ("default",), free=True, routing=routing),
        others=(ModelSnapshot("b", ("default",)), ModelSnapshot("c", ("default",))),
    )

    assert found.fallbacks == (
        RouteFallback("b", (FallbackOn.FAILURE, FallbackOn.CONTEXT), reached=True),
        RouteFallback("gone", (FallbackOn.FAILURE,), reached=False),
        RouteFallback("c", (FallbackOn.CONTEXT,), reached=False),
    )
    assert (found.hedge, found.continues) == (True, False)
