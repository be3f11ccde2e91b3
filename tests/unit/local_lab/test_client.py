"""The lab's client works out the WebSocket's address as noVNC does."""

from __future__ import annotations

import pytest

from local_lab.client import websocket_url


@pytest.mark.parametrize(
    ("console", "websocket"),
    [
        (
            "http://127.0.0.1:6080/vnc_auto.html?path=%3Ftoken%3Da.b-c_d",
            "ws://127.0.0.1:6080/vnc_auto.html?token=a.b-c_d",
        ),
        ("https://[2001:db8::1]/vnc.html?path=%3Ftoken%3Dx", "wss://[2001:db8::1]/vnc.html?token=x"),
        ("http://a.example/vnc.html?path=websockify%3Ftoken%3Dx", "ws://a.example/websockify?token=x"),
        ("http://a.example/consoles/vnc.html", "ws://a.example/consoles/websockify"),
    ],
)
def test_the_path_is_seen_from_the_page(console: str, websocket: str) -> None:
    assert websocket_url(console) == websocket
