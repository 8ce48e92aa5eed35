"""Runs jobs: one attempt after the other until one answers, nothing is left, or nobody waits any more.

One task per job. It awaits the request body, a connection and the end of each attempt; chunks pass it by.
"""

import contextlib

import structlog

from services.dispatcher.attempt import Attempt, AttemptResult
from services.dispatcher.catalog import Catalog
from services.dispatcher.fetching import JobMedia, MediaError, MediaFetcher
from services.dispatcher.job_entry import JobEntry
from services.dispatcher.passage import Leg, Passage, inlines, open_passage
from services.dispatcher.settlement import Settlement
from trunkline.bus.messages import End, Fail
from trunkline.core import limits
from trunkline.core.clock import Clock
from trunkline.core.errors import ErrorType, Fault, FaultError
from trunkline.policy.routing import Candidate, Plan
from trunkline.policy.vault import VaultError
from trunkline.protocol.upstream_error import FAILED_CALL, UNREADABLE_PROOF, RetryClass
from trunkline.runtime.http_client import HTTPClientError, HTTPClientPool, Target

log = structlog.get_logger()

_UNREACHABLE = Fault(ErrorType.UPSTREAM_UNREACHABLE, "The provider could not be reached.")
_DEADLINE = Fault(ErrorType.UPSTREAM_TIMEOUT, "No provider answered within the request's deadline.")
_FAILED = Fault(ErrorType.GATEWAY_INTERNAL, "The gateway failed on this request. Please retry.")


class JobRunner:
    """Runs jobs.

    Args:
        catalog: plans attempts and knows how to call channels.
        pool: connections to upstreams.
        fetcher: fetches what requests name by URL.
        settlement: books what each attempt used and how it went.
        clock: of the process.
    """

    def __init__(
        self,
        catalog: Catalog,
        pool: HTTPClientPool,
        fetcher: MediaFetcher,
        settlement: Settlement,
        *,
        clock: Clock,
    ) -> None:
        self._catalog = catalog
        self._pool = pool
        self._fetcher = fetcher
        self._settlement = settlement
        self._clock = clock
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
        envelope, job = entry.machine.envelope, entry.machine.job
        plan = self._catalog.plan(envelope.model, envelope.groups, envelope.affinity)
        fault: Fault | None = None
        misfit: Fault | None = None
        misfits: set[int] = set()
        proofs, repeated, again = True, False, None
        while True:
            now = self._clock.now()
            candidate = again
            if candidate is None and now <= entry.deadline:
                candidate = plan.next(now, None if fault is None else fault.type)
            again = None
            if candidate is None:
                entry.fail(self._last_word(entry, plan, fault or misfit))
                return
            if candidate.channel.id in misfits:
                continue  # the next of its credentials: what does not fit the channel fits none of them
            leg = Leg(envelope, job, body, candidate, self._catalog.rules(candidate), self._clock.wall_ms(), proofs)
            try:
                passage = open_passage(await media.inlined(leg) if inlines(leg) else leg)
            except MediaError as error:
                entry.fail(error.fault)
                return
            except FaultError as error:
                # Nobody was called: the request does not fit this channel, but it may fit another one.
                misfit = error.fault
                misfits.add(candidate.channel.id)
                continue
            if entry.cancelled:
                return
            number = entry.offer * limits.ATTEMPTS_PER_OFFER_MAX + entry.attempts
            entry.attempts += 1
            attempt = Attempt(entry, candidate, number, passage, self._clock)
            result = await self._call(entry, attempt, candidate)
            if proofs and result.fault is not None and result.fault.code == UNREADABLE_PROOF:
                # Reasoning in the history was encrypted for another account: once more, without it.
                proofs, again, result.retry = False, candidate, RetryClass.OTHER_CREDENTIAL
            elif not repeated and result.fault is not None and result.fault.code == FAILED_CALL:
                # The model is at fault, not the channel, and seldom twice.
                repeated, again = True, candidate
            if self._conclude(entry, attempt, result):
                return
            fault = result.fault
            if entry.attempts >= limits.ATTEMPTS_PER_OFFER_MAX:
                entry.fail(self._last_word(entry, plan, fault))
                return

    def _last_word(self, entry: JobEntry, plan: Plan, fault: Fault | None) -> Fault:
        """What the client is told when no attempt is left."""
        now = self._clock.now()
        if fault is None:
            return _DEADLINE if now > entry.deadline else plan.refusal(now)
        if fault.type is ErrorType.UPSTREAM_RATE_LIMITED:
            # The honest wait is until the first credential of any channel is free again.
            refusal = plan.refusal(now)
            return refusal if refusal.type is fault.type else fault
        return fault

    def _conclude(self, entry: JobEntry, attempt: Attempt, result: AttemptResult) -> bool:
        """Book an attempt, tell the edge if it was the last one; returns whether the job is over."""
        self._learn(attempt.candidate, result)
        facts = attempt.facts()
        # Output that reached the client is paid for, however the attempt ended, and what was made for one who left;
        # nothing else is.
        owed = facts.output and (attempt.committed or entry.cancelled)
        charged = not entry.void and (result.fault is None or owed)
        event, number = self._settlement.book(entry, attempt, result, facts, charged=charged)
        if entry.cancelled:
            entry.say_last(event, number)
            return True
        if result.fault is None:
            attempt.complete(End(event, number))
            return True
        if attempt.committed:
            usage = event if charged else None
            entry.publish(
                entry.machine.fail(
                    Fail(
                        result.fault,
                        attempts=entry.attempts,
                        usage=usage,
                        usage_no=number,
                        dispatcher=entry.machine.dispatcher,
                    )
                )
            )
            return True
        if result.retry is RetryClass.NEVER:
            entry.fail(result.fault)
            return True
        return False

    def _learn(self, candidate: Candidate, result: AttemptResult) -> None:
        """Let the outcome steer the next plans."""
        channel, credential, now = candidate.channel.id, candidate.credential, self._clock.now()
        error = None if result.fault is None else result.fault.type
        if error is ErrorType.UPSTREAM_CREDENTIAL:
            self._catalog.credentials.set_aside(channel, credential, "refused by the provider", now)
            log.warning(
                "credential_set_aside",
                channel=candidate.channel.name,
                credential=0 if credential is None else credential.id,
            )
        elif error is ErrorType.UPSTREAM_RATE_LIMITED:
            self._catalog.credentials.cool(channel, credential, now, result.cool_ms)
        elif error is None:
            self._catalog.credentials.confirm(channel, credential)
        if error is not ErrorType.CLIENT_GONE:
            self._catalog.judge(channel, error)

    # --- one call ----------------------------------------------------------------------------------------------

    async def _call(self, entry: JobEntry, attempt: Attempt, candidate: Candidate) -> AttemptResult:
        call = attempt.passage.call
        target = self._catalog.target(candidate, call)
        if target is None:
            return AttemptResult(_UNREACHABLE, RetryClass.OTHER_CHANNEL)
        try:
            head = self._catalog.request_head(candidate, target, call)
        except VaultError as error:
            log.exception("credential_unreadable", channel=candidate.channel.name, error=str(error))
            fault = Fault(ErrorType.UPSTREAM_CREDENTIAL, "The gateway cannot use its credential for this provider.")
            return AttemptResult(fault, RetryClass.OTHER_CREDENTIAL)
        wire = _request(entry, attempt.passage, head)
        entry.attempt = attempt
        self._active[attempt] = None
        try:
            result = await self._send(entry, attempt, target, wire)
            if result.fault is not None and result.fault.type is ErrorType.UPSTREAM_BAD_REQUEST:
                # The one kind of fault that brings the provider's own words.
                result.fault = self._catalog.without_secret(candidate, result.fault)
            return result
        finally:
            del self._active[attempt]
            entry.attempt = None

    async def _send(self, entry: JobEntry, attempt: Attempt, target: Target, wire: bytes) -> AttemptResult:
        connection = self._pool.take_idle(target.endpoint)
        if connection is not None:
            attempt.send(connection, wire)
            result = await attempt.ended
            if not result.unused or entry.cancelled:
                return result
            # The server had closed the kept connection before it saw the request: not a fault of the channel.
            attempt.begin_anew()
        try:
            connection = await self._pool.connect(target.endpoint, attempt.candidate.channel.timeouts.connect_s)
        except HTTPClientError:
            return AttemptResult(_UNREACHABLE, RetryClass.OTHER_CHANNEL)
        if attempt.ended.done():
            # Cancelled or timed out meanwhile: nobody would read the answer.
            connection.cancel()
            return attempt.ended.result()
        attempt.send(connection, wire)
        return await attempt.ended

    def attempts(self) -> list[Attempt]:
        """Return the attempts under way."""
        return list(self._active)

    def tick(self) -> None:
        """Look at the clock for every attempt under way. Called several times a second."""
        now = self._clock.now()
        for attempt in list(self._active):
            attempt.tick(now)


def _request(entry: JobEntry, passage: Passage, head: bytes) -> bytes:
    traceparent = entry.machine.envelope.traceparent
    trace = f"traceparent: {traceparent}\r\n".encode("latin-1") if traceparent else b""
    body = passage.body
    lengths = (passage.body_type.encode("latin-1"), len(body))
    return b"%b%b%bcontent-type: %b\r\ncontent-length: %d\r\n\r\n%b" % (head, passage.carried, trace, *lengths, body)
