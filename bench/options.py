"""The command line of script/bench."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from bench.peers import OURS, PEERS
from bench.peers.base import Peer
from bench.rows import ROWS
from bench.rows.base import Effort, Row

ROUNDS, QUICK_ROUNDS = 5, 1
MOST_ROUNDS = 100
_NAMED_IN_GOALS = {goal.peer for row in ROWS for goal in row.goals}


class Options(argparse.Namespace):
    """What was asked for."""

    json: bool
    quick: bool
    write: bool
    listed: bool
    only: list[str]
    peers: list[str]
    rounds: int | None

    @property
    def chosen_rows(self) -> list[Row]:
        """In their usual order."""
        return [row for row in ROWS if not self.only or row.name in self.only]

    @property
    def chosen_peers(self) -> list[Peer]:
        """Ours, and those that were named; by default all, or with ``--quick`` those that goals speak of."""
        names = (OURS, *(self.peers or (_NAMED_IN_GOALS if self.quick else [peer.name for peer in PEERS])))
        return [peer for peer in PEERS if peer.name in names]

    @property
    def effort(self) -> Effort:
        """How much is measured."""
        return Effort(self.quick, self.rounds or (QUICK_ROUNDS if self.quick else ROUNDS))

    @property
    def is_full(self) -> bool:
        """Whether everything is measured, as the results page has it."""
        return not (self.quick or self.only or self.peers or self.rounds)


def parse(arguments: Sequence[str]) -> Options:
    """Read the command line; ends the process with a message when it is not understood."""
    parser = argparse.ArgumentParser(
        prog="script/bench",
        description="Measure the relay against its peers. A full run writes bench/results.md and bench/results.svg.",
        epilog="docs/explanation/performance.md says what is measured and how.",
    )
    parser.add_argument(
        "--quick",
        action="store_true",
        help="all rows and the relays of the goals, one short round: less than 3 minutes",
    )
    parser.add_argument(
        "--only", action="append", default=[], metavar="ROW", type=_row, help="only this row; may be repeated"
    )
    parser.add_argument(
        "--peers", type=_peers, default=[], metavar="NAMES", help="only these peers, with commas between them"
    )
    parser.add_argument("--rounds", type=_rounds, help=f"of each row (default: {ROUNDS}; with --quick {QUICK_ROUNDS})")
    parser.add_argument("--json", action="store_true", help="print everything as JSON")
    parser.add_argument("--write", action="store_true", help="write the results page in any case")
    parser.add_argument("--list", action="store_true", dest="listed", help="print the rows and the peers, and end")
    return parser.parse_args(arguments, Options())


def listing() -> str:
    """The rows and the peers, in words."""
    names = [*((row.name, row.title) for row in ROWS), *((peer.name, peer.title) for peer in PEERS)]
    width = max(len(name) for name, _ in names)
    lines = [f"  {name:<{width}}  {title}" for name, title in names]
    return "\n".join(["rows:", *lines[: len(ROWS)], "peers:", *lines[len(ROWS) :]])


def _row(text: str) -> str:
    known = [row.name for row in ROWS]
    if text not in known:
        raise argparse.ArgumentTypeError(f"there is no row {text!r}; rows are {', '.join(known)}")
    return text


def _peers(text: str) -> list[str]:
    known = [peer.name for peer in PEERS]
    names = text.split(",")
    for name in names:
        if name not in known:
            raise argparse.ArgumentTypeError(f"there is no peer {name!r}; peers are {', '.join(known)}")
    return names


def _rounds(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= MOST_ROUNDS:
        raise argparse.ArgumentTypeError(f"{text!r} is no number from 1 to {MOST_ROUNDS}")
    return int(text)
