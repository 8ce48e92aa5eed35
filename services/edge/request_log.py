"""One line of log per finished request: identifiers and figures, nothing that anybody typed.

Built by hand and written in batches, since structlog's pipeline would cost as much as the rest of the edge.
"""

import orjson

from services.edge.client_job import ClientJob
from trunkline.core.clock import Clock
from trunkline.runtime.logging import LineLog


class RequestLog:
    """Writes request lines.

    Args:
        lines: where to.
        process: id of this edge.
        clock: of the process.
    """

    def __init__(self, lines: LineLog, process: str, clock: Clock) -> None:
        self._lines = lines
        self._process = process
        self._clock = clock

    def write(self, client: ClientJob, route: str, now: float) -> None:
        """Write the line of a request that has ended."""
        line = {
            "event": "request",
            "level": "info",
            "at_ms": self._clock.wall_ms(),
            "role": "edge",
            "process": self._process,
            "request_id": client.request_id,
            "client_ip": client.exchange.request.peer,
            "route": route,
            "outcome": client.outcome,
            "status": client.status,
            "ms": round((now - client.begun) * 1000, 2),
        }
        if client.offers:
            policy = client.key.policy
            line |= {
                "model": client.served or client.model.name,
                "stream": client.asked.stream,
                "account": policy.account,
                "key": policy.key,
                "channel": client.channel,
                "offers": client.offers,
                "first_byte_ms": round((client.first_byte - client.begun) * 1000, 2) if client.first_byte else None,
            }
        if client.span is not None:
            line["trace_id"] = client.span.trace_id
        self._lines.write(orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE))
