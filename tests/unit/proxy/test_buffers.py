"""The pipes of a process: few, lent while something is in them, and never given on with bytes of somebody else's."""

from __future__ import annotations

import fcntl
import os

import pytest

from porthole.proxy.buffers import IDLE_PIPES, MAX_PIPES, PIPE_SIZE, Pipe, Pipes


def open_files() -> int:
    return len(os.listdir("/proc/self/fd"))


def test_one_that_is_given_back_empty_is_lent_again() -> None:
    pipes = Pipes()
    pipe = pipes.take()
    assert pipe is not None
    pipes.give(pipe)
    assert pipes.take() is pipe
    pipes.give(pipe)
    pipes.close()


def test_one_with_bytes_in_it_is_not() -> None:
    before, pipes = open_files(), Pipes()
    pipe = pipes.take()
    assert pipe is not None
    os.write(pipe.writer, b"a picture")
    pipes.give(pipe, is_empty=False)
    assert open_files() == before
    other = pipes.take()
    assert other is not None
    with pytest.raises(BlockingIOError):
        os.read(other.reader, 1)
    pipes.give(other)
    pipes.close()


def test_there_are_only_so_many_and_few_of_them_are_kept() -> None:
    before, pipes = open_files(), Pipes()
    lent = [pipes.take() for _ in range(MAX_PIPES)]
    assert all(lent)
    assert pipes.take() is None
    assert pipes.lent == MAX_PIPES
    for pipe in lent:
        assert pipe is not None
        pipes.give(pipe)
    assert pipes.lent == 0
    assert open_files() == before + 2 * IDLE_PIPES
    pipes.close()
    assert open_files() == before


def test_where_there_are_no_descriptors_there_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    def none(_flags: int) -> tuple[int, int]:
        raise OSError(24, "Too many open files")

    monkeypatch.setattr(os, "pipe2", none)
    pipes = Pipes()
    assert pipes.take() is None
    assert pipes.lent == 0


def test_nobody_waits_for_one_and_no_other_program_gets_it() -> None:
    pipe = Pipe()
    assert fcntl.fcntl(pipe.writer, fcntl.F_GETPIPE_SZ) == PIPE_SIZE
    for end in (pipe.reader, pipe.writer):
        assert not os.get_blocking(end)
        assert not os.get_inheritable(end)
    pipe.close()


def test_one_that_may_not_be_larger_stays_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: object) -> int:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(fcntl, "fcntl", refused)
    pipe = Pipe()
    assert os.write(pipe.writer, b"x") == 1
    pipe.close()
