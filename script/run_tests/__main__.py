"""``script/test [PART ...] [-- PYTEST ARGUMENTS]``."""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import FrameType

from provision import debian, novnc, python_env
from provision.progress import Progress, StepFailed
from run_tests import checks, scenarios
from run_tests.parts import BROWSER, OPENSTACK, PARTS, Part, why_no_namespaces

CHECKOUT = Path(__file__).resolve().parents[2]
CACHE = CHECKOUT / ".cache"
UNIT = "tests/unit"
ALONE = ("tests/integration/service/test_figures.py", "tests/lab")
"""These measure the machine, or look for what the lab left on it: nothing else runs beside them."""

MOST_WORKERS = 4
"""Each has compute hosts of its own."""

OLDEST_NODE = 18
"""Has ``node --test``."""


def parser() -> argparse.ArgumentParser:
    """The command line's description."""
    width = max(len(part.name) for part in PARTS)
    lines = [f"  {part.name:<{width}}  {part.about}{' (root)' if part.namespaces else ''}" for part in PARTS]
    it = argparse.ArgumentParser(
        prog="script/test",
        usage="script/test [--whole] [PART ...] [-- PYTEST ARGUMENTS]",
        description="Run the tests: all parts, or those that are named. Part vagrant runs only when it is named.",
        epilog="parts:\n" + "\n".join(lines) + "\n\n'script/test references' makes the generated pages anew instead.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    it.add_argument("--whole", action="store_true", help="fail when a part cannot run here, instead of leaving it out")
    it.add_argument("parts", nargs="*", metavar="PART", type=_part_name)
    return it


def _part_name(text: str) -> str:
    known = [*(part.name for part in PARTS), "references"]
    if text not in known:
        raise argparse.ArgumentTypeError(f"{text!r} is none of {', '.join(known)}")
    return text


def main(argv: Sequence[str]) -> int:
    """Run the parts; the exit status is 0 when all that was asked for passed."""
    own, pytest_arguments = _split(argv)
    options = parser().parse_args(own)
    names = options.parts
    progress = Progress()
    chosen = [part for part in PARTS if (part.name in names if names else part.by_default)]
    if any(part.name == "molecule" for part in chosen) and (why := scenarios.why_no_hosts()):
        must_run = names or options.whole
        progress.say(f"script/test: molecule {'cannot run' if must_run else 'is left out'}: {why}.")
        if must_run:
            return 1
        chosen = [part for part in chosen if part.name != "molecule"]
    try:
        python = _prepare([] if names == ["references"] else chosen, progress)
    except StepFailed as failure:
        progress.say(f"script/test: {failure}")
        return 1
    except KeyboardInterrupt:
        return 128 + signal.SIGINT
    if "references" in names:
        return _call([str(CHECKOUT / "script" / "generate_reference")], {**_environment(python), "PYTHON": str(python)})
    failed = _run(chosen, python, pytest_arguments, progress)
    if failed:
        progress.say(f"script/test: FAILED: {', '.join(failed)}")
        return 1
    return 0


def _split(argv: Sequence[str]) -> tuple[list[str], list[str]]:
    """Our own arguments, and those after ``--``."""
    if "--" not in argv:
        return list(argv), []
    at = list(argv).index("--")
    return list(argv[:at]), list(argv[at + 1 :])


def _prepare(parts: Sequence[Part], progress: Progress) -> Path:
    """Install what the parts need; the environment's Python."""
    progress.say(f"script/test: {', '.join(part.name for part in parts) or 'references'}")
    CACHE.mkdir(exist_ok=True)
    log = CACHE / "setup.log"
    needs = {need.package: need for part in parts for need in part.needs} or {n.package: n for n in debian.PYTHON_NEEDS}
    debian.ensure(needs.values(), log, progress)
    hosts = [part.name for part in parts if part.namespaces]
    if hosts and (why := why_no_namespaces()):
        others = " ".join(part.name for part in parts if not part.namespaces) or "unit"
        raise StepFailed(
            f"{why}. Compute hosts are made of network and mount namespaces, which only root can make.",
            step=" and ".join(hosts),
            advice=f"What can run here: script/test {others}",
        )
    python = python_env.ensure(CHECKOUT / ".venv", python_env.DEVELOPMENT, log, progress)
    if any(part.folder == OPENSTACK for part in parts):
        # Of its own: clients and services of OpenStack want other versions than ours, and the appliance imports none.
        requirements = [CHECKOUT / OPENSTACK / "requirements.txt"]
        python_env.ensure(CACHE / "openstack" / "venv", requirements, log, progress)
    if any(debian.NODE_NEEDS[0] in part.needs for part in parts):
        novnc.ensure(CACHE / "novnc", CHECKOUT / "app", log, progress)
    if any(part.folder in (BROWSER, OPENSTACK) for part in parts):
        novnc.ensure_axe(CACHE / "axe", CHECKOUT / "tests" / "browser", log, progress)
    return python


def _run(parts: Sequence[Part], python: Path, pytest_arguments: Sequence[str], progress: Progress) -> list[str]:
    names = [part.name for part in parts]
    failed = []
    if "lint" in names:
        failed += checks.run(CHECKOUT, python, progress.say)
    if "unit" in names and not _node_tests(progress):
        failed.append("node --test")
    for folders, options in _pytest_runs([part.folder for part in parts if part.folder], pytest_arguments):
        if _call([str(python), "-m", "pytest", *options, *folders, *pytest_arguments], _environment(python)):
            failed.append(f"pytest {' '.join(folders)}")
    if "molecule" in names:
        failed += scenarios.run(CHECKOUT, _environment(python), progress.say)
    if "vagrant" in names:
        environment = {**_environment(python), "PYTHONPATH": str(CHECKOUT / "script")}
        if _call([str(python), "-m", "vagrant_lab"], environment):
            failed.append("vagrant")
    return failed


def _pytest_runs(folders: list[str], arguments: Sequence[str]) -> Iterator[tuple[list[str], list[str]]]:
    """Folders that pytest runs together, and with which options.

    :param arguments: those of the caller, which may choose tests: one run, since a run without any test fails
    """
    if arguments and folders:
        yield folders, []
        return
    if UNIT in folders:
        yield [UNIT], ["--numprocesses=auto", "--dist=worksteal"]
    if others := [folder for folder in folders if folder not in (UNIT, *ALONE)]:
        # The tests of one file share what takes long to start.
        workers = ["--numprocesses=auto", f"--maxprocesses={MOST_WORKERS}", "--dist=loadfile"]
        yield others, [*workers, *(f"--ignore={path}" for path in ALONE)]
    if alone := [path for path in ALONE if any(path == folder or path.startswith(f"{folder}/") for folder in folders)]:
        yield alone, []


def _node_tests(progress: Progress) -> bool:
    """The pages' scripts, with Node's own test runner."""
    tests = sorted(
        str(path.relative_to(CHECKOUT)) for path in (CHECKOUT / "tests" / "unit" / "web").glob("**/*.test.mjs")
    )
    if not tests:
        return True
    node = debian.find_program("node") or "node"
    version = subprocess.run([node, "--version"], capture_output=True, text=True, check=False).stdout.strip()
    if int(version.lstrip("v").partition(".")[0] or 0) < OLDEST_NODE:
        progress.say(f"script/test: node --test needs Node.js {OLDEST_NODE} or later; {node} is {version}.")
        return False
    return _call([node, "--test", *tests], dict(os.environ)) == 0


def _environment(python: Path) -> dict[str, str]:
    env = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    env["PATH"] = os.pathsep.join([str(python.parent), os.environ.get("PATH", ""), debian.PATH])
    return env


def _call(argv: Sequence[str], env: dict[str, str]) -> int:
    """Run a command in the checkout; it clears up after itself when this process is told to end."""
    sys.stdout.flush()
    process = subprocess.Popen(argv, cwd=CHECKOUT, env=env, stdin=subprocess.DEVNULL)

    def pass_on(_number: int, _frame: FrameType | None) -> None:
        process.send_signal(signal.SIGINT)

    # Ctrl-C reaches the child by itself; this process only waits for it.
    before = {signal.SIGINT: signal.signal(signal.SIGINT, signal.SIG_IGN)}
    before[signal.SIGTERM] = signal.signal(signal.SIGTERM, pass_on)
    try:
        return process.wait()
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
