"""``internal_access_path``: the VNC server is behind something that has to be asked for it by CONNECT.

As nova-novncproxy does it (nova/console/websocketproxy.py, ``new_websocket_client``): ``CONNECT path HTTP/1.1``, and
then RFB begins right after the empty line that ends the answer (RFC 9112 2.1). Nova looks at the same bytes again and
again until that line is there, and hangs when the other side closes before. Here each byte is read once, there
is a bound on them, and whoever feeds this has one on the time.
"""

from __future__ import annotations

import re

from porthole.proxy.rfb.conversation import Read, Send, Steps
from porthole.proxy.rfb.errors import RfbError

MAX_HEAD = 8 * 1024
"""Bytes of an answer's head."""

_END = b"\r\n\r\n"
_STATUS = re.compile(rb"HTTP/1\.[01] ([1-9][0-9]{2})(?: [^\r\n]*)?\r\n")
_OK = b"200"


class AccessPathRefused(RfbError):
    """The answer to CONNECT is none, or is not 200."""


def ask_for(path: str) -> Steps[None]:
    """Ask for a path, up to the end of the answer's head; nothing after it is read.

    :param path: printable ASCII without spaces
    :raises AccessPathRefused: it was refused, or what came is no HTTP/1.1
    """
    yield Send(f"CONNECT {path} HTTP/1.1\r\n\r\n".encode("ascii"))
    head = b""
    while missing := _missing(head):
        if len(head) >= MAX_HEAD:
            raise AccessPathRefused(f"its answer to CONNECT does not end within {MAX_HEAD} bytes")
        head += yield Read(missing, "the end of its answer to CONNECT")
    status = _STATUS.match(head)
    if status is None:
        raise AccessPathRefused("its answer to CONNECT is not HTTP/1.1")
    if status[1] != _OK:
        raise AccessPathRefused(f"it answered CONNECT with {status[1].decode()} instead of 200")


def _missing(head: bytes) -> int:
    """How many bytes the end of a head needs at least, so that reading them cannot go beyond it."""
    return next(count for count in range(len(_END) + 1) if head.endswith(_END[: len(_END) - count]))
