"""A process that writes to a log, for tests that kill it or take its disk away.

Run as ``python child.py ACT FOLDER [NAME]``; it answers in lines of JSON on standard output.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
from pathlib import Path

import gevent

from porthole.audit import AuditKeys, AuditLog, AuditUnavailable, Event
from porthole.audit.line import MAX_LINE

KEYS = AuditKeys([bytes(range(32))])
GREENLETS = 4


def open_log(folder: Path) -> AuditLog:
    return AuditLog(folder / "audit.log", KEYS, max_bytes=MAX_LINE, backups=50, announce=lambda _: None)


def say(**what: object) -> None:
    print(json.dumps(what), flush=True)


def write_on(folder: Path, name: str) -> None:
    """Record from several greenlets until killed; each number is told when it is on the disk."""
    log = open_log(folder)

    def record(greenlet: int) -> None:
        number = 0
        while True:
            number += 1
            log.record(Event.TOKEN_ISSUED, session_id=f"{name}-{greenlet}", details={"n": number})
            say(session=f"{name}-{greenlet}", n=number)

    gevent.joinall([gevent.spawn(record, greenlet) for greenlet in range(GREENLETS)], raise_error=True)


def fill(log: AuditLog) -> tuple[int, str]:
    """Record until it fails: how many were recorded, and why not more."""
    for number in range(10_000):
        try:
            log.record(Event.SIGN_IN, reason="x" * 200, details={"n": number})
        except AuditUnavailable as error:
            return number, error.why
    return 10_000, ""


def until_full(folder: Path, room: Path | None) -> None:
    """Record until there is no room, then make room and go on."""
    log = open_log(folder)
    recorded, why = fill(log)
    say(recorded=recorded, why=why, problem=log.problem())
    if room is not None:
        room.unlink()
    else:
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    say(problem=log.problem())
    log.record(Event.SIGN_OUT)
    log.close()


def on_small_disk(folder: Path) -> None:
    """Run in a mount namespace of its own: the folder becomes a disk of 64 KiB, and its files are copied out after."""
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(folder)], check=True, capture_output=True)
    say(mounted=True)
    room = folder / "room"
    room.write_bytes(b"x" * 16384)
    until_full(folder, room)
    say(log=(folder / "audit.log").read_text())


def main() -> None:
    act, folder = sys.argv[1], Path(sys.argv[2])
    if act == "write-on":
        write_on(folder, sys.argv[3])
    elif act == "limited":
        _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, hard))
        until_full(folder, None)
    elif act == "small-disk":
        on_small_disk(folder)


if __name__ == "__main__":
    main()
