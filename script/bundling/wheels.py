"""The wheels of a bundle: what the service runs on, as pinned, the service itself, and pip."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from provision.progress import StepFailed, run

EPOCH = 315532800
"""1980-01-01, the first moment that a zip archive can name: the time of everything in a bundle."""

STAMP = ".complete"


def environment() -> dict[str, str]:
    """For pip and what it starts: fixed times and order, and no path of this machine in compiled code."""
    left_out = ("PYTHONPATH", "VIRTUAL_ENV", "CFLAGS")
    kept = {name: value for name, value in os.environ.items() if name not in left_out}
    return {**kept, "SOURCE_DATE_EPOCH": str(EPOCH), "PYTHONHASHSEED": "0", "CFLAGS": "-O2 -g0"}


def ensure_dependencies(
    folder: Path, python: Path, requirements: Path, builder: Path, constraints: Path, log: Path
) -> None:
    """Fill *folder* with the wheels of *requirements* and of pip, unless it is filled.

    :param python: of an environment that has *builder*
    :param builder: the requirements that pin pip and setuptools, which pbr needs when it runs, too
    :param constraints: a requirements file with all pins
    :raises StepFailed: pip failed, or a package is needed that is not pinned
    """
    if (folder / STAMP).is_file():
        return
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    pip = [str(python), "-m", "pip", "wheel", "--disable-pip-version-check", "--no-input", "--no-cache-dir"]
    advice = "If PyPI cannot be reached, set pip's index or proxy (PIP_INDEX_URL, HTTPS_PROXY)."
    # Built with the pinned setuptools of this environment instead of the newest one.
    wanted = ["--no-build-isolation", "--wheel-dir", str(folder)]
    run([*pip, *wanted, "-c", str(builder), "-r", str(requirements)], log, env=environment(), advice=advice)
    tools = pins(builder.read_text())
    check_pinned(folder.glob("*.whl"), {**tools, **pins(constraints.read_text())})
    run([*pip, *wanted, "--no-deps", f"pip=={tools['pip']}"], log, env=environment(), advice=advice)
    (folder / STAMP).touch()


def build_application(folder: Path, python: Path, app: Path, scratch: Path, log: Path) -> None:
    """Build the service's own wheel into *folder*, from a copy, so that the checkout stays as it is.

    :raises StepFailed: pip failed
    """
    source = scratch / "app"
    copy_application(app, source)
    argv = [str(python), "-m", "pip", "wheel", "--disable-pip-version-check", "--no-input", "--no-cache-dir"]
    argv += ["--no-deps", "--no-index", "--no-build-isolation", "--wheel-dir", str(folder), str(source)]
    run(argv, log, env=environment())


def application_files(app: Path) -> list[Path]:
    """The files that the service's wheel is made from, sorted."""
    package = app / "porthole"
    files = [path for path in package.rglob("*") if path.is_file() and "__pycache__" not in path.parts]
    return sorted([app / "pyproject.toml", *files])


def copy_application(app: Path, to: Path) -> None:
    """Copy these files, with the same modes everywhere."""
    for path in application_files(app):
        copy = to / path.relative_to(app)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, copy)
        copy.chmod(0o644)


def pins(text: str) -> dict[str, str]:
    """Normalised names with their versions, out of a requirements file's ``name==version`` lines."""
    found = re.findall(r"^([A-Za-z0-9._-]+)==([^\s;#]+)", text, re.MULTILINE)
    return {normalised(name): version for name, version in found}


def normalised(name: str) -> str:
    """A package's name in its one spelling (packaging specifications, "Names and normalization")."""
    return re.sub(r"[-_.]+", "-", name).lower()


def name_and_version(wheel: Path) -> tuple[str, str]:
    """Out of a wheel's file name."""
    name, version, *_ = wheel.name.split("-")
    return normalised(name), version


def check_pinned(wheels: Iterable[Path], pinned: Mapping[str, str]) -> None:
    """See that every wheel is of the version that is pinned.

    :raises StepFailed: one is not
    """
    wrong = []
    for wheel in sorted(wheels):
        name, version = name_and_version(wheel)
        if name not in pinned:
            wrong.append(f"{name}=={version} is not pinned")
        elif version != pinned[name]:
            wrong.append(f"{name} is {version} and pinned is {pinned[name]}")
    if wrong:
        raise StepFailed(
            "the service would run on packages that are not pinned.",
            details=wrong,
            advice="Pin them in requirements.txt.",
        )


def hashed_requirements(wheels: Sequence[Path]) -> str:
    """A requirements file that takes exactly these wheels (``pip install --require-hashes``); pip's own is left out."""
    lines = ["# Made by script/bundle: what is installed, and nothing else."]
    for wheel in sorted(wheels):
        name, version = name_and_version(wheel)
        if name != "pip":
            lines.append(f"{name}=={version} --hash=sha256:{sha256(wheel)}")
    return "\n".join(lines) + "\n"


def sha256(path: Path) -> str:
    """A file's checksum."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
