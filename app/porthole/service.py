"""Wires the parts together: the only place where each of them is made."""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import gevent
from gevent.ssl import SSLContext

from porthole import __version__
from porthole.api.app import create_app
from porthole.api.errors import code_of
from porthole.api.limits import Memory, own_memory
from porthole.api.services import Services
from porthole.audit import Event
from porthole.audit import setup as audit
from porthole.auth.authenticator import Authenticator
from porthole.auth.htpasswd import HtpasswdAuthenticator
from porthole.auth.policy import Policy
from porthole.auth.signin import SignIns
from porthole.compute.computes import Computes
from porthole.config import ComputeSettings, Settings, TokenAuthority, frames
from porthole.consoleauth.keys import KeyRing
from porthole.consoleauth.tokens import ConsoleAuth
from porthole.metrics import Metrics
from porthole.proxy import tls
from porthole.proxy.errors import CloseCode
from porthole.proxy.gate import Gate
from porthole.proxy.origin import OriginPolicy
from porthole.sessions.admission import Admission
from porthole.sessions.nova import NovaTokens
from porthole.sessions.records import Lifetime, Records
from porthole.sessions.registry import OwnPlaces, Places, Sessions
from porthole.sessions.strangers import Strangers
from porthole.sessions.watch import Watch
from porthole.state.kept import KeptTokens
from porthole.state.screens import ScreenTable
from porthole.state.sessions import SessionTable
from porthole.state.shares import ShareTable
from porthole.state.sqlite import FILE, SqliteStore
from porthole.state.verdict import SessionLimits
from porthole.web.pages import create_blueprint

STOP_TIMEOUT = 8.0
"""Seconds that sessions have to end; less than the server gives its requests."""


LOST = "The process that carried this session was killed."


@dataclass(frozen=True, slots=True)
class Process:
    """What a worker process is told by the one that has started it; by default it is the only one.

    :ivar name: of the process, random, like no other's
    :ivar places: for its sessions; None for ``[proxy] max_sessions`` of its own
    :ivar is_first: whether it tells of what all workers do
    :ivar is_draining: whether the whole service leaves new clients to another one
    :ivar lost: the names of processes that were killed, and could put nothing in order
    :ivar memory: where the limits of requests count, by the limit's name
    :ivar metrics_folder: where all processes of the service count; None: each for itself
    """

    name: str = field(default_factory=lambda: secrets.token_hex(8))
    places: Places | None = None
    is_first: bool = True
    is_draining: Callable[[], bool] = lambda: False
    lost: tuple[str, ...] = ()
    metrics_folder: Path | None = None
    memory: Callable[[str], Memory] = own_memory


class Service:
    """The running service of one worker: a WSGI application with a gate for upgrades.

    Made by :meth:`build`, in the worker, for threads do not survive a fork.
    """

    def __init__(self, settings: Settings, process: Process) -> None:
        self.settings = settings
        self._process = process
        keys = KeyRing.from_file(settings.token_key_file)
        self._policy = Policy(settings.policy_file)
        self._store = SqliteStore(settings.state_path / FILE)
        self._authenticator = _authenticator(settings, self._store)
        self._computes = Computes(
            settings.computes,
            call_timeout=settings.libvirt_call_timeout,
            resync_interval=settings.libvirt_resync_interval,
            on_graphics=lambda event: self._strangers.seen(event),  # noqa: PLW0108 - it is made later
        )
        console_auth = ConsoleAuth(
            keys, self._store, settings.token_ttl, self._store.clock, takes_shares=settings.share_ttl_max > 0
        )
        self.metrics = metrics = Metrics(process.metrics_folder)
        self._table = table = SessionTable(self._store, settings.resume_ttl)
        self._audit = audit.make(settings)
        places = process.places or OwnPlaces(settings.max_sessions)
        self._sessions = Sessions(places, metrics, _records(table, settings, process.name), self._audit)
        self._strangers = Strangers(
            ScreenTable(self._store), self._live_ends, settings.known_clients, self._audit, metrics
        )
        self._watch = Watch(
            self._sessions,
            self._authenticator.holder,
            self._computes.listing,
            self._policy,
            settings.idle_timeout,
        )
        admission = Admission(
            console_auth=console_auth if TokenAuthority.PORTHOLE in settings.token_authority else None,
            nova=_nova_tokens(settings, self._store, self._computes),
            find_principal=self._authenticator.holder,
            policy=self._policy,
            instances=self._computes,
            sessions=self._sessions,
            origins=OriginPolicy(
                settings.novncproxy_base_url,
                settings.allowed_origins,
                sandboxed=frames.others(settings.frame_ancestors),
            ),
            connect_timeout=settings.connect_timeout,
            vnc_tls=_vnc_tls(settings),
            looks_at_input=settings.idle_timeout > 0 or settings.pipeline_updates,
            code_of=code_of,
            dialled=self._strangers.dialled,
        )
        self.gate: Gate = admission
        services = Services(
            settings=settings,
            authenticator=self._authenticator,
            sign_ins=SignIns(keys, self._store, clock=self._store.clock, era=self._store.era),
            policy=self._policy,
            computes=self._computes,
            console_auth=console_auth,
            admission=admission,
            records=self._sessions.records,
            shares=ShareTable(self._store),
            metrics=metrics,
            audit=self._audit,
            readiness=[self._store.problem, self._audit.problem],
            notices=[self._authenticator.problem],
            is_draining=process.is_draining,
            memory=process.memory,
        )
        pages = create_blueprint(
            settings.novnc_path, settings.web, __version__, settings.frame_ancestors, settings.auth_strategy
        )
        self._app = create_app(services, pages)

    @classmethod
    def build(cls, settings: Settings, process: Process) -> Service:
        """Make the service and begin to connect to the computes."""
        service = cls(settings, process)
        service._store.open()
        if process.lost:
            service._table.abandon(process.lost, LOST)
        service._audit.happened(Event.SERVICE_STARTED, details={"version": __version__, "pid": os.getpid()})
        service._policy.start()
        service._computes.start()
        service._watch.start()
        service._strangers.start()
        return service

    @staticmethod
    def check(settings: Settings) -> None:
        """Read the files that the settings name, so that a start ends at once when one is wrong.

        :raises KeyFileError, UserFileError, PolicyFileError, ConfigError: with the file and what would be right
        """
        KeyRing.from_file(settings.token_key_file)
        audit.check_keys(settings)
        _vnc_tls(settings)
        Policy(settings.policy_file)
        _check_users(settings)

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Any:
        """Answer an HTTP request (PEP 3333)."""
        return self._app(environ, start_response)

    @property
    def sessions(self) -> int:
        """How many consoles are open."""
        return len(self._sessions)

    def _live_ends(self) -> list[str]:
        return [session.target.local for session in self._sessions.live()]

    def computes(self) -> dict[str, bool]:
        """Whether each compute can be reached, by name."""
        return self._computes.status()

    def wait_until_asked(self, timeout: float) -> bool:
        """Wait until each compute has been asked once, for so many seconds at most."""
        return self._computes.wait_until_asked(timeout)

    def take_computes(self, computes: tuple[ComputeSettings, ...]) -> None:
        """Work with these computes from now on; sessions go on, also those on a compute that is not among them."""
        self._computes.replace(computes)
        if self._process.is_first:
            self._audit.happened(
                Event.ADMIN_ACT, reason="had the list of computes read again", details={"computes": len(computes)}
            )

    def exposition(self) -> bytes:
        """The metrics in Prometheus' text format."""
        status = self._computes.status()
        up = sum(status.values())
        self.metrics.set_computes(up, len(status) - up)
        return self.metrics.exposition()

    def stop(self) -> None:
        """Tell every browser that the service stops; when the sessions are over, let go of the computes."""
        self._sessions.end_all(CloseCode.GOING_AWAY, "The service is being restarted. Connect again in a moment.")
        # A session whose guest has just stopped asks its compute why.
        gevent.with_timeout(STOP_TIMEOUT, self._sessions.wait_until_over, timeout_value=None)
        self._watch.stop()
        self._strangers.stop()
        self._sessions.tell_cut_off()
        self._audit.happened(Event.SERVICE_STOPPED, details={"pid": os.getpid()})
        self._audit.close()
        self._computes.stop()
        self._policy.stop()
        self._authenticator.close()


def _vnc_tls(settings: Settings) -> SSLContext | None:
    """Our side of TLS to VNC servers; None when no authority is configured."""
    if settings.vencrypt_ca_certs is None:
        return None
    return tls.make_context(settings.vencrypt_ca_certs, settings.vencrypt_client_cert, settings.vencrypt_client_key)


def _nova_tokens(settings: Settings, store: SqliteStore, computes: Computes) -> NovaTokens | None:
    """What knows of Nova's tokens; None when those open nothing. keystoneauth is loaded for this alone."""
    if TokenAuthority.NOVA not in settings.token_authority:
        return None
    from porthole.consoleauth.nova_api import NovaApi, NovaCredentials  # noqa: PLC0415 - memory of each worker

    credentials = NovaCredentials(
        auth_url=settings.nova_auth_url,
        username=settings.nova_username,
        password=settings.nova_password,
        project_name=settings.nova_project_name,
        user_domain_name=settings.nova_user_domain_name,
        project_domain_name=settings.nova_project_domain_name,
        region_name=settings.nova_region_name,
        valid_interfaces=settings.nova_valid_interfaces,
        endpoint_override=settings.nova_endpoint_override,
        cafile=settings.nova_cafile,
        timeout=settings.nova_timeout,
    )
    return NovaTokens(
        NovaApi(credentials),
        store,
        computes,
        token_ttl=settings.token_ttl,
        networks=settings.nova_compute_networks,
        auth_schemes=settings.auth_schemes,
    )


def _records(table: SessionTable, settings: Settings, worker: str) -> Records:
    limits = SessionLimits(settings.sessions_per_user, settings.sessions_per_instance, settings.sessions_per_address)
    lifetime = Lifetime(settings.session_timeout, settings.enforce_session_timeout, settings.token_ttl)
    return Records(table, settings.token_uses, limits, lifetime, worker)


def _authenticator(settings: Settings, store: SqliteStore) -> Authenticator:
    if settings.keystone is None:
        return _htpasswd(settings)
    # Imported here: others need not have what it brings, some 20 MiB.
    from porthole.auth.keystone.authenticator import KeystoneAuthenticator  # noqa: PLC0415 - large

    return KeystoneAuthenticator(settings.keystone, KeptTokens(store), store.clock)


def _check_users(settings: Settings) -> None:
    """For the master: the workers find in memory what Keystone is asked with."""
    if settings.keystone is None:
        _htpasswd(settings).close()
        return
    from porthole.auth.keystone.identity import Identity  # noqa: PLC0415 - large

    Identity(settings.keystone).close()


def _htpasswd(settings: Settings) -> HtpasswdAuthenticator:
    return HtpasswdAuthenticator(
        settings.http_basic_auth_user_file, settings.http_basic_auth_role_file, settings.http_basic_project
    )
