"""Log lines: JSON, one a line, on standard error. Never a token, a password or a query string."""

from __future__ import annotations

import logging
import sys

import structlog

# Local variables hold tokens and passwords, so tracebacks are without them.
_tracebacks = structlog.processors.ExceptionRenderer(
    structlog.tracebacks.ExceptionDictTransformer(show_locals=False, max_frames=20)
)


def configure(debug: bool) -> None:
    """Set up structlog and the standard library's logging, which gunicorn and oslo use.

    :param debug: whether to show lines that are only of use when looking for an error
    """
    level = logging.DEBUG if debug else logging.INFO
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    structlog.configure(
        processors=[
            *shared,
            _tracebacks,
            structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        # One write a line: master and worker share the stream, and two writes would let their lines mix.
        logger_factory=structlog.WriteLoggerFactory(sys.stderr),
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*shared, structlog.stdlib.add_logger_name],
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                _tracebacks,
                structlog.processors.JSONRenderer(),
            ],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    # Those of HTTP clients show addresses, which may hold tokens.
    for chatty in ("oslo_config", "asyncio", "keystoneauth", "urllib3"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
