"""Who decides on the strategy of a request, and which models take over from which."""

import pytest

from services.edge.client_job import ClientJob
from services.edge.routing_wishes import FALLBACKS_HEADER, STRATEGY_HEADER, choose_model, route
from tests.support.edge_jobs import edge_job, models
from trunkline.bus import snapshots, subjects
from trunkline.bus.messages import Fallback, FallbackOn
from trunkline.bus.snapshots import KeyPolicy, ModelRouting, ModelSnapshot, Strategy
from trunkline.core import limits
from trunkline.core.errors import ErrorType, Fault, FaultError
from trunkline.protocol.dialect import ClientRequest
from trunkline.protocol.routing_wish import RoutingWish

PRICES = {"input": 1, "output": 2}
FAILURE, CONTEXT, FILTER = FallbackOn.FAILURE, FallbackOn.CONTEXT, FallbackOn.FILTER
ASKED = (FAILURE, CONTEXT)
MANY = tuple(f"many-{number}" for number in range(limits.FALLBACKS_MAX + 1))


def model(name: str, *groups: str, routing: ModelRouting | None = None, **more: Strategy) -> ModelSnapshot:
    return ModelSnapshot(
        name, groups or ("default",), prices=PRICES, routing=routing or ModelRouting(), strategies=more
    )


KNOWN = models(
    model("plain"),
    model("a", "vip", "default"),
    model("b"),
    model("secret", "gold"),
    model("unserved", "default"),
    model("away"),
    ModelSnapshot("unpriced", ("default",)),
    model(
        "backed",
        routing=ModelRouting(
            fallbacks=("a", "secret", "backed", "none", "a"), context_fallbacks=("b", "a"), filter_fallbacks=("plain",)
        ),
    ),
    model("grouped", "vip", "default", default=Strategy.COST, vip=Strategy.LATENCY),
    model("half", "vip", "default", default=Strategy.COST),
    model("fast", routing=ModelRouting(strategy=Strategy.THROUGHPUT), default=Strategy.COST),
    model("crowd", routing=ModelRouting(fallbacks=MANY)),
    *map(model, MANY),
)
KNOWN.changed(subjects.kv_token("unserved"), snapshots.encode(ModelSnapshot("unserved", (), prices=PRICES)))
KNOWN.access_changed(subjects.kv_token("away"), snapshots.encode(snapshots.ModelAccess("away", ("default", "vip"))))


def policy(*, strategy: Strategy | None = None, patterns: tuple[str, ...] = ("*",)) -> KeyPolicy:
    return KeyPolicy(
        key=1,
        key_name="k",
        account=7,
        account_name="a",
        groups=("vip", "default"),
        models=patterns,
        strategy=strategy,
    )


def routed(
    name: str,
    *fallbacks: str,
    strategy: str = "",
    headers: dict[str, str] | None = None,
    key: KeyPolicy | None = None,
) -> ClientJob:
    wish = RoutingWish(fallbacks, strategy) if fallbacks or strategy else None
    return edge_job(KNOWN, ClientRequest(name, False, wish=wish), policy=key or policy(), headers=headers)


def refusal(
    *names: str, strategy: str = "", headers: dict[str, str] | None = None, key: KeyPolicy | None = None
) -> Fault:
    with pytest.raises(FaultError) as caught:
        routed("plain", *names, strategy=strategy, headers=headers, key=key)
    return caught.value.fault


def test_the_request_decides_before_the_key_the_model_and_the_group() -> None:
    busy = policy(strategy=Strategy.LEAST_BUSY)
    assert routed("fast", strategy="latency", key=busy).strategy is Strategy.LATENCY
    assert routed("fast", headers={STRATEGY_HEADER: "cost"}, key=busy).strategy is Strategy.COST
    assert routed("fast", strategy="latency", headers={STRATEGY_HEADER: "cost"}).strategy is Strategy.LATENCY
    assert routed("fast", key=busy).strategy is Strategy.LEAST_BUSY
    assert routed("fast").strategy is Strategy.THROUGHPUT
    assert routed("grouped").strategy is Strategy.LATENCY
    assert routed("half").strategy is Strategy.COST
    assert routed("plain").strategy is Strategy.PRIORITY


@pytest.mark.parametrize("in_body", [True, False])
def test_an_unknown_strategy_is_refused_with_the_known(*, in_body: bool) -> None:
    fault = refusal(strategy="luck") if in_body else refusal(headers={STRATEGY_HEADER: "luck"})
    assert fault.type is ErrorType.CLIENT_BAD_REQUEST
    assert fault.param == ("zenmux-route.strategy" if in_body else None)
    assert "priority, cost, latency, throughput, least-busy" in fault.message


def test_the_clients_models_take_over_in_its_order_with_their_own_groups() -> None:
    assert routed("plain", "b", "plain", "a").fallbacks == (
        Fallback("b", ("default",), ASKED),
        Fallback("a", ("vip", "default"), ASKED),
    )
    assert routed("plain").fallbacks == ()


def test_a_header_names_them_where_the_body_does_not() -> None:
    named = {FALLBACKS_HEADER: "b , a"}
    assert [fallback.model for fallback in routed("plain", headers=named).fallbacks] == ["b", "a"]
    assert [fallback.model for fallback in routed("plain", "a", headers=named).fallbacks] == ["a"]
    assert [fallback.model for fallback in routed("plain", strategy="cost", headers=named).fallbacks] == ["b", "a"]
    assert refusal(headers={FALLBACKS_HEADER: "b,"}).type is ErrorType.CLIENT_BAD_REQUEST
    empty = routed("plain", headers={FALLBACKS_HEADER: " ", STRATEGY_HEADER: ""})
    assert (empty.fallbacks, empty.strategy) == ((), Strategy.PRIORITY)


def test_the_operators_follow_each_on_its_occasions_without_those_that_the_key_may_not_use() -> None:
    operators = (
        Fallback("a", ("vip", "default"), (FAILURE, CONTEXT)),
        Fallback("b", ("default",), (CONTEXT,)),
        Fallback("plain", ("default",), (FILTER,)),
    )
    assert routed("backed").fallbacks == operators
    assert routed("backed").fallbacks is routed("backed").fallbacks, "nothing is made for each request"
    assert [fallback.model for fallback in routed("backed", key=policy(patterns=("b*",))).fallbacks] == ["b"]


def test_a_model_that_both_name_takes_over_on_all_occasions() -> None:
    assert routed("backed", "plain").fallbacks == (
        Fallback("plain", ("default",), (FAILURE, CONTEXT, FILTER)),
        Fallback("a", ("vip", "default"), (FAILURE, CONTEXT)),
        Fallback("b", ("default",), (CONTEXT,)),
    )


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("nobody", ErrorType.CLIENT_MODEL_NOT_FOUND),
        ("secret", ErrorType.POLICY_MODEL_NOT_ALLOWED),
        ("unpriced", ErrorType.POLICY_MODEL_NOT_ALLOWED),
    ],
)
def test_a_model_that_the_client_may_not_use_is_named_in_the_refusal(name: str, kind: ErrorType) -> None:
    fault = refusal("a", name)
    assert (fault.type, fault.param) == (kind, None)
    assert fault.message.startswith(f'The fallback model "{name}" cannot be used. ')


def test_a_model_that_is_away_for_now_takes_nothing_down_with_it() -> None:
    assert [fallback.model for fallback in routed("plain", "unserved", "away", "b").fallbacks] == ["b"]
    assert refusal("away", key=policy(patterns=("plain",))).type is ErrorType.CLIENT_MODEL_NOT_FOUND


def test_there_are_not_more_than_can_be_carried() -> None:
    assert len(routed("plain", *MANY[:-1]).fallbacks) == limits.FALLBACKS_MAX
    assert len(routed("plain", "plain", *MANY[:-1]).fallbacks) == limits.FALLBACKS_MAX
    fault = refusal(*MANY)
    assert (fault.type, str(limits.FALLBACKS_MAX) in fault.message) == (ErrorType.CLIENT_BAD_REQUEST, True)
    assert [fallback.model for fallback in routed("crowd").fallbacks] == list(MANY[:-1])
    both = [fallback.model for fallback in routed("crowd", "a", MANY[3]).fallbacks]
    assert both == ["a", MANY[3], *MANY[:3], *MANY[4:7]]


def test_after_a_move_neither_the_old_model_nor_the_new_one_takes_over() -> None:
    client = routed("plain", "a", "b")
    client.model, client.groups = KNOWN.find("backed", client.key)
    client.moved_from = "plain"
    route(client, KNOWN)
    assert [(fallback.model, fallback.on) for fallback in client.fallbacks] == [("a", ASKED), ("b", ASKED)]


@pytest.mark.parametrize("name", ["unserved", "away"])
def test_where_nobody_serves_a_model_the_first_that_may_take_over_answers(name: str) -> None:
    client = routed("plain")
    client.asked, client.wish = ClientRequest(name, False), RoutingWish(("away", "a", "b"))
    choose_model(client, KNOWN)
    assert (client.model.name, client.asked.model, client.moved_from, client.moved_why) == ("a", "a", name, "fallback")
    assert client.groups == ("vip", "default")
    assert client.fallbacks == (Fallback("b", ("default",), ASKED),)
    assert b'"a"' in client.exchange.request.body


def test_where_nobody_serves_a_model_and_nothing_takes_over_it_is_not_found() -> None:
    for wish in (None, RoutingWish(("unserved",))):
        client = routed("plain")
        client.asked, client.wish = ClientRequest("away", False), wish
        with pytest.raises(FaultError) as caught:
            choose_model(client, KNOWN)
        assert caught.value.fault.type is ErrorType.CLIENT_MODEL_NOT_FOUND


def test_what_takes_over_is_no_way_around_what_a_key_may_use() -> None:
    client = routed("plain")
    client.asked, client.wish = ClientRequest("secret", False), RoutingWish(("a",))
    with pytest.raises(FaultError) as caught:
        choose_model(client, KNOWN)
    assert caught.value.fault.type is ErrorType.POLICY_MODEL_NOT_ALLOWED
