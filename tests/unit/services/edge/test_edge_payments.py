"""Holding and settling requests: once each, at the edge's prices, and on a cheaper model where a budget is used up."""

import asyncio
import itertools
import json
from collections.abc import AsyncIterator

import msgspec
import pytest
from prometheus_client import CollectorRegistry

from services.edge.allowances import Allowances, Grace, HoldRefusedError
from services.edge.client_job import ClientJob
from services.edge.metrics import EdgeMetrics
from services.edge.payments import CHEAPER_MAX, Payments
from tests.support.edge_jobs import edge_job, models
from tests.support.manual_clock import ManualClock
from tests.support.memory_metering import MemoryAccount, MemoryMetering
from tests.support.usage_events import usage_event
from trunkline.bus.allowance import WALLET, Meter, MeterKind, Period
from trunkline.bus.messages import Pricing
from trunkline.bus.snapshots import KeyPolicy, ModelSnapshot
from trunkline.core.errors import ErrorType
from trunkline.core.usage import Units
from trunkline.protocol.dialect import ClientRequest
from trunkline.protocol.routing_wish import RoutingWish
from trunkline.runtime.memory_bus import MemoryBroker
from trunkline.runtime.tasks import TaskSet

ACCOUNT = 7
ONE = 10**6
NAMES = ("large", "medium", "small", "tiny", "secret")
KNOWN = models(
    *(
        ModelSnapshot(
            name, ("vip",) if name == "secret" else ("default",), prices={"input": ONE, "output": (5 - at) * ONE}
        )
        for at, name in enumerate(NAMES)
    )
)
LADDER = dict(itertools.pairwise(NAMES))


def budget(model: str, nano: int, cheaper: dict[str, str] = LADDER) -> Meter:
    return Meter(f"account:daily:{model}", MeterKind.MONEY, Period.DAY, nano, models=(model,), cheaper=cheaper)


class Rig:
    def __init__(self) -> None:
        self.tasks = TaskSet()
        self.clock = ManualClock()
        broker = MemoryBroker()
        self.metering = MemoryMetering(broker, self.clock)
        metrics = EdgeMetrics(CollectorRegistry())
        bus = broker.connect("edge-1")
        self.allowances = Allowances(
            bus, "edge-1", 1, Grace(60.0, 0), clock=self.clock, tasks=self.tasks, metrics=metrics
        )
        self.payments = Payments(self.allowances, KNOWN)

    def account(self, balance: int, *meters: Meter) -> MemoryAccount:
        account = self.metering.accounts[ACCOUNT] = MemoryAccount(balance, meters)
        return account

    def job(
        self,
        model: str = "large",
        path: str = "/v1/chat/completions",
        body: bytes | None = None,
        wish: RoutingWish | None = None,
    ) -> ClientJob:
        asked = ClientRequest(model, False, max_output=100, wish=wish)
        return edge_job(KNOWN, asked, body or json.dumps({"model": model, "messages": []}).encode(), path=path)

    async def hold(self, client: ClientJob) -> bool:
        """Hold a request; returns whether that took a round trip."""
        waiting = self.payments.hold(client)
        if waiting is None:
            return False
        await waiting
        return True

    @property
    def free(self) -> int:
        """What the edge has of the wallet and no job holds."""
        entry = self.allowances._accounts[ACCOUNT].current
        return entry.lease.slices[WALLET].free(self.clock.now())


@pytest.fixture
async def rig() -> AsyncIterator[Rig]:
    rig = Rig()
    await rig.metering.open()
    await rig.allowances.start()
    yield rig
    await rig.tasks.cancel()


async def test_a_request_is_held_and_what_it_came_to_is_settled_once(rig: Rig) -> None:
    rig.account(10**6)
    client = rig.job()
    assert await rig.hold(client)
    assert client.hold is not None
    assert (rig.payments.lease_number(client), rig.free) == (client.hold.lease, 0)
    held = client.hold.need.amounts[0]
    usage = usage_event(job=client.job, account=ACCOUNT, model="large", units=Units(input=7, output=20))
    for _ in range(2):
        rig.payments.settle(client, usage, lost=False)
    assert (client.hold, client.charge_nano) == (None, 7 + 20 * 5)
    assert (rig.free, rig.allowances.holds) == (held - 107, 0)
    assert rig.payments.lease_number(client) == 0


async def test_an_answer_gone_on_with_is_settled_with_the_output_of_both(rig: Rig) -> None:
    rig.account(10**6)
    client = rig.job()
    await rig.hold(client)
    usage = usage_event(
        job=client.job, account=ACCOUNT, model="large", units=Units(input=7, output=20), joined_output=4
    )
    rig.payments.settle(client, usage, lost=False)
    assert client.charge_nano == 7 + 24 * 5


async def test_the_next_request_takes_no_round_trip(rig: Rig) -> None:
    rig.account(10**6)
    first, second = rig.job(), rig.job()
    await rig.hold(first)
    rig.payments.settle(first, None, lost=False)
    assert not await rig.hold(second)


async def test_a_request_that_ends_before_it_is_a_job_gives_its_hold_back(rig: Rig) -> None:
    rig.account(10**6)
    client = rig.job()
    rig.payments.give_up(client)  # it has none yet
    await rig.hold(client)
    assert client.hold is not None
    held = client.hold.need.amounts[0]
    rig.payments.give_up(client)
    assert (client.hold, rig.free) == (None, held)


async def test_a_request_of_which_nothing_is_known_counts_in_full(rig: Rig) -> None:
    account = rig.account(1_000)
    client = rig.job()
    await rig.hold(client)
    assert client.hold is not None
    held, lease = client.hold.need.amounts[0], client.hold.lease
    rig.payments.settle(client, None, lost=True)
    await rig.clock.advance(0.1)
    assert client.hold is None
    assert account.state.leases[lease].drawn == {WALLET: held}
    assert account.state.leases[lease].closing


async def test_a_report_that_cannot_be_priced_counts_as_what_was_held(rig: Rig) -> None:
    rig.account(10**6)
    client = rig.job()
    await rig.hold(client)
    rig.payments.settle(client, usage_event(account=ACCOUNT, model="large", units=Units(input=-7)), lost=False)
    assert (client.charge_nano, rig.free) == (None, 0)


async def test_without_credit_it_is_refused(rig: Rig) -> None:
    rig.account(10)
    with pytest.raises(HoldRefusedError) as refused:
        await rig.hold(rig.job())
    assert refused.value.fault.type is ErrorType.POLICY_NO_CREDIT
    with pytest.raises(HoldRefusedError):
        await rig.hold(rig.job())
    assert rig.allowances.holds == 0


async def test_a_cheaper_model_takes_over_where_a_budget_is_used_up(rig: Rig) -> None:
    rig.account(10**6, budget("large", 10))
    for _ in range(2):
        client = rig.job()
        await rig.hold(client)
        assert (client.model.name, client.asked.model, client.moved_from) == ("medium", "medium", "large")
        assert json.loads(client.exchange.request.body) == {"model": "medium", "messages": []}
        assert client.hold is not None
        assert (client.hold.need.model, client.hold.need.amounts[0]) == (
            "medium",
            len(client.exchange.request.body) // 3 + 400,
        )
        rig.payments.give_up(client)


async def test_the_ladder_has_several_steps_and_the_first_model_is_remembered(rig: Rig) -> None:
    rig.account(10**6, *(budget(name, 10) for name in NAMES[:3]))
    client = rig.job()
    await rig.hold(client)
    assert (client.model.name, client.moved_from) == ("tiny", "large")


async def test_a_ladder_without_end_is_left_in_time(rig: Rig) -> None:
    circle = {"large": "medium", "medium": "large"}
    rig.account(10**6, budget("large", 10, circle), budget("medium", 10, circle))
    with pytest.raises(HoldRefusedError) as refused:
        await rig.hold(rig.job())
    assert refused.value.fault.type is ErrorType.POLICY_BUDGET_SPENT
    assert len(rig.metering.draws) <= CHEAPER_MAX


@pytest.mark.parametrize(
    "cheaper", [{}, {"large": "secret"}, {"large": "none"}], ids=["none", "not allowed", "unknown"]
)
async def test_where_no_cheaper_model_can_be_had_the_budget_is_the_reason(rig: Rig, cheaper: dict[str, str]) -> None:
    rig.account(10**6, budget("large", 10, cheaper))
    client = rig.job()
    with pytest.raises(HoldRefusedError, match="daily budget") as refused:
        await rig.hold(client)
    assert refused.value.meter == budget("large", 10, cheaper)
    assert (client.model.name, client.moved_from) == ("large", "")


async def test_a_limit_moves_nobody_to_a_cheaper_model(rig: Rig) -> None:
    rig.account(10**6, Meter("tier:rpm", MeterKind.REQUESTS, Period.MINUTE, 0))
    client = rig.job()
    with pytest.raises(HoldRefusedError) as refused:
        await rig.hold(client)
    assert (refused.value.fault.type, client.model.name) == (ErrorType.POLICY_RATE_LIMITED, "large")


@pytest.mark.parametrize(
    ("path", "body", "rewritten"),
    [
        (
            "/openai/deployments/large/chat/completions",
            b'{"model":"large","messages":[]}',
            b'{"model":"medium","messages":[]}',
        ),
        ("/v1beta/models/large:generateContent", b'{"contents":[]}', b'{"contents":[]}'),
    ],
    ids=["in path and body", "in the path"],
)
async def test_the_body_names_the_cheaper_model_where_a_provider_would_read_it(
    rig: Rig, path: str, body: bytes, rewritten: bytes
) -> None:
    """Else the dear model would answer at the price of the cheap one."""
    rig.account(10**6, budget("large", 10))
    client = rig.job(path=path, body=body)
    assert client.match is not None
    assert client.match.model == "large"
    await rig.hold(client)
    assert (client.asked.model, client.exchange.request.body) == ("medium", rewritten)


async def test_accounts_are_held_apart(rig: Rig) -> None:
    rig.account(10**6)
    rig.metering.accounts[8] = MemoryAccount(10)
    await rig.hold(rig.job())
    other = KeyPolicy(key=2, key_name="k", account=8, account_name="b", groups=("default",), models=("*",))
    client = edge_job(KNOWN, ClientRequest("large", False, max_output=100), policy=other)
    with pytest.raises(HoldRefusedError):
        await rig.hold(client)
    assert rig.allowances.holds == 1


async def test_many_at_once_are_settled_each_with_its_own(rig: Rig) -> None:
    account = rig.account(10**6)
    clients = [rig.job() for _ in range(50)]
    await asyncio.gather(*(rig.hold(client) for client in clients))
    for number, client in enumerate(clients):
        usage = usage_event(account=ACCOUNT, model="large", units=Units(output=number))
        rig.payments.settle(client, usage, lost=False)
    await rig.clock.advance(0.1)
    lease = rig.allowances._accounts[ACCOUNT].current.lease
    assert (lease.jobs, rig.allowances.holds) == (0, 0)
    drawn = next(iter(account.state.leases.values())).drawn[WALLET]
    assert drawn - rig.free == sum(number * 5 for number in range(50))


async def test_the_hold_is_that_of_the_dearest_model_that_may_answer(rig: Rig) -> None:
    """Each costs its own: what the fallback has come to is priced as the fallback's."""
    rig.account(10**6)
    for named, dearest in ((("small", "large"), 5), (("tiny",), 4)):
        client = rig.job("medium", wish=RoutingWish(named))
        await rig.hold(client)
        assert client.hold is not None
        assert client.hold.need.amounts == (len(client.exchange.request.body) // 3 + 100 * dearest, 1, 111, 0)
        assert (client.hold.need.model, client.hold.need.group) == ("medium", "default")
        rig.payments.settle(client, usage_event(account=ACCOUNT, model="tiny", units=Units(output=20)), lost=False)
        assert client.charge_nano == 20 * 2


async def test_a_request_that_is_moved_takes_the_clients_fallbacks_along(rig: Rig) -> None:
    rig.account(10**6, budget("large", 10))
    client = rig.job(wish=RoutingWish(("medium", "tiny")))
    assert [fallback.model for fallback in client.fallbacks] == ["medium", "tiny"]
    await rig.hold(client)
    assert (client.model.name, client.moved_from) == ("medium", "large")
    assert [fallback.model for fallback in client.fallbacks] == ["tiny"]


async def test_a_model_whose_own_budget_is_used_up_does_not_take_over(rig: Rig) -> None:
    rig.account(10**6, budget("small", 100))
    client = rig.job(wish=RoutingWish(("small", "tiny")))
    await rig.hold(client)
    assert (client.model.name, [fallback.model for fallback in client.fallbacks]) == ("large", ["tiny"])


async def test_fallbacks_bring_their_prices_for_a_client_that_wants_the_cost(rig: Rig) -> None:
    client = rig.job(wish=RoutingWish(("tiny",)))
    [priced] = rig.payments.priced_fallbacks(client)
    assert priced == msgspec.structs.replace(
        client.fallbacks[0], pricing=Pricing({"input": ONE, "output": 2 * ONE}, {}, 0)
    )
    assert client.fallbacks[0].pricing is None


async def test_a_budget_that_covers_the_hold_covers_what_takes_over(rig: Rig) -> None:
    """What the job holds of it is enough for the dearest of them, though nothing is left beside."""
    everything = Meter("account:daily", MeterKind.MONEY, Period.DAY, 511)
    rig.account(10**6, everything, budget("tiny", 10_000))
    client = rig.job(wish=RoutingWish(("small", "tiny")))
    await rig.hold(client)
    assert client.hold is not None
    assert client.hold.need.amounts[0] == 511
    # Nothing of tiny's own budget is here yet: it is asked for, for those who come after.
    assert [fallback.model for fallback in client.fallbacks] == ["small"]
    rig.payments.give_up(client)
    await rig.clock.advance(0.01)  # for the draw and its answer
    client = rig.job(wish=RoutingWish(("small", "tiny")))
    await rig.hold(client)
    assert [fallback.model for fallback in client.fallbacks] == ["small", "tiny"]


async def test_what_takes_over_never_passes_its_own_budget(rig: Rig) -> None:
    rig.account(10**6, budget("small", 1_300))
    jobs = []
    for _ in range(20):
        client = rig.job(wish=RoutingWish(("small",)))
        await rig.hold(client)
        jobs.append(client)
        await rig.clock.advance(0.01)
    backed = [client for client in jobs if client.fallbacks]
    assert len(backed) == 1_300 // 511
    held = [client.hold for client in backed if client.hold is not None]
    assert {hold.others for hold in held} == {(("small", "default"),)}
