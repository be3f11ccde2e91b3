"""The relays that are compared: one file for each."""

from __future__ import annotations

from bench.peers.base import Peer
from bench.peers.go import Go
from bench.peers.haproxy import HAProxy
from bench.peers.lighttpd import Lighttpd
from bench.peers.node import NodeWebsockify
from bench.peers.nova_proxy import NovaProxy
from bench.peers.porthole import OneByOne, Porthole
from bench.peers.websockify import DebiansWebsockify, Websockify

PEERS: tuple[Peer, ...] = (
    Porthole(),
    OneByOne(),
    Websockify(),
    DebiansWebsockify(),
    Go(),
    HAProxy(),
    Lighttpd(),
    NodeWebsockify(),
    NovaProxy(),
)
OURS = PEERS[0].name
