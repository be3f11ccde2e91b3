"""Where the workers count for Prometheus: files in memory that all of them read, so any worker has the sums.

prometheus-client's multiprocess mode leaves the files of ended processes there for ever. Here the counts of a worker
that is gone go to one pair of files, so that reloads fill nothing.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import struct
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import structlog
from prometheus_client.mmap_dict import MmapedDict
from prometheus_client.multiprocess import mark_process_dead

from porthole.server.board import Board

LOCK = 1
"""Of the board's locks, the one of these files."""

_PREFIX = "porthole-metrics-"
_SUMS = ("counter", "histogram")
_BURIED = "gone"
_NEW = 60.0

log = structlog.get_logger("porthole.server")


class MetricsFolder:
    """The folder of one service. It is made by the master and removed when the service ends.

    It is on a file system in memory where there is one: on a disk that is full, the first write to such a file would
    kill a worker.

    :ivar path: where it is
    """

    def __init__(self, board: Board) -> None:
        self._board = board
        self._owner = os.getpid()
        parent = _parent()
        _remove_left_ones(parent)
        self.path = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=parent))
        self._held = os.open(self.path, os.O_RDONLY)
        fcntl.flock(self._held, fcntl.LOCK_SH)

    @contextlib.contextmanager
    def locked(self, sleep: Callable[[float], object] = time.sleep) -> Iterator[None]:
        """While nothing is moved; when that takes too long, nevertheless."""
        with self._board.locked(LOCK, sleep):
            yield

    def bury(self, name: str) -> None:
        """A worker is gone: its gauges go, and its counts are added to those of all that are gone."""
        with self.locked():
            mark_process_dead(name, str(self.path))
            for kind in _SUMS:
                self._add(self.path / f"{kind}_{name}.db", self.path / f"{kind}_{_BURIED}.db")

    @staticmethod
    def _add(file: Path, to: Path) -> None:
        if not file.exists():
            return
        try:
            sums = MmapedDict(str(to))
            for key, value, _timestamp, _place in MmapedDict.read_all_values_from_file(str(file)):
                sums.write_value(key, sums.read_value(key)[0] + value, 0.0)
            sums.close()
        except (OSError, RuntimeError, ValueError, struct.error) as error:  # it was killed while it wrote there
            log.warning("what a worker has counted is lost", why=str(error))
        # In any case: with a file that is torn nobody could read any.
        file.unlink(missing_ok=True)

    def remove(self) -> None:
        """The service ends; in a worker, which ends too, this does nothing."""
        if os.getpid() == self._owner:
            shutil.rmtree(self.path, ignore_errors=True)


def _parent() -> Path:
    """systemd's folder of the unit, the machine's shared memory, or what there is."""
    for candidate in (os.environ.get("RUNTIME_DIRECTORY", "").partition(":")[0], "/dev/shm"):  # noqa: S108 - mkdtemp makes the name
        if candidate and os.access(candidate, os.W_OK | os.X_OK):
            return Path(candidate)
    return Path(tempfile.gettempdir())


def _remove_left_ones(parent: Path) -> None:
    """Those of services that were killed: nobody holds their lock any more."""
    for folder in parent.glob(f"{_PREFIX}*"):
        with contextlib.suppress(OSError):
            descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
            try:
                found = os.fstat(descriptor)
                # One that was made just now may not be locked yet.
                if found.st_uid == os.geteuid() and found.st_mtime < time.time() - _NEW:
                    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    shutil.rmtree(folder, ignore_errors=True)
            finally:
                os.close(descriptor)
