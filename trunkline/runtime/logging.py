"""Logs: structlog, one JSON object a line on standard error.

Event names are static; whatever varies is a field. Never a prompt, an answer or a secret: callers pass
identifiers and counts only, and the test that plants secrets looks at the output.
"""

import logging
import sys

import orjson
import structlog


def configure(*, role: str, process: str, level: str = "info", human: bool = False) -> None:
    """Set up logging for this process. Call once, before the first line is logged.

    Args:
        role: of the service, on every line.
        process: id of the process, on every line.
        level: ``debug``, ``info``, ``warning`` or ``error``.
        human: coloured text instead of JSON, for a terminal.
    """
    number = logging.getLevelNamesMapping()[level.upper()]
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    if human:
        renderers: list[structlog.typing.Processor] = [structlog.dev.ConsoleRenderer()]
        factory: structlog.typing.WrappedLogger = structlog.PrintLoggerFactory(sys.stderr)
    else:
        renderers = [
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(serializer=orjson.dumps),
        ]
        factory = structlog.BytesLoggerFactory(sys.stderr.buffer)
    structlog.configure(
        processors=[*shared, *renderers],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=factory,
        cache_logger_on_first_use=True,
    )
    structlog.contextvars.bind_contextvars(role=role, process=process)
    # Libraries speak through the standard library: only their warnings are worth a line.
    logging.basicConfig(level=max(number, logging.WARNING), stream=sys.stderr, format="%(name)s: %(message)s")
    # nats-py logs each reconnect attempt as an error; the bus wrapper reports connection changes itself.
    logging.getLogger("nats").setLevel(logging.CRITICAL)
