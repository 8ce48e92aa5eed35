"""The path of a request: ``identify → read → admit → hold → publish → relay → finish``.

The first five are steps of this file, in that order; each either does its work at once, or returns an awaitable
when it needs the outside (a key that is not cached, an allowance that is not leased), and the path goes on when
that is done. ``relay`` is what `JobBoard` does with the frames that come back, and ``finish`` is told when the
answer has ended. docs/life-of-a-request.md walks along it with the same words.
"""

from collections.abc import Awaitable, Callable

import structlog
from prometheus_client import Counter

from services.edge.allowances import Allowances
from services.edge.client_job import ClientJob
from services.edge.job_board import JobBoard
from services.edge.key_ring import KeyRing
from services.edge.metrics import EdgeMetrics
from services.edge.models import Models
from services.edge.relay import respond_with_fault
from services.edge.request_log import RequestLog
from services.edge.routes import METHODS, Route, find_route
from trunkline.bus.messages import Envelope
from trunkline.core import limits
from trunkline.core.clock import Clock
from trunkline.core.errors import ErrorType, Fault, FaultError
from trunkline.core.ids import JobIDMint
from trunkline.policy.keys import well_formed
from trunkline.protocol.openai_chat.request import read_head
from trunkline.runtime.http_exchange import Exchange
from trunkline.runtime.tasks import TaskSet

log = structlog.get_logger()

Step = Callable[[ClientJob], Awaitable[None] | None]

_NO_KEY = Fault(ErrorType.CLIENT_UNAUTHENTICATED, "No API key was sent. Send it as 'Authorization: Bearer sk-tl-…'.")
_MALFORMED_KEY = Fault(
    ErrorType.CLIENT_UNAUTHENTICATED,
    "This is not a key of this gateway: it must be 'sk-tl-' and 38 letters and digits. Check for missing characters.",
)
_FULL = Fault(ErrorType.GATEWAY_BUSY, "This gateway is full at the moment. Please retry.", retry_after_ms=1000)
_FAILED = Fault(ErrorType.GATEWAY_INTERNAL, "The gateway failed on this request. Please retry.")


class RequestPath:
    """Takes each request from its last byte to its last answer.

    Args:
        edge: process id.
        jobs_max, deadline_s: see the settings.
        mint: makes job ids.
        keys, models, allowances, board: what the steps ask.
        clock, tasks, metrics, request_log: of the process.
    """

    def __init__(
        self,
        *,
        edge: str,
        jobs_max: int,
        deadline_s: float,
        mint: JobIDMint,
        keys: KeyRing,
        models: Models,
        allowances: Allowances,
        board: JobBoard,
        clock: Clock,
        tasks: TaskSet,
        metrics: EdgeMetrics,
        request_log: RequestLog,
    ) -> None:
        self._edge = edge
        self._jobs_max = jobs_max
        self._deadline_s = deadline_s
        self._mint = mint
        self._keys = keys
        self._models = models
        self._allowances = allowances
        self._board = board
        self._clock = clock
        self._tasks = tasks
        self._metrics = metrics
        self._log = request_log
        self._waiting = 0
        self._counted: dict[tuple[str, str], Counter] = {}
        self._chat_steps: tuple[Step, ...] = (self.identify, self.read, self.admit, self.hold, self.publish)
        self._list_steps: tuple[Step, ...] = (self.identify, self.answer_models)

    @property
    def in_flight(self) -> int:
        """Requests that have no whole answer yet."""
        return len(self._board) + self._waiting

    # --- entry -------------------------------------------------------------------------------------------------

    def begin(self, exchange: Exchange) -> None:
        """A request is whole. Called by the HTTP server."""
        client = ClientJob(exchange, self._mint.mint(self._clock.wall_ms()), self._clock.now())
        try:
            steps = self._steps_of(client)
        except FaultError as error:
            self.refuse(client, error.fault)
        else:
            self._go(client, steps, 0)

    def refuse_unreadable(self, exchange: Exchange, fault: Fault) -> None:
        """A request that HTTP could not read. Called by the HTTP server."""
        client = ClientJob(exchange, self._mint.mint(self._clock.wall_ms()), self._clock.now())
        self.refuse(client, fault, close=True)

    def refuse(self, client: ClientJob, fault: Fault, *, close: bool = False) -> None:
        """End a request that got no job with an error response."""
        client.outcome = fault.type.value
        respond_with_fault(client, fault, close=close)
        self.finish(client)

    def _steps_of(self, client: ClientJob) -> tuple[Step, ...]:
        request = client.exchange.request
        match = find_route(request.path)
        if match is None:
            raise FaultError(
                Fault(
                    ErrorType.CLIENT_NOT_FOUND,
                    "This endpoint does not exist here. There are /v1/chat/completions and /v1/models.",
                )
            )
        client.match = match
        if request.method not in METHODS[match.route]:
            allowed = " or ".join(METHODS[match.route])
            raise FaultError(
                Fault(ErrorType.CLIENT_METHOD_NOT_ALLOWED, f"This endpoint is called with {allowed}, not this method.")
            )
        return self._chat_steps if match.route is Route.CHAT else self._list_steps

    def _go(self, client: ClientJob, steps: tuple[Step, ...], index: int) -> None:
        """Take the steps from ``index`` on; hand over to a task at the first that has to wait."""
        try:
            while index < len(steps):
                waiting = steps[index](client)
                index += 1
                if waiting is not None:
                    self._waiting += 1
                    self._tasks.spawn(self._go_later(client, steps, index, waiting), name="request_waits")
                    return
        except Exception as error:
            self._refuse_for(client, error)

    def _refuse_for(self, client: ClientJob, error: Exception) -> None:
        """End a request whose step failed: with its fault, or, where the step itself is at fault, with ours."""
        if isinstance(error, FaultError):
            self.refuse(client, error.fault)
        else:
            log.error("request_failed", request_id=client.request_id, error=type(error).__name__, exc_info=error)
            self.refuse(client, _FAILED)

    async def _go_later(self, client: ClientJob, steps: tuple[Step, ...], index: int, waiting: Awaitable[None]) -> None:
        try:
            await waiting
        except Exception as error:
            self._refuse_for(client, error)
            return
        finally:
            self._waiting -= 1
        if client.exchange.ended:
            client.outcome = ErrorType.CLIENT_GONE.value
            self.finish(client)
        else:
            self._go(client, steps, index)

    # --- steps -------------------------------------------------------------------------------------------------

    def identify(self, client: ClientJob) -> Awaitable[None] | None:
        """Whose request is it? First, so that strangers cost nothing more."""
        secret = _bearer(client.exchange.request.headers)
        if secret is None:
            raise FaultError(_NO_KEY)
        if not well_formed(secret):
            raise FaultError(_MALFORMED_KEY)
        key = self._keys.cached(secret)
        if key is None:
            return self._identify_by_look_up(client, secret)
        client.key = key
        self._check_key(client)
        return None

    async def _identify_by_look_up(self, client: ClientJob, secret: str) -> None:
        client.key = await self._keys.find(secret)
        self._check_key(client)

    def _check_key(self, client: ClientJob) -> None:
        refusal = client.key.refusal(self._clock.wall_ms(), client.exchange.request.peer)
        if refusal is not None:
            raise FaultError(refusal)

    def read(self, client: ClientJob) -> None:
        """What does it want? Only the fields that routing needs; the body stays bytes."""
        client.chat = read_head(client.exchange.request.body)

    def admit(self, client: ClientJob) -> None:
        """May this key have that model, and is there room for one more job?"""
        client.model, client.groups = self._models.find(client.chat.model, client.key)
        if len(self._board) >= self._jobs_max:
            raise FaultError(_FULL)

    def hold(self, client: ClientJob) -> Awaitable[None] | None:
        """Can the account pay? From the allowance that is leased here; a round trip only to lease one."""
        account = client.key.policy.account
        return None if self._allowances.check(account) else self._allowances.draw(account)

    def publish(self, client: ClientJob) -> None:
        """Hand it to a dispatcher, as a job on the bus."""
        chat, policy, request = client.chat, client.key.policy, client.exchange.request
        envelope = Envelope(
            edge=self._edge,
            reply=self._board.next_reply(),
            offered_ms=0,
            deadline_s=self._deadline_s,
            dialect="openai-chat",
            model=chat.model,
            stream=chat.stream,
            wants_usage=chat.wants_usage,
            account=policy.account,
            key=policy.key,
            groups=client.groups,
            body_bytes=len(request.body),
            credit=limits.CREDIT_WINDOW_BYTES,
            max_output=chat.max_output,
            traceparent=request.headers.get("traceparent", ""),
        )
        self._board.open(client, envelope, request.body, client.model.lane)

    def answer_models(self, client: ClientJob) -> None:
        """Answer ``/v1/models`` from the snapshot; no job."""
        body = self._models.render(client.key, client.match.model if client.match is not None else "")
        headers = f"content-type: application/json\r\nx-request-id: {client.request_id}\r\n".encode()
        client.status, client.outcome = 200, "ok"
        client.exchange.respond(200, headers, body)
        self.finish(client)

    # --- finish ------------------------------------------------------------------------------------------------

    def finish(self, client: ClientJob) -> None:
        """The answer has ended, one way or the other: count it and write its one line of log."""
        now = self._clock.now()
        route = client.match.route.value if client.match is not None else "none"
        counted = self._counted.get((route, client.outcome))
        if counted is None:
            counted = self._counted[route, client.outcome] = self._metrics.requests.labels(route, client.outcome)
        counted.inc()
        self._metrics.request_seconds.observe(now - client.begun)
        if client.first_byte:
            self._metrics.first_byte_seconds.observe(client.first_byte - client.begun)
        self._log.write(client, route, now)


def _bearer(headers: dict[str, str]) -> str | None:
    """Return the secret of an Authorization header, or None if there is none."""
    value = headers.get("authorization")
    if value is None:
        return None
    scheme, _, secret = value.partition(" ")
    return secret.strip() if scheme.lower() == "bearer" else value.strip()
