"""The words of this package: Instance, PowerState, ConnectInfo, Listing."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

from porthole.compute.details import NOTHING, Details
from porthole.proxy.address import Address, SocketAddress, TcpAddress
from porthole.proxy.rfb.password import VncPassword
from porthole.proxy.rfb.policy import SecurityPolicy


class PowerState(IntEnum):
    """Nova's power states (nova/compute/power_state.py), as libvirt's states map to them."""

    NOSTATE = 0
    RUNNING = 1
    PAUSED = 3
    SHUTDOWN = 4
    CRASHED = 6
    SUSPENDED = 7

    @property
    def has_guest(self) -> bool:
        """Whether a QEMU process with a display exists in this state."""
        return self in (PowerState.RUNNING, PowerState.PAUSED)


@dataclass(frozen=True, slots=True)
class Instance:
    """One virtual machine as a compute last reported it.

    :ivar id: its UUID, lower case with hyphens (libvirt's ``<uuid>``, Nova's server id)
    :ivar name: Nova's display name from the domain's metadata, else libvirt's ``<name>``
    :ivar compute: name of the compute that has it
    :ivar state: its power state
    :ivar domain_name: libvirt's ``<name>`` (``instance-0000002a`` under Nova)
    :ivar project_id: the project that owns it; empty when it is nobody's, and then only an administrator sees it
    :ivar user_id: the user in that project who owns it; may be empty
    :ivar details: what it is made of, to be shown
    """

    id: str
    name: str
    compute: str
    state: PowerState
    domain_name: str
    project_id: str = ""
    user_id: str = ""
    details: Details = NOTHING


class Phase(IntEnum):
    """Of a graphics client (libvirt's virDomainEventGraphicsPhase), in the order in which they come."""

    CONNECT = 0
    INITIALIZE = 1
    DISCONNECT = 2


@dataclass(frozen=True, slots=True)
class GraphicsEvent:
    """Somebody came to, was let in at, or left the screen of an instance (VIR_DOMAIN_EVENT_ID_GRAPHICS).

    :ivar instance_id: its UUID
    :ivar compute: name of the compute
    :ivar client: address of the other end, as the VNC server sees it; the path, or nothing, of a UNIX socket
    :ivar service: its TCP port, as text; empty for a UNIX socket
    :ivar server: address and port of the VNC server, for a log
    :ivar auth: QEMU's word for how the client is let in, ``none`` or ``vencrypt+x509none``
    """

    phase: Phase
    instance_id: str
    compute: str
    client: str
    service: str
    server: str
    auth: str

    @property
    def is_unix(self) -> bool:
        """Whether it came through a UNIX socket of the host."""
        return not self.service


@dataclass(frozen=True, slots=True)
class Listing:
    """All instances that are known, and the computes that cannot be asked now.

    :ivar instances: sorted by name, then id; those of an unreachable compute as it last reported them
    :ivar unreachable: names of the computes that do not answer, sorted
    """

    instances: tuple[Instance, ...]
    unreachable: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ConnectInfo:
    """Where an instance's VNC server is, for the moment of this look-up (Nova's ConnectionInfo).

    :ivar instance: the instance, as it was at the look-up
    :ivar host: the compute's ``server_proxyclient_address``; never the XML's listen address
    :ivar port: TCP port from the live XML, 1 to 65535; 0 when it listens on a UNIX socket
    :ivar domain_id: libvirt's id of the running domain, new at every start: two
        look-ups with equal ``domain_id`` and :attr:`address` saw the same QEMU process
    :ivar security: what its VNC server has to offer before anybody is connected to it
    :ivar path: absolute path of the UNIX socket where it listens, on this machine; empty when it has a TCP port
    :ivar password: its VNC password, when that was asked for and libvirt tells one
    :ivar access_path: what has to be asked for by CONNECT at the port before the VNC server speaks (Nova's
        ``internal_access_path``); empty for nothing, as always by libvirt
    :ivar is_known: whether libvirt said all that, and can be asked again; not when it is Nova's word alone
    """

    instance: Instance
    host: str
    port: int
    domain_id: int
    security: SecurityPolicy
    path: str = ""
    password: VncPassword | None = None
    access_path: str = ""
    is_known: bool = True

    @property
    def address(self) -> Address:
        """Where to connect to."""
        return SocketAddress(self.path) if self.path else TcpAddress(self.host, self.port)
