"""Cross-site WebSocket hijacking (CVE-2015-0259): which pages may open a console.

A browser sends ``Origin`` with every WebSocket (RFC 6455 10.2) and its scripts
cannot change it. A client without one is no browser, and has only its token.
"""

from __future__ import annotations

import urllib.parse
from collections.abc import Sequence

_DEFAULT_PORTS = {"http": 80, "https": 443}


class OriginPolicy:
    """Decides from the ``Origin`` header.

    :param base_url: ``[vnc] novncproxy_base_url``; its own origin is always allowed
    :param allowed_origins: entries ``host``, ``host:port`` or ``scheme://host:port``
    :param sandboxed: whether pages in frames without an origin, whose ``Origin`` is ``null``, may; any site can have
        such a page, so it has to have a token of its own
    """

    def __init__(self, base_url: str, allowed_origins: Sequence[str], *, sandboxed: bool = False) -> None:
        self._sandboxed = sandboxed
        own = _split(base_url)
        self._exact = {own} if own else set()
        self._host_ports: set[tuple[str, int]] = set()
        self._hosts: set[str] = set()
        for entry in allowed_origins:
            if "://" in entry:
                origin = _split(entry)
                if origin:
                    self._exact.add(origin)
                continue
            parts = urllib.parse.urlsplit(f"//{entry}")
            host = (parts.hostname or "").lower()
            if parts.port is None:
                self._hosts.add(host)
            else:
                self._host_ports.add((host, parts.port))

    def allows(self, origin: str | None, scheme: str, host: str | None, *, has_token: bool = False) -> bool:
        """Whether a page of this origin may open a console.

        :param origin: the ``Origin`` header, None when there is none
        :param scheme: ``http`` or ``https``, as the request itself came
        :param host: the request's ``Host`` header
        :param has_token: whether the page itself gave the token, and not the browser a cookie
        """
        if origin is None:
            return True
        if origin == "null":
            return self._sandboxed and has_token
        parsed = _split(origin)
        if parsed is None:
            return False
        if host and parsed == _split(f"{scheme}://{host}"):
            return True
        name, port = parsed[1], parsed[2]
        return parsed in self._exact or (name, port) in self._host_ports or name in self._hosts


def _split(url: str) -> tuple[str, str, int] | None:
    """Scheme, host and port of an http(s) URL; None for anything else, ``null`` included."""
    try:
        parts = urllib.parse.urlsplit(url.strip())
        port = parts.port
    except ValueError:
        return None
    scheme = parts.scheme.lower()
    if scheme not in _DEFAULT_PORTS or not parts.hostname or parts.username or parts.password:
        return None
    return scheme, parts.hostname.lower(), port or _DEFAULT_PORTS[scheme]
