"""The log's files for those who check it: one moment of all of them, line by line."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from porthole.audit.files import locked, older_files
from porthole.audit.line import MAX_LINE

LOCK_TIMEOUT = 10.0
"""Seconds to wait for the writers to leave a moment between two writes."""

_PAUSE = 0.01


class LogUnreadable(Exception):
    """The log cannot be read; the message says why."""


@dataclass(frozen=True, slots=True)
class Raw:
    """A line as it stands in a file.

    :ivar number: of the line in its file, from 1
    :ivar data: without its newline; of a line that is longer than any of ours, the beginning
    :ivar ended: whether there is a newline
    """

    file: Path
    number: int
    data: bytes
    ended: bool


def log_files(path: Path) -> list[Path]:
    """All files of a log, oldest first.

    :raises LogUnreadable: there is none
    """
    try:
        files = [*older_files(path), *([path] if path.exists() else [])]
    except OSError as error:
        raise LogUnreadable(f"{path.parent}: cannot be read: {error.strerror}.") from None
    if not files:
        raise LogUnreadable(f"{path}: there is no such log.")
    for file in files:
        if not file.is_file():
            raise LogUnreadable(f"{file}: it is not a regular file.")
    return files


@contextlib.contextmanager
def open_lines(folders: Iterable[Path], find: Callable[[], Sequence[Path]]) -> Iterator[Iterator[Raw]]:
    """The lines of several files at one moment, between two writes of the service, which may go on meanwhile.

    :param folders: where the files are
    :param find: says which files, oldest first; called when no writer can rename one
    :raises LogUnreadable: a file cannot be read
    """
    with contextlib.ExitStack() as stack:
        try:
            with contextlib.ExitStack() as turn:
                for folder in sorted(set(folders)):
                    _take_turn(folder, turn)
                opened = [(path, stack.enter_context(path.open("rb"))) for path in find()]
                files = [(path, file, os.fstat(file.fileno()).st_size) for path, file in opened]
        except OSError as error:
            raise LogUnreadable(f"{error.filename}: cannot be read: {error.strerror}.") from None
        yield (raw for path, file, size in files for raw in _lines(path, file, size))


def _take_turn(folder: Path, turn: contextlib.ExitStack) -> None:
    end = time.monotonic() + LOCK_TIMEOUT
    while True:
        try:
            turn.enter_context(locked(folder, shared=True, wait=False))
            return
        except BlockingIOError:
            if time.monotonic() >= end:
                raise LogUnreadable(f"{folder}: a writer has held its lock for {LOCK_TIMEOUT:g} seconds.") from None
        time.sleep(_PAUSE)


def _lines(path: Path, file: BinaryIO, size: int) -> Iterator[Raw]:
    number = 0
    while size > 0:
        number += 1
        data = file.readline(min(size, MAX_LINE))
        if not data:  # somebody has made it shorter meanwhile
            return
        size -= len(data)
        ended = data.endswith(b"\n")
        while not ended and size > 0 and (more := file.readline(min(size, MAX_LINE))):
            size -= len(more)
            ended = more.endswith(b"\n")
        yield Raw(path, number, data.removesuffix(b"\n"), ended)
