"""Debian packages are installed so that nothing is started by it, also after an installation that was cut off."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from provision import debian, locks
from provision.debian import Need
from provision.progress import Progress, StepFailed

MISSING = Need("web-server", lambda: False)
THERE = Need("compiler", lambda: True)


class Machine:
    """One whose apt-get and dpkg write down how they were called, and whether services might have been started."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.policy = folder / "policy-rc.d"
        self.updates = folder / "updates"
        self.updates.mkdir()
        self.calls = folder / "calls"
        self.log = folder / "setup.log"
        self.programs = folder / "bin"
        self.programs.mkdir()
        for name in ("apt-get", "dpkg"):
            self.program(name)
        monkeypatch.setattr(debian, "POLICY", self.policy)
        monkeypatch.setattr(debian, "UPDATES", self.updates)
        for name in ("OURS", "DPKG", "LISTS"):
            monkeypatch.setattr(locks, name, folder / name.lower())
        monkeypatch.setattr(debian, "PATH", f"{self.programs}:{os.environ['PATH']}")
        monkeypatch.setattr(os, "geteuid", lambda: 0)

    def program(self, name: str, status: int = 0) -> None:
        script = self.programs / name
        script.write_text(
            f'#!/bin/sh\nsh {self.policy} web-server start; echo "{name} $* policy=$?" >> {self.calls}\nexit {status}\n'
        )
        script.chmod(0o755)

    def install(self) -> list[str]:
        """What has been called, with what a package that wants to start its service is answered."""
        debian.ensure([MISSING, THERE], self.log, Progress())
        return self.called()

    def called(self) -> list[str]:
        return self.calls.read_text().splitlines() if self.calls.exists() else []


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    return Machine(tmp_path, monkeypatch)


def test_what_is_missing_is_installed_and_no_service_is_started(machine: Machine) -> None:
    update, install = machine.install()
    assert update == "apt-get -q -o DPkg::Lock::Timeout=120 update policy=101"
    assert install == ("apt-get -q -o DPkg::Lock::Timeout=120 -y install --no-install-recommends web-server policy=101")
    assert not machine.policy.exists(), "other installations start their services again"


def test_when_nothing_is_missing_nothing_is_called(machine: Machine) -> None:
    debian.ensure([THERE], machine.log, Progress())
    assert machine.called() == []


def test_what_another_run_installs_while_this_one_waits_is_not_installed_again(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = iter([False, True])
    monkeypatch.setattr(locks, "_taken", lambda _: True)
    debian.ensure([Need("web-server", lambda: next(answers))], machine.log, Progress())
    assert machine.called() == []


def test_a_policy_of_the_machine_itself_stays(machine: Machine) -> None:
    machine.policy.write_text("#!/bin/sh\nexit 104\n")
    assert machine.install()[-1].endswith("policy=104")
    assert machine.policy.read_text() == "#!/bin/sh\nexit 104\n"


def test_one_that_a_killed_run_left_behind_goes(machine: Machine) -> None:
    with debian._no_services_started():
        left = machine.policy.read_text()
    machine.policy.write_text(left)
    assert machine.install()[-1].endswith("policy=101")
    assert not machine.policy.exists()


def test_one_that_a_killed_run_left_behind_goes_also_when_nothing_is_missing(machine: Machine) -> None:
    with debian._no_services_started():
        left = machine.policy.read_text()
    machine.policy.write_text(left)
    debian.ensure([THERE], machine.log, Progress())
    assert machine.called() == []
    assert not machine.policy.exists()


def test_an_installation_that_was_cut_off_is_finished_first(machine: Machine) -> None:
    (machine.updates / "tmp.i").touch()
    assert len(machine.install()) == 2, "that one is only a file that dpkg was about to write"
    (machine.updates / "0001").touch()
    machine.program("dpkg", status=1)
    first, second, *rest = machine.install()[2:]
    assert first == "dpkg --force-confdef --force-confold --configure -a policy=101"
    assert second == "apt-get -q -o DPkg::Lock::Timeout=120 -y --fix-broken install policy=101"
    assert len(rest) == 2


def test_one_that_somebody_else_is_at_work_on_is_left_to_him(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    (machine.updates / "0001").touch()
    held = locks.held

    @contextlib.contextmanager
    def after_he_is_done(path: Path, progress: Progress) -> Iterator[None]:
        with held(path, progress):
            if path == locks.DPKG:
                (machine.updates / "0001").unlink()
            yield

    monkeypatch.setattr(locks, "held", after_he_is_done)
    assert [call.split()[0] for call in machine.install()] == ["apt-get", "apt-get"]


def test_after_a_failure_services_may_start_again(machine: Machine) -> None:
    machine.program("apt-get", status=100)
    with pytest.raises(StepFailed, match="apt-get"):
        machine.install()
    assert not machine.policy.exists()
