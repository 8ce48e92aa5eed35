"""What the edge makes of metering's answers, and of their absence. The bus is in memory, metering a few lines here."""

import asyncio
import json
from collections.abc import Callable

import pytest
from prometheus_client import CollectorRegistry

from services.edge.client_job import ClientJob
from services.edge.metrics import EdgeMetrics
from services.edge.routes import find_route
from services.edge.self_service import PER_ACCOUNT_MAX, SelfService
from tests.support.waiting import eventually
from trunkline.bus import messages, subjects
from trunkline.bus.inquiry import (
    GenerationInquiry,
    GenerationReport,
    Inquiry,
    InquiryRefusal,
    KeyInquiry,
    KeyReport,
    RefusalReason,
    Report,
    UsageInquiry,
    UsageReport,
    decode_inquiry,
)
from trunkline.bus.port import Message
from trunkline.bus.snapshots import KeyPolicy
from trunkline.core.errors import ErrorType, Fault, FaultError
from trunkline.core.ids import JobIDMint, job_text
from trunkline.policy.keys import CompiledKey
from trunkline.runtime.http_exchange import Exchange, Request
from trunkline.runtime.memory_bus import MemoryBroker

ACCOUNT, KEY = 3, 7
JOB = JobIDMint(1).mint(0)
REPORT = KeyReport("", "UTC", "2027-01-15", 9 * 10**9, 10**9, ())


class Wire:
    """A connection that nothing is written to here."""

    draining = False

    def write(self, wire: bytes) -> bool:
        raise AssertionError("the step before the answer writes nothing")

    def date_line(self) -> bytes:
        return b""

    def answer_begun(self) -> None: ...

    def exchange_ended(self, *, keep_alive: bool) -> None: ...

    def cut(self) -> None: ...


class Rig:
    """Self-service of one edge, and what metering is asked.

    Attributes:
        asked: the questions.
        answer: what metering says to them; None: nothing.
    """

    def __init__(self) -> None:
        self.asked: list[Inquiry] = []
        self.answer: Callable[[Inquiry], Report | None] = lambda _: REPORT
        self._broker = MemoryBroker()
        self._registry = CollectorRegistry()
        self.service = SelfService(self._broker.connect("edge-1"), metrics=EdgeMetrics(self._registry))

    def counted(self, result: str) -> float | None:
        return self._registry.get_sample_value("trunkline_edge_inquiries_total", {"result": result})

    async def listen(self) -> "Rig":
        bus = self._broker.connect("metering-1")

        def take(message: Message) -> None:
            question = decode_inquiry(message.data)
            self.asked.append(question)
            report = self.answer(question)
            if report is not None:
                bus.publish(message.reply, messages.encode(report))

        await bus.subscribe(subjects.ASK, take, queue=subjects.ALLOW_QUEUE)
        return self

    async def get(self, target: str, account: int = ACCOUNT) -> object:
        """Return the JSON that answers a request."""
        path, _, query = target.partition("?")
        request = Request("GET", path, query, {}, b"", "")
        client = ClientJob(Exchange(Wire(), request, keep_alive=True, chunked=True), JOB, 0.0)
        client.match = find_route(path)
        client.key = CompiledKey(KeyPolicy(key=KEY, key_name="ci", account=account, account_name="acme"))
        return json.loads(await self.service.tell(client))

    async def fault(self, target: str) -> Fault:
        with pytest.raises(FaultError) as caught:
            await self.get(target)
        return caught.value.fault


@pytest.mark.parametrize(
    ("target", "question"),
    [
        ("/v1/key", KeyInquiry(ACCOUNT, KEY)),
        ("/v1/dashboard/billing/subscription", KeyInquiry(ACCOUNT, KEY, usage=False)),
        ("/dashboard/billing/usage?start_date=2027-01-01", KeyInquiry(ACCOUNT, KEY, usage=False)),
        ("/v1/usage?from=2027-01-01&by=day", UsageInquiry(ACCOUNT, KEY, "2027-01-01", "", ("day",))),
        ("/v1/usage?scope=account&account=4&key=9", UsageInquiry(ACCOUNT, 0)),
        (f"/v1/generations/{job_text(JOB)}", GenerationInquiry(ACCOUNT, JOB)),
        (f"/v1/generation?id={job_text(JOB)}", GenerationInquiry(ACCOUNT, JOB)),
    ],
)
async def test_a_question_names_the_account_and_key_of_its_client_and_no_other(target: str, question: Inquiry) -> None:
    rig = await Rig().listen()
    rig.answer = lambda _: InquiryRefusal(RefusalReason.BUSY)
    assert (await rig.fault(target)).type is ErrorType.GATEWAY_BUSY
    assert rig.asked == [question]


async def test_answers_become_json() -> None:
    rig = await Rig().listen()
    shown = await rig.get("/v1/key")
    assert isinstance(shown, dict)
    assert (shown["name"], shown["balance_usd"]) == ("ci", "9.00")
    assert await rig.get("/v1/dashboard/billing/usage") == {"object": "list", "total_usage": 100.0}
    rig.answer = lambda _: UsageReport("UTC", "2027-01-01", "2027-01-02", ())
    usage = await rig.get("/v1/usage?from=2027-01-01")
    assert isinstance(usage, dict)
    assert (usage["scope"], usage["from"], usage["to"], usage["data"]) == ("key", "2027-01-01", "2027-01-02", [])
    assert rig.counted("answered") == 3


@pytest.mark.parametrize(
    ("reason", "kind", "param"),
    [
        (RefusalReason.BUSY, ErrorType.GATEWAY_BUSY, None),
        (RefusalReason.AWAY, ErrorType.GATEWAY_NOT_READY, None),
        (RefusalReason.TOO_LONG, ErrorType.CLIENT_BAD_REQUEST, "from"),
        (RefusalReason.TOO_MUCH, ErrorType.CLIENT_BAD_REQUEST, "from"),
        (RefusalReason.UNKNOWN, ErrorType.CLIENT_NOT_FOUND, None),
        (RefusalReason.UNREADABLE, ErrorType.GATEWAY_INTERNAL, None),
    ],
)
async def test_a_refusal_says_what_to_do(reason: RefusalReason, kind: ErrorType, param: str | None) -> None:
    rig = await Rig().listen()
    rig.answer = lambda _: InquiryRefusal(reason)
    fault = await rig.fault("/v1/usage")
    assert (fault.type, fault.param) == (kind, param)
    retried = kind in {ErrorType.GATEWAY_BUSY, ErrorType.GATEWAY_NOT_READY}
    assert fault.retry_after_ms == (1000 if retried else None)


async def test_metering_away_is_a_matter_of_time() -> None:
    rig = Rig()
    fault = await rig.fault("/v1/key")
    assert (fault.type, fault.retry_after_ms) == (ErrorType.GATEWAY_NOT_READY, 1000)
    assert rig.counted("unanswered") == 1


async def test_nothing_settled_and_no_id_at_all_are_the_same_404() -> None:
    rig = await Rig().listen()
    rig.answer = lambda _: GenerationReport(())
    unsettled = await rig.fault(f"/v1/generations/{job_text(JOB)}")
    malformed = await rig.fault("/v1/generations/chatcmpl-1")
    assert unsettled == malformed == await rig.fault("/v1/generation?id=x")
    assert unsettled.type is ErrorType.CLIENT_NOT_FOUND
    assert "a second later" in unsettled.message
    assert len(rig.asked) == 1


async def test_an_answer_to_another_question_is_none() -> None:
    rig = await Rig().listen()
    rig.answer = lambda _: GenerationReport(())
    assert (await rig.fault("/v1/key")).type is ErrorType.GATEWAY_INTERNAL


async def test_one_account_cannot_keep_metering_to_itself() -> None:
    rig = await Rig().listen()
    rig.answer = lambda question: REPORT if isinstance(question, KeyInquiry) and question.account != ACCOUNT else None
    async with asyncio.TaskGroup() as group:
        hanging = [group.create_task(rig.get("/v1/key")) for _ in range(PER_ACCOUNT_MAX)]

        async def all_asked() -> bool:
            return len(rig.asked) == PER_ACCOUNT_MAX

        await eventually(all_asked, within_s=5, what="metering was asked")
        fault = await rig.fault("/v1/key")
        assert (fault.type, fault.retry_after_ms) == (ErrorType.POLICY_RATE_LIMITED, 1000)
        assert await rig.get("/v1/key", account=ACCOUNT + 1)
        for task in hanging:
            task.cancel()
    rig.answer = lambda _: REPORT
    assert await rig.get("/v1/key"), "those that have ended count no more"
