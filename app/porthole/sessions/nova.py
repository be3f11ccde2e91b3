"""Tokens of Nova at a connect: what Nova says of them, and where the VNC server is.

Where a configured compute has the instance, libvirt says where its VNC server is, as for our own tokens
(docs/decisions/0027). Where none has, Nova's answer does, within the networks that an administrator has allowed,
and never at the address of a configured compute: libvirt has just said that the instance is not there, so the
port is another one's by now.
"""

from __future__ import annotations

import ipaddress
import socket as stdlib_socket
from collections.abc import Callable, Iterable, Sequence
from ipaddress import IPv4Address, IPv6Address
from typing import Protocol

import gevent
import structlog
from gevent import socket

from porthole.compute.errors import ComputeNotAllowed, InstanceNotFound
from porthole.compute.model import ConnectInfo, Instance, PowerState
from porthole.config import AuthScheme
from porthole.config.settings import Network
from porthole.consoleauth.errors import TokenInvalid
from porthole.consoleauth.nova import NovaConsole, claims_of
from porthole.consoleauth.tokens import Claims
from porthole.proxy.connections import source
from porthole.proxy.errors import TargetUnreachable
from porthole.proxy.rfb.policy import SecurityPolicy

RESOLVE_TIMEOUT = 5.0
"""Seconds for looking up the names of hosts, all of them together."""

_NOBODYS = (stdlib_socket.EAI_NONAME, stdlib_socket.EAI_NODATA)
"""What the look-up says of a name that nothing has; anything else is that nobody knows (getaddrinfo(3))."""

IpAddress = IPv4Address | IPv6Address

log = structlog.get_logger("porthole.sessions")


class Nova(Protocol):
    """Who is asked about tokens (:class:`porthole.consoleauth.nova_api.NovaApi`)."""

    def show(self, token: str, client: str) -> NovaConsole:
        """What a token opens at this moment.

        :param client: because of whom it is asked
        :raises TokenError, AuthorityUnavailable: nothing, or it cannot be said
        """


class TokenNotes(Protocol):
    """Where tokens are noted, so that they can be revoked here (:class:`porthole.state.sqlite.SqliteStore`)."""

    def now(self) -> int:
        """Unix time in whole seconds."""

    def note_token(
        self, *, token_id: str, instance_id: str, console_type: str, mode: str,
        user_id: str, project_id: str, expires: int, share_uses: int = 0,
    ) -> int | None:  # fmt: skip
        """Note a token; returns when it expires by the record, None when it was revoked."""


class Places(Protocol):
    """The part of :class:`porthole.compute.computes.Computes` that is asked here."""

    def find(self, id_or_name: str, may_see: Callable[[Instance], bool]) -> Instance:
        """An instance by its id."""

    def addresses(self) -> frozenset[str]:
        """The ``server_proxyclient_address`` of each configured compute."""


class NovaTokens:
    """What tokens of Nova open.

    :param nova: asked at each connect
    :param notes: where tokens are noted
    :param instances: what libvirt knows
    :param token_ttl: ``[consoleauth] token_ttl``; Nova does not say when a token expires, so it counts from
        when the token is seen first
    :param networks: in which a VNC server may be that libvirt does not know
    :param auth_schemes: what such a VNC server has to offer
    """

    def __init__(
        self,
        nova: Nova,
        notes: TokenNotes,
        instances: Places,
        *,
        token_ttl: int,
        networks: Sequence[Network],
        auth_schemes: tuple[AuthScheme, ...],
    ) -> None:
        self._nova = nova
        self._notes = notes
        self._instances = instances
        self._ttl = token_ttl
        self._networks = networks
        self._auth_schemes = auth_schemes

    def ask(self, token: str, client: str) -> NovaConsole:
        """What Nova says of a token at this moment.

        :param client: the browser's address
        :raises TokenError, AuthorityUnavailable: it opens nothing, or Nova cannot be asked
        """
        return self._nova.show(token, source(client))

    def claims(self, token: str, console: NovaConsole) -> Claims:
        """What the token says in our terms, and note that.

        :raises TokenInvalid: it was revoked here
        :raises ComputeUnavailable, StoreUnavailable: it cannot be said
        """
        claims = claims_of(token, console, self._project(console.instance_id), self._notes.now() + self._ttl)
        expires = self._notes.note_token(
            token_id=claims.token_id,
            instance_id=claims.instance_id,
            console_type=claims.console_type,
            mode=claims.mode,
            user_id=claims.user_id,
            project_id=claims.project_id,
            expires=claims.expires,
        )
        if expires is None:
            raise TokenInvalid
        return claims_of(token, console, claims.project_id, expires)

    def elsewhere(self, console: NovaConsole) -> ConnectInfo:
        """Where the VNC server of an instance is that no configured compute has, by Nova's word.

        :raises InstanceNotFound: it should be at a configured compute, which does not have it
        :raises ComputeNotAllowed: its address is in none of the allowed networks
        :raises TargetUnreachable: its name cannot be looked up, or that of a configured compute cannot
        """
        known = self._instances.addresses()
        try:
            with gevent.Timeout(RESOLVE_TIMEOUT, TimeoutError("timed out")):
                addresses = _resolved(console.host)
                if _is_written_so(console.host, addresses, known):
                    raise InstanceNotFound(console.instance_id)
                address = self._allowed(console, addresses)
                if _has_one_of(addresses, known):
                    raise InstanceNotFound(console.instance_id)
        except OSError as error:
            raise TargetUnreachable(f"it cannot be said where {console.host} is: {error}") from None
        return ConnectInfo(
            # Nothing is known of it but what Nova says.
            instance=Instance(console.instance_id, console.instance_id, console.host, PowerState.RUNNING, ""),
            host=str(address),
            port=console.port,
            domain_id=0,
            security=SecurityPolicy(self._auth_schemes, console.host),
            access_path=console.internal_access_path,
            is_known=False,
        )

    def _project(self, instance_id: str) -> str:
        try:
            return self._instances.find(instance_id, lambda instance: True).project_id
        except InstanceNotFound:
            return ""

    def _allowed(self, console: NovaConsole, addresses: Iterable[IpAddress]) -> IpAddress:
        """The first of these that is in an allowed network.

        :raises ComputeNotAllowed: none is
        """
        for address in addresses:
            if any(address in network for network in self._networks):
                return address
        refusal = ComputeNotAllowed(
            console.instance_id,
            f"Nova says that its VNC server is at {console.host}, which is no [compute:NAME] and not in "
            "compute_networks of [nova]",
        )
        log.warning("compute not allowed", instance=console.instance_id, why=refusal.why)
        raise refusal


def _is_written_so(host: str, addresses: Iterable[IpAddress], known: Iterable[str]) -> bool:
    """Whether a configured compute has this name or one of these addresses by its configuration; nobody is asked."""
    return host.lower() in {name.lower() for name in known} or not _bare(addresses).isdisjoint(
        _bare(address for name in known for address in _literal(name))
    )


def _has_one_of(addresses: Iterable[IpAddress], known: Iterable[str]) -> bool:
    """Whether a configured compute has one of these addresses, its name looked up.

    A name that nothing has is not theirs. One that cannot be looked up may be.

    :raises OSError: a name cannot be looked up at the moment
    """
    wanted = _bare(addresses)
    for name in known:
        try:
            if not wanted.isdisjoint(_bare(_resolved(name))):
                return True
        except socket.gaierror as error:
            if error.errno not in _NOBODYS:
                raise OSError(f"{name}, which is configured, cannot be looked up: {error}") from None
    return False


def _resolved(host: str) -> list[IpAddress]:
    """The addresses of a host; only a name is looked up, which takes a thread of gevent's.

    :raises OSError: it has none; a :class:`socket.gaierror` when that is what the look-up says
    """
    written = _literal(host)
    if written:
        return written
    try:
        found = socket.getaddrinfo(host, None, type=stdlib_socket.SOCK_STREAM)
    except UnicodeError:  # an empty label, or one of more than 63 characters (RFC 1035 2.3.4)
        raise socket.gaierror(stdlib_socket.EAI_NONAME, "it is no name of a host") from None
    return list(dict.fromkeys(_plain(ipaddress.ip_address(str(entry[4][0]).partition("%")[0])) for entry in found))


def _literal(host: str) -> list[IpAddress]:
    """The address that is written here; none when it is a name."""
    try:
        return [_plain(ipaddress.ip_address(host))]
    except ValueError:
        return []


def _bare(addresses: Iterable[IpAddress]) -> set[IpAddress]:
    """Addresses without their zone (RFC 4007 11), for one interface has several names: rather too many are the same."""
    return {type(address)(int(address)) for address in addresses}


def _plain(address: IpAddress) -> IpAddress:
    """An IPv4 address that is written as one of IPv6 (RFC 4291 2.5.5.2) is that IPv4 address."""
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return mapped or address
