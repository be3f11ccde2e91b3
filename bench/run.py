"""Measures: row by row, round by round, the relays in turn."""

from __future__ import annotations

import datetime
import json
import os
import platform
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from bench import options, prepare, report, svg
from bench.loads.link import LinkError
from bench.loads.recording import RecordingError
from bench.peers.base import CACHE, Peer, PeerFailed, raise_file_limit
from bench.results import Outcome, Results, failures, ordered
from bench.rows.base import Effort, Row
from bench.stage import Stage

RESULTS = Path(__file__).parent
RECORDED_SECONDS, QUICK_RECORDED_SECONDS = 15, 3
_FAILURES = (PeerFailed, LinkError, RecordingError, OSError)
_DEBIAN = ("websockify", "golang-go", "haproxy", "lighttpd", "nodejs", "qemu-system-x86")

Say = Callable[[str], None]


def measure(
    rows: Sequence[Row], peers: Sequence[Peer], stage: Stage, effort: Effort, failed: Mapping[str, str], say: Say
) -> dict[str, dict[str, Outcome]]:
    """Measure all rows, each without the relays of those before it, so that its figures are those of ``--only``.

    A quick run has not the time to start them anew.

    :param failed: peers that could not be installed, and why
    :param say: is told what goes on
    """
    results = {}
    for row in rows:
        say(f"{row.name}: {row.title}")
        began = time.monotonic()
        asked = {peer.name: peer for peer in peers if row.applies_to(peer)}
        outcomes = {name: Outcome(failed=failed.get(name, "")) for name in asked}
        for round_ in range(1 if row.once else effort.rounds):
            for name in ordered(list(asked), round_):
                if not outcomes[name].failed:
                    _one_round(row, asked[name], stage, effort, outcomes[name])
                    if outcomes[name].failed:
                        say(f"  {name} FAILED: {outcomes[name].failed}")
        say(f"{row.name}: {time.monotonic() - began:.0f} s")
        if not effort.quick:
            stage.clear()
        results[row.name] = outcomes
    return results


def _one_round(row: Row, peer: Peer, stage: Stage, effort: Effort, outcome: Outcome) -> None:
    """Measure once; the first time, look before whether what arrives is what was sent."""
    try:
        if not outcome.samples:
            row.verify(stage, peer)
        outcome.samples.append(row.measure(stage, peer, effort))
    except _FAILURES as error:
        outcome.failed = str(error) or type(error).__name__


def about(effort: Effort) -> dict[str, str]:
    """What a reader has to know of the run."""
    model = next(
        (
            line.partition(":")[2].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if "model name" in line
        ),
        platform.machine(),
    )
    return {
        "measured": datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "machine": f"{os.cpu_count()} processors ({model}), Linux {'.'.join(platform.release().split('.')[:2])}",
        "rounds": f"{effort.rounds}{', quick' if effort.quick else ''}",
        "Python": platform.python_version(),
        "Debian packages": _versions(),
    }


def _versions() -> str:
    command = ["dpkg-query", "-W", "-f", "${Package} ${Version}\n", *_DEBIAN]
    try:
        told = subprocess.run(command, capture_output=True, text=True, check=False).stdout.splitlines()
    except OSError:
        return "unknown"
    return ", ".join(line for line in told if not line.endswith(" ")) or "unknown"


def _show(asked: options.Options, results: Results) -> None:
    rows, peers, facts = asked.chosen_rows, asked.chosen_peers, about(asked.effort)
    print(
        report.as_json(rows, peers, results, facts) if asked.json else report.as_text(rows, peers, results), flush=True
    )
    if asked.is_full or asked.write:
        (RESULTS / "results.md").write_text(report.as_markdown(rows, peers, results, facts))
        (RESULTS / "results.svg").write_text(svg.chart(rows, peers, results))


def main(arguments: Sequence[str]) -> int:
    """Measure what was asked for; the exit status is 1 when a relay failed."""
    asked = options.parse(arguments)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    raise_file_limit()
    folder = Path(tempfile.mkdtemp(prefix="run-", dir=CACHE))
    stage = Stage(folder, QUICK_RECORDED_SECONDS if asked.quick else RECORDED_SECONDS)
    failed = json.loads(prepare.FAILED.read_text()) if prepare.FAILED.exists() else {}
    try:
        results = measure(
            asked.chosen_rows, asked.chosen_peers, stage, asked.effort, failed,
            lambda line: print(line, file=sys.stderr, flush=True),
        )  # fmt: skip
    except KeyboardInterrupt:
        return 128 + signal.SIGINT
    finally:
        stage.close()
        shutil.rmtree(folder, ignore_errors=True)
    _show(asked, results)
    return 1 if failures(results) else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
