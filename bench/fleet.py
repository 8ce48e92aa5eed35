"""A fleet under load in simulated time: clients, dispatchers, health and providers. Called by `bench.strategies`.

What decides is the gateway's own: each dispatcher's `Catalog` (routing table, figures, credentials, breakers, budgets
of retries) and `Course`, the reading of providers' errors and headers, and health's `Judge`. Written anew, as short as
they can be, are the shells: the loop of a job's attempts, the batches of outcomes, the publishing of weights and the
schedule of probes. So ten thousand requests take a second.

Left out: edges (requests come to a dispatcher drawn at random, and nobody waits for room), the bytes of requests and
answers, timeouts, hedging, other models that take over, clients that leave, and processes that die or lose messages.
Every answer is a stream, and probes ask for the list of models. `tests/sim` has most of what is left out here.
"""

import heapq
import itertools
import random
from collections.abc import Callable, Iterable
from functools import partial
from typing import NamedTuple, cast

from prometheus_client import CollectorRegistry
from structlog.testing import capture_logs

from bench.fleet_providers import MODEL, Answer, Provider, Upstream
from services.dispatcher.app import TICK_S as DISPATCHER_TICK_S
from services.dispatcher.attempt import AttemptResult
from services.dispatcher.catalog import Catalog, Seat
from services.dispatcher.course import Course
from services.dispatcher.job_entry import JobEntry
from services.dispatcher.metrics import DispatcherMetrics
from services.dispatcher.outcome_outbox import SEND_INTERVAL_S
from services.health.app import TICK_S as HEALTH_TICK_S
from services.health.judge import Judge
from services.health.publisher import REPUBLISH_S
from trunkline.bus import snapshots
from trunkline.bus.messages import AttemptOutcome, Envelope, OutcomeBatch
from trunkline.bus.snapshots import Strategy
from trunkline.core import limits
from trunkline.core.errors import ErrorType, Fault
from trunkline.policy.breaker import CHANNEL_FAULTS
from trunkline.policy.routing import Candidate
from trunkline.policy.vault import Vault
from trunkline.protocol.upstream_error import CUT, RetryClass, read_upstream_error

DISPATCHERS = 3
MESSAGE_S = 0.001
"""From one process to another."""

PROBE_INTERVAL_S = 5.0
DOUBT_INTERVAL_S = 1.0
PROBE_S = 0.05

EPOCH_MS = 1_790_000_000_000
TOKENS_IN = 400
"""Input tokens of a request, for the limits of tokens."""

KNOWN_S = 0.1
"""From a verdict of health to the moment when no dispatcher has an excuse any more."""

_UNREACHABLE = AttemptResult(
    Fault(ErrorType.UPSTREAM_UNREACHABLE, "The provider could not be reached."), RetryClass.OTHER_CHANNEL
)
_CUT = AttemptResult(CUT.fault, CUT.cls)
_ERROR_BODY = b'{"error":{"message":"no"}}'


class Request(NamedTuple):
    """What a client asks.

    Attributes:
        at_s: when.
        tokens: of the answer.
        conversation: above 0.
    """

    at_s: float
    tokens: int
    conversation: int


class Served(NamedTuple):
    """What came of a request.

    Attributes:
        at_s: when it was sent.
        first_s: from there to the first token; None if none came.
        whole: it got all of its answer.
        attempts: that were made for it.
        channel: number of the provider that answered, from 1 on; 0 if none did.
        credential: with which account.
        tokens: of the answer.
        conversation: see `Request`.
    """

    at_s: float
    first_s: float | None
    whole: bool
    attempts: int
    channel: int
    credential: int
    tokens: int
    conversation: int


class Call(NamedTuple):
    """One attempt, as the providers see it.

    Attributes:
        at_s: when it was made.
        channel: number of the provider.
        weight: what health said of the channel then, and had said for `KNOWN_S` at the least; else 1.
        status: of the answer.
    """

    at_s: float
    channel: int
    weight: float
    status: int


class _Clock:
    """The simulated time, as a process sees it."""

    def __init__(self, fleet: "Fleet") -> None:
        self._fleet = fleet

    def now(self) -> float:
        return self._fleet.now

    def wall_ms(self) -> int:
        return EPOCH_MS + round(self._fleet.now * 1000)

    async def sleep(self, seconds: float) -> None:
        raise NotImplementedError

    def call_later(self, seconds: float, callback: Callable[[], None]) -> "_Clock":
        raise NotImplementedError

    def cancel(self) -> None:
        raise NotImplementedError


class _Dispatcher:
    """A catalog, and the outcomes that health has not been told."""

    def __init__(self, fleet: "Fleet", seed: int) -> None:
        metrics = DispatcherMetrics(CollectorRegistry())
        self.catalog = Catalog(Vault({1: bytes(32)}), seed, clock=_Clock(fleet), metrics=metrics)
        self.catalog.credentials.dispatchers = DISPATCHERS
        self.outcomes: list[AttemptOutcome] = []


class _Job:
    """A request in a dispatcher's hands; stands in for `services.dispatcher.job_entry.JobEntry`."""

    def __init__(self, request: Request, dispatcher: _Dispatcher, envelope: Envelope) -> None:
        self.request = request
        self.dispatcher = dispatcher
        self.deadline = request.at_s + envelope.deadline_s
        self.attempts = 0
        self.first_s: float | None = None
        self.course = Course(
            cast("JobEntry", self), envelope, b"", catalog=dispatcher.catalog, now=request.at_s + MESSAGE_S
        )


class _Attempt:
    """A call under way."""

    def __init__(self, job: _Job, candidate: Candidate, seat: Seat, began: float, answer: Answer) -> None:
        self.job = job
        self.candidate = candidate
        self.seat = seat
        self.began = began
        self.answer = answer
        self.first_at = 0.0
        self.over = False


class Fleet:
    """One simulation.

    Args:
        providers: in the order of their numbers, from 1 on.
        requests: in the order of their times.
        strategy: of all requests.
        affinity: whether requests of a conversation are known as such.
        seed: of everything that chance decides but the requests.

    Attributes:
        now: simulated seconds.
        served: in the order in which they ended.
        calls: in the order in which they were made.
    """

    def __init__(
        self,
        providers: Iterable[Provider],
        requests: Iterable[Request],
        strategy: Strategy,
        *,
        affinity: bool,
        seed: int,
    ) -> None:
        self.now = 0.0
        self.served: list[Served] = []
        self.calls: list[Call] = []
        self._random = random.Random(seed)
        self._events: list[tuple[float, int, Callable[[], None]]] = []
        self._order = itertools.count()
        self._strategy = strategy
        self._affinity = affinity
        self._upstreams = {
            number: Upstream(provider, f"{seed} {provider.name}") for number, provider in enumerate(providers, 1)
        }
        self._under_way: dict[int, dict[_Attempt, None]] = {number: {} for number in self._upstreams}
        self._dispatchers = [_Dispatcher(self, self._random.getrandbits(32)) for _ in range(DISPATCHERS)]
        self._changed: dict[int, None] = {}
        self._said: dict[int, tuple[float, float]] = {}
        self._judge = Judge({}, self._verdict_changed)
        self._version = 0
        self._probe_at = {number: self._random.random() * PROBE_INTERVAL_S for number in self._upstreams}
        self._requests = iter(requests)
        self._begin()

    def run(self, until_s: float) -> None:
        """See the simulation through to a time."""
        with capture_logs():
            while self._events and self._events[0][0] <= until_s:
                self.now, _, call = heapq.heappop(self._events)
                call()
        self.now = until_s

    def _after(self, seconds: float, call: Callable[[], None]) -> None:
        heapq.heappush(self._events, (self.now + seconds, next(self._order), call))

    def _begin(self) -> None:
        for number, upstream in self._upstreams.items():
            channel = upstream.provider.channel(number)
            self._judge.put(channel, 0.0)
            for dispatcher in self._dispatchers:
                dispatcher.catalog.channel_changed(str(number), snapshots.encode(channel))
            for trouble in upstream.provider.troubles:
                if trouble.dead:
                    self._after(trouble.begin_s, partial(self._die, number))
        for turn, dispatcher in enumerate(self._dispatchers):
            self._after(DISPATCHER_TICK_S * turn / DISPATCHERS, partial(self._dispatcher_tick, dispatcher))
            self._after(SEND_INTERVAL_S * turn / DISPATCHERS, partial(self._send_outcomes, dispatcher))
        self._after(0.0, self._health_tick)
        self._after(REPUBLISH_S, self._republish)
        self._next_request()

    # --- requests ----------------------------------------------------------------------------------------------

    def _next_request(self) -> None:
        request = next(self._requests, None)
        if request is not None:
            self._after(request.at_s - self.now, partial(self._ask, request))

    def _ask(self, request: Request) -> None:
        self._next_request()
        envelope = Envelope(
            edge="edge",
            reply="",
            offered_ms=0,
            deadline_s=limits.TOTAL_TIMEOUT_S,
            dialect="openai-chat",
            model=MODEL,
            stream=True,
            wants_usage=False,
            account=1,
            key=1,
            groups=("default",),
            body_bytes=0,
            credit=0,
            affinity=request.conversation if self._affinity else 0,
            strategy=self._strategy,
        )
        dispatcher = self._dispatchers[self._random.randrange(DISPATCHERS)]
        self._after(MESSAGE_S, lambda: self._go_on(_Job(request, dispatcher, envelope)))

    def _go_on(self, job: _Job) -> None:
        """Make the next attempt; see `services.dispatcher.job_runner`."""
        candidate = job.course.next(self.now)
        if candidate is None or job.attempts >= limits.ATTEMPTS_PER_OFFER_MAX:
            self._end(job, None)
            return
        seat = job.dispatcher.catalog.seat(candidate, self.now)
        job.attempts += 1
        if candidate.wait_s:
            self._after(candidate.wait_s, partial(self._call, job, candidate, seat))
        else:
            self._call(job, candidate, seat)

    def _end(self, job: _Job, attempt: _Attempt | None, *, whole: bool = False) -> None:
        request = job.request
        channel = credential = 0
        if attempt is not None:
            channel, credential = attempt.candidate.channel.id, _identity(attempt.candidate)
        self.served.append(
            Served(
                request.at_s,
                job.first_s,
                whole,
                job.attempts,
                channel,
                credential,
                request.tokens,
                request.conversation,
            )
        )

    # --- attempts ----------------------------------------------------------------------------------------------

    def _call(self, job: _Job, candidate: Candidate, seat: Seat) -> None:
        channel, request = candidate.channel.id, job.request
        answer = self._upstreams[channel].answer(_identity(candidate), request.conversation, request.tokens, self.now)
        weight, since = self._said.get(channel, (1.0, 0.0))
        known = self.now - since > KNOWN_S
        self.calls.append(Call(self.now, channel, weight if known else 1.0, answer.status))
        attempt = _Attempt(job, candidate, seat, self.now, answer)
        if answer.status == 200:
            self._under_way[channel][attempt] = None
        self._after(answer.first_s, partial(self._heard, attempt))

    def _heard(self, attempt: _Attempt) -> None:
        """The head of an answer has come, and with a good one its first token."""
        if attempt.over:
            return
        answer, catalog = attempt.answer, attempt.job.dispatcher.catalog
        if answer.status == 0:
            self._over(attempt, _UNREACHABLE)
            return
        catalog.hear(attempt.candidate, answer.headers)
        if answer.status != 200:
            error = read_upstream_error(answer.status, answer.headers, _ERROR_BODY, EPOCH_MS)
            self._over(attempt, AttemptResult(error.fault, error.cls, error.cool_ms))
            return
        attempt.first_at = self.now
        attempt.job.first_s = self.now - attempt.job.request.at_s
        attempt.seat.underway.first_output(self.now - attempt.began, self.now)
        self._after(answer.writing_s, partial(self._over, attempt, AttemptResult(None)))

    def _die(self, channel: int) -> None:
        for attempt in list(self._under_way[channel]):
            self._over(attempt, _CUT)

    def _over(self, attempt: _Attempt, result: AttemptResult) -> None:
        """An attempt has ended; see `services.dispatcher.job_runner`."""
        if attempt.over:
            return
        attempt.over = True
        channel, job = attempt.candidate.channel.id, attempt.job
        if attempt.answer.status == 200:
            del self._under_way[channel][attempt]
            self._upstreams[channel].under_way -= 1
        self._learn(attempt, result)
        if result.fault is None or attempt.first_at:
            self._end(job, attempt, whole=result.fault is None)
            return
        job.course.failed(attempt.candidate, result)
        if result.retry is RetryClass.NEVER:
            self._end(job, None)
        else:
            self._go_on(job)

    def _learn(self, attempt: _Attempt, result: AttemptResult) -> None:
        job, candidate, underway = attempt.job, attempt.candidate, attempt.seat.underway
        whole, tokens = result.fault is None, job.request.tokens
        error = None if result.fault is None else result.fault.type
        attempt.seat.leave(TOKENS_IN + tokens if whole else 0, self.now)
        if whole:
            underway.streamed(tokens, self.now - attempt.first_at, self.now)
        job.dispatcher.catalog.learn(candidate, result.fault, result.cool_ms, began=attempt.began, now=self.now)
        underway.judged(failed=error in CHANNEL_FAULTS, now=self.now)
        first_ms = round((attempt.first_at - attempt.began) * 1000) if attempt.first_at else 0
        job.dispatcher.outcomes.append(
            AttemptOutcome(
                channel=candidate.channel.id,
                credential=_identity(candidate),
                model=MODEL,
                error=error,
                status=attempt.answer.status,
                first_token_ms=first_ms,
                output_tokens=tokens if whole else 0,
                duration_ms=round((self.now - attempt.began) * 1000),
                stream=True,
            )
        )

    # --- dispatchers and health --------------------------------------------------------------------------------

    def _dispatcher_tick(self, dispatcher: _Dispatcher) -> None:
        dispatcher.catalog.tick()
        self._after(DISPATCHER_TICK_S, partial(self._dispatcher_tick, dispatcher))

    def _send_outcomes(self, dispatcher: _Dispatcher) -> None:
        if dispatcher.outcomes:
            batch = OutcomeBatch("dispatcher", tuple(dispatcher.outcomes))
            dispatcher.outcomes = []
            self._after(MESSAGE_S, partial(self._judge_outcomes, batch))
        self._after(SEND_INTERVAL_S, partial(self._send_outcomes, dispatcher))

    def _judge_outcomes(self, batch: OutcomeBatch) -> None:
        self._judge.receive_outcomes(batch, self.now)
        self._publish()

    def _health_tick(self) -> None:
        self._judge.tick(self.now)
        for channel, at in self._probe_at.items():
            interval_s = DOUBT_INTERVAL_S if self._judge.suspect(channel) else PROBE_INTERVAL_S
            if at + interval_s <= self.now:
                self._probe_at[channel] = self.now
                self._after(PROBE_S, partial(self._probed, channel))
        self._publish()
        self._after(HEALTH_TICK_S, self._health_tick)

    def _probed(self, channel: int) -> None:
        # A list of models: it comes as long as anybody listens.
        passed = not self._upstreams[channel].trouble(self.now).dead
        self._judge.receive_probe(channel, passed=passed, now=self.now)
        self._publish()

    def _verdict_changed(self, channel: int) -> None:
        self._changed[channel] = None

    def _republish(self) -> None:
        self._changed |= dict.fromkeys(self._upstreams)
        self._publish()
        self._after(REPUBLISH_S, self._republish)

    def _publish(self) -> None:
        for channel in self._changed:
            self._version += 1
            weight = self._judge.weight(channel, self._version, self.now)
            if weight is None:
                continue
            if self._said.get(channel, (1.0, 0.0))[0] != weight.weight:
                self._said[channel] = weight.weight, self.now
            value = snapshots.encode(weight)
            for dispatcher in self._dispatchers:
                self._after(MESSAGE_S, partial(dispatcher.catalog.weight_changed, str(channel), value))
        self._changed.clear()


def _identity(candidate: Candidate) -> int:
    return 0 if candidate.credential is None else candidate.credential.id
