"""A virtual environment with pinned packages."""

from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from provision.progress import Progress, run

CHECKOUT = Path(__file__).resolve().parents[2]
DEVELOPMENT = tuple(
    CHECKOUT / name for name in ("requirements.txt", "script/local_lab/requirements.txt", "requirements-dev.txt")
)
"""What is in the checkout's own environment, ``.venv``, in which script/test and script/bench run."""

STAMP = ".complete"


def fingerprint(requirements: Sequence[Path]) -> str:
    """Changes when a requirement or the Python changes; 12 hexadecimal digits."""
    parts = [sys.version, os.path.realpath(sys.executable), *(text for path in requirements for text in _texts(path))]
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:12]


def _texts(path: Path) -> Iterator[str]:
    """A requirements file's text and those of the files that it includes with -c or -r."""
    text = path.read_text()
    yield text
    for line in text.splitlines():
        if line.startswith(("-c ", "-r ")):
            yield from _texts(path.parent / line[3:].strip())


def ensure(folder: Path, requirements: Sequence[Path], log: Path, progress: Progress) -> Path:
    """Make the environment unless it is there as wanted.

    :returns: its Python
    :raises StepFailed: venv or pip failed
    """
    python = folder / "bin" / "python"
    stamp = folder / STAMP
    wanted = fingerprint(requirements)
    if stamp.is_file() and stamp.read_text() == wanted and os.access(python, os.X_OK):
        return python
    env = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "VIRTUAL_ENV")}
    with progress.step("Python environment"):
        stamp.unlink(missing_ok=True)
        run([sys.executable, "-m", "venv", "--clear", str(folder)], log, env=env)
    with progress.step("Python packages from PyPI"):
        files = [argument for path in requirements for argument in ("-r", str(path))]
        argv = [str(python), "-m", "pip", "install", "--disable-pip-version-check", "--no-input", *files]
        run(
            argv,
            log,
            env=env,
            advice="If PyPI cannot be reached, set pip's index or proxy (PIP_INDEX_URL, HTTPS_PROXY).",
        )
    stamp.write_text(wanted)
    return python
