"""Runs jobs: one attempt after the other until one answers, nothing is left, or nobody waits any more.

One task per job. It awaits the request body, a connection and the end of each attempt; chunks pass it by.
"""

import asyncio
import contextlib

import msgspec
import structlog

from services.dispatcher.answers import AnswerFacts, TranslatedStream
from services.dispatcher.attempt import OUT_OF_TIME, OUTRUN, Attempt, AttemptResult
from services.dispatcher.attempt_trace import AttemptTraces
from services.dispatcher.catalog import Catalog, Seat
from services.dispatcher.continuation import Continuation
from services.dispatcher.course import Course
from services.dispatcher.fetching import JobMedia, MediaError, MediaFetcher
from services.dispatcher.header_lines import job_line
from services.dispatcher.job_entry import JobEntry
from services.dispatcher.passage import Leg, Passage, inlines, open_passage, open_rest
from services.dispatcher.settlement import Settlement
from trunkline.bus.messages import End, Fail, UsageEvent
from trunkline.core import limits
from trunkline.core.clock import Clock
from trunkline.core.errors import ErrorType, Fault, FaultError
from trunkline.policy.retry import FRUITLESS, taken_over_on
from trunkline.policy.routing import Candidate
from trunkline.policy.vault import VaultError
from trunkline.protocol.upstream_error import RetryClass
from trunkline.protocol.vendor import AssistantPrefix
from trunkline.runtime.http_client import ClientConnection, HTTPClientError, HTTPClientPool, NotAllowedError, Target
from trunkline.runtime.tracer import NO_TRACER

log = structlog.get_logger()

_UNREACHABLE = Fault(ErrorType.UPSTREAM_UNREACHABLE, "The provider could not be reached.")
_NOT_ALLOWED = Fault(ErrorType.UPSTREAM_ADDRESS, _UNREACHABLE.message)
"""Which addresses there are inside is nobody's business outside: the log tells the operator what to set."""

_FAILED = Fault(ErrorType.GATEWAY_INTERNAL, "The gateway failed on this request. Please retry.")


class JobRunner:
    """Runs jobs.

    Args:
        catalog: plans attempts and knows how to call channels.
        pool: connections to upstreams.
        fetcher: fetches what requests name by URL.
        settlement: books what each attempt used and how it went.
        clock: of the process.
        traces: begins the spans of attempts.
    """

    def __init__(
        self,
        catalog: Catalog,
        pool: HTTPClientPool,
        fetcher: MediaFetcher,
        settlement: Settlement,
        *,
        clock: Clock,
        traces: AttemptTraces | None = None,
    ) -> None:
        self._catalog = catalog
        self._pool = pool
        self._fetcher = fetcher
        self._settlement = settlement
        self._clock = clock
        self._traces = traces or AttemptTraces(NO_TRACER)
        self._active: dict[Attempt, None] = {}  # in the order in which they began, so that a simulation repeats itself

    async def run(self, entry: JobEntry) -> None:
        """See a job through. Ends it in every case."""
        try:
            body = await entry.body()
            if body is not None:
                with contextlib.closing(JobMedia(self._fetcher, entry)) as media:
                    await self._attempt_all(entry, body, media)
                await entry.drained()
            if entry.cancelled:
                entry.say_last()
        except Exception as error:
            log.exception("job_failed", error=type(error).__name__)
            entry.fail(_FAILED)

    async def _attempt_all(self, entry: JobEntry, body: bytes, media: JobMedia) -> None:
        """Try the model that the client asked for, and then those that may take over from it."""
        envelope = entry.machine.envelope
        fallbacks = list(envelope.fallbacks)
        while True:
            course = Course(entry, envelope, body, catalog=self._catalog, now=self._clock.now())
            fault = await self._attempt_model(course, media)
            if fault is None:
                return
            case = taken_over_on(fault)
            if case is None or entry.attempts >= limits.ATTEMPTS_PER_OFFER_MAX or self._clock.now() > entry.deadline:
                break
            while fallbacks and case not in fallbacks[0].on:
                del fallbacks[0]
            if not fallbacks:
                break
            model = fallbacks.pop(0)
            envelope = msgspec.structs.replace(envelope, model=model.model, groups=model.groups, pricing=model.pricing)
        entry.fail(fault)

    async def _attempt_model(self, course: Course, media: JobMedia) -> Fault | None:
        """Make attempts at one model until one answers; returns why none did, or None if the job is over."""
        entry = course.entry
        while (candidate := course.next(self._clock.now())) is not None:
            seat = self._catalog.seat(candidate, self._clock.now())
            try:
                if candidate.wait_s:
                    await entry.pause(candidate.wait_s, self._clock)
                    if not self._catalog.live(candidate):  # ejected meanwhile
                        seat.leave(0, self._clock.now())
                        continue
                attempt = None if entry.cancelled else await self._open(course, candidate, seat, media)
            except MediaError as error:
                entry.fail(error.fault)
                return None
            except FaultError as error:
                course.unfit(candidate, error.fault)
                continue
            if entry.cancelled or attempt is None:
                seat.leave(0, self._clock.now())
                return None
            attempt, result = await self._call_or_race(course, attempt, media)
            rest = self._rest_of(entry, attempt, result)
            if rest is not None:
                await self._go_on(course, rest, media)
                return None
            if result.fault is not None and not attempt.committed:
                course.failed(attempt.candidate, result)
            if self._conclude(entry, attempt, result):
                return None
            if result.retry is RetryClass.NEVER:
                return result.fault
            if entry.attempts >= limits.ATTEMPTS_PER_OFFER_MAX:
                break
        return course.last_word(self._clock.now())

    async def _open(
        self, course: Course, candidate: Candidate, seat: Seat, media: JobMedia, rest: Continuation | None = None
    ) -> Attempt:
        """Return an attempt, ready to be made; with ``rest`` one that goes on with an answer. Else its seat is left.

        Raises:
            MediaError: what the request names by URL cannot be had.
            FaultError: the request does not fit the candidate.
        """
        try:
            passage = await self._passage(course, candidate, media, rest)
        except BaseException:
            seat.leave(0, self._clock.now())
            raise
        entry = course.entry
        number = entry.offer * limits.ATTEMPTS_PER_OFFER_MAX + entry.attempts
        entry.attempts += 1
        attempt = Attempt(
            entry,
            candidate,
            number,
            passage,
            seat=seat,
            timeouts=self._catalog.timeouts(candidate),
            hear=self._catalog.hear,
            clock=self._clock,
            rest_of=rest,
        )
        if entry.machine.envelope.trace:
            attempt.span = self._traces.begin(course, attempt, None if rest is None else rest.fault)
        return attempt

    async def _passage(
        self, course: Course, candidate: Candidate, media: JobMedia, rest: Continuation | None
    ) -> Passage:
        entry, rules = course.entry, self._catalog.rules(candidate)
        leg = Leg(
            course.envelope, entry.machine.job, course.body, candidate, rules, self._clock.wall_ms(), course.proofs
        )
        if course.envelope is not entry.machine.envelope:
            leg = leg._replace(named=entry.machine.envelope.model)
        leg = await media.inlined(leg) if inlines(leg) else leg
        return open_passage(leg) if rest is None else open_rest(leg, rest.begun, rest.so_far)

    # --- two at a time -----------------------------------------------------------------------------------------

    async def _call_or_race(self, course: Course, attempt: Attempt, media: JobMedia) -> tuple[Attempt, AttemptResult]:
        """Make an attempt, and where that is asked for, another one beside it when it is late."""
        entry, late_s = course.entry, None
        if course.envelope.hedge and entry.attempts == 1:
            candidate, stream = attempt.candidate, course.envelope.stream
            late_s = self._catalog.figures.late_after_s(candidate.channel.id, candidate.model, stream=stream)
        if late_s is None:
            return attempt, await self._call(entry, attempt)
        async with asyncio.TaskGroup() as group:
            calls = {group.create_task(self._call(entry, attempt)): attempt}
            await asyncio.wait(calls, timeout=late_s)
            if not attempt.committed and not attempt.ended.done() and not entry.cancelled:
                second = await self._second(course, media)
                if second is not None:
                    # Should the first have its answer by now, this one hears of it as it begins.
                    calls[group.create_task(self._call(entry, second))] = second
            return await self._first_of(course, calls)

    async def _second(self, course: Course, media: JobMedia) -> Attempt | None:
        candidate = course.other(self._clock.now())
        if candidate is None:
            return None
        seat = self._catalog.seat(candidate, self._clock.now())
        try:
            return await self._open(course, candidate, seat, media)
        except (FaultError, MediaError):
            return None

    async def _first_of(
        self, course: Course, calls: dict[asyncio.Task[AttemptResult], Attempt]
    ) -> tuple[Attempt, AttemptResult]:
        """Return the attempt that answers, or the last one that fails; the others are booked, and nobody pays them."""
        kept: tuple[Attempt, AttemptResult] | None = None
        while calls:
            done, _ = await asyncio.wait(calls, return_when=asyncio.FIRST_COMPLETED)
            for call in done:
                attempt, result = calls.pop(call), call.result()
                if kept is None and (not calls or result.fault is None or attempt.committed):
                    kept = attempt, result
                    continue
                if result.fault is not OUTRUN:
                    course.failed(attempt.candidate, result)
                facts = attempt.facts_as_loser() if result.fault is OUTRUN else attempt.facts()
                self._book(course.entry, attempt, result, facts, charged=False)
        if kept is None:
            raise AssertionError("no attempt of a race has won")
        return kept

    # --- going on with an answer -------------------------------------------------------------------------------

    def _rest_of(self, entry: JobEntry, attempt: Attempt, result: AttemptResult) -> Continuation | None:
        """Return what is to be gone on with of an attempt that broke off; it is noted then, and still to be booked."""
        answer = attempt.passage.answer
        if result.fault is None or result.retry is RetryClass.NEVER or not attempt.committed or entry.cancelled:
            return None
        if not isinstance(answer, TranslatedStream) or answer.so_far is None or not answer.so_far.continuable:
            return None
        facts = attempt.facts()
        self._learn(attempt, result, facts)
        event = self._settlement.note(entry, attempt, result, facts, charged=True)
        return Continuation(event, answer, answer.so_far, result.fault)

    async def _go_on(self, course: Course, rest: Continuation, media: JobMedia) -> None:
        """Let others go on with an answer that broke off. Ends the job, and books the attempt that began it."""
        entry, whole = course.entry, None
        try:
            while whole is None and not entry.cancelled and (attempt := await self._open_rest(course, rest, media)):
                result = await self._call(entry, attempt)
                whole = attempt if result.fault is None else None
                self._book(entry, attempt, result, attempt.facts(), charged=False)
                if not rest.went_on(attempt.passage.answer, result.fault, sent=attempt.committed or whole is not None):
                    break
        finally:
            event = msgspec.structs.replace(rest.event(), charged=not entry.void)
            number = self._settlement.add(event)
        if entry.cancelled:
            entry.say_last(event, number)
        elif whole is not None:
            whole.complete(End(event, number))
        else:
            self._fail(entry, rest.fault, event, number)

    async def _open_rest(self, course: Course, rest: Continuation, media: JobMedia) -> Attempt | None:
        """Return the next attempt to go on with an answer, None if there is none at once."""
        entry = course.entry
        while rest.possible and entry.attempts < limits.ATTEMPTS_PER_OFFER_MAX:
            now = self._clock.now()
            candidate = course.other(now) if now <= entry.deadline else None
            if candidate is None:
                break
            if candidate.channel.options.prefix is AssistantPrefix.NONE:
                continue
            seat = self._catalog.seat(candidate, now)
            try:
                attempt = await self._open(course, candidate, seat, media, rest)
            except (FaultError, MediaError):
                continue
            if entry.cancelled:
                seat.leave(0, self._clock.now())
                break
            rest.tries += 1
            return attempt
        return None

    # --- ends --------------------------------------------------------------------------------------------------

    def _conclude(self, entry: JobEntry, attempt: Attempt, result: AttemptResult) -> bool:
        """Book an attempt, tell the edge if it was the last one; returns whether the job is over."""
        # Output that reached the client is paid for, however the attempt ended, and what was made for one who left;
        # nothing else is.
        facts = attempt.facts()
        owed = facts.output and (attempt.committed or entry.cancelled)
        charged = not entry.void and (result.fault is None or owed)
        event, number = self._book(entry, attempt, result, facts, charged=charged)
        if entry.cancelled:
            entry.say_last(event, number)
            return True
        if result.fault is None:
            attempt.complete(End(event, number))
            return True
        if attempt.committed:
            self._fail(entry, result.fault, event if charged else None, number)
        return attempt.committed

    @staticmethod
    def _fail(entry: JobEntry, fault: Fault, event: UsageEvent | None, number: int) -> None:
        """End a job whose answer broke off."""
        said = Fail(fault, attempts=entry.attempts, usage=event, usage_no=number, dispatcher=entry.machine.dispatcher)
        entry.publish(entry.machine.fail(said))

    def _book(
        self, entry: JobEntry, attempt: Attempt, result: AttemptResult, facts: AnswerFacts, *, charged: bool
    ) -> tuple[UsageEvent, int]:
        self._learn(attempt, result, facts)
        return self._settlement.book(entry, attempt, result, facts, charged=charged)

    def _learn(self, attempt: Attempt, result: AttemptResult, facts: AnswerFacts) -> None:
        """Let the outcome steer the next plans."""
        candidate, underway, now = attempt.candidate, attempt.seat.underway, self._clock.now()
        attempt.seat.leave(facts.usage.units.input_total + facts.usage.units.output_total, now)
        error = None if result.fault is None else result.fault.type
        if result.fault is OUTRUN:
            underway.outrun(now - attempt.began, now, stream=attempt.entry.machine.envelope.stream)
            return
        if error is ErrorType.CLIENT_GONE or result.fault is OUT_OF_TIME:
            return
        if error is None and attempt.committed:
            underway.streamed(facts.usage.units.output_total, now - attempt.first_output_at, now)
        elif error is None:
            underway.answered(now - attempt.began, now)
        self._catalog.learn(candidate, result.fault, result.cool_ms, began=attempt.began, now=now)
        underway.judged(failed=error in FRUITLESS, now=now)

    # --- one call ----------------------------------------------------------------------------------------------

    async def _call(self, entry: JobEntry, attempt: Attempt) -> AttemptResult:
        try:
            return await self._called(entry, attempt)
        except BaseException:
            attempt.seat.leave(0, self._clock.now())
            raise

    async def _called(self, entry: JobEntry, attempt: Attempt) -> AttemptResult:
        call, candidate = attempt.passage.call, attempt.candidate
        target = self._catalog.target(candidate, call)
        if target is None:
            return AttemptResult(_UNREACHABLE, RetryClass.OTHER_CHANNEL)
        try:
            head = self._catalog.request_head(candidate, target, call)
        except VaultError as error:
            log.exception("credential_unreadable", channel=candidate.channel.name, error=str(error))
            fault = Fault(ErrorType.UPSTREAM_CREDENTIAL, "The gateway cannot use its credential for this provider.")
            return AttemptResult(fault, RetryClass.OTHER_CREDENTIAL)
        wire = _request(self._traces.sent(attempt), attempt.passage, head)
        entry.began(attempt)
        self._active[attempt] = None
        try:
            result = await self._send(entry, attempt, target, wire)
            if result.fault is not None and result.fault.type is ErrorType.UPSTREAM_BAD_REQUEST:
                # The one kind of fault that brings the provider's own words.
                result.fault = self._catalog.without_secret(candidate, result.fault)
            return result
        finally:
            del self._active[attempt]
            entry.over(attempt)

    async def _send(self, entry: JobEntry, attempt: Attempt, target: Target, wire: bytes) -> AttemptResult:
        if attempt.ended.done():
            return attempt.ended.result()
        connection = self._pool.take_idle(target.endpoint)
        if connection is not None:
            attempt.send(connection, wire)
            result = await attempt.ended
            if not result.unused:
                return result
            # The server had closed the kept connection before it saw the request: not a fault of the channel.
            attempt.begin_anew()
            entry.tell(attempt)
        try:
            connection = await self._connect(attempt, target)
        except NotAllowedError:
            return AttemptResult(_NOT_ALLOWED, RetryClass.OTHER_CHANNEL)
        except HTTPClientError:
            return AttemptResult(_UNREACHABLE, RetryClass.OTHER_CHANNEL)
        if connection is not None:
            attempt.send(connection, wire)
        return await attempt.ended

    async def _connect(self, attempt: Attempt, target: Target) -> ClientConnection | None:
        """Return a new connection, None if the attempt is over meanwhile: nobody would read the answer.

        Raises:
            HTTPClientError: it cannot be made.
        """
        loop, made = asyncio.get_running_loop(), False

        def over(_: object) -> None:
            if not made:
                waiting.reschedule(loop.time())

        try:
            async with asyncio.timeout(None) as waiting:
                attempt.ended.add_done_callback(over)
                try:
                    connection = await self._pool.connect(target.endpoint, attempt.timeouts.connect_s)
                finally:
                    made = True
        except TimeoutError:
            return None
        if attempt.ended.done():
            connection.cancel()
            return None
        return connection

    def attempts(self) -> list[Attempt]:
        """Return the attempts under way."""
        return list(self._active)

    def tick(self) -> None:
        """Look at the clock for every attempt under way. Called several times a second."""
        now = self._clock.now()
        for attempt in list(self._active):
            attempt.tick(now)


def _request(traceparent: str, passage: Passage, head: bytes) -> bytes:
    trace = job_line("traceparent", traceparent) if traceparent else b""
    body = passage.body
    lines = b"%b%b%b%b" % (head, passage.carried, trace, job_line("content-type", passage.body_type))
    return b"%bcontent-length: %d\r\n\r\n%b" % (lines, len(body), body)
