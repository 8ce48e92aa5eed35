"""One upstream call made for a job: takes the answer as it comes and passes it on as frames.

Nothing is sent to the edge before there is output (or a whole plain answer), because until then the job can still
go to another channel. Chunks are handled in the turn of the loop in which they came; the job's task only awaits
the end.

A plain answer whose client has left is waited for a moment longer (`limits.PLAIN_LEAVE_WAIT_S`): the provider makes it
before it sends any of it, so it may be done, and on its way.
"""

import asyncio
import dataclasses
from collections.abc import Callable, Mapping

from services.dispatcher.answers import AnswerFacts, PlainAnswer, StreamAnswer
from services.dispatcher.catalog import Seat
from services.dispatcher.continuation import Continuation
from services.dispatcher.job_entry import CLIENT_LEFT, JobEntry
from services.dispatcher.passage import Passage
from trunkline.bus.messages import End, Head
from trunkline.bus.snapshots import Timeouts
from trunkline.core import limits
from trunkline.core.clock import Clock, Timer
from trunkline.core.errors import ErrorType, Fault
from trunkline.core.usage import Units, Usage, UsageSource
from trunkline.policy.routing import Candidate
from trunkline.protocol import gen_ai
from trunkline.protocol.upstream_error import RetryClass, UpstreamError, read_upstream_error
from trunkline.runtime.http_client import ClientConnection, HTTPClientError
from trunkline.runtime.tracer import Span


@dataclasses.dataclass(slots=True)
class AttemptResult:
    """How an attempt ended.

    Attributes:
        fault: None for a complete answer.
        retry: what may be tried next, where ``fault`` is set and nothing has gone to the client.
        cool_ms: how long the provider wants its credential left alone, None if it did not say.
        unused: the connection was lost before any byte of an answer; another one may be tried.
    """

    fault: Fault | None
    retry: RetryClass = RetryClass.NEVER
    cool_ms: int | None = None
    unused: bool = False


END_WAIT_S = 5.0
"""How long the end of a body is waited for behind the last event of its answer. A connection that ends well may carry
another call; and an edge sends no sign of life sooner, which has no place behind that event."""

OUTRUN = Fault(ErrorType.GATEWAY_OUTRUN, "Another attempt answered first.")
OUT_OF_TIME = Fault(ErrorType.UPSTREAM_TIMEOUT, "No provider answered within the request's deadline.")
"""The job's time was over before this attempt's: no fault of whom it called."""

_UNFINISHED = Fault(ErrorType.UPSTREAM_TIMEOUT, "The provider did not finish its answer in time.")
_NOT_BEGUN = Fault(ErrorType.UPSTREAM_TIMEOUT, "The provider did not begin its answer in time.")
_STOPPED = Fault(ErrorType.UPSTREAM_TIMEOUT, "The provider stopped in the middle of its answer.")
_TOO_LARGE = Fault(ErrorType.UPSTREAM_INVALID, "The provider's answer is larger than the gateway takes.")


class Attempt:
    """Receives an answer; see `runtime.http_client.AnswerReceiver`.

    Args:
        entry: the job.
        candidate: who is called.
        number: of the attempt within the job.
        passage: takes the answer.
        seat: its place among those under way.
        timeouts: of its parts.
        hear: called with the headers of an answer.
        clock: of the process.
        rest_of: the answer that it goes on with; None for one that begins its own.

    Attributes:
        span: of it, None where its request is not traced.
    """

    def __init__(
        self,
        entry: JobEntry,
        candidate: Candidate,
        number: int,
        passage: Passage,
        *,
        seat: Seat,
        timeouts: Timeouts,
        hear: Callable[[Candidate, Mapping[str, str]], None],
        clock: Clock,
        rest_of: Continuation | None = None,
    ) -> None:
        self._entry = entry
        self._clock = clock
        self._hear = hear
        self.seat = seat
        self.timeouts = timeouts
        self._answer: PlainAnswer | StreamAnswer | None = None
        self._error_body = b""
        self._headers: dict[str, str] = {}
        self._held = b""
        self._paused = False
        self._connection: ClientConnection | None = None
        self._leaving: Timer | None = None
        self.rest_of = rest_of
        self.passage = passage
        self.candidate = candidate
        self.number = number
        self.status = 0
        self.started_ms = clock.wall_ms()
        self.began = self._heard = clock.now()
        self.first_output_at = 0.0
        self.committed = False
        self.span: Span | None = None
        self.ended: asyncio.Future[AttemptResult] = asyncio.get_running_loop().create_future()

    def facts(self) -> AnswerFacts:
        """Return what is known of the answer's usage, at its end or wherever it was cut."""
        return AnswerFacts.none() if self._answer is None else self._answer.facts()

    def facts_as_loser(self) -> AnswerFacts:
        """Return what the provider asks for although another attempt was faster: the input at least, if it had it."""
        facts = self.facts()
        if self._connection is None or facts.usage.units.any():
            return facts
        return AnswerFacts(Usage(Units(input=self.passage.answer.count_input()), UsageSource.COUNTED), output=False)

    @property
    def entry(self) -> JobEntry:
        """The job it is made for."""
        return self._entry

    def facts_so_far(self) -> AnswerFacts | None:
        """Return what a stream has used that has reached the client in part and goes on; None for any other attempt."""
        answer, now = self._answer, self._clock.now()
        if not self.committed or isinstance(answer, PlainAnswer | None) or self.ended.done() or self._entry.cancelled:
            return None
        return answer.facts_so_far() if now - self.began >= limits.CHECKPOINT_AFTER_S else None

    def send(self, connection: ClientConnection, wire: bytes) -> None:
        """Write the request."""
        self._connection = connection
        connection.send(wire, self)

    def begin_anew(self) -> None:
        """The first connection was lost before it carried anything: the same call goes over another one."""
        self._connection = None
        self.ended = asyncio.get_running_loop().create_future()

    # --- the answer --------------------------------------------------------------------------------------------

    def on_head(self, status: int, headers: dict[str, str]) -> None:
        """See `AnswerReceiver`."""
        self.status = status
        self._headers = headers
        self._heard = self._clock.now()
        self._hear(self.candidate, headers)
        if status == 200:
            self._answer = self.passage.answer

    def on_body(self, data: bytes) -> None:
        """See `AnswerReceiver`."""
        self._heard = self._clock.now()
        answer = self._answer
        if isinstance(answer, PlainAnswer):
            if not answer.receive(data):
                self._give_up(_TOO_LARGE, RetryClass.NEVER)
        elif answer is not None:
            self._pass_on(answer, answer.receive(data))
        elif len(self._error_body) < limits.UPSTREAM_ERROR_BYTES_MAX:
            self._error_body += data

    def _pass_on(self, answer: StreamAnswer, data: bytes) -> None:
        entry = self._entry
        if self.committed:
            if data:
                entry.publish(entry.machine.data(data), may_wait=True)
        else:
            self._held += data
            if answer.first_output:
                self._commit()
            elif len(self._held) > limits.UPSTREAM_EVENT_BYTES_MAX:
                self._give_up(_TOO_LARGE, RetryClass.OTHER_CHANNEL)
                return
        if answer.error is not None:
            self._give_up(answer.error.fault, answer.error.cls, answer.error.cool_ms)
        elif self.committed and entry.machine.room <= 0 and not self._paused and self._connection is not None:
            self._paused = True
            self._connection.pause()

    def _commit(self) -> None:
        """Output has come: from here on the job stays with this attempt."""
        self.first_output_at = self._clock.now()
        self.committed = True
        if self.span is not None:
            self.span.event(gen_ai.OUTPUT_BEGINS)
        self._entry.won(self)
        self.seat.underway.first_output(self.first_output_at - self.began, self.first_output_at)
        held, self._held = self._held, b""
        machine = self._entry.machine
        self._entry.publish(machine.head(self._head(), held) if self.rest_of is None else machine.data(held))

    def _head(self) -> Head:
        return Head(
            status=200,
            content_type=self.passage.content_type or self._headers.get("content-type", "application/json"),
            attempt=self.number,
            attempts=self._entry.attempts,
            channel=self.candidate.channel.name,
            dispatcher=self._entry.machine.dispatcher,
            upstream_id=self._headers.get("x-request-id") or self._headers.get("request-id", ""),
            fidelity=self.passage.fidelity,
            model="" if self.candidate.model == self._entry.machine.envelope.model else self.candidate.model,
        )

    def on_end(self) -> None:
        """See `AnswerReceiver`."""
        answer = self._answer
        if answer is None:
            # What it means may be the channel's to say; the books keep the status that came.
            status = self.candidate.channel.status_map.get(self.status, self.status)
            self._end_with(read_upstream_error(status, self._headers, self._error_body, self._clock.wall_ms()))
            return
        last = answer.finish()
        if answer.error is not None:
            if self.committed and last:
                self._entry.publish(self._entry.machine.data(last))
            self._end_with(answer.error)
            return
        if not self.committed:
            self.first_output_at = self._clock.now()
            self._entry.won(self)
        self._held += last
        self._end(AttemptResult(None))

    def complete(self, end: End) -> None:
        """Send what is left of a good answer, and that it is complete."""
        machine = self._entry.machine
        held, self._held = self._held, b""
        begun = self.committed or self.rest_of is not None
        self._entry.publish(machine.end(end, held) if begun else machine.whole(self._head(), end, held))

    def on_error(self, error: HTTPClientError) -> None:
        """See `AnswerReceiver`."""
        if self._said_all:
            self.on_end()
            return
        kind = ErrorType.UPSTREAM_CUT if self._answer is not None else ErrorType.UPSTREAM_UNREACHABLE
        message = "The provider's answer was cut off." if self._answer else "The provider could not be reached."
        self._end(AttemptResult(Fault(kind, message), RetryClass.OTHER_CHANNEL, unused=error.unused))

    # --- time, credit, cancel ----------------------------------------------------------------------------------

    def tick(self, now: float) -> None:
        """Look at the clock: first token, silence, total, the job's deadline."""
        late = self._late(now)
        if late is None:
            return
        if self._said_all:
            if self._connection is not None:
                self._connection.cancel()
            self.on_end()
        else:
            self._give_up(late, RetryClass.OTHER_CHANNEL)

    def _late(self, now: float) -> Fault | None:
        timeouts, took_s = self.timeouts, now - self.began
        if took_s > timeouts.total_s or now > self._entry.deadline:
            return OUT_OF_TIME if took_s < min(timeouts.total_s, timeouts.first_token_s) else _UNFINISHED
        if self._entry.machine.envelope.stream and not self.committed and took_s > timeouts.first_token_s:
            # A plain answer shows nothing before all of it is made, so only its total time says anything.
            return _NOT_BEGUN
        quiet_s = now - self._heard
        if not self.committed or self._paused or quiet_s <= min(timeouts.idle_s, END_WAIT_S):
            return None
        return _STOPPED if quiet_s > timeouts.idle_s or self._said_all else None

    @property
    def _said_all(self) -> bool:
        """Whether a stream has come to its end in all but form: whatever becomes of its body, the answer is good."""
        return self.committed and not isinstance(self._answer, PlainAnswer | None) and self._answer.complete

    def resume(self) -> None:
        """There is credit again."""
        if self._paused and self._connection is not None:
            self._paused = False
            self._heard = self._clock.now()
            self._connection.resume()

    def outrun(self) -> None:
        """See `job_entry.UpstreamCall`."""
        self._give_up(OUTRUN, RetryClass.NEVER)

    def cancel(self) -> None:
        """The client has left: close the upstream call, soon if a plain answer may be on its way, else at once."""
        waits = isinstance(self.passage.answer, PlainAnswer) and self._connection is not None and not self._entry.void
        if not waits:
            self._give_up(CLIENT_LEFT, RetryClass.NEVER)
        elif self._leaving is None and not self.ended.done():
            self._leaving = self._clock.call_later(limits.PLAIN_LEAVE_WAIT_S, self._leave)

    def _leave(self) -> None:
        """A plain answer has not become whole in time: what has come of it counts."""
        if isinstance(self._answer, PlainAnswer):
            self._answer.cut()
        self._give_up(CLIENT_LEFT, RetryClass.NEVER)

    def _give_up(self, fault: Fault, retry: RetryClass, cool_ms: int | None = None) -> None:
        if self._connection is not None:
            self._connection.cancel()
        self._end(AttemptResult(fault, retry, cool_ms))

    def _end_with(self, error: UpstreamError) -> None:
        self._end(AttemptResult(error.fault, error.cls, error.cool_ms))

    def _end(self, result: AttemptResult) -> None:
        if self._leaving is not None:
            self._leaving.cancel()
        if not self.ended.done():
            self.ended.set_result(result)
