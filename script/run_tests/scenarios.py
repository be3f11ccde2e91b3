"""Molecule's scenarios: hosts with systemd, set up by site.yml and looked at afterwards."""

from __future__ import annotations

import os
import re
import subprocess
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

SCENARIOS = ("default", "stages", "upgrade", "reset")
AT_ONCE = 2
"""Scenarios that run side by side where there are two processors: their hosts wait as often as they work."""

FIRST_NET = 200
"""The networks of hosts: this one, unless PORTHOLE_HOSTS_NET says another, and those that follow it."""

LINES_SHOWN = 80
"""Of a scenario that failed."""

STEP = re.compile(r"\[\w+ > (\w+)\] (Executing|Executed)")
COLOUR = re.compile(r"\x1b\[[0-9;]*m")
FIGURE = re.compile(r"figure: ([^'\"]+)")


def why_no_hosts() -> str | None:
    """Why hosts with systemd cannot be started on this machine, or None when they can."""
    if os.geteuid() != 0:
        return "this is not root"
    tried = subprocess.run(
        ["unshare", "--mount", "--net", "--pid", "--fork", "mount", "-t", "overlay", "overlay", "-o",
         "lowerdir=/etc:/usr", "/mnt"],
        stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
    )  # fmt: skip
    if tried.returncode:
        return f"namespaces or overlay file systems are not allowed here ({tried.stderr.strip()})"
    return None


def run(checkout: Path, environment: Mapping[str, str], say: Callable[[str], None]) -> list[str]:
    """Run all scenarios; the names of those that failed."""
    logs = checkout / ".cache" / "molecule"
    logs.mkdir(parents=True, exist_ok=True)
    env = {name: value for name, value in environment.items() if not name.startswith(("ANSIBLE_", "MOLECULE_"))}
    # Nothing of the user's own: no configuration, no collections, no state.
    env |= {"ANSIBLE_HOME": str(checkout / ".cache" / "ansible"), "ANSIBLE_NOCOLOR": "1", "NO_COLOR": "1"}
    env |= {"COLUMNS": "200", "PYTHONUNBUFFERED": "1"}
    net = int(env.get("PORTHOLE_HOSTS_NET", FIRST_NET))
    scenarios = [
        _Scenario(name, checkout, env | {"PORTHOLE_HOSTS_NET": str(net + number)}, logs / f"{name}.log", say)
        for number, name in enumerate(SCENARIOS)
    ]
    with ThreadPoolExecutor(min(AT_ONCE, os.cpu_count() or 1)) as lanes:
        try:
            good = list(lanes.map(_Scenario.run, scenarios))
        except BaseException:
            for scenario in scenarios:
                scenario.stop()
            raise
    return [f"molecule {scenario.name}" for scenario, passed in zip(scenarios, good, strict=True) if not passed]


@dataclass(slots=True)
class _Scenario:
    """One scenario.

    :ivar log: gets all that Molecule prints
    :ivar say: prints a line
    """

    name: str
    checkout: Path
    env: Mapping[str, str]
    log: Path
    say: Callable[[str], None]
    _process: subprocess.Popen[str] | None = None
    _stopped: bool = False
    _figures: list[str] = field(default_factory=list)
    _lines: list[str] = field(default_factory=list)

    def run(self) -> bool:
        """Run it and say how it goes; whether it passed."""
        if self._stopped:
            return False
        argv = ["molecule", "test", "--scenario-name", self.name, "--destroy", "always"]
        started = time.monotonic()
        process = self._process = subprocess.Popen(
            argv,
            cwd=self.checkout,
            env=dict(self.env),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
        )
        self._follow(process)
        good = process.wait() == 0
        for figure in self._figures:
            self._tell(figure)
        if not good:
            self.say("\n".join(self._lines[-LINES_SHOWN:]))
        outcome = "passed" if good else "FAILED"
        self._tell(f"{outcome} in {time.monotonic() - started:.0f} s; all of it is in {self.log}")
        return good

    def stop(self) -> None:
        """End it, or do not begin it."""
        self._stopped = True
        if self._process is not None:
            self._process.terminate()

    def _tell(self, what: str) -> None:
        self.say(f"molecule {self.name}: {what}")

    def _follow(self, process: subprocess.Popen[str]) -> None:
        began = time.monotonic()
        with self.log.open("w", buffering=1) as file:
            for line in process.stdout or ():
                file.write(line)
                text = COLOUR.sub("", line.rstrip())
                self._lines.append(text)
                if step := STEP.search(text):
                    if step[2] == "Executing":
                        began = time.monotonic()
                        self._tell(f"{step[1]} ...")
                    else:
                        self._tell(f"{step[1]}: {time.monotonic() - began:.0f} s")
                elif (figure := FIGURE.search(text)) and figure[1] not in self._figures:
                    self._figures.append(figure[1])
