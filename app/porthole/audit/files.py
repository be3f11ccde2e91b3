"""The files of the log: the one that is written, the older ones, and the lock that makes writers take turns.

The lock is one of the folder (flock(2)): a file could be moved away or replaced, and then
two writers had a lock each. The kernel frees it when a process ends, however it ends.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import stat
from collections.abc import Iterator
from pathlib import Path

from porthole.audit.errors import AuditUnavailable

MODE = 0o640


@contextlib.contextmanager
def locked(folder: Path, *, shared: bool = False, wait: bool = True) -> Iterator[None]:
    """Hold the lock of the log's folder.

    :param shared: with other readers; no writer has it meanwhile
    :param wait: for others to give it back; the kernel lets writers in by turns
    :raises BlockingIOError: another one has it, and we do not wait
    :raises OSError: the folder cannot be opened
    """
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | (0 if wait else fcntl.LOCK_NB))
        try:
            yield
        finally:
            # Not by closing alone: a child that is being forked has a copy of the descriptor for a moment.
            fcntl.flock(descriptor, fcntl.LOCK_UN)
    finally:
        os.close(descriptor)


def older_files(path: Path) -> list[Path]:
    """The files that were full, oldest first. Their names end with the number of their last line."""
    form = re.compile(re.escape(path.name) + r"\.(\d{15})")
    return sorted(file for file in path.parent.iterdir() if form.fullmatch(file.name))


def older_name(path: Path, last: int) -> Path:
    """The name of a full file whose last line has this number."""
    return path.with_name(f"{path.name}.{last:015}")


def sync_folder(folder: Path) -> None:
    """Have names on the disk, those of new and renamed files."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


class LogFile:
    """The file that is written, open. Whoever uses it holds the lock.

    :ivar end: its size in bytes, as far as we know
    """

    def __init__(self, path: Path) -> None:
        """Open it, or create it for the owner of its folder.

        :raises AuditUnavailable: it is no regular file
        :raises OSError: it cannot be opened
        """
        self._path = path
        self.descriptor, is_new = _open(path)
        try:
            status = os.fstat(self.descriptor)
            if not stat.S_ISREG(status.st_mode):
                raise AuditUnavailable(f"{path}: it is not a regular file")
            self._identity = (status.st_dev, status.st_ino)
            self.end = status.st_size
            if is_new:
                self._give_to_owner_of_folder()
                sync_folder(path.parent)
        except BaseException:
            os.close(self.descriptor)
            raise

    def _give_to_owner_of_folder(self) -> None:
        """An administrator's command may be the first to write, and the service has to be able to go on."""
        if os.geteuid() == 0:
            folder = self._path.parent.stat()
            os.fchown(self.descriptor, folder.st_uid, folder.st_gid)

    def is_as_left(self) -> bool:
        """Whether it is still the file of its name, and as long as when we wrote last."""
        try:
            named = os.lstat(self._path)
        except FileNotFoundError:
            return False
        return (named.st_dev, named.st_ino, named.st_size) == (*self._identity, self.end)

    def append(self, data: bytes) -> None:
        """Write at the end and have it on the disk; what was written of it is taken back when that fails.

        :raises OSError: the disk is full, or there is another error
        """
        try:
            rest = memoryview(data)
            while rest:
                rest = rest[os.write(self.descriptor, rest) :]
            os.fdatasync(self.descriptor)
        except OSError:
            with contextlib.suppress(OSError):  # what stays is dealt with as after a power failure
                os.ftruncate(self.descriptor, self.end)
            raise
        self.end += len(data)

    def close(self) -> None:
        """Close it."""
        os.close(self.descriptor)


def _open(path: Path) -> tuple[int, bool]:
    """Open it for appending; says whether it was created."""
    flags = os.O_RDWR | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        return os.open(path, flags), False
    except FileNotFoundError:
        return os.open(path, flags | os.O_CREAT | os.O_EXCL, MODE), True
