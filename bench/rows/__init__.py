"""The rows, in the order in which they are measured. A new one is a file here and an entry below."""

from __future__ import annotations

from bench.peers import OURS
from bench.peers.porthole import ONE_BY_ONE
from bench.rows.base import Goal, Row
from bench.rows.blocked import Blocked
from bench.rows.consoles import Ask, Connect
from bench.rows.crowds import Growth, Memory, Sessions
from bench.rows.echo import Echo, LoadedEcho
from bench.rows.far import WAY, Far
from bench.rows.narrow import Narrow
from bench.rows.recorded import Recorded
from bench.rows.streams import Stream
from bench.rows.upload import Upload

_KIB = 1024

ROWS: tuple[Row, ...] = (
    Stream(
        "tls", "Server to client, 64 KiB writes, TLS to the browser", write=64 * _KIB, tls=True,
        goals=(Goal("cpu_per_gb", 0.9, "websockify"),),
    ),
    Stream("vencrypt", "Server to client, 64 KiB writes, VeNCrypt to the compute", write=64 * _KIB, vencrypt=True,
        goals=(Goal("cpu_per_gb", 0.9, "websockify", row="tls"),),
    ),
    Stream(
        "both-tls", "Server to client, 64 KiB writes, TLS on both legs", write=64 * _KIB, tls=True, vencrypt=True,
        goals=(Goal("cpu_per_gb", 1.3, OURS, row="tls"), Goal("cpu_per_gb", 1.3, OURS, row="vencrypt")),
    ),
    Stream(
        "bulk", "Server to client, 64 KiB writes", write=64 * _KIB,
        goals=(Goal("cpu_per_gb", 0.45, "websockify"), Goal("cpu_per_gb", 0.55, "go")),
    ),
    Stream(
        "small", "Server to client, 1.5 KB writes, 8 MB/s", write=6 * 256, rate=8,
        goals=(Goal("cpu_per_gb", 0.6, "websockify"), Goal("cpu_per_gb", 1.0, "go")),
    ),
    Stream(
        "medium", "Server to client, 8 KB writes, 32 MB/s", write=8 * _KIB, rate=32,
        goals=(Goal("cpu_per_gb", 0.6, "websockify"), Goal("cpu_per_gb", 1.0, "go")),
    ),
    Recorded(),
    Far("far", WAY, (Goal("fps", 4, "websockify", at_least=True), Goal("cpu_ms", 1.0, ONE_BY_ONE))),
    Far("near", 0.0, (Goal("fps", 1.0, "websockify", at_least=True), Goal("cpu_ms", 1.0, ONE_BY_ONE))),
    Narrow(),
    Echo(),
    LoadedEcho(),
    Connect(),
    Ask(),
    Upload(),
    Blocked(),
    Memory(),
    Sessions(),
    Growth(10),
    Growth(100),
)  # fmt: skip


def by_name(name: str) -> Row:
    """The row of that name.

    :raises KeyError: there is none
    """
    return {row.name: row for row in ROWS}[name]
