"""The demo upstream: an OpenAI-compatible server that answers at once, obeys a script, and counts what it reports.

A process of its own, ``python -m trunkline.dev.upstream --port N``: `trunkline dev` starts it, tests and the benchmark
too. It stands on the edge's HTTP server, which makes it cheap enough to be the benchmark's instant provider.

| path | what |
| --- | --- |
| ``POST /v1/chat/completions`` | plain or streamed; see `dev.script` for what a request may ask for |
| ``GET /v1/models`` | the models, and the probe of a channel |
| ``GET /counts``, ``POST /counts/reset`` | see `dev.counts` |
| ``GET /last`` | the latest chat request as it came: ``{"headers": {...}, "body": "..."}`` |
| ``POST /script`` | `ScriptOrder`: a script for a credential or for all, until told otherwise |
"""

import argparse
import asyncio
import signal
from collections.abc import Callable

import msgspec
import uvloop

from trunkline.core.clock import Clock
from trunkline.core.errors import ErrorType, Fault
from trunkline.dev import completion, script
from trunkline.dev.completion import ChatBody, Plan
from trunkline.dev.counts import Abort, Counts
from trunkline.dev.script import Script, ScriptError
from trunkline.dev.stream import Stream
from trunkline.runtime.clock import SystemClock
from trunkline.runtime.http_exchange import Exchange, Request
from trunkline.runtime.http_server import HTTPServer, ServerLimits
from trunkline.runtime.tasks import TaskSet

CONNECTIONS_MAX = 50_000
ORDERS_MAX = 1000
EVERY_CREDENTIAL = "*"

_JSON = b"content-type: application/json\r\n"
_MODELS = b'{"object":"list","data":[{"id":"demo","object":"model","created":1700000000,"owned_by":"trunkline"}]}'


class ScriptOrder(msgspec.Struct, forbid_unknown_fields=True):
    """Body of ``POST /script``: what is done with the requests of a credential; null ends it."""

    script: Script | None
    credential: str = EVERY_CREDENTIAL


class LastRequest(msgspec.Struct):
    """Body of ``GET /last``."""

    headers: dict[str, str]
    body: str


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
        self._orders: dict[str, Script] = {}
        self._last: Request | None = None
        self._chat_decoder = msgspec.json.Decoder(ChatBody)
        self._order_decoder = msgspec.json.Decoder(ScriptOrder)
        self._routes: dict[tuple[str, str], Callable[[Exchange], None]] = {
            ("POST", "/v1/chat/completions"): self._chat,
            ("GET", "/v1/models"): self._models,
            ("GET", "/counts"): self._show_counts,
            ("POST", "/counts/reset"): self._reset,
            ("GET", "/last"): self._show_last,
            ("POST", "/script"): self._order,
        }

    # --- requests ------------------------------------------------------------------------------------------------

    def on_request(self, exchange: Exchange) -> None:
        """Called by the server with each whole request."""
        handle = self._routes.get((exchange.request.method, exchange.request.path))
        if handle is None:
            refuse(exchange, 404, "There is nothing here.")
        else:
            handle(exchange)

    def on_fault(self, exchange: Exchange, fault: Fault) -> None:
        """Called by the server for a request that could not be read."""
        refuse(exchange, 500 if fault.type is ErrorType.GATEWAY_INTERNAL else 400, fault.message)

    def _chat(self, exchange: Exchange) -> None:
        self._last = exchange.request
        credential = _credential(exchange.request)
        self.counts.attempt(credential)
        self._number += 1
        try:
            body = self._chat_decoder.decode(exchange.request.body)
            model, of_model = script.from_model(body.model)
            wanted = script.PLAIN
            if of_model or body.trunkline_demo or self._orders:
                wanted = script.merged(self._ordered(credential), of_model, body.trunkline_demo)
            plan = completion.plan(body, model, wanted, number=self._number, now_ms=self.clock.wall_ms())
            whole = b"" if body.stream else plan.whole()
        except (msgspec.DecodeError, ScriptError) as error:
            self.counts.refused += 1
            refuse(exchange, 400, str(error))
            return
        self.counts.begun += 1
        self.counts.open += 1
        if wanted is script.PLAIN and not body.stream:
            self._answer_whole(exchange, plan, whole)
            return
        exchange.on_gone = lambda: self.ended_aborted(plan, 0)
        if wanted.never_answer:
            return
        wait_ms = wanted.first_delay_ms + (0 if body.stream else wanted.delay_ms * plan.chunks)
        answer = Stream(self, exchange, plan).run if body.stream else lambda: self._answer_whole(exchange, plan, whole)
        if wanted.status >= 300:
            answer = lambda: self._answer_error(exchange, plan)  # noqa: E731 - one of three answers
        self._after(exchange, plan, wait_ms, answer)

    def _after(self, exchange: Exchange, plan: Plan, wait_ms: float, answer: Callable[[], None]) -> None:
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

    def _ordered(self, credential: str) -> Script | None:
        return self._orders.get(credential, self._orders.get(EVERY_CREDENTIAL))

    def _answer_whole(self, exchange: Exchange, plan: Plan, whole: bytes) -> None:
        wanted = plan.script
        headers = _JSON + self.header_lines(plan)
        if wanted.cut_after is not None or wanted.stall_after is not None:
            exchange.start(200, headers, whole[: len(whole) // 2])
            if wanted.cut_after is not None:
                exchange.abort()
                self.ended_cut(plan, 0)
            return
        # Counted first: who has read an answer finds it in the counts.
        broken = wanted.broken_chunk_after is not None
        self.ended_whole(plan, reported=not (broken or wanted.no_usage))
        exchange.respond(200, headers, whole[: len(whole) // 2] if broken else whole)

    def _answer_error(self, exchange: Exchange, plan: Plan) -> None:
        wanted = plan.script
        self.counts.open -= 1
        self.counts.refused += 1
        headers = _JSON + self.header_lines(plan)
        if wanted.retry_after is not None:
            headers += b"retry-after: %b\r\n" % f"{wanted.retry_after:g}".encode()
        body = completion.error_body(wanted.status, f"The script asked for status {wanted.status}.")
        exchange.respond(wanted.status, headers, body)

    # --- the books -----------------------------------------------------------------------------------------------

    def header_lines(self, plan: Plan) -> bytes:
        """Return the header lines that every answer of a plan has."""
        lines = b"x-request-id: req-demo-%d\r\n" % plan.number
        for name, value in plan.script.headers.items():
            lines += f"{name}: {value}\r\n".encode("ascii")
        return lines

    def ended_whole(self, plan: Plan, *, reported: bool) -> None:
        """The answer is complete."""
        self.counts.open -= 1
        self.counts.finished += 1
        self.counts.use(plan.model, plan.prompt_tokens, plan.tokens(plan.chunks), reported=reported)

    def ended_cut(self, plan: Plan, chunks: int) -> None:
        """The script broke the answer off after so many chunks."""
        self.counts.open -= 1
        self.counts.cut += 1
        self.counts.use(plan.model, plan.prompt_tokens, plan.tokens(chunks), reported=False)

    def ended_aborted(self, plan: Plan, chunks: int) -> None:
        """The client left after so many chunks."""
        self.counts.open -= 1
        self.counts.abort(Abort(plan.script.tag, plan.model, self.clock.wall_ms(), chunks))
        self.counts.use(plan.model, plan.prompt_tokens, plan.tokens(chunks), reported=False)

    # --- what is not chat ----------------------------------------------------------------------------------------

    def _models(self, exchange: Exchange) -> None:
        self.counts.listings += 1
        wanted = self._ordered(_credential(exchange.request)) or script.PLAIN
        if wanted.never_answer:
            return
        if wanted.status >= 300:
            refuse(exchange, wanted.status, f"The script asked for status {wanted.status}.")
        else:
            exchange.respond(200, _JSON, _MODELS)

    def _show_counts(self, exchange: Exchange) -> None:
        exchange.respond(200, _JSON, msgspec.json.encode(self.counts))

    def _reset(self, exchange: Exchange) -> None:
        self.counts = Counts(open=self.counts.open)
        self._show_counts(exchange)

    def _show_last(self, exchange: Exchange) -> None:
        if self._last is None:
            refuse(exchange, 404, "No chat request has come yet.")
            return
        last = LastRequest(self._last.headers, self._last.body.decode(errors="replace"))
        exchange.respond(200, _JSON, msgspec.json.encode(last))

    def _order(self, exchange: Exchange) -> None:
        try:
            order = self._order_decoder.decode(exchange.request.body)
            if order.script is None:
                self._orders.pop(order.credential, None)
            elif order.credential not in self._orders and len(self._orders) >= ORDERS_MAX:
                raise ScriptError(f"At most {ORDERS_MAX} credentials have a script.")
            else:
                self._orders[order.credential] = script.check(order.script)
        except (msgspec.DecodeError, ScriptError) as error:
            refuse(exchange, 400, str(error))
            return
        exchange.respond(200, _JSON, msgspec.json.encode(order))


def refuse(exchange: Exchange, status: int, message: str) -> None:
    """Answer with an error."""
    exchange.respond(status, _JSON, completion.error_body(status, message))


def _credential(request: Request) -> str:
    return request.headers.get("authorization", "").removeprefix("Bearer ")


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
    server = HTTPServer(upstream.on_request, upstream.on_fault, bounds, clock=clock, tasks=tasks)
    await server.start(host, port)
    await stop.wait()
    server.drain()
    await tasks.cancel()


def main() -> None:
    """Entry point of the process."""
    parser = argparse.ArgumentParser(prog="python -m trunkline.dev.upstream", description="The demo upstream.")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, required=True)
    arguments = parser.parse_args()
    uvloop.run(serve(arguments.host, arguments.port))


if __name__ == "__main__":
    main()
