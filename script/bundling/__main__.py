"""``script/bundle [--release LABEL] [--output DIR]``."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import re
import shutil
import signal
import sys
import sysconfig
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from bundling import archive, wheels
from bundling.options import CHECKOUT, Options, parse
from bundling.target import Target, this_machine
from provision import debian, novnc, python_env
from provision.progress import Progress, StepFailed

APP = CHECKOUT / "app"
CACHE = CHECKOUT / ".cache"
REQUIREMENTS = APP / "requirements.txt"
CONSTRAINTS = CHECKOUT / "requirements.txt"
BUILDER = CHECKOUT / "script" / "bundling" / "requirements.txt"


def build(options: Options, progress: Progress) -> Path:
    """Build the bundle unless it is there; its path.

    :raises StepFailed: something is missing, or a step did not work
    """
    target = this_machine()
    release = options.release or application_version()
    name = target.bundle_name(release)
    bundle = options.output.absolute() / f"{name}.tar.gz"
    cache = CACHE / "bundle"
    bundle.parent.mkdir(parents=True, exist_ok=True)
    cache.mkdir(parents=True, exist_ok=True)
    log = cache / f"{name}.log"
    with _only_one(cache / "lock", progress):
        debian.ensure(python_needs(target), log, progress)
        dependencies = cache / f"wheels-{dependencies_key(target)}"
        # A bundle that nothing has changed since is left alone.
        record = cache / f"{name}.from"
        made_from = input_key(target, release)
        if record.is_file() and record.read_text() == f"{made_from} {bundle}" and archive.is_whole(bundle):
            progress.say(f"script/bundle: {bundle.name} is up to date")
            return bundle
        record.unlink(missing_ok=True)
        python = python_env.ensure(cache / f"builder-{target.bundle_name('env')}", [BUILDER], log, progress)
        with progress.step("Wheels from PyPI"):
            wheels.ensure_dependencies(dependencies, python, REQUIREMENTS, BUILDER, CONSTRAINTS, log)
        package = _novnc(log, progress)
        with tempfile.TemporaryDirectory(prefix="bundle-", dir=cache) as scratch, progress.step(f"Bundle {name}"):
            top = Path(scratch) / name
            _fill(top, dependencies, package, python, Path(scratch), log)
            _describe(top, target, release)
            archive.write(top, bundle)
        record.write_text(f"{made_from} {bundle}")
    return bundle


def application_version() -> str:
    """The version in app/pyproject.toml."""
    found = re.search(r'^version = "([^"]+)"$', (APP / "pyproject.toml").read_text(), re.MULTILINE)
    if found is None:
        raise StepFailed('app/pyproject.toml has no line version = "...".', step="release")
    return found[1]


def python_needs(target: Target) -> list[debian.Need]:
    """The Debian packages that building wheels takes, with those of this Python when it is not the default one."""
    default = Path("/usr/bin/python3").resolve() == Path(sys.executable).resolve()
    prefix = "python3" if default else f"python{target.python}"
    return [
        debian.Need(need.package.replace("python3", prefix, 1), need.present)
        if need.package.startswith("python3-")
        else need
        for need in debian.PYTHON_NEEDS
    ]


def dependencies_key(target: Target) -> str:
    """Changes when a wheel that the service runs on may."""
    parts = [python_env.fingerprint([REQUIREMENTS, BUILDER]), target.bundle_name(""), sysconfig.get_platform()]
    parts.append(Path(wheels.__file__).read_text())
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:12]


def input_key(target: Target, release: str) -> str:
    """Changes when anything does that a bundle is made from."""
    digest = hashlib.sha256(f"{dependencies_key(target)}\0{release}".encode())
    sources = [*wheels.application_files(APP), *(APP / name for name in novnc.MANIFESTS)]
    sources += sorted(Path(__file__).parent.glob("*.py"))
    for path in sources:
        digest.update(f"\0{path.relative_to(CHECKOUT)}\0{wheels.sha256(path)}".encode())
    return digest.hexdigest()


def _novnc(log: Path, progress: Progress) -> Path:
    """The noVNC that script/test installs too, so that npm is not needed where the checkout has it already."""
    folder = CACHE / "novnc"
    if not novnc.is_there(folder, APP):
        debian.ensure(debian.NODE_NEEDS, log, progress)
    return novnc.ensure(folder, APP, log, progress)


def _fill(top: Path, dependencies: Path, package: Path, python: Path, scratch: Path, log: Path) -> None:
    folder = top / "wheels"
    folder.mkdir(parents=True)
    for wheel in dependencies.glob("*.whl"):
        shutil.copyfile(wheel, folder / wheel.name)
    wheels.build_application(folder, python, APP, scratch, log)
    shutil.copytree(package, top / "novnc")


def _describe(top: Path, target: Target, release: str) -> None:
    found = sorted((top / "wheels").glob("*.whl"))
    (top / "requirements.txt").write_text(wheels.hashed_requirements(found), encoding="ascii")
    manifest = {
        "release": release,
        "distribution": target.distribution,
        "distribution_version": target.version,
        "python": target.python,
        "architecture": target.architecture,
        "wheels": {wheel.name: wheels.sha256(wheel) for wheel in found},
    }
    (top / "manifest.json").write_text(json.dumps(manifest, indent=2) + "\n", encoding="ascii")


@contextlib.contextmanager
def _only_one(lock: Path, progress: Progress) -> Iterator[None]:
    """Wait until no other script/bundle of this checkout is at work."""
    descriptor = os.open(lock, os.O_WRONLY | os.O_CREAT, 0o644)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            with progress.step("Waiting for another script/bundle"):
                fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def main(argv: Sequence[str]) -> int:
    """Build, and print the path."""
    options = parse(argv)
    progress = Progress()
    os.umask(0o022)
    try:
        # SIGTERM ends it as Ctrl-C does: temporary folders are removed.
        signal.signal(signal.SIGTERM, lambda *_: signal.raise_signal(signal.SIGINT))
        print(build(options, progress))
    except StepFailed as failure:
        progress.say(f"script/bundle: {failure}")
        return 1
    except OSError as error:
        named = f"{error.filename}: " if error.filename else ""
        progress.say(f"script/bundle: {named}{error.strerror or error}.")
        return 1
    except KeyboardInterrupt:
        return 128 + signal.SIGINT
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
