"""Long work on the hub gives way to what waits for it."""

from __future__ import annotations

import gevent
from gevent import socket

from porthole.turns import give_way


def test_after_each_piece_of_work_whoever_waits_for_a_socket_has_his_turn() -> None:
    here, there = socket.socketpair()
    done = 0
    served: list[int] = []

    def serve() -> None:
        while here.recv(1):
            served.append(done)

    serving = gevent.spawn(serve)
    give_way()
    for done in range(20):  # noqa: B007 - serve reads it
        there.sendall(b"?")
        give_way()
    assert len(served) == 20
    # On a busy machine one turn may come too late for its piece.
    assert max(at - number for number, at in enumerate(served)) <= 2
    there.close()
    serving.join(1)
    here.close()
