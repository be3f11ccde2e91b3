"""What a row is: one question, asked of every relay that it applies to, round by round."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

from bench.peers.base import Peer
from bench.stage import Stage

Sample = dict[str, float]
"""What one round of one relay has shown, by the keys of the row's figures."""


@dataclass(frozen=True, slots=True)
class Figure:
    """Something that a row measures.

    :ivar key: in samples and in JSON
    :ivar title: in the table's head, with its unit
    :ivar digits: after the point
    """

    key: str
    title: str
    digits: int = 2


@dataclass(frozen=True, slots=True)
class Goal:
    """What is to be reached.

    :ivar key: of the figure
    :ivar bound: ours is to be at most (or at least) this times what it is compared with; without that, this
    :ivar peer: name of the relay that it is compared with, "" for none
    :ivar at_least: whether more is better
    :ivar row: name of the row that the other one is taken from, "" for the same
    """

    key: str
    bound: float
    peer: str = ""
    at_least: bool = False
    row: str = ""


@dataclass(frozen=True, slots=True)
class Effort:
    """How much is measured.

    :ivar quick: whether all rows are to be done within three minutes
    :ivar rounds: of each row
    """

    quick: bool
    rounds: int

    @property
    def window(self) -> float:
        """Seconds for which a relay is watched under a load."""
        return 0.4 if self.quick else 2.0

    @property
    def settles(self) -> float:
        """Seconds before pictures are counted."""
        return 1.0 if self.quick else 2.0

    @property
    def warm_up(self) -> float:
        """Seconds of the same load before that."""
        return 0.1 if self.quick else 0.5


class Row(ABC):
    """A row.

    :ivar name: as it is named on the command line
    :ivar title: in words
    :ivar figures: what it measures; the first is in the chart
    :ivar goals: what is to be reached
    :ivar only: names of the relays that it is asked of; empty for all
    :ivar headline: whether the results page begins with it
    :ivar once: whether one round is enough, since what it measures hardly varies or takes long
    """

    name: str
    title: str
    figures: tuple[Figure, ...]
    goals: tuple[Goal, ...] = ()
    only: tuple[str, ...] = ()
    headline = False
    once = False

    def applies_to(self, peer: Peer) -> bool:
        """Whether the row says anything about such a relay."""
        return (not self.only or peer.name in self.only) and (not peer.rows or self.name in peer.rows)

    def verify(self, stage: Stage, peer: Peer) -> None:
        """Look whether the bytes that arrive are the bytes sent, before anything is measured.

        Rows that compare what they measure leave it as it is.

        :raises PeerFailed: they are not
        """
        return

    @abstractmethod
    def measure(self, stage: Stage, peer: Peer, effort: Effort) -> Sample:
        """One round.

        :raises PeerFailed: the relay does not do what it should
        :raises LinkError: likewise
        """
