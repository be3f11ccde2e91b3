"""What passes between two hosts, taken off the bridge that joins them."""

from __future__ import annotations

import contextlib
import ipaddress
import socket
import struct
import threading
from types import TracebackType

ALL_PROTOCOLS = 3
SOL_PACKET = 263
ADD_MEMBERSHIP = 1
PROMISCUOUS = 1
IPV4 = 0x0800
IPV6 = 0x86DD
TCP = 6
SYN = 0x02

Connection = tuple[str, int, str, int]
"""Source address and port, destination address and port."""


class Wire:
    """All TCP payload that passes a bridge while the context lasts, by direction of each connection.

    :ivar started: each connection's first sequence number
    """

    def __init__(self, bridge: str) -> None:
        self._socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ALL_PROTOCOLS))
        self._socket.bind((bridge, 0))
        # What one port of the bridge sends to another is otherwise not shown to the bridge itself.
        membership = struct.pack("iHH8s", socket.if_nametoindex(bridge), PROMISCUOUS, 0, b"")
        self._socket.setsockopt(SOL_PACKET, ADD_MEMBERSHIP, membership)
        self._socket.settimeout(0.2)
        self._segments: dict[Connection, dict[int, bytes]] = {}
        self.started: dict[Connection, int] = {}
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._read, daemon=True)

    def __enter__(self) -> Wire:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._done.set()
        self._thread.join(5)
        self._socket.close()

    def connections(self, source: str, destination: str, port: int) -> list[Connection]:
        """Connections that were opened from one address to a port of another."""
        return [one for one in self.started if (one[0], one[2], one[3]) == (source, destination, port)]

    def sent(self, connection: Connection) -> bytes:
        """What was sent in this direction of a connection, in order, up to the first byte that was missed."""
        at = (self.started[connection] + 1) & 0xFFFFFFFF
        segments = self._segments.get(connection, {})
        data = bytearray()
        while at in segments:
            data += segments[at]
            at = (at + len(segments[at])) & 0xFFFFFFFF
        return bytes(data)

    def _read(self) -> None:
        while not self._done.is_set():
            with contextlib.suppress(TimeoutError):
                self._take(self._socket.recv(1 << 17))

    def _take(self, frame: bytes) -> None:
        (kind,) = struct.unpack_from("!H", frame, 12)
        packet = frame[14:]
        if kind == IPV4 and packet[9] == TCP:
            (length,) = struct.unpack_from("!H", packet, 2)
            source, destination = packet[12:16], packet[16:20]
            segment = packet[(packet[0] & 15) * 4 : length]
        elif kind == IPV6 and packet[6] == TCP:
            (length,) = struct.unpack_from("!H", packet, 4)
            source, destination = packet[8:24], packet[24:40]
            segment = packet[40 : 40 + length]
        else:
            return
        from_port, to_port, sequence = struct.unpack_from("!HHI", segment)
        connection = (
            str(ipaddress.ip_address(source)),
            from_port,
            str(ipaddress.ip_address(destination)),
            to_port,
        )
        if segment[13] & SYN:
            self.started[connection] = sequence
        if payload := segment[(segment[12] >> 4) * 4 :]:
            kept = self._segments.setdefault(connection, {})
            if len(payload) > len(kept.get(sequence, b"")):
                kept[sequence] = payload


def back(connection: Connection) -> Connection:
    """The other direction."""
    return connection[2], connection[3], connection[0], connection[1]


def tls_records(data: bytes) -> list[int]:
    """The kinds of the TLS records that data consists of (RFC 8446, 5.1); the last one may be cut off.

    :raises ValueError: it is something else
    """
    kinds = []
    while len(data) >= 5:
        kind, version, length = struct.unpack_from("!BHH", data)
        if not 20 <= kind <= 23 or not 0x0301 <= version <= 0x0304 or length > (1 << 14) + 256:
            raise ValueError(f"no TLS record: {data[:16]!r}")
        kinds.append(kind)
        data = data[5 + length :]
    return kinds
