"""The command vagrant, with files of its own and its output line by line."""

from __future__ import annotations

import contextlib
import os
import selectors
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from provision.progress import StepFailed, exit_words

STOP_SECONDS = 20.0


class Vagrant:
    """Vagrant in one folder.

    :ivar environment: of the command
    """

    def __init__(self, folder: Path, environment: Mapping[str, str]) -> None:
        self._folder = folder
        self.environment = {
            **environment,
            "VAGRANT_CWD": str(folder),
            "VAGRANT_CHECKPOINT_DISABLE": "1",
            "VAGRANT_DEFAULT_PROVIDER": "libvirt",
            "ANSIBLE_NOCOLOR": "1",
        }

    def run(self, words: Sequence[str], take: Callable[[str], None], seconds: float) -> None:
        """Run a command; when this process is interrupted, it is ended.

        :param take: gets each line that it prints
        :raises StepFailed: it failed, or took longer than *seconds*
        """
        step = f"vagrant {' '.join(words)}"
        # A session of its own: Ctrl-C is for this process, which then ends the command and takes everything down.
        process = subprocess.Popen(
            ["vagrant", *words, "--no-color"],
            cwd=self._folder,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            if not _read(process, take, time.monotonic() + seconds):
                raise StepFailed(f"it took longer than {seconds / 60:.0f} minutes.", step=step)
            status = process.wait(STOP_SECONDS)
        finally:
            _end(process)
        if status:
            raise StepFailed(f"it failed ({exit_words(status)}).", step=step)

    def output(self, words: Sequence[str], seconds: float) -> str:
        """What a command prints.

        :raises StepFailed: it failed
        """
        lines: list[str] = []
        try:
            self.run(words, lines.append, seconds)
        except StepFailed as failure:
            failure.details = [line.rstrip() for line in lines[-15:]]
            raise
        return "".join(lines)


def _read(process: subprocess.Popen[bytes], take: Callable[[str], None], end: float) -> bool:
    """Hand over the lines until the output ends; False when the time is up before."""
    output = process.stdout
    if output is None:
        return True
    rest = b""
    with selectors.DefaultSelector() as selector:
        selector.register(output, selectors.EVENT_READ)
        while (left := end - time.monotonic()) > 0:
            if not selector.select(left):
                continue
            data = os.read(output.fileno(), 65536)
            *lines, rest = (rest + data).split(b"\n")
            if not data:
                lines = [rest] if rest else []
            for line in lines:
                text = line.decode(errors="replace").rstrip("\r")
                # A carriage return begins a progress line anew.
                take(text.rpartition("\r")[2] + "\n")
            if not data:
                return True
    return False


def _end(process: subprocess.Popen[bytes]) -> None:
    """End the command and all that it has started."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        if process.poll() is None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(STOP_SECONDS)
    if process.stdout is not None:
        process.stdout.close()
    process.wait()
