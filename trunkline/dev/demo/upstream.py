"""The demo upstream: a provider in each dialect that answers at once, obeys a script, and counts what it reports.

A process of its own, ``python -m trunkline.dev.demo.upstream --port N``: `trunkline dev` starts it, tests and the
benchmark too. It stands on the edge's HTTP server, which makes it cheap enough for that. It shares
no code with the gateway's readers and writers, so that it notices their mistakes: it reads, refuses and answers as the
providers' own documentation says.

| path | what |
| --- | --- |
| ``POST /v1/chat/completions`` | plain or streamed; see `dev.demo.script` for what a request may ask for |
| ``POST /openai/deployments/{d}/…``, ``POST /openai/v1/…`` | this, and what Azure has of OpenAI's other endpoints |
| ``POST /v1/responses``, ``…/input_tokens`` | OpenAI's Responses |
| ``POST /v1/embeddings``, ``/v1/completions``, ``/v1/moderations`` | OpenAI's endpoints beside conversations |
| ``POST /v1/images/generations``, ``…/edits``, ``…/variations`` | the same, for images |
| ``POST /v1/audio/speech``, ``…/transcriptions``, ``…/translations`` | the same, for sound |
| ``POST /v1/rerank``, ``/v2/rerank`` | a ranking as Jina gives it, and as Cohere does |
| ``POST /v1/messages``, ``…/count_tokens`` | Anthropic's Messages |
| ``POST /v1beta/models/{m}:generateContent``, ``:streamGenerateContent``, ``:countTokens`` | Google's Gemini |
| ``POST /v1beta/models/{m}:embedContent``, ``:batchEmbedContents`` | its embeddings |
| ``GET /v1/models``, ``GET /v1beta/models`` | the models, and the probe of a channel |
| ``GET /counts``, ``POST /counts/reset`` | see `dev.demo.counts` |
| ``GET /answers`` | the answers to requests with a tag, see `dev.demo.counts.Answer` |
| ``GET /last`` | the latest of these requests as it came, see `LastRequest` |
| ``POST /script`` | a script for a credential or for all, until told otherwise; see `dev.demo.orders` |

Without a script the answer is a sentence; or a call, if the request demands one, or offers a tool and its user's last
words are ``call`` and the tool's name; or the least JSON that a schema takes, if the request has one.
"""

import argparse
import asyncio
import functools
import signal
from collections import deque
from collections.abc import Callable

import msgspec
import uvloop

from trunkline.core.clock import Clock
from trunkline.core.errors import ErrorType, Fault
from trunkline.dev.demo import planning, routes, script
from trunkline.dev.demo.completion import Plan
from trunkline.dev.demo.counts import ANSWERS_MAX, Abort, Answer, Counts
from trunkline.dev.demo.orders import Orders
from trunkline.dev.demo.request import Dialect, RequestError, Speech
from trunkline.dev.demo.routes import Listing
from trunkline.dev.demo.script import Script, ScriptError
from trunkline.dev.demo.stream import Stream
from trunkline.runtime.clock import SystemClock
from trunkline.runtime.http_exchange import Exchange, Request, Wire
from trunkline.runtime.http_request_reader import ServerLimits
from trunkline.runtime.http_server import HTTPServer, ServerConnection
from trunkline.runtime.tasks import TaskSet

CONNECTIONS_MAX = 50_000

_JSON = b"content-type: application/json\r\n"


class LastRequest(msgspec.Struct):
    """Body of ``GET /last``; ``path`` and ``query`` are as sent."""

    headers: dict[str, str]
    body: str
    path: str = ""
    query: str = ""


class Upstream:
    """Answers requests and keeps the books.

    Attributes:
        clock: of the process; streams use it.
        counts: see there.
    """

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.counts = Counts()
        self._number = 0
        self._orders = Orders()
        self._last: Request | None = None
        self._answers: deque[Answer] = deque(maxlen=ANSWERS_MAX)
        self._latest: dict[Wire, tuple[Answer, float]] = {}
        self._routes: dict[tuple[str, str], Callable[[Exchange], None]] = {
            ("GET", "/counts"): self._show_counts,
            ("POST", "/counts/reset"): self._reset,
            ("GET", "/answers"): self._show_answers,
            ("GET", "/last"): self._show_last,
            ("POST", "/script"): self._order,
        }
        for path, dialect in routes.FIXED.items():
            self._routes["POST", path] = functools.partial(self._generate, dialect)

    # --- requests ------------------------------------------------------------------------------------------------

    def on_request(self, exchange: Exchange) -> None:
        """Called by the server with each whole request."""
        self._latest.pop(exchange.connection, None)
        request = exchange.request
        handle = self._routes.get((request.method, request.path))
        if handle is not None:
            handle(exchange)
        elif (dialect := routes.find(request)) is not None:
            self._generate(dialect, exchange)
        elif (listing := routes.find_listing(request)) is not None:
            self._list(listing, exchange)
        else:
            self._refuse(exchange, routes.guessed(request), RequestError("There is nothing here.", status=404))

    def on_fault(self, exchange: Exchange, fault: Fault) -> None:
        """Called by the server for a request that could not be read."""
        status = 500 if fault.type is ErrorType.GATEWAY_INTERNAL else 400
        self._refuse(exchange, routes.CHAT, RequestError(fault.message, status=status))

    def _generate(self, dialect: Dialect, exchange: Exchange) -> None:
        request = self._last = exchange.request
        self._number += 1
        try:
            credential = dialect.credential(request)
            if not dialect.counting:
                self.counts.attempt(credential)
            asked = dialect.read(request)
            model, of_model = script.from_model(asked.model)
            wanted = script.PLAIN
            if of_model or asked.script or self._orders.scripts:
                wanted = script.merged(self._orders.of(credential), of_model, asked.script)
                wanted = script.shared(wanted, self._number)
            plan = planning.plan(asked, model, wanted, number=self._number, now_ms=self.clock.wall_ms())
            speech = asked.speech(plan)
            whole = None if asked.stream else speech.whole()
        except (msgspec.DecodeError, ScriptError, RequestError, RecursionError) as error:
            self.counts.refused += 1
            refusal = error if isinstance(error, RequestError) else RequestError(str(error))
            self._refuse(exchange, dialect, refusal)
            return
        if asked.token_count is not None:
            self._answer_count(exchange, dialect, plan, speech, asked.token_count)
            return
        self.counts.begun += 1
        self.counts.open += 1
        if wanted is script.PLAIN and whole is not None:
            self._answer_whole(exchange, plan, speech, whole)
            return
        exchange.on_gone = lambda: self.ended_aborted(plan, 0, 0)
        if wanted.never_answer:
            return
        wait_ms = wanted.first_delay_ms + (0 if whole is None else wanted.delay_ms * plan.chunks)
        self._after(exchange, wait_ms, self._answer(exchange, dialect, plan, speech, whole))

    def _answer(
        self, exchange: Exchange, dialect: Dialect, plan: Plan, speech: Speech, whole: bytes | None
    ) -> Callable[[], None]:
        """Return what answers a request when its time has come; ``whole`` is None for a stream."""
        failing = plan.script.error_mid_stream is not None and whole is not None
        if plan.script.status >= 300 or failing:
            return lambda: self._answer_error(exchange, dialect, plan)
        if whole is None:
            return Stream(self, exchange, plan, speech).run
        return lambda: self._answer_whole(exchange, plan, speech, whole)

    def _after(self, exchange: Exchange, wait_ms: float, answer: Callable[[], None]) -> None:
        if not wait_ms:
            answer()
            return
        timer = self.clock.call_later(wait_ms / 1000, answer)
        gone = exchange.on_gone

        def leave() -> None:
            timer.cancel()
            if gone is not None:
                gone()

        exchange.on_gone = leave

    def _answer_whole(self, exchange: Exchange, plan: Plan, speech: Speech, whole: bytes) -> None:
        wanted = plan.script
        product = plan.product
        headers = (_JSON if product is None else product.headers) + self.header_lines(plan, speech)
        if wanted.cut_after is not None or wanted.stall_after is not None:
            exchange.start(200, headers, whole[: len(whole) // 2])
            if wanted.cut_after is not None:
                exchange.abort()
                self.ended_cut(plan, 0, 0)
            return
        # Counted first: who has read an answer finds it in the counts.
        broken = wanted.broken_chunk_after is not None
        silent = wanted.no_usage or (product is not None and not product.reported)
        self.ended_whole(plan, exchange, reported=not (broken or silent))
        exchange.respond(200, headers, whole[: len(whole) // 2] if broken else whole)

    def _answer_error(self, exchange: Exchange, dialect: Dialect, plan: Plan) -> None:
        self.counts.open -= 1
        self.counts.refused += 1
        self._refuse(exchange, dialect, _scripted_error(plan.script), plan.script.header_lines())

    def _answer_count(self, exchange: Exchange, dialect: Dialect, plan: Plan, speech: Speech, body: bytes) -> None:
        self.counts.token_counts += 1
        wanted = plan.script
        if wanted.never_answer:
            return
        if wanted.status >= 300:
            self._refuse(exchange, dialect, _scripted_error(wanted), wanted.header_lines())
            return
        answer = functools.partial(exchange.respond, 200, _JSON + self.header_lines(plan, speech), body)
        self._after(exchange, wanted.first_delay_ms, answer)

    def _refuse(self, exchange: Exchange, dialect: Dialect, error: RequestError, further: bytes = b"") -> None:
        lines, body = dialect.error(error, self._number)
        exchange.respond(error.status, lines + further, body)

    # --- the books -----------------------------------------------------------------------------------------------

    def header_lines(self, plan: Plan, speech: Speech) -> bytes:
        """Return the header lines that every answer of a plan has."""
        lines = b"%b: req-demo-%d\r\n" % (speech.id_header, plan.number)
        return lines + plan.script.header_lines() if plan.script.headers else lines

    def ended_whole(self, plan: Plan, exchange: Exchange, *, reported: bool) -> None:
        """The answer is complete."""
        self.counts.open -= 1
        self.counts.finished += 1
        self.counts.use(plan.model, plan.total, reported=reported)
        if plan.script.tag and reported:
            answer = Answer(plan.script.tag, plan.model, plan.total)
            self._answers.append(answer)
            self._latest[exchange.connection] = answer, self.clock.now()

    def ended_cut(self, plan: Plan, chunks: int, told: int) -> None:
        """The script broke the answer off after so many chunks; usage was reported up to ``told`` of them."""
        self.counts.open -= 1
        self.counts.cut += 1
        self.counts.use(plan.model, plan.usage(told or chunks), reported=told > 0)

    def ended_aborted(self, plan: Plan, chunks: int, told: int) -> None:
        """The client left after so many chunks; usage was reported up to ``told`` of them."""
        self.counts.open -= 1
        self.counts.abort(Abort(plan.script.tag, plan.model, self.clock.wall_ms(), chunks))
        self.counts.use(plan.model, plan.usage(told or chunks), reported=told > 0)

    def closed(self, connection: Wire) -> None:
        """Called when a connection is gone."""
        if connection in self._latest:
            answer, ended = self._latest.pop(connection)
            answer.closed_after_ms = (self.clock.now() - ended) * 1000

    # --- what is no answer ---------------------------------------------------------------------------------------

    def _list(self, listing: Listing, exchange: Exchange) -> None:
        self.counts.listings += 1
        try:
            wanted = self._orders.of(listing.dialect.credential(exchange.request)) or script.PLAIN
        except RequestError as error:
            self._refuse(exchange, listing.dialect, error)
            return
        if wanted.never_answer:
            return
        if wanted.status >= 300:
            self._refuse(exchange, listing.dialect, _scripted_error(wanted))
        else:
            exchange.respond(200, _JSON, listing.body)

    def _show_counts(self, exchange: Exchange) -> None:
        exchange.respond(200, _JSON, msgspec.json.encode(self.counts))

    def _reset(self, exchange: Exchange) -> None:
        self.counts = Counts(open=self.counts.open)
        self._answers.clear()
        self._show_counts(exchange)

    def _show_answers(self, exchange: Exchange) -> None:
        exchange.respond(200, _JSON, msgspec.json.encode(list(self._answers)))

    def _show_last(self, exchange: Exchange) -> None:
        last = self._last
        if last is None:
            self._refuse(exchange, routes.CHAT, RequestError("No request has come yet.", status=404))
            return
        shown = LastRequest(last.headers, last.body.decode(errors="replace"), last.path, last.query)
        exchange.respond(200, _JSON, msgspec.json.encode(shown))

    def _order(self, exchange: Exchange) -> None:
        try:
            order = self._orders.take(exchange.request.body)
        except (msgspec.DecodeError, ScriptError) as error:
            self._refuse(exchange, routes.CHAT, RequestError(str(error)))
            return
        exchange.respond(200, _JSON, order)


def _scripted_error(wanted: Script) -> RequestError:
    status = wanted.status if wanted.status >= 300 else 500
    return RequestError(f"The script asked for status {status}.", status=status, retry_after=wanted.retry_after)


class _Server(HTTPServer):
    """Tells the upstream of connections that are gone, also behind an answer."""

    upstream: Upstream

    def forget(self, connection: ServerConnection) -> None:
        """See `HTTPServer`."""
        super().forget(connection)
        self.upstream.closed(connection)


async def serve(host: str, port: int) -> None:
    """Serve until told to stop.

    Raises:
        OSError: the port is taken.
    """
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    clock = SystemClock()
    tasks = TaskSet(on_failure=lambda _error: stop.set())
    upstream = Upstream(clock)
    bounds = ServerLimits(connections_max=CONNECTIONS_MAX)
    server = _Server(upstream.on_request, upstream.on_fault, bounds, clock=clock, tasks=tasks)
    server.upstream = upstream
    await server.start(host, port)
    await stop.wait()
    server.drain()
    await tasks.cancel()


def main() -> None:
    """Entry point of the process."""
    parser = argparse.ArgumentParser(prog="python -m trunkline.dev.demo.upstream", description="The demo upstream.")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, required=True)
    arguments = parser.parse_args()
    uvloop.run(serve(arguments.host, arguments.port))


if __name__ == "__main__":
    main()
