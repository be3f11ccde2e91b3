"""What has to hold while an attack goes on: memory, descriptors, and somebody else's console."""

from __future__ import annotations

import contextlib
import re
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from porthole.proxy.buffers import IDLE_PIPES
from tests.hosts import Guest
from tests.service import Appliance, RfbClient

KEPT = 2 * IDLE_PIPES
"""Descriptors of empty pipes that the service keeps."""

MIB = 1024 * 1024


def memory(appliance: Appliance) -> int:
    """Bytes of memory that the workers have for themselves, their shares of what is shared included (proc(5), Pss)."""
    total = 0
    for pid in appliance.pids()[1:]:
        match = re.search(r"^Pss:\s+(\d+) kB$", Path(f"/proc/{pid}/smaps_rollup").read_text(), re.MULTILINE)
        assert match is not None
        total += int(match[1]) * 1024
    return total


class Echo:
    """A person at the console of a real guest, which repeats each key that it gets on its serial port.

    :ivar count: keys so far that came back
    """

    def __init__(self, client: RfbClient, guest: Guest) -> None:
        self.count = 0
        self._client = client
        self._guest = guest
        self._over = threading.Event()
        self._failure: str | None = None
        self._thread = threading.Thread(target=self._type, daemon=True)
        self._thread.start()

    def wait_for_more(self, seconds: float = 30) -> None:
        """Wait until one more key has come back; it is typed from now on."""
        wanted, end = self.count + 2, time.monotonic() + seconds
        while self.count < wanted:
            assert self._failure is None, self._failure
            assert time.monotonic() < end, f"no key came back for {seconds} s"
            time.sleep(0.02)

    def stop(self) -> None:
        """End it; whatever went wrong is an error now."""
        self._over.set()
        self._thread.join(60)
        assert self._failure is None, self._failure

    def _type(self) -> None:
        try:
            while not self._over.is_set():
                before = len(self._guest.serial_text())
                self._client.key(ord("k"))
                end = time.monotonic() + 30
                while len(self._guest.serial_text()) <= before:
                    assert time.monotonic() < end, "a key was lost"
                    time.sleep(0.02)
                self.count += 1
                self._over.wait(0.05)
        except Exception as error:
            self._failure = repr(error)


@contextlib.contextmanager
def somebody_else(appliance: Appliance, guest: Guest) -> Iterator[Echo]:
    """Somebody types at the console of a guest that is up, before, during and after the attack."""
    client = appliance.open_console(guest.uuid)
    echo = Echo(client, guest)
    echo.wait_for_more()
    yield echo
    echo.wait_for_more()
    echo.stop()
    client.close()
