"""A log to write and to damage."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from porthole.audit import AuditKeys, AuditLog, Entry, Event, Head, Who
from porthole.audit.files import older_files
from porthole.audit.finding import Finding, Kind, Report
from porthole.audit.line import START, encode, read
from porthole.audit.verify import verify_log
from porthole.audit.writer import ChainWriter

NOW = 1_700_000_000.25
KEY = bytes(range(32))
OTHER_KEY = bytes(range(1, 33))
KEYS = AuditKeys([KEY])
OTHER_KEYS = AuditKeys([OTHER_KEY])
ANN = Who("ann", "p1")


Make = Callable[..., AuditLog]


def entry(number: int = 0, *, reason: str = "") -> Entry:
    return Entry(
        event=Event.TOKEN_ISSUED, time=NOW, who=ANN, client="192.0.2.7", instance="i-1", token_id="ab12",
        reason=reason, details={"n": number},
    )  # fmt: skip


def chain(count: int, keys: AuditKeys = KEYS, head: Head = START) -> list[bytes]:
    """Lines with their newlines, as the writer would write them."""
    lines = []
    for number in range(count):
        line, head = encode(entry(number), head, keys)
        lines.append(line)
    return lines


def key_file(path: Path, *keys: bytes) -> Path:
    path.write_bytes(b"".join(base64.urlsafe_b64encode(key) + b"\n" for key in keys))
    path.chmod(0o600)
    return path


@dataclass(frozen=True)
class Log:
    """A log's folder, and what to do with it."""

    path: Path

    def writer(self, keys: AuditKeys = KEYS, max_bytes: int = 1 << 20, backups: int = 3) -> ChainWriter:
        return ChainWriter(self.path, keys, max_bytes=max_bytes, backups=backups, clock=lambda: NOW)

    def lines(self) -> list[bytes]:
        return self.path.read_bytes().splitlines(keepends=True)

    def files(self) -> list[Path]:
        return [*older_files(self.path), self.path]

    def put(self, lines: list[bytes]) -> None:
        self.path.write_bytes(b"".join(lines))

    def verify(self, *heads: Head, keys: AuditKeys = KEYS) -> Report:
        return verify_log(self.path, keys, heads)


def put(writer: ChainWriter, *entries: Entry) -> Head:
    written = writer.append(lambda: entries)
    assert written.why == ""
    assert written.count == len(entries)
    assert written.head is not None
    return written.head


def events(log: Log) -> list[str]:
    """Those of the lines that are as they were written."""
    found = [read(line.removesuffix(b"\n"), KEYS) for line in log.lines()]
    return [line.fields()["event"] for line in found if line and line.genuine]


def fields(line: bytes) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(line)
    return found


def found(report: Report) -> tuple[Kind, int]:
    """What was found, and in which line of the file."""
    assert isinstance(report.finding, Finding)
    return report.finding.kind, report.finding.line


def heads_of(lines: list[bytes]) -> list[Head]:
    return [Head(number, line[-67:-3].decode()) for number, line in enumerate(lines, 1)]


@pytest.fixture
def log(tmp_path: Path) -> Log:
    folder = tmp_path / "audit"
    folder.mkdir()
    return Log(folder / "audit.log")


@pytest.fixture
def make(log: Log) -> Iterator[Make]:
    made: list[AuditLog] = []

    def make(
        announce: Callable[[Head], None] = lambda _: None, every: float = 60.0, max_bytes: int = 1 << 20
    ) -> AuditLog:
        made.append(
            AuditLog(
                log.path, KEYS, announce=announce, announce_every=every, max_bytes=max_bytes, clock=lambda: NOW
            )
        )  # fmt: skip
        return made[-1]

    yield make
    for audit in made:
        audit.close()


@pytest.fixture
def write(log: Log) -> Callable[..., Head]:
    """Writes so many entries as a process does that has just started."""

    def write(count: int, keys: AuditKeys = KEYS) -> Head:
        writer = log.writer(keys)
        written = writer.append(lambda: [entry(number) for number in range(count)])
        writer.close()
        assert written.why == ""
        assert written.head is not None
        return written.head

    return write
