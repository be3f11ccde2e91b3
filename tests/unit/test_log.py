"""Log lines on standard error."""

from __future__ import annotations

import io
import json
import logging
import sys
from collections.abc import Iterator

import pytest
import structlog

from porthole import log


class Pipe(io.RawIOBase):
    """Keeps what arrives, one entry for each write(2)."""

    def __init__(self) -> None:
        self.writes: list[bytes] = []

    def writable(self) -> bool:
        return True

    def write(self, data: object) -> int:
        self.writes.append(bytes(data))  # type: ignore[call-overload]
        return len(self.writes[-1])


@pytest.fixture
def pipe(monkeypatch: pytest.MonkeyPatch) -> Iterator[Pipe]:
    """Standard error as Python opens it under PYTHONUNBUFFERED; afterwards logging is as before."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    pipe = Pipe()
    monkeypatch.setattr(sys, "stderr", io.TextIOWrapper(pipe, write_through=True))  # type: ignore[type-var] # CPython does the same
    log.configure(debug=False)
    yield pipe
    structlog.reset_defaults()
    root.handlers[:] = handlers
    root.setLevel(level)


def test_each_line_is_one_write_so_that_lines_of_master_and_worker_do_not_mix(pipe: Pipe) -> None:
    structlog.get_logger().info("request", route="/healthz")
    logging.getLogger("gunicorn.error").info("Handling signal: %s", "quit")
    assert [json.loads(line)["event"] for line in pipe.writes] == ["request", "Handling signal: quit"]
    assert [line.count(b"\n") for line in pipe.writes] == [1, 1]
