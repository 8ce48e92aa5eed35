"""Metering of the simulated gateway: real decisions on draws, for one account with plenty of money and a few limits."""

from collections import defaultdict

from tests.sim.sim_loop import LoopClock
from trunkline.bus import messages, subjects
from trunkline.bus.allowance import (
    WALLET,
    AllowanceGrants,
    LeaseGrant,
    Meter,
    MeterKind,
    Period,
    Recall,
    decode_allowance_draw,
)
from trunkline.bus.port import Message
from trunkline.policy.grants import AccountState, AccountView, Bearing, decide
from trunkline.runtime.memory_bus import MemoryBroker

METERING = "metering-1"
BALANCE_NANO = 10**15
METERS = (
    Meter(WALLET, MeterKind.MONEY, Period.NONE, 0),
    Meter("tier:rpm", MeterKind.REQUESTS, Period.MINUTE, 10**6),
    Meter("tier:concurrency", MeterKind.CONCURRENCY, Period.NONE, 10**4),
)


async def start_metering(broker: MemoryBroker, clock: LoopClock) -> None:
    """Answer draws of any account."""
    bus = broker.connect(METERING)
    accounts: defaultdict[int, AccountState] = defaultdict(AccountState)

    def answer(message: Message) -> None:
        question = decode_allowance_draw(message.data)
        grants: list[LeaseGrant] = []
        for draw in question.draws:
            view = AccountView(METERS, {WALLET: Bearing(BALANCE_NANO, {})}, "UTC", 0)
            decision = decide(accounts[draw.account], view, question.edge, draw, clock.wall_ms())
            if decision is not None:
                grants.append(decision.grant)
                for edge in decision.recall:
                    bus.publish(subjects.recall(edge), messages.encode(Recall((draw.account,))))
        bus.publish(message.reply, messages.encode(AllowanceGrants(tuple(grants))))

    await bus.subscribe(subjects.ALLOW, answer, queue=subjects.ALLOW_QUEUE)
