"""The results as a table in Markdown, as a table for a terminal, and as JSON."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict

from bench.peers import OURS
from bench.peers.base import Peer
from bench.results import Outcome, Results, Verdict, failures, verdicts
from bench.rows.base import Figure, Row

_REACHED = {True: "reached", False: "NOT reached", None: "cannot be told"}


def as_json(rows: Sequence[Row], peers: Sequence[Peer], results: Results, about: Mapping[str, str]) -> str:
    """Everything, each sample included."""
    return json.dumps(
        {
            "about": dict(about),
            "rows": [_row_as_object(row, peers, results) for row in rows],
            "failed": [{"row": row, "relay": peer, "reason": reason} for row, peer, reason in failures(results)],
        },
        indent=2,
        ensure_ascii=False,
    )


def _row_as_object(row: Row, peers: Sequence[Peer], results: Results) -> dict[str, object]:
    relays = []
    for peer, outcome in _outcomes(row, peers, results):
        spreads = {figure.key: outcome.spread(figure.key) for figure in row.figures}
        relays.append(
            {
                "name": peer.name,
                "failed": outcome.failed or None,
                "figures": {key: asdict(spread) for key, spread in spreads.items() if spread},
                "samples": outcome.samples,
            }
        )
    return {
        "name": row.name,
        "title": row.title,
        "figures": {figure.key: figure.title for figure in row.figures},
        "relays": relays,
        "goals": [asdict(one) for one in verdicts(row, results)],
    }


def as_text(rows: Sequence[Row], peers: Sequence[Peer], results: Results) -> str:
    """For a terminal."""
    blocks = []
    for row in rows:
        table = _table(row, peers, results)
        widths = [max(len(line[at]) for line in table) for at in range(len(table[0]))]
        lines = ["  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) for line in table]
        goals = [f"  {_goal(one)}" for one in verdicts(row, results)]
        blocks.append("\n".join(line.rstrip() for line in (f"[{row.name}] {row.title}", *lines, *goals)))
    return "\n\n".join([*blocks, *_failed(results)]) + "\n"


def as_markdown(rows: Sequence[Row], peers: Sequence[Peer], results: Results, about: Mapping[str, str]) -> str:
    """The results page: rows over TLS first, for those are what production sees."""
    parts = [
        "# Results",
        "",
        "Written by `script/bench`; [what is measured and how](../docs/explanation/performance.md).",
        "",
    ]
    parts += [*(f"- {name}: {_escaped(value)}" for name, value in about.items()), "", "![Chart](results.svg)", ""]
    parts += ["## Goals", "", *_summary(rows, results), ""]
    for row in sorted(rows, key=lambda row: not row.headline):
        head, *body = _table(row, peers, results)
        parts += [f"## {row.title}", "", f"Row `{row.name}`.", ""]
        parts += [_line(head), _line(["---"] * len(head)), *map(_line, body), ""]
        parts += [f"- {_goal(one)}" for one in verdicts(row, results)]
        parts += [""] if row.goals else []
    return "\n".join([*parts, *_failed(results), ""]).rstrip() + "\n"


def _summary(rows: Sequence[Row], results: Results) -> Iterable[str]:
    yield _line(["row", "to reach", "reached"])
    yield _line(["---"] * 3)
    for row in rows:
        for one in verdicts(row, results):
            value = "" if one.value is None else f" ({one.value:.2f})"
            yield _line([row.name, one.text, _REACHED[one.reached] + value])


def _table(row: Row, peers: Sequence[Peer], results: Results) -> list[list[str]]:
    """A row's table: each relay, its figures, and the first of them as a ratio to ours."""
    first = row.figures[0]
    ours = results.get(row.name, {}).get(OURS, Outcome()).spread(first.key)
    table = [["relay", *(figure.title for figure in row.figures), f"as a multiple of {OURS}"]]
    for peer, outcome in _outcomes(row, peers, results):
        if outcome.failed:
            table.append([peer.title, "FAILED, see below", *[""] * len(row.figures)])
            continue
        spread = outcome.spread(first.key)
        ratio = f"{spread.median / ours.median:.2f}" if spread and ours and ours.median else ""
        table.append([peer.title, *(_figure(figure, outcome) for figure in row.figures), ratio])
    return table


def _outcomes(row: Row, peers: Sequence[Peer], results: Results) -> list[tuple[Peer, Outcome]]:
    measured = results.get(row.name, {})
    return [(peer, measured[peer.name]) for peer in peers if peer.name in measured]


def _figure(figure: Figure, outcome: Outcome) -> str:
    """The median, and the lowest and highest of several rounds."""
    spread = outcome.spread(figure.key)
    if spread is None:
        return ""
    text = f"{spread.median:.{figure.digits}f}"
    if spread.rounds > 1:
        text += f" ({spread.low:.{figure.digits}f} to {spread.high:.{figure.digits}f})"
    return text


def _goal(one: Verdict) -> str:
    value = "" if one.value is None else f": {one.value:.2f}"
    return f"{one.text}{value}, {_REACHED[one.reached]}"


def _failed(results: Results) -> list[str]:
    """Says so when a relay failed."""
    lines = [f"- {peer} in row {row}: {reason}" for row, peer, reason in failures(results)]
    return ["\n".join(["Relays that FAILED in this run:", "", *lines])] if lines else []


def _line(cells: Iterable[str]) -> str:
    return f"| {' | '.join(_escaped(cell) for cell in cells)} |"


def _escaped(text: str) -> str:
    return " ".join(text.replace("|", "\\|").split())
