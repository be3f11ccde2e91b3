"""What is looked at before the start, so that it ends with a sentence when something is wrong."""

from __future__ import annotations

import resource
import ssl

import structlog

from porthole.config import ConfigError, Settings
from porthole.server.http import MAX_CONNECTIONS
from porthole.server.listeners import said

_OTHER_FILES = 200
"""File descriptors beside the connections: listeners, libvirt, the store, the pages."""

log = structlog.get_logger("porthole.server")


def check_certificate(settings: Settings) -> None:
    """Load certificate and key as the worker will.

    :raises ConfigError: they cannot be used
    """
    if settings.cert is None:
        return
    key = settings.key or settings.cert
    try:
        for path in (settings.cert, key):
            path.read_bytes()
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(settings.cert, key, password=_refuse_password)
    except ssl.SSLError as error:
        why = (error.reason or "no PEM in it").replace("_", " ").lower()
        raise ConfigError(
            f"options cert and key in [DEFAULT] are {settings.cert} and {key}, which do not load ({why}). They have to "
            "be a certificate with its chain and the private key that belongs to it, without a password, in PEM."
        ) from None
    except OSError as error:
        raise ConfigError(f"options cert and key in [DEFAULT] are {settings.cert} and {key}: {said(error)}.") from None


def _refuse_password() -> str:
    raise OSError("the private key has a password, and nobody is there to type it")


def sessions_that_fit(wanted: int) -> int:
    """How many sessions the process may have, after its limit of open files was raised as far as it goes.

    A session has two sockets.
    """
    others = MAX_CONNECTIONS + _OTHER_FILES
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY:
        return wanted
    needed = 2 * wanted + others
    limit = max(soft, needed if hard == resource.RLIM_INFINITY else min(needed, hard))
    if limit > soft:
        resource.setrlimit(resource.RLIMIT_NOFILE, (limit, hard))
    fitting = min(wanted, max(1, (limit - others) // 2))
    if fitting < wanted:
        log.warning("fewer sessions than max_sessions", open_files=limit, needed=needed, sessions=fitting)
    return fitting
