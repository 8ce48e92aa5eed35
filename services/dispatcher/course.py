"""A job's attempts at one model: who is next, and what has been learnt about the request meanwhile."""

from services.dispatcher.attempt import OUT_OF_TIME, AttemptResult
from services.dispatcher.catalog import Catalog
from services.dispatcher.job_entry import JobEntry
from trunkline.bus.messages import Envelope
from trunkline.core.errors import ErrorType, Fault
from trunkline.policy.routing import Candidate
from trunkline.protocol.upstream_error import FAILED_CALL, UNREADABLE_PROOF, RetryClass


class Course:
    """The attempts at one model.

    Args:
        entry: the job.
        envelope: of the job, as it is for this model.
        body: of the client's request.
        catalog: plans attempts.
        now: monotonic seconds.

    Attributes:
        entry, envelope, body: see there.
        proofs: whether proofs of reasoning are sent; not to an account that has refused them.
        fault: how the last attempt failed.
    """

    def __init__(self, entry: JobEntry, envelope: Envelope, body: bytes, *, catalog: Catalog, now: float) -> None:
        self.entry = entry
        self.envelope = envelope
        self.body = body
        self.proofs = True
        self.fault: Fault | None = None
        self._plan = catalog.plan(envelope, now)
        self._misfit: Fault | None = None
        self._repeated = False
        self._once_more: Candidate | None = None

    def next(self, now: float) -> Candidate | None:
        """Return the next attempt to make, None if nothing is left within the job's deadline."""
        once_more, self._once_more = self._once_more, None
        if once_more is not None:
            return once_more
        if now > self.entry.deadline:
            return None
        error = None if self.fault is None else self.fault.type
        candidate = self._plan.next(now, error) or self._plan.again(now, error)
        return None if candidate is None or now + candidate.wait_s > self.entry.deadline else candidate

    def other(self, now: float) -> Candidate | None:
        """Return an attempt to make beside the one that is under way, None if there is none at once."""
        candidate = self._plan.other(now)
        return candidate if candidate is not None and not candidate.wait_s else None

    def unfit(self, candidate: Candidate, fault: Fault) -> None:
        """Nobody was called: the request does not fit this channel, but it may fit another one."""
        self._misfit = fault
        self._plan.leave_out(candidate.channel.id)

    def failed(self, candidate: Candidate, result: AttemptResult) -> None:
        """An attempt has failed without an answer for the client."""
        self.fault = result.fault
        code = None if result.fault is None else result.fault.code
        if self.proofs and code == UNREADABLE_PROOF:
            # Reasoning in the history was encrypted for another account: once more, without it.
            self.proofs, self._once_more, result.retry = False, candidate, RetryClass.OTHER_CREDENTIAL
        elif not self._repeated and code == FAILED_CALL:
            # The model is at fault, not the channel, and seldom twice.
            self._repeated, self._once_more = True, candidate

    def last_word(self, now: float) -> Fault:
        """Return what the client is told when no attempt is left."""
        fault = self.fault or self._misfit
        if fault is None:
            return OUT_OF_TIME if now > self.entry.deadline else self._plan.refusal(now)
        if fault.type is ErrorType.UPSTREAM_RATE_LIMITED:
            # The honest wait is until the first credential of any channel is free again.
            refusal = self._plan.refusal(now)
            return refusal if refusal.type is fault.type else fault
        return fault
