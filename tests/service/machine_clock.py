"""A machine whose clock a test sets while the service runs on it.

Python reads the clock at one place, so that place is what is replaced in the service's processes: the interpreter
imports ``sitecustomize`` before anything else. What nobody sets, the monotonic clock, stays.
"""

from __future__ import annotations

import os
from pathlib import Path

_SITE = """\
import os, time
_file = os.open({path!r}, os.O_RDONLY)
_time, _time_ns = time.time, time.time_ns

def _offset():
    return int(os.pread(_file, 20, 0) or 0)

time.time = lambda: _time() + _offset()
time.time_ns = lambda: _time_ns() + _offset() * 10**9
"""


class MachineClock:
    """How far the clock is from the right time.

    :param folder: where to keep that
    :ivar path: a folder for ``PYTHONPATH``
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder / "clock"
        self.path.mkdir()
        self._offset = self.path / "offset"
        self._offset.write_text(f"{0:20d}")
        (self.path / "sitecustomize.py").write_text(_SITE.format(path=str(self._offset)))

    def set(self, seconds: int) -> None:
        """Set it so many seconds ahead of the right time, or behind it."""
        with self._offset.open("r+b", buffering=0) as file:
            os.pwrite(file.fileno(), f"{seconds:20d}".encode(), 0)  # at once, so that no half of it is read
