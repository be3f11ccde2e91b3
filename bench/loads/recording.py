"""What a real guest's VNC server sends: recorded once a run, and played back behind every relay.

A recording is a file of updates, each a whole FramebufferUpdate (RFC 6143 7.6.1) after its length in 4 bytes.
"""

from __future__ import annotations

import contextlib
import socket
import struct
import subprocess
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.loads import messages

RAW, ZRLE, DESKTOP_SIZE = 0, 16, -223
MOST_UPDATES = 2000
MOST_BYTES = 256 * messages.MIB
TIMEOUT = 15.0
FIRST_PORT = 5900
"""Of display 0."""

KEYSYMS = (*b"the quick brown fox", 0xFF0D)
"""What is typed, over and over: the last is Return, which scrolls once the screen is full."""


class RecordingError(Exception):
    """No recording could be made; ``str()`` says why."""


@dataclass(frozen=True, slots=True)
class Scene:
    """A part of the recording.

    :ivar encoding: of the rectangles, RAW or ZRLE
    :ivar seconds: how long
    :ivar typing: whether keys are pressed meanwhile
    """

    encoding: int
    seconds: float
    typing: bool


def scenes(seconds: float) -> tuple[Scene, Scene]:
    """A boot in raw pixels, then a terminal that scrolls, compressed."""
    return Scene(RAW, seconds / 3, typing=False), Scene(ZRLE, seconds * 2 / 3, typing=True)


def save(path: Path, updates: Sequence[bytes]) -> None:
    """Write a recording."""
    path.write_bytes(b"".join(len(update).to_bytes(4, "big") + update for update in updates))


def load(path: Path) -> list[bytes]:
    """Read a recording.

    :raises RecordingError: it is cut
    """
    data = memoryview(path.read_bytes())
    updates, at = [], 0
    while at < len(data):
        size = int.from_bytes(data[at : at + 4], "big")
        update = bytes(data[at + 4 : at + 4 + size])
        if len(update) < size:
            raise RecordingError(f"{path} ends within an update.")
        updates.append(update)
        at += 4 + size
    return updates


def record(image: Path, display: int, seconds: float) -> list[bytes]:
    """Start a guest in QEMU and record what its screen shows, from its first moment on.

    :param image: the guest's floppy disk
    :param display: number of a VNC display of 127.0.0.1 that is free
    :param seconds: how long
    :raises RecordingError: QEMU did not start, or shows nothing
    """
    with guest(image, display):
        viewer = _Viewer(FIRST_PORT + display)
        try:
            return [update for scene in scenes(seconds) for update in viewer.watch(scene)]
        except OSError as error:
            raise RecordingError(f"QEMU's VNC server: {error}.") from None
        finally:
            viewer.close()


@contextlib.contextmanager
def guest(image: Path, display: int) -> Iterator[subprocess.Popen[bytes]]:
    """A guest in QEMU for as long as the block runs.

    :param display: number of a VNC display of 127.0.0.1 that is free
    """
    command = [
        "qemu-system-x86_64", "-machine", "pc", "-accel", "tcg", "-m", "16", "-display", "none", "-nodefaults",
        "-vga", "std", "-drive", f"if=floppy,format=raw,readonly=on,file={image}", "-vnc", f"127.0.0.1:{display}",
    ]  # fmt: skip
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE)
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


class _Viewer:
    """A VNC client that keeps what it gets."""

    def __init__(self, port: int) -> None:
        self._socket = _connect(port)
        self._kept = bytearray()
        self._read(12)
        self._socket.sendall(messages.VERSION)
        self._read(self._read(1)[0])
        self._socket.sendall(b"\x01")
        self._read(4)
        self._socket.sendall(b"\x01")
        self._width, self._height = struct.unpack("!HH", self._read(4))
        self._read(16)
        self._read(struct.unpack("!I", self._read(4))[0])

    def close(self) -> None:
        self._socket.close()

    def watch(self, scene: Scene) -> Iterator[bytes]:
        """Ask for one update after the other; the first is the whole screen."""
        self._socket.sendall(struct.pack("!BxHii", messages.SET_ENCODINGS, 2, scene.encoding, DESKTOP_SIZE))
        end = time.monotonic() + scene.seconds
        incremental = keys = total = 0
        for _ in range(MOST_UPDATES):
            if time.monotonic() > end or total > MOST_BYTES:
                return
            if scene.typing:
                self._type(KEYSYMS[keys % len(KEYSYMS)])
                keys += 1
            self._socket.sendall(struct.pack("!BBHHHH", 3, incremental, 0, 0, self._width, self._height))
            update = self._update()
            incremental = 1
            total += len(update)
            yield update

    def _type(self, keysym: int) -> None:
        for down in (1, 0):
            self._socket.sendall(struct.pack("!BBxxI", messages.KEY_EVENT, down, keysym))

    def _update(self) -> bytes:
        self._kept.clear()
        kind, count = struct.unpack("!BxH", self._read(4))
        if kind != 0:
            raise RecordingError(f"QEMU sent message {kind} instead of an update.")
        for _ in range(count):
            _, _, width, height, encoding = struct.unpack("!HHHHi", self._read(12))
            if encoding == RAW:
                self._read(width * height * 4)
            elif encoding == ZRLE:
                self._read(int.from_bytes(self._read(4), "big"))
            elif encoding == DESKTOP_SIZE:
                self._width, self._height = width, height
            else:
                raise RecordingError(f"QEMU sent encoding {encoding}, which was not asked for.")
        return bytes(self._kept)

    def _read(self, count: int) -> bytes:
        data = b""
        while len(data) < count:
            piece = self._socket.recv(min(count - len(data), 1 << 16))
            if not piece:
                raise RecordingError("QEMU closed the connection.")
            data += piece
        self._kept += data
        return data


def _connect(port: int) -> socket.socket:
    end = time.monotonic() + TIMEOUT
    while True:
        try:
            return socket.create_connection(("127.0.0.1", port), TIMEOUT)
        except ConnectionRefusedError:
            if time.monotonic() > end:
                raise RecordingError(f"QEMU did not listen on port {port} within {TIMEOUT:.0f} s.") from None
            time.sleep(0.02)
