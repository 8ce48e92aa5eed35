"""The path of a request: ``identify → read → admit → hold → publish → relay → finish``.

The first five are steps of this file, in that order; each either does its work at once, or returns an awaitable
when it needs the outside (a key that is not cached, an allowance that is not leased), and the path goes on when
that is done. ``relay`` is what `JobBoard` does with the frames that come back, and ``finish`` is told when the
answer has ended. docs/life-of-a-request.md walks along it with the same words.
"""

import re
from collections.abc import Awaitable, Callable

import msgspec
import structlog
from prometheus_client import Counter

from services.edge import cors
from services.edge.client_job import ClientJob
from services.edge.count_limit import CountLimit
from services.edge.deployments import with_model
from services.edge.identification import Identification
from services.edge.job_board import JobBoard
from services.edge.metrics import EdgeMetrics
from services.edge.models import Models
from services.edge.payments import Payments
from services.edge.relay import respond_with_fault
from services.edge.request_log import RequestLog
from services.edge.request_trace import end_span, event
from services.edge.routes import METHODS, SELF_SERVICE, Match, Route, find_route, suggested_dialect
from services.edge.routing_wishes import choose_model, read_wish
from services.edge.self_service import SelfService
from trunkline.bus import frames
from trunkline.bus.messages import Envelope
from trunkline.core import limits
from trunkline.core.clock import Clock
from trunkline.core.errors import ErrorType, Fault, FaultError
from trunkline.core.ids import JobIDMint
from trunkline.policy.addresses import TrustedProxies
from trunkline.policy.affinity import affinity_of
from trunkline.policy.keys import CompiledKey
from trunkline.policy.limit_states import limit_states
from trunkline.policy.slices import Slice
from trunkline.protocol import registry
from trunkline.protocol.dialect import ClientRequest
from trunkline.protocol.names import ANTHROPIC, GEMINI, OPENAI_CHAT
from trunkline.runtime.http_exchange import Exchange, Request
from trunkline.runtime.tasks import TaskSet
from trunkline.runtime.tracer import NO_TRACER, Tracer

log = structlog.get_logger()

_ALT_SSE = re.compile(r"(?:^|&)\$?alt=sse(?:&|$)")
_TRACEPARENT = re.compile(r"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")
_QUERY_KEY = re.compile(r"(?:^|&)key=")
_WANTS_COST = "x-trunkline-include-cost"

Step = Callable[[ClientJob], Awaitable[None] | None]

_NO_ENDPOINT = Fault(
    ErrorType.CLIENT_NOT_FOUND,
    "This endpoint does not exist here. There are /v1/chat/completions, /v1/responses, /v1/messages, "
    "/v1beta/models/{model}:generateContent, /v1/embeddings, /v1/images, /v1/audio and /v1/models, among others.",
)
_NO_STATE = Fault(
    ErrorType.CLIENT_NOT_FOUND,
    "Responses are not stored here, so they cannot be fetched, cancelled or continued. Send the full input each time.",
)
_FULL = Fault(ErrorType.GATEWAY_BUSY, "This gateway is full at the moment. Please retry.", retry_after_ms=1000)
_FAILED = Fault(ErrorType.GATEWAY_INTERNAL, "The gateway failed on this request. Please retry.")


class RequestPath:
    """Takes each request from its last byte to its last answer.

    Args:
        edge: process id.
        jobs_max, deadline_s: see the settings.
        mint: makes job ids.
        identification, models, payments, board, self_service: what the steps ask.
        clock, tasks, metrics, request_log: of the process.
        proxies: whose word on where a request comes from is taken; None for nobody's.
        tracer: of the process.
    """

    def __init__(
        self,
        *,
        edge: str,
        jobs_max: int,
        deadline_s: float,
        mint: JobIDMint,
        identification: Identification,
        models: Models,
        payments: Payments,
        board: JobBoard,
        self_service: SelfService,
        clock: Clock,
        tasks: TaskSet,
        metrics: EdgeMetrics,
        request_log: RequestLog,
        proxies: TrustedProxies | None = None,
        tracer: Tracer = NO_TRACER,
    ) -> None:
        self._edge = edge
        self._jobs_max = jobs_max
        self._deadline_s = deadline_s
        self._mint = mint
        self._identification = identification
        self._models = models
        self._payments = payments
        self._board = board
        self._self_service = self_service
        self._clock = clock
        self._tasks = tasks
        self._metrics = metrics
        self._log = request_log
        self._proxies = proxies
        self._tracer = tracer
        self._waiting = 0
        self._counted: dict[tuple[str, str], Counter] = {}
        self._count_limit = CountLimit()
        job_steps: tuple[Step, ...] = (self.identify, self.read, self.admit, self.hold, self.publish)
        list_steps: tuple[Step, ...] = (self.identify, self.answer_models)
        self._steps: dict[Route, tuple[Step, ...]] = {
            **dict.fromkeys(Route, job_steps),
            Route.COUNT_TOKENS: (self.identify, self.limit_count, self.read, self.admit, self.answer_count),
            Route.MODELS: list_steps,
            Route.MODEL: list_steps,
            **dict.fromkeys(SELF_SERVICE, (self.identify, self.inquire, self.answer_inquiry)),
        }

    @property
    def in_flight(self) -> int:
        """Requests that have no whole answer yet."""
        return len(self._board) + self._waiting

    # --- entry -------------------------------------------------------------------------------------------------

    def begin(self, exchange: Exchange) -> None:
        """A request is whole. Called by the HTTP server."""
        if cors.is_preflight(exchange.request):
            cors.allow(exchange)
            return
        cors.mark(exchange)
        client = self._arrived(exchange)
        try:
            steps = self._steps_of(client)
        except FaultError as error:
            self.refuse(client, error.fault)
        else:
            self._go(client, steps, 0)

    def refuse_unreadable(self, exchange: Exchange, fault: Fault) -> None:
        """A request that HTTP could not read. Called by the HTTP server."""
        self.refuse(self._arrived(exchange), fault, close=True)

    def _arrived(self, exchange: Exchange) -> ClientJob:
        if self._proxies is not None:
            request = exchange.request
            address = self._proxies.client_of(request.peer, request.headers.get("x-forwarded-for"))
            if address != request.peer:
                exchange.request = request._replace(peer=address)
        client = ClientJob(exchange, self._mint.mint(self._clock.wall_ms()), self._clock.now())
        if self._tracer.on:
            client.span = self._tracer.request(exchange.request.headers.get("traceparent", ""))
        return client

    def refuse(self, client: ClientJob, fault: Fault, *, close: bool = False) -> None:
        """End a request that got no job with an error response."""
        self._payments.give_up(client)
        if client.groups and not client.limit_lines:
            self._tell_limits(client, self._payments.slices(client))
        client.outcome = fault.type.value
        respond_with_fault(client, fault, close=close)
        self.finish(client)

    def _steps_of(self, client: ClientJob) -> tuple[Step, ...]:
        request = client.exchange.request
        match = find_route(request.path)
        name = suggested_dialect(request.path) if match is None else match.dialect
        client.dialect = registry.CLIENTS[name or _dialect_of_headers(request)]
        if match is None:
            raise FaultError(_NO_STATE if "/responses/" in request.path else _NO_ENDPOINT)
        client.match = match
        if request.method not in METHODS[match.route]:
            allowed = " or ".join(METHODS[match.route])
            raise FaultError(
                Fault(ErrorType.CLIENT_METHOD_NOT_ALLOWED, f"This endpoint is called with {allowed}, not this method.")
            )
        return self._steps[match.route]

    def _go(self, client: ClientJob, steps: tuple[Step, ...], index: int) -> None:
        """Take the steps from ``index`` on; hand over to a task at the first that has to wait."""
        try:
            while index < len(steps):
                waiting = steps[index](client)
                index += 1
                if waiting is not None:
                    event(client, "trunkline.step.waits", {"trunkline.step": steps[index - 1].__name__})
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
        event(client, "trunkline.step.over")
        if client.exchange.ended:
            self._payments.give_up(client)
            client.outcome = ErrorType.CLIENT_GONE.value
            self.finish(client)
        else:
            self._go(client, steps, index)

    # --- steps -------------------------------------------------------------------------------------------------

    def identify(self, client: ClientJob) -> Awaitable[None] | None:
        """Whose request is it? First, so that strangers cost nothing more."""
        key = self._identification.identify(client.exchange.request, client.dialect.name)
        if not isinstance(key, CompiledKey):
            return self._identify_by_look_up(client, key)
        client.key = key
        self._check_key(client)
        return None

    async def _identify_by_look_up(self, client: ClientJob, looking: Awaitable[CompiledKey]) -> None:
        client.key = await looking
        self._check_key(client)

    def _check_key(self, client: ClientJob) -> None:
        refusal = client.key.refusal(self._clock.wall_ms(), client.exchange.request.peer)
        if refusal is not None:
            raise FaultError(refusal)

    def read(self, client: ClientJob) -> None:
        """What does it want? Only the fields that routing needs; the body stays bytes."""
        match, exchange = client.match, client.exchange
        if match is not None and match.model and match.dialect == OPENAI_CHAT:
            exchange.request = with_model(exchange.request, match.model)
        client.asked = self._read(client, exchange.request)
        client.wish = read_wish(client)
        if client.wish is not None and client.wish.first == client.asked.model and _model_in_body(match):
            # It may be named in the list alone, and a provider would miss it.
            exchange.request = with_model(exchange.request, client.asked.model)

    def _read(self, client: ClientJob, request: Request) -> ClientRequest:
        match = client.match
        if match is None or match.route is Route.CHAT:
            return client.dialect.read_head(request.body)
        if match.endpoint:
            endpoint = registry.ENDPOINTS[match.endpoint]
            asked = endpoint.read_head(request.body, request.headers.get("content-type", ""))
        elif match.route is Route.COUNT_TOKENS:
            asked = registry.COUNTERS[client.dialect.name].read_count_head(request.body)
        else:
            asked = client.dialect.read_head(request.body)
        if match.model:
            stream = match.route is Route.STREAM_GENERATE or asked.stream
            array = match.route is Route.STREAM_GENERATE and not _ALT_SSE.search(request.query)
            asked = msgspec.structs.replace(asked, model=match.model, stream=stream, array=array)
        return asked

    def admit(self, client: ClientJob) -> None:
        """May this key call this endpoint and have that model, and is there room for one more job?"""
        if client.key.policy.endpoints and client.match is not None:
            refusal = client.key.endpoint_refusal(client.match.label)
            if refusal is not None:
                raise FaultError(refusal)
        choose_model(client, self._models)
        if len(self._board) >= self._jobs_max:
            raise FaultError(_FULL)

    def hold(self, client: ClientJob) -> Awaitable[None] | None:
        """Can the account pay, within its limits? From what is leased here; a round trip only to lease more."""
        return self._payments.hold(client)

    def publish(self, client: ClientJob) -> None:
        """Hand it to a dispatcher, as a job on the bus."""
        asked, policy, request = client.asked, client.key.policy, client.exchange.request
        if client.hold is not None:
            self._tell_limits(client, client.hold.slices)
        wants_cost = asked.wants_cost or request.headers.get(_WANTS_COST, "").lower() == "true"
        envelope = Envelope(
            edge=self._edge,
            reply=self._board.next_reply(),
            offered_ms=0,
            deadline_s=self._deadline_s,
            dialect=client.words,
            model=asked.model,
            stream=asked.stream,
            wants_usage=asked.wants_usage or wants_cost,
            account=policy.account,
            key=policy.key,
            groups=client.groups,
            body_bytes=len(request.body),
            credit=limits.CREDIT_WINDOW_BYTES,
            max_output=asked.max_output,
            traceparent=_traceparent(request),
            headers=_carried(client),
            array=asked.array,
            user=policy.user,
            lease=self._payments.lease_number(client),
            affinity=affinity_of(policy.account, request.headers, named=asked.named, opening=asked.opening),
            pricing=self._payments.pricing(client) if wants_cost else None,
            strategy=client.strategy,
            fallbacks=self._payments.priced_fallbacks(client) if wants_cost else client.fallbacks,
            hedge=client.model.routing.hedge,
            asked=client.moved_from,
            continues=client.model.routing.continues,
            frames=frames.NEWEST_READ,
            trace="" if client.span is None else client.span.traceparent,
        )
        self._board.open(client, envelope, request.body, client.model.lane)
        if len(request.body) > limits.OPEN_BODY_BYTES_MAX:
            client.exchange.request = request._replace(
                body=b""
            )  # the job has it, and lets it go once the answer begins

    def _tell_limits(self, client: ClientJob, slices: tuple[Slice, ...]) -> None:
        """Note the headers about the client's own limits, as they are now that its request has been counted."""
        if len(slices) > 1:  # the first is the wallet, which no such header tells of
            requests, tokens = limit_states(slices, self._clock.now())
            if requests is not None or tokens is not None:
                client.limit_lines = client.dialect.limit_lines(requests, tokens, self._clock.wall_ms())

    async def inquire(self, client: ClientJob) -> None:
        """What is it told of its own key, use and requests? Only metering knows."""
        client.told = await self._self_service.tell(client)

    def answer_inquiry(self, client: ClientJob) -> None:
        """Answer with what metering has said; no job."""
        self._answer(client, client.told)

    def answer_models(self, client: ClientJob) -> None:
        """Answer ``/v1/models`` from the snapshot; no job."""
        self._answer(
            client,
            self._models.render(client.key, client.match.model if client.match is not None else "", client.dialect),
        )

    def limit_count(self, client: ClientJob) -> None:
        """Does it ask for counts too often? Before its body is looked at, which is most of the work."""
        self._count_limit.check(client.key.policy.key, self._clock.now())

    def answer_count(self, client: ClientJob) -> None:
        """Answer a question for the number of input tokens with an estimate made here; no job, and free."""
        counter = registry.COUNTERS[client.dialect.name]
        self._answer(client, counter.render_count(client.dialect.count_input(client.exchange.request.body)))

    def _answer(self, client: ClientJob, body: bytes) -> None:
        name = client.dialect.request_id_header
        headers = f"content-type: application/json\r\n{name}: {client.request_id}\r\n".encode()
        client.status, client.outcome = 200, "ok"
        client.exchange.respond(200, headers, body)
        self.finish(client)

    # --- finish ------------------------------------------------------------------------------------------------

    def finish(self, client: ClientJob) -> None:
        """The answer has ended, one way or the other: count it and write its one line of log."""
        now = self._clock.now()
        route = client.match.label if client.match is not None else "none"
        counted = self._counted.get((route, client.outcome))
        if counted is None:
            counted = self._counted[route, client.outcome] = self._metrics.requests.labels(route, client.outcome)
        counted.inc()
        exemplar = None if client.span is None else client.span.exemplar
        self._metrics.request_seconds.observe(now - client.begun, exemplar)
        if client.first_byte:
            self._metrics.first_byte_seconds[client.asked.stream].observe(client.first_byte - client.begun, exemplar)
        if client.span is not None:
            end_span(client, client.span, route)
        self._log.write(client, route, now)


def _traceparent(request: Request) -> str:
    """Return the trace that a client continues (W3C Trace Context), empty for none: nothing else goes to providers."""
    value = request.headers.get("traceparent")
    return value if value is not None and _TRACEPARENT.fullmatch(value) else ""


def _carried(client: ClientJob) -> dict[str, str]:
    """Return the request headers that a dispatcher needs beside the body."""
    headers = client.exchange.request.headers
    if client.match is not None and client.match.endpoint:
        return {"content-type": headers["content-type"]} if "content-type" in headers else {}
    return {name: headers[name] for name in client.dialect.carried_headers if name in headers}


def _model_in_body(match: Match | None) -> bool:
    """Return whether a request is a conversation that names its model in its body."""
    return match is not None and not match.model and not match.endpoint


def _dialect_of_headers(request: Request) -> str:
    """Return whose words a client expects where the path does not tell, as for the models (DIALECTS section 7)."""
    if "anthropic-version" in request.headers or "x-api-key" in request.headers:
        return ANTHROPIC
    if "x-goog-api-key" in request.headers or _QUERY_KEY.search(request.query):
        return GEMINI
    return OPENAI_CHAT
