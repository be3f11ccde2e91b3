"""The source that draws all the time asks nothing of a client that QEMU would not."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator

import pytest

from bench.loads import film, messages
from bench.loads.film import Film


@pytest.fixture
def viewer() -> Iterator[socket.socket]:
    """A client of a film."""
    ours, theirs = socket.socketpair()
    ours.settimeout(5)
    playing = threading.Thread(target=Film(theirs, b"").play)
    playing.start()
    yield ours
    ours.close()
    playing.join(5)
    theirs.close()
    assert not playing.is_alive()


def update(viewer: socket.socket) -> bytes:
    data = b""
    while len(data) < film.UPDATE_LENGTH:
        piece = viewer.recv(film.UPDATE_LENGTH - len(data))
        assert piece
        data += piece
    return data


def test_one_update_for_one_request(viewer: socket.socket) -> None:
    viewer.sendall(messages.next_update())
    assert update(viewer) == film.update(0)
    viewer.settimeout(3 * film.REFRESH)
    with pytest.raises(TimeoutError):
        viewer.recv(1)


def test_requests_that_come_at_once_count_as_one(viewer: socket.socket) -> None:
    viewer.sendall(messages.next_update() * 5)
    update(viewer)
    viewer.settimeout(3 * film.REFRESH)
    with pytest.raises(TimeoutError):
        viewer.recv(1)


def test_thirty_updates_a_second_at_most(viewer: socket.socket) -> None:
    began = time.monotonic()
    for _ in range(6):
        viewer.sendall(messages.next_update())
        update(viewer)
    assert time.monotonic() - began >= 5 * film.REFRESH


def test_an_update_shows_the_last_key_whatever_pieces_it_came_in(viewer: socket.socket) -> None:
    for byte in messages.key_event(7) + messages.key_event(1234) + messages.next_update():
        viewer.sendall(bytes([byte]))
    assert film.key_in(update(viewer)) == 1234
