"""A full disk: new consoles are refused in a sentence, those that are open go on, and nothing is half recorded."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.integration.survival.conftest import Records, Tmpfs, ask, not_ready, sign_in
from tests.service.consoles import Site, new_secret, wait_until


@pytest.fixture
def disk(site: Site, records: Records) -> Iterator[Tmpfs]:
    """The file system of the store, and of the audit log when a test puts that there."""
    folder = site.folder / "state"
    folder.mkdir()
    disk = Tmpfs(folder, "1m")
    yield disk
    disk.unmount()


def test_all_on_one_disk(site: Site, records: Records, disk: Tmpfs) -> None:
    site.installation.audit_path = records.audit = disk.folder / "audit.log"
    service = site.start()
    status, by_cookie = sign_in(service)
    assert status == 201
    console, (token, secret) = service.console(service.token()), (service.token(), new_secret())

    disk.is_refused(lambda: ask(service, by_cookie)[0])
    status, answer = ask(service, by_cookie)
    assert (status, answer["code"]) in ((503, "audit-unavailable"), (503, "store-unavailable"))
    assert answer["detail"].endswith(".")
    disk.is_refused(lambda: sign_in(service)[0])
    assert service.refusal(token, secret)[0] == 503
    assert not_ready(service)
    console.send(b"still here")
    assert console.read(10) == b"still here"

    disk.make_room()
    wait_until(lambda: not not_ready(service))
    assert sign_in(service)[0] == 201
    service.console(token, secret).close()
    console.close()
    wait_until(lambda: len(records.lines("session-ended")) == 2)
    issued = {line["token_id"] for line in records.lines("token-issued")}
    used = {token_id for (token_id,) in records.query("SELECT token_id FROM tokens WHERE uses > 0")}
    assert len(used) == 2
    assert used <= issued
    assert used == {line["token_id"] for line in records.lines("session-started")}
    left = "SELECT count(*) FROM sessions WHERE ended IS NULL AND away_since IS NULL"
    wait_until(lambda: records.query(left) == [(0,)])
    records.verified()


def test_the_store_alone_while_the_log_has_room(site: Site, records: Records, disk: Tmpfs) -> None:
    service = site.start()
    _, by_cookie = sign_in(service)
    token = service.token()
    disk.is_refused(lambda: ask(service, by_cookie)[0])
    assert ask(service, by_cookie)[1]["code"] == "store-unavailable"
    assert service.refusal(token)[:2] == (503, "store-unavailable")
    wait_until(lambda: not_ready(service) == ["The store of tokens and sign-ins cannot be written."])
    assert not records.lines("session-started")

    disk.make_room()
    wait_until(lambda: not not_ready(service))
    issued = {line["token_id"] for line in records.lines("token-issued")}
    assert issued == {token_id for (token_id,) in records.query("SELECT token_id FROM tokens")}
    service.console(token).close()
    assert service.refusal(token)[1] == "token-used"
    records.verified()
