"""The browser's address and scheme, behind proxies: X-Forwarded-For and X-Forwarded-Proto, if they can be believed.

Everybody may send these headers, and each proxy appends whom it heard from. So they are read from the right, and only
as long as whoever said it is one of ``[proxy] trusted_proxies``.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

MAX_HOPS = 16
"""Entries that are looked at; a chain of trusted proxies is not longer."""

_MAX_ENTRY = 64

_SCHEMES = {"http": "http", "https": "https", "ws": "http", "wss": "https"}
"""What front ends say in X-Forwarded-Proto; some say ws and wss of WebSockets."""


class TrustedProxies:
    """Whose word counts.

    :param networks: of the proxies in front of this service; none by default
    """

    def __init__(self, networks: Sequence[Network]) -> None:
        self._networks = tuple(networks)

    def client(self, peer: str, forwarded_for: str) -> str:
        """Who asks: the last address that no trusted proxy has.

        :param peer: address of the TCP connection's other end
        :param forwarded_for: all X-Forwarded-For headers, with commas between them
        """
        client = peer
        hops = forwarded_for.split(",")[-MAX_HOPS:] if forwarded_for else []
        while hops and self._trusts(client):
            said = _address(hops.pop())
            if said is None:
                break
            client = said
        return client

    def scheme(self, peer: str, forwarded_proto: str, own: str) -> str:
        """How the browser came: ``https`` when it came over TLS, ``http`` otherwise.

        :param peer: address of the TCP connection's other end, the only one whose word can be known
        :param forwarded_proto: its X-Forwarded-Proto; of several entries the last one is its own
        :param own: how the connection itself came, which counts when nothing is said that can be believed
        """
        if not forwarded_proto or not self._trusts(peer):
            return own
        return _SCHEMES.get(forwarded_proto.rpartition(",")[2].strip().lower(), own)

    def _trusts(self, address: str) -> bool:
        try:
            parsed = _parsed(address)
        except ValueError:
            return False
        return any(parsed in network for network in self._networks)


def _address(entry: str) -> str | None:
    """An entry's address in its usual spelling; a port, which some proxies add, is left out. None for anything else."""
    entry = entry.strip()
    if len(entry) > _MAX_ENTRY or "%" in entry:
        return None  # a zone's name, which may be any text, says nothing here
    if entry.startswith("["):
        entry = entry[1:].partition("]")[0]
    elif entry.count(":") == 1:
        entry = entry.partition(":")[0]
    try:
        return str(_parsed(entry))
    except ValueError:
        return None


def _parsed(address: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    parsed = ipaddress.ip_address(address)
    mapped = getattr(parsed, "ipv4_mapped", None)
    return mapped if isinstance(mapped, ipaddress.IPv4Address) else parsed
