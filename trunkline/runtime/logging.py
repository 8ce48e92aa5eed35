"""Logs: structlog, one JSON object a line on standard error.

Event names are static; whatever varies is a field. Never a prompt, an answer or a secret: callers pass
identifiers and counts only, and the test that plants secrets looks at the output.
"""

import logging
import sys
import traceback
from typing import BinaryIO, TextIO

import orjson
import structlog

from trunkline.core.clock import Clock, Timer


def configure(*, role: str, process: str, level: str = "info", human: bool = False) -> None:
    """Set up logging for this process. Call once, before the first line is logged.

    Args:
        role: of the service, on every line.
        process: id of the process, on every line.
        level: ``debug``, ``info``, ``warning`` or ``error``.
        human: coloured text instead of JSON, for a terminal.
    """
    number = logging.getLevelNamesMapping()[level.upper()]
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            *_renderers(human=human),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr)
        if human
        else structlog.BytesLoggerFactory(sys.stderr.buffer),
        cache_logger_on_first_use=True,
    )
    structlog.contextvars.bind_contextvars(role=role, process=process)
    # Libraries speak through the standard library: only their warnings are worth a line.
    logging.basicConfig(level=max(number, logging.WARNING), stream=sys.stderr, format="%(name)s: %(message)s")
    # nats-py logs each reconnect attempt as an error; the bus wrapper reports connection changes itself.
    logging.getLogger("nats").setLevel(logging.CRITICAL)


def _renderers(*, human: bool) -> list[structlog.typing.Processor]:
    if human:
        return [structlog.dev.ConsoleRenderer(exception_formatter=_print_frames)]
    return [
        structlog.processors.ExceptionRenderer(frames_of),
        structlog.processors.JSONRenderer(serializer=orjson.dumps),
    ]


def _print_frames(out: TextIO, exc_info: structlog.typing.ExcInfo) -> None:
    out.write(frames_of(exc_info))


def frames_of(exc_info: structlog.typing.ExcInfo) -> str:
    """Return where an exception was raised and of what types it and its causes are, without their messages.

    A message may quote what was being read: a prompt, an answer, a secret. So may local variables, which the prettier
    tracebacks print.
    """
    error: BaseException | None = exc_info[1]
    parts = []
    while error is not None:
        parts.append("".join(traceback.format_tb(error.__traceback__)) + type(error).__qualname__)
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    return "\ncaused by\n".join(parts)


class LineLog:
    """Finished log lines, written together a few times a second. For what is logged once per request.

    Args:
        clock: of the process.
        stream: a binary stream; standard error by default.
    """

    FLUSH_INTERVAL_S = 0.05
    BYTES_MAX = 256 * 1024

    def __init__(self, clock: Clock, stream: BinaryIO | None = None) -> None:
        self._clock = clock
        self._stream = stream if stream is not None else sys.stderr.buffer
        self._lines: list[bytes] = []
        self._bytes = 0
        self._timer: Timer | None = None

    def write(self, line: bytes) -> None:
        """Queue a line, with its newline."""
        self._lines.append(line)
        self._bytes += len(line)
        if self._bytes >= self.BYTES_MAX:
            self.flush()
        elif self._timer is None:
            self._timer = self._clock.call_later(self.FLUSH_INTERVAL_S, self.flush)

    def flush(self) -> None:
        """Write what is queued now."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        lines, self._lines, self._bytes = self._lines, [], 0
        if lines:
            self._stream.write(b"".join(lines))
            self._stream.flush()
