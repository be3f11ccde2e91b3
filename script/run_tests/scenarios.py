"""Molecule's scenarios: hosts with systemd, set up by site.yml and looked at afterwards."""

from __future__ import annotations

import os
import re
import subprocess
import time
from collections.abc import Callable, Mapping
from pathlib import Path

SCENARIOS = ("default", "stages", "upgrade", "reset")
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
    failed = []
    for scenario in SCENARIOS:
        if not _scenario(scenario, checkout, env, logs / f"{scenario}.log", say):
            failed.append(f"molecule {scenario}")
    return failed


def _scenario(name: str, checkout: Path, env: Mapping[str, str], log: Path, say: Callable[[str], None]) -> bool:
    argv = ["molecule", "test", "--scenario-name", name, "--destroy", "always"]
    process = subprocess.Popen(
        argv,
        cwd=checkout,
        env=dict(env),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    )
    output = process.stdout or ()
    started = began = time.monotonic()
    figures: list[str] = []
    lines: list[str] = []
    try:
        with log.open("w", buffering=1) as file:
            for line in output:
                file.write(line)
                text = COLOUR.sub("", line.rstrip())
                lines.append(text)
                if step := STEP.search(text):
                    if step[2] == "Executing":
                        began = time.monotonic()
                        say(f"molecule {name}: {step[1]} ...")
                    else:
                        say(f"molecule {name}: {step[1]}: {time.monotonic() - began:.0f} s")
                elif (figure := FIGURE.search(text)) and figure[1] not in figures:
                    figures.append(figure[1])
    except BaseException:
        process.terminate()
        process.wait()
        raise
    good = process.wait() == 0
    for figure_text in figures:
        say(f"molecule {name}: {figure_text}")
    if not good:
        say("\n".join(lines[-LINES_SHOWN:]))
    outcome = "passed" if good else "FAILED"
    say(f"molecule {name}: {outcome} in {time.monotonic() - started:.0f} s; all of it is in {log}")
    return good
