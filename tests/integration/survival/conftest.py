"""Sites whose processes, files, disks and clocks are broken."""

from __future__ import annotations

import json
import sqlite3
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.service.consoles import PASSWORD, Process, Site
from tests.service.vnc import GUEST

TRIES = 400
"""Far more than fit into what is left of pages that are allocated already."""

IN_A_ROW = 5


class Records:
    """What a site has on record: its store and its audit log.

    :ivar store: the database
    :ivar audit: the log, in a folder of its own
    """

    def __init__(self, site: Site) -> None:
        self.site = site
        self.store = site.folder / "state" / "porthole.sqlite"
        self.audit = site.folder / "audit" / "audit.log"
        self.audit.parent.mkdir()
        site.installation.audit_path = self.audit

    def lines(self, event: str) -> list[dict[str, Any]]:
        """The lines of an event."""
        lines = [json.loads(line) for line in self.audit.read_text().splitlines() if line.endswith("}")]
        return [line for line in lines if line["event"] == event]

    def query(self, query: str) -> list[Any]:
        """What is in the store."""
        connection = sqlite3.connect(self.store)
        try:
            return connection.execute(query).fetchall()
        finally:
            connection.close()

    def verified(self) -> str:
        """What the check of the log says, with the heads that were announced; it has to find nothing."""
        heads = self.site.folder / "heads"
        heads.write_text(self.site.log())
        done = self.site.run("audit", "verify", "--heads", str(heads))
        assert done.returncode == 0, done.stderr
        return done.stdout


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    site = Site(tmp_path)
    yield site
    site.stop()


@pytest.fixture
def records(site: Site) -> Records:
    return Records(site)


def sign_in(service: Process, password: str = PASSWORD) -> tuple[int, dict[str, str]]:
    """Status, and headers for requests with the cookie."""
    body = {"username": "max", "password": password}
    status, _, headers = service.call("POST", "/v1/session", body, user=None)
    cookie = headers.get("Set-Cookie", "").partition(";")[0]
    return status, {"Cookie": cookie, "Origin": f"http://{service.address}", "Sec-Fetch-Site": "same-origin"}


def ask(service: Process, headers: dict[str, str] | None = None) -> tuple[int, Any]:
    """Ask for a console: status and body."""
    user = None if headers else "max"
    status, answer, _ = service.call("POST", "/v1/consoles", {"instance": GUEST}, user=user, headers=headers)
    return status, answer


def not_ready(service: Process) -> list[str]:
    """Why the service says that it is not ready; nothing when it is."""
    status, answer, _ = service.call("GET", "/readyz", user=None)
    reasons: list[str] = answer.get("reasons", [])
    assert (status == 200) == (not reasons)
    return reasons


class Tmpfs:
    """A small file system of a test's own, in a folder that is there."""

    def __init__(self, folder: Path, size: str) -> None:
        self.folder = folder
        self._filler = folder / "filler"
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size},mode=0755", "tmpfs", str(folder)], check=True)

    def fill(self) -> None:
        """Leave no page free."""
        with self._filler.open("ab", buffering=0) as file:
            try:
                while True:
                    file.write(bytes(512))
            except OSError:
                return

    def is_refused(self, act: Callable[[], int]) -> None:
        """Fill it, and see that an act is answered with 503 from then on.

        At first there is room in pages that are allocated, and SQLite gives its log back when it closes.
        """
        refused = 0
        for _ in range(TRIES):
            self.fill()
            status = act()
            assert status in (200, 201, 503)
            refused = refused + 1 if status == 503 else 0
            if refused == IN_A_ROW:
                return
        raise AssertionError(f"it was not refused {IN_A_ROW} times in a row")

    def make_room(self) -> None:
        """Remove what filled it."""
        self._filler.unlink()

    def unmount(self) -> None:
        """Let go of it, also when a process still has files there."""
        subprocess.run(["umount", "--lazy", str(self.folder)], check=True)
