"""What a worker works with: the service, and what it shares with master and other workers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from porthole.config import ComputeSettings
from porthole.metrics import Metrics
from porthole.server.board import Board, Slot
from porthole.server.http import Application
from porthole.server.metrics_folder import MetricsFolder
from porthole.server.sets import WorkerSet


class Service(Application, Protocol):
    """The wired service (:class:`porthole.service.Service`)."""

    metrics: Metrics

    @property
    def sessions(self) -> int:
        """How many consoles are open."""

    def computes(self) -> dict[str, bool]:
        """Whether each compute can be reached, by name."""

    def wait_until_asked(self, timeout: float) -> bool:
        """Wait until each compute has been asked once, for so many seconds at most."""

    def exposition(self) -> bytes:
        """The metrics in Prometheus' text format."""

    def take_computes(self, computes: tuple[ComputeSettings, ...]) -> None:
        """Work with these computes from now on."""

    def stop(self) -> None:
        """End all sessions and stop what runs in the background."""


@dataclass(frozen=True, slots=True)
class Tools:
    """What the master gives a worker before the fork.

    :ivar board: what master and workers share
    :ivar slot: this worker's part of it
    :ivar workers: the set that it belongs to
    :ivar index: which of them it is, from 0
    :ivar name: random, like no other's
    :ivar lost: the names of workers that were killed since the last one was started
    :ivar metrics_folder: where the workers count
    """

    board: Board
    slot: Slot
    workers: WorkerSet
    index: int
    name: str
    lost: tuple[str, ...]
    metrics_folder: MetricsFolder
