"""The machine's clock is set while the service runs, and while it does not: nobody who was refused gets in."""

from __future__ import annotations

import pytest

from tests.integration.survival.conftest import Records, ask, sign_in
from tests.service.consoles import PASSWORD, Process, Site, new_secret, wait_until
from tests.service.installation import ENVIRONMENT
from tests.service.machine_clock import MachineClock

DAY = 24 * 3600
YEARS = 50 * 365 * DAY


@pytest.fixture
def clock(site: Site) -> MachineClock:
    clock = MachineClock(site.folder)
    site.installation.environment["PYTHONPATH"] = f"{clock.path}:{ENVIRONMENT['PYTHONPATH']}"
    return clock


@pytest.fixture
def service(site: Site, records: Records, clock: MachineClock) -> Process:
    return site.start(consoleauth={"session_timeout": 3600})


def test_forward_by_a_day_and_back(site: Site, service: Process, records: Records, clock: MachineClock) -> None:
    _, by_cookie = sign_in(service)
    token, used, secret = service.token(), service.token(), new_secret()
    console = service.console(used, secret)

    clock.set(DAY)
    assert service.refusal(token)[1] == "token-expired"
    assert ask(service, by_cookie)[0] == 401, "the sign-in is over"
    console.send(b"still here")
    assert console.read(10) == b"still here", "a session's time is counted, and an hour has not gone by"
    wait_until(service.sessions)
    (session,) = service.sessions()
    service.console(service.token()).close()

    clock.set(0)
    assert service.refusal(token)[1] in ("token-expired", "token-invalid")
    assert service.refusal(used)[1] in ("token-expired", "token-invalid", "token-used")
    assert ask(service, by_cookie)[0] == 401
    service.console(service.token()).close()
    assert service.call("DELETE", f"/v1/sessions/{session['id']}", user="ann")[0] == 204
    assert console.wait_for_close().code == 4002
    assert service.refusal(used, secret)[1] in ("token-expired", "token-invalid", "token-used")

    service.popen.terminate()
    assert service.popen.wait(30) == 0
    after = site.start()
    assert after.refusal(token)[1] in ("token-expired", "token-invalid")
    assert ask(after, by_cookie)[0] == 401
    after.console(after.token()).close()
    said = records.verified()
    assert "a clock was set back" in said


def test_back_by_a_day(site: Site, service: Process, records: Records, clock: MachineClock) -> None:
    _, by_cookie = sign_in(service)
    _, ended = sign_in(service)
    assert service.call("DELETE", "/v1/session", user=None, headers=ended)[0] == 204
    good, used, secret = service.token(), service.token(), new_secret()
    service.console(used, secret).close()

    clock.set(-DAY)
    assert service.refusal(used)[1] == "token-used"
    assert ask(service, ended)[0] == 401
    assert ask(service, by_cookie)[0] == 201, "what is good stays good"
    service.console(good).close()
    service.console(used, secret).close()
    assert service.refusal(good)[1] == "token-used"
    late = service.token()
    service.popen.terminate()
    assert service.popen.wait(30) == 0

    clock.set(-DAY + 700)
    after = site.start()
    assert after.refusal(used)[1] in ("token-expired", "token-invalid", "token-used")
    assert ask(after, ended)[0] == 401
    assert after.console(late), "the service's time is that of before, so no more than a moment has gone by"
    assert "a clock was set back" in records.verified()


def test_one_reading_from_the_far_future_does_no_lasting_harm(
    service: Process, records: Records, clock: MachineClock
) -> None:
    token = service.token()
    clock.set(YEARS)
    assert service.refusal(token)[1] == "token-expired"
    from_the_future = service.token()
    _, cookie = sign_in(service)
    clock.set(0)
    assert service.refusal(from_the_future)[1] in ("token-expired", "token-invalid")
    assert ask(service, cookie)[0] == 401
    assert service.refusal(token)[1] in ("token-expired", "token-invalid")
    service.console(service.token()).close()
    status, by_cookie = sign_in(service)
    assert (status, ask(service, by_cookie)[0]) == (201, 201)
    records.verified()


@pytest.mark.parametrize("jump", [DAY, -DAY])
def test_a_lockout_is_not_cleared(site: Site, records: Records, clock: MachineClock, jump: int) -> None:
    service = site.start(limits={"failed_sign_ins": 2, "lockout_time": 600})
    for _ in range(2):
        assert sign_in(service, "wrong")[0] == 401
    assert sign_in(service, PASSWORD)[0] == 429
    clock.set(jump)
    assert sign_in(service, PASSWORD)[0] == 429
