"""The results as text, Markdown, JSON and SVG."""

from __future__ import annotations

import json
from xml.etree import ElementTree

from bench import report, svg
from bench.results import Outcome
from bench.rows.base import Goal
from tests.unit.bench.doubles import FakePeer, FakeRow

PEERS = [FakePeer("porthole"), FakePeer("go"), FakePeer("node")]
ROW = FakeRow(goals=(Goal("cost", 0.5, "go"), Goal("cost", 1, "node")))
RESULTS = {
    "row": {
        "porthole": Outcome([{"cost": 4.0, "rate": 100.0}, {"cost": 6.0, "rate": 100.0}]),
        "go": Outcome([{"cost": 10.0, "rate": 50.0}]),
        "node": Outcome(failed="did not listen: <none> | nothing"),
    }
}
ABOUT = {"machine": "2 processors"}


def test_a_terminal_gets_medians_spread_and_ratios() -> None:
    text = report.as_text([ROW], PEERS, RESULTS)

    assert "5.0 (4.0 to 6.0)" in text
    lines = [line.split() for line in text.splitlines()]
    assert ["go", "|", "of", "a", "test", "10.0", "50", "2.00"] in lines
    assert "µs ≤ 0.5 times that of go: 0.50, reached" in text


def test_a_relay_that_failed_is_said_everywhere() -> None:
    text = report.as_text([ROW], PEERS, RESULTS)
    page = report.as_markdown([ROW], PEERS, RESULTS, ABOUT)
    told = json.loads(report.as_json([ROW], PEERS, RESULTS, ABOUT))

    for shown in (text, page):
        assert "FAILED, see below" in shown
        assert "node in row row: did not listen: <none> | nothing" in shown
        assert "µs ≤ 1 times that of node, cannot be told" in shown
    assert told["failed"] == [{"row": "row", "relay": "node", "reason": "did not listen: <none> | nothing"}]
    assert "failed</text>" in svg.chart([ROW], PEERS, RESULTS)


def test_when_none_failed_nothing_is_said_of_it() -> None:
    fine = {"row": {"porthole": RESULTS["row"]["porthole"]}}

    assert "FAILED" not in report.as_text([ROW], PEERS, fine) + report.as_markdown([ROW], PEERS, fine, ABOUT)
    assert json.loads(report.as_json([ROW], PEERS, fine, ABOUT))["failed"] == []


def test_json_has_each_sample() -> None:
    (row,) = json.loads(report.as_json([ROW], PEERS, RESULTS, ABOUT))["rows"]

    assert row["relays"][0]["samples"] == RESULTS["row"]["porthole"].samples
    assert row["relays"][0]["figures"]["cost"] == {"median": 5.0, "low": 4.0, "high": 6.0, "rounds": 2}
    assert [goal["reached"] for goal in row["goals"]] == [True, None]


def test_the_page_is_a_table_whatever_a_title_has_in_it() -> None:
    page = report.as_markdown([ROW], PEERS, RESULTS, ABOUT)
    table = [line.replace("\\|", "") for line in page.splitlines() if line.startswith("| ") and "of a test" in line]

    assert {line.count("|") for line in table} == {5}
    assert "- machine: 2 processors" in page


def test_rows_over_tls_come_first() -> None:
    plain, tls = FakeRow("plain"), FakeRow("tls")
    tls.headline = True
    results = {"plain": RESULTS["row"], "tls": RESULTS["row"]}
    page = report.as_markdown([plain, tls], PEERS, results, ABOUT)

    assert page.index("Row `tls`") < page.index("Row `plain`")


def test_the_chart_is_for_everybody() -> None:
    root = ElementTree.fromstring(svg.chart([ROW], PEERS, RESULTS))  # noqa: S314 - our own
    space = "{http://www.w3.org/2000/svg}"

    assert root.get("role") == "img"
    assert root.get("aria-labelledby") == "title desc"
    assert {child.get("id") for child in root if child.tag in (f"{space}title", f"{space}desc")} == {"title", "desc"}
    texts = [element.text for element in root.iter(f"{space}text")]
    assert {"5.0", "10.0", "failed", "go | of a test"} <= set(texts)


def test_bars_are_as_long_as_their_figures() -> None:
    root = ElementTree.fromstring(svg.chart([ROW], PEERS, RESULTS))  # noqa: S314 - our own
    bars = [float(element.get("width", 0)) for element in root.iter("{http://www.w3.org/2000/svg}rect")][1:]

    assert bars[0] * 2 == bars[1]
