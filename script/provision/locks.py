"""Locks of the machine's packages: those of apt and dpkg, and one of our own. Each is waited for a bounded time.

All are record locks of fcntl(2), as apt and dpkg take them: they end with the process, however that ends.
"""

from __future__ import annotations

import contextlib
import fcntl
import time
from collections.abc import Iterator
from pathlib import Path

from provision.progress import Progress, StepFailed

OURS = Path("/run/porthole-packages.lock")
"""Held while one of the project's scripts installs packages: two checkouts do so one after the other."""

DPKG = Path("/var/lib/dpkg/lock-frontend")
LISTS = Path("/var/lib/apt/lists/lock")

WAIT = 600.0
"""Seconds for which somebody else's installation is waited for."""

_PAUSE = 0.2


@contextlib.contextmanager
def held(path: Path, progress: Progress, wait: float = WAIT) -> Iterator[None]:
    """Hold a lock while the block runs.

    :raises StepFailed: another process has held it for *wait* seconds, or its file cannot be opened
    """
    advice = f"See which process it is: fuser -v {path}"
    try:
        file = path.open("a")
    except OSError as error:
        raise StepFailed(f"{path} cannot be opened: {error.strerror}.", step="Debian packages") from None
    with file:
        if not _taken(file.fileno()):
            with progress.step(f"Another installation of packages ({path})"):
                until = time.monotonic() + wait
                while not _taken(file.fileno()):
                    if time.monotonic() > until:
                        raise StepFailed(f"{path} has been locked for {wait:.0f} s.", advice=advice)
                    time.sleep(_PAUSE)
        yield


def _taken(descriptor: int) -> bool:
    try:
        fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):
        return False
    return True
