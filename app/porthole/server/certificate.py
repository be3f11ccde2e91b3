"""The certificate that browsers see: loaded, tried, and taken anew when its files change.

A connection keeps what its handshake was made with; so a renewed certificate ends no session.
"""

from __future__ import annotations

import os
import re
import ssl as stdlib_ssl
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import gevent
import structlog
from gevent import ssl
from gevent.hub import get_hub

from porthole.metrics import Metrics
from porthole.server.listeners import said

T = TypeVar("T")

LOOK_EVERY = 10.0
"""Seconds between two looks at the files."""

SETTLE = 1.0
"""Seconds for which changed files have to stay as they are: certificate and key are written one after the other."""

_FIRST_CERTIFICATE = re.compile(r"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", re.DOTALL)
_STEPS = 10
"""Turns of a handshake in memory; it takes two or three."""

Identity = tuple[tuple[int, ...] | None, ...]
"""Of each file: device, inode, size and times, or None when it cannot be looked at."""

log = structlog.get_logger("porthole.server")


class Refused(Exception):
    """The files cannot be used; ``str()`` is a sentence's end that says why."""


@dataclass(frozen=True, slots=True)
class Loaded:
    """A certificate that was tried.

    :ivar context: what new connections are made with
    :ivar expires: Unix time until which it is good; 0 when that is over
    :ivar self_signed: whether it is its own authority, so that browsers only take it against advice
    """

    context: ssl.SSLContext
    expires: float
    self_signed: bool


class Certificate:
    """The pair of files, and what was last good in them. Every method but :meth:`follow` may wait for a native thread.

    :param cert: ``[DEFAULT] cert``
    :param key: ``[DEFAULT] key``, or the same file
    :param take: called on the hub with each new certificate
    """

    def __init__(self, cert: Path, key: Path, metrics: Metrics, take: Callable[[Loaded], None]) -> None:
        self._files = (cert, key)
        self._metrics = metrics
        self._take = take
        self._tried: Identity = ()
        self._seen: Identity = ()

    def start(self) -> Loaded:
        """Load what is there for the start, an expired one too: a page with a warning is better than none.

        :raises Refused: it cannot be loaded
        """
        self._tried = self._seen = _native(lambda: identity(*self._files))
        loaded = _native(lambda: load(*self._files, at_start=True))
        if not loaded.expires:
            log.error("the certificate is not good now", cert=str(self._files[0]))
        self._metrics.set_certificate(loaded.expires)
        return loaded

    def follow(self, pause: float = LOOK_EVERY) -> None:
        """Look again and again, for ever."""
        while True:
            gevent.sleep(SETTLE if self._seen != self._tried else pause)
            try:
                self.look()
            except Exception:
                log.exception("the certificate was not looked at")

    def look(self, *, now: bool = False) -> None:
        """Take the files over if they have changed and are good; else what is in use goes on.

        :param now: also when they have not changed or are not settled, because somebody asked for it
        """
        found = _native(lambda: identity(*self._files))
        settled, self._seen = found == self._seen, found
        if not now and (found == self._tried or not settled):
            return
        self._tried = found
        try:
            loaded = _native(lambda: load(*self._files))
        except Refused as error:
            self._metrics.certificate_reloads.labels("refused").inc()
            log.error("certificate not taken over", cert=str(self._files[0]), why=str(error))
            return
        self._metrics.certificate_reloads.labels("taken").inc()
        self._metrics.set_certificate(loaded.expires)
        self._take(loaded)
        log.info("certificate taken over", cert=str(self._files[0]), expires=int(loaded.expires))


def identity(*files: Path) -> Identity:
    """What changes when a file is written or replaced. Blocks."""
    return tuple(_identity_of(file) for file in files)


def _identity_of(file: Path) -> tuple[int, ...] | None:
    try:
        found = os.stat(file)
    except OSError:
        return None
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns


def load(cert: Path, key: Path, *, at_start: bool = False) -> Loaded:
    """Load a pair and try it in a handshake with oneself. Blocks.

    :param at_start: whether one that is not good now is taken nevertheless
    :raises Refused: it does not load, does not belong together, is being written, or is not good now
    """
    before = identity(cert, key)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    try:
        leaf = _FIRST_CERTIFICATE.search(cert.read_text(encoding="ascii", errors="replace"))
        key.read_bytes()
        context.load_cert_chain(cert, key, password=_refuse_password)
    except stdlib_ssl.SSLError as error:
        raise Refused((error.reason or "no PEM in it").replace("_", " ").lower()) from None
    except OSError as error:
        raise Refused(said(error)) from None
    if leaf is None:
        raise Refused("no PEM in it")
    try:
        expires, self_signed = _facts(context, leaf[0])
    except stdlib_ssl.SSLCertVerificationError as error:
        if not at_start:
            raise Refused(error.verify_message) from None
        expires, self_signed = 0.0, True
    except stdlib_ssl.SSLError as error:
        raise Refused((error.reason or "it does not work").replace("_", " ").lower()) from None
    if identity(cert, key) != before:
        raise Refused("the files are being written")
    return Loaded(context, expires, self_signed)


def _facts(context: ssl.SSLContext, leaf: str) -> tuple[float, bool]:
    """Its end and whether it is self-signed, as a client that trusts this very certificate gets to know them.

    :raises ssl.SSLError: there is no handshake, for example because it has expired
    """
    trusting = stdlib_ssl.SSLContext(stdlib_ssl.PROTOCOL_TLS_CLIENT)
    trusting.check_hostname = False
    trusting.verify_flags |= stdlib_ssl.VERIFY_X509_PARTIAL_CHAIN
    trusting.load_verify_locations(cadata=leaf)
    to_client, to_server = stdlib_ssl.MemoryBIO(), stdlib_ssl.MemoryBIO()
    client = trusting.wrap_bio(to_client, to_server)
    server = context.wrap_bio(to_server, to_client, server_side=True)
    waiting = [client, server]
    for _ in range(_STEPS):
        for side in list(waiting):
            try:
                side.do_handshake()
                waiting.remove(side)
            except stdlib_ssl.SSLWantReadError:
                pass
    found = client.getpeercert() or {}
    return (
        stdlib_ssl.cert_time_to_seconds(str(found["notAfter"])),
        found.get("issuer") == found.get("subject"),
    )


def _refuse_password() -> str:
    raise OSError("the private key has a password, and nobody is there to type it")


def _native(work: Callable[[], T]) -> T:
    """Run something that blocks on a native thread; gevent prints what is raised there, so it is handed over."""
    outcome: tuple[T, None] | tuple[None, Exception] = get_hub().threadpool.apply(_outcome, (work,))
    if outcome[1] is not None:
        raise outcome[1]
    return outcome[0]


def _outcome(work: Callable[[], T]) -> tuple[T, None] | tuple[None, Exception]:
    try:
        return work(), None
    except Exception as error:
        return None, error
