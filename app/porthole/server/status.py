"""One line about the service, for ``systemctl status``."""

from __future__ import annotations

from collections.abc import Collection

from porthole.server.board import Slot


def status(serving: Collection[Slot], draining: Collection[Slot], until: str = "") -> str:
    """How the service is.

    :param serving: the workers that take new clients
    :param draining: those that only keep their sessions, after a reload
    :param until: when the whole service ends, if it drains
    """
    kept = sum(slot.sessions for slot in draining)
    consoles = _sessions(sum(slot.sessions for slot in serving) + kept)
    if until:
        return f"Draining: {consoles} until {until} at the latest"
    # Each worker has connections of its own; the one that has the fewest is told of.
    worst = min(serving, key=lambda slot: slot.reachable - slot.computes, default=None)
    reachable, computes = (worst.reachable, worst.computes) if worst else (0, 0)
    hosts = f"{reachable} of {computes} compute hosts reachable"
    before = f" ({kept} from before a reload)" if kept else ""
    return f"{'Not ready' if computes and not reachable else 'Ready'}: {consoles}{before}, {hosts}"


def _sessions(number: int) -> str:
    return f"{number} session{'' if number == 1 else 's'}"
