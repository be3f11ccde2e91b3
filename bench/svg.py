"""The chart: for each row, a bar for each relay's first figure."""

from __future__ import annotations

from collections.abc import Sequence
from xml.sax.saxutils import escape

from bench.peers import OURS
from bench.peers.base import Peer
from bench.results import Outcome, Results, Spread
from bench.rows.base import Figure, Row

WIDTH = 900
_LEFT, _BARS, _BAR, _LINE = 300, 470, 14, 20
_INK, _PAPER, _OURS, _PEER, _SPREAD = "#1a1a1a", "#ffffff", "#0b5fa5", "#9aa5b1", "#1a1a1a"


def chart(rows: Sequence[Row], peers: Sequence[Peer], results: Results) -> str:
    """An SVG file's text. Each row has a scale of its own; thin lines are the spread."""
    parts: list[str] = []
    top = 50
    for row in sorted(rows, key=lambda row: not row.headline):
        measured = [(peer, results[row.name][peer.name]) for peer in peers if peer.name in results.get(row.name, {})]
        if measured:
            parts += _group(row, measured, top)
            top += _LINE * (len(measured) + 2)
    title = "Porthole's relay and its peers"
    description = "One group of bars for each row of the results page, which has the same figures as tables."
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {top}" role="img" '
            'aria-labelledby="title desc" font-family="system-ui, sans-serif" font-size="12">',
            f'<title id="title">{title}</title>',
            f'<desc id="desc">{description}</desc>',
            f'<rect width="{WIDTH}" height="{top}" fill="{_PAPER}"/>',
            _text(20, 28, title, "font-size='18' font-weight='bold'"),
            *parts,
            "</svg>",
            "",
        ]
    )


def _group(row: Row, measured: Sequence[tuple[Peer, Outcome]], top: int) -> list[str]:
    figure = row.figures[0]
    spreads = [outcome.spread(figure.key) for _, outcome in measured]
    largest = max((spread.high for spread in spreads if spread), default=0.0) or 1.0
    parts = [_text(20, top + 14, f"{row.title} ({figure.title})", "font-weight='bold'")]
    for number, ((peer, outcome), spread) in enumerate(zip(measured, spreads, strict=True), start=1):
        y = top + _LINE * number + 4
        parts.append(_text(_LEFT - 8, y + 11, peer.title, "text-anchor='end'"))
        if spread is None:
            parts.append(_text(_LEFT, y + 11, "failed" if outcome.failed else "not measured"))
        else:
            parts += _bar(peer, figure, spread, largest, y)
    return parts


def _bar(peer: Peer, figure: Figure, spread: Spread, largest: float, y: int) -> list[str]:
    def at(value: float) -> float:
        return _LEFT + _BARS * value / largest

    colour = _OURS if peer.name == OURS else _PEER
    middle = y + _BAR / 2
    return [
        f'<rect x="{_LEFT}" y="{y}" width="{at(spread.median) - _LEFT:.1f}" height="{_BAR}" fill="{colour}"/>',
        f'<line x1="{at(spread.low):.1f}" x2="{at(spread.high):.1f}" y1="{middle}" y2="{middle}" stroke="{_SPREAD}"/>',
        _text(at(spread.high) + 6, y + 11, f"{spread.median:.{figure.digits}f}"),
    ]


def _text(x: float, y: float, text: str, more: str = "") -> str:
    return f'<text x="{x:.1f}" y="{y}" fill="{_INK}" {more}>{escape(text)}</text>'
