"""The store's file is locked, removed, replaced, or loses its log: a sentence, and never a used token opened again."""

from __future__ import annotations

import os
import sqlite3
import subprocess
from pathlib import Path

import pytest

from tests.integration.survival.conftest import Records, Tmpfs, ask, not_ready
from tests.integration.survival.test_kills import end_at_once
from tests.service.consoles import Process, Site, wait_until

NOT_WRITTEN = ["The store of tokens and sign-ins cannot be written."]


@pytest.fixture
def service(site: Site, records: Records) -> Process:
    return site.start()


def test_locked_for_too_long_by_another_process(service: Process, records: Records) -> None:
    token, console = service.token(), service.console(service.token())
    other = sqlite3.connect(records.store, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    status, answer = ask(service)
    assert (status, answer["code"]) == (503, "store-unavailable")
    assert service.refusal(token)[:2] == (503, "store-unavailable")
    assert not_ready(service) == NOT_WRITTEN
    console.send(b"still here")
    assert console.read(10) == b"still here"
    other.execute("COMMIT")
    other.close()
    service.console(token).close()
    wait_until(lambda: not not_ready(service))
    assert service.refusal(token)[1] == "token-used"
    records.verified()


def test_removed_while_the_service_runs(site: Site, service: Process, records: Records) -> None:
    used, unused = service.token(), service.token()
    console = service.console(used)
    for path in records.store.parent.iterdir():
        path.unlink()
    assert ask(service)[0] == 503
    for token in (used, unused):
        assert service.refusal(token)[:2] == (503, "store-unavailable")
    assert not_ready(service) == NOT_WRITTEN
    assert "removed or replaced while the service ran" in service.log_file.read_text()
    console.send(b"still here")
    assert console.read(10) == b"still here"
    assert not records.store.exists(), "the running service begins no new one"

    after = site.start()
    for token in (used, unused):
        assert after.refusal(token)[1] == "token-invalid", "a token that is not on record opens nothing"
    after.console(after.token()).close()
    records.verified()


def test_put_back_it_goes_on_without_a_restart(service: Process, records: Records) -> None:
    token = service.token()
    away = records.store.with_name("away")
    records.store.rename(away)
    assert ask(service)[0] == 503
    away.rename(records.store)
    service.console(token).close()
    assert service.refusal(token)[1] == "token-used"


@pytest.mark.parametrize("what", ["garbage", "an older copy"])
def test_replaced(site: Site, service: Process, records: Records, tmp_path: Path, what: str) -> None:
    used = service.token()
    other = tmp_path / "other"
    if what == "garbage":
        other.write_bytes(b"this was a store once\n" * 500)
    else:
        assert site.run("store", "backup", str(other)).returncode == 0  # where the token is not used yet
    service.console(used).close()
    assert service.refusal(used)[1] == "token-used"
    os.replace(other, records.store)
    assert service.refusal(used)[:2] == (503, "store-unavailable"), "the older one says that it is unused"
    assert ask(service)[0] == 503
    assert not_ready(service) == NOT_WRITTEN
    if what == "garbage":
        end_at_once(service)
        process = site.installation.serve()
        _, said = process.communicate(timeout=30)
        assert process.returncode == 1
        assert f"{records.store}: file is not a database" in said


def test_its_log_is_deleted_while_the_service_runs(site: Site, service: Process, records: Records) -> None:
    used, unused = service.token(), service.token()
    service.console(used).close()
    log = records.store.with_name("porthole.sqlite-wal")
    log.unlink()
    wait_until(lambda: "porthole.sqlite-wal was removed" in service.log_file.read_text())
    wait_until(lambda: not not_ready(service))
    assert service.refusal(used)[1] == "token-used"
    end_at_once(service)
    after = site.start()
    assert after.refusal(used)[1] == "token-used", "what stood in the log was saved when its loss was noticed"
    after.console(unused).close()
    records.verified()


def test_where_it_may_not_be_written_the_service_does_not_start(site: Site) -> None:
    folder = site.folder / "state"
    folder.mkdir()
    disk = Tmpfs(folder, "1m")
    try:
        site.start().popen.terminate()
        assert site.processes[0].popen.wait(30) == 0
        subprocess.run(["mount", "-o", "remount,ro", str(folder)], check=True)
        said = site.installation.refusal()
    finally:
        disk.unmount()
    assert str(folder) in said
