"""Processor time and memory of real processes."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest

from bench.background import meanwhile
from bench.measure import percentile, processor_seconds, pss, tree

PARENT = """
import os, sys, threading, time
child = os.fork()
if child:
    print(child, flush=True)
    os.wait()
else:
    sys.stdin.readline()
    data = bytearray(b"x" * 50_000_000)
    end = time.process_time() + 0.3
    thread = threading.Thread(target=lambda: [None for _ in iter(lambda: time.process_time() < end, False)])
    thread.start()
    thread.join()
    os.write(1, b"done\\n")
    time.sleep(60)
"""


@pytest.fixture
def family() -> Iterator[subprocess.Popen[bytes]]:
    """A process whose child does the work, in a thread."""
    process = subprocess.Popen([sys.executable, "-c", PARENT], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    yield process
    for pid in reversed(tree(process.pid)):
        os.kill(pid, 9)
    process.communicate()


def test_what_a_child_does_is_counted(family: subprocess.Popen[bytes]) -> None:
    assert family.stdin
    assert family.stdout
    child = int(family.stdout.readline())
    pids = tree(family.pid)
    assert pids == [family.pid, child]
    memory = pss(pids)
    before = processor_seconds(pids)

    family.stdin.write(b"go\n")
    family.stdin.flush()
    # The thread that worked is gone when this line comes; what ended is not in the sum, so its begin is looked at.
    end = time.monotonic() + 20
    while processor_seconds(pids) - before < 0.2 and time.monotonic() < end:
        time.sleep(0.005)

    assert processor_seconds(pids) - before >= 0.2
    assert pss(pids) - memory > 40_000_000


def test_processes_that_have_ended_are_nothing() -> None:
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()

    assert (processor_seconds([process.pid]), pss([process.pid]), tree(process.pid)) == (0, 0, [process.pid])


@pytest.mark.parametrize(("share", "value"), [(0.5, 50), (0.99, 99), (1.0, 100), (0.0, 1)])
def test_percentiles_are_values_that_occurred(share: float, value: int) -> None:
    assert percentile(list(range(100, 0, -1)), share) == value


def test_no_values_have_no_percentile() -> None:
    with pytest.raises(ValueError, match="no values"):
        percentile([], 0.5)


def test_work_goes_on_meanwhile_and_ends_with_the_block() -> None:
    with meanwhile(lambda: 1.0) as counter:
        end = time.monotonic() + 20
        while counter.total() < 3 and time.monotonic() < end:
            time.sleep(0.001)
        assert counter.total() >= 3
    after = counter.total()
    time.sleep(0.01)
    assert counter.total() == after
