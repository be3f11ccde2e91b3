"""The calls of libvirt, as they run on a native thread.

Each blocks in C, so nothing here is called on the hub. Objects of libvirt stay
on these threads, for to free one can block as well; values go back.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import libvirt
from gevent import monkey

from porthole.compute import xml
from porthole.compute.details import NOTHING
from porthole.compute.model import GraphicsEvent, Instance, Phase
from porthole.compute.owner import NOBODY

# Unresponsive after 2 s of silence and 2 unanswered questions: about 6 s.
KEEPALIVE_INTERVAL = 2
KEEPALIVE_COUNT = 2

# Under monkey-patching the module's own would wait on the hub's threads.
_getaddrinfo = monkey.get_original("socket", "getaddrinfo")


@dataclass(frozen=True, slots=True)
class Report:
    """A domain as libvirt described it just now.

    :ivar instance: the instance
    :ivar domain_id: libvirt's id of the running domain; None when it is off
    :ivar display: its VNC server; None when the XML cannot be read
    :ivar problem: what is wrong with its XML; empty when nothing is
    :ivar unowned: whether its XML was read and names no owner, so that it belongs to the compute's
    """

    instance: Instance
    domain_id: int | None
    display: xml.Display | None
    problem: str
    unowned: bool


@dataclass(frozen=True, slots=True)
class Watcher:
    """What to call when something happens; each is called on the thread of libvirt's event loop.

    :ivar changed: with the uuid of a domain that changed in any way
    :ivar closed: with a sentence's end that says why the connection broke
    :ivar graphics: with what a client of a screen does
    :ivar compute: name of the compute, for the events
    """

    changed: Callable[[str], None]
    closed: Callable[[str], None]
    graphics: Callable[[GraphicsEvent], None]
    compute: str


class Connection:
    """An open connection and the callbacks it has registered.

    Made and used on native threads only; the hub holds it and passes it on.
    """

    def __init__(self, uri: str, compute: str, watcher: Watcher) -> None:
        """Open and watch.

        :raises libvirt.libvirtError: it cannot be opened
        """
        self._compute = compute
        self._events: list[int] = []
        self._conn = libvirt.open(uri)
        try:
            self._watch(watcher)
        except libvirt.libvirtError:
            self.close()
            raise

    def _watch(self, watcher: Watcher) -> None:
        conn = self._conn
        # Not every driver has these two: embedded and test connections cannot break that way.
        with contextlib.suppress(libvirt.libvirtError):
            conn.registerCloseCallback(_on_close, watcher)
        with contextlib.suppress(libvirt.libvirtError):
            conn.setKeepAlive(KEEPALIVE_INTERVAL, KEEPALIVE_COUNT)
        self._events.append(
            conn.domainEventRegisterAny(None, libvirt.VIR_DOMAIN_EVENT_ID_LIFECYCLE, _on_change, watcher)
        )
        # A rename by Nova, or another owner, changes the metadata only.
        with contextlib.suppress(libvirt.libvirtError):
            self._events.append(
                conn.domainEventRegisterAny(None, libvirt.VIR_DOMAIN_EVENT_ID_METADATA_CHANGE, _on_change, watcher)
            )

        with contextlib.suppress(libvirt.libvirtError):
            self._events.append(
                conn.domainEventRegisterAny(None, libvirt.VIR_DOMAIN_EVENT_ID_GRAPHICS, _on_graphics, watcher)
            )

    def close(self) -> None:
        """Close. Blocks until libvirt answers, or until the keepalive has given up."""
        # Each callback holds a reference to the connection: what is not taken back keeps it open.
        for event in self._events:
            with contextlib.suppress(libvirt.libvirtError):
                self._conn.domainEventDeregisterAny(event)
        self._events.clear()
        with contextlib.suppress(libvirt.libvirtError):
            self._conn.unregisterCloseCallback()
        with contextlib.suppress(libvirt.libvirtError):
            self._conn.close()

    def is_alive(self) -> bool:
        """Whether the connection still stands, as far as this end knows; asks nobody."""
        try:
            return bool(self._conn.isAlive())
        except libvirt.libvirtError:
            return False

    def ping(self) -> None:
        """Ask libvirt something that needs no domain.

        :raises libvirt.libvirtError: it cannot answer
        """
        self._conn.getLibVersion()

    def ids(self) -> list[str]:
        """The uuids of all domains, running or not."""
        return [domain.UUIDString() for domain in self._conn.listAllDomains(0)]

    def describe(self, ids: Sequence[str]) -> dict[str, Report | None]:
        """Describe domains by uuid; None for one that is gone."""
        return {uuid: self.by_id(uuid) for uuid in ids}

    def by_id(self, uuid: str, *, with_password: bool = False) -> Report | None:
        """The domain of this uuid, or None."""
        return self._report(lambda: self._conn.lookupByUUIDString(uuid), with_password=with_password)

    def by_name(self, name: str) -> Report | None:
        """The domain with this ``<name>``, or None."""
        return self._report(lambda: self._conn.lookupByName(name))

    def _report(self, look_up: Callable[[], libvirt.virDomain], *, with_password: bool = False) -> Report | None:
        try:
            domain = look_up()
            # The XML first: the state that is reported is then never older than the port.
            text = _secure_xml(domain) if with_password else domain.XMLDesc(0)
            state, _ = domain.state()
        except libvirt.libvirtError as error:
            if error.get_error_code() == libvirt.VIR_ERR_NO_DOMAIN:
                return None
            raise
        name, uuid, problem = domain.name(), domain.UUIDString(), ""
        parsed = None
        try:
            parsed = xml.parse(text)
        except xml.DomainXMLError as error:
            problem = str(error)
        owner = (parsed and parsed.owner) or NOBODY
        return Report(
            instance=Instance(
                id=uuid,
                name=parsed.display_name if parsed else name,
                compute=self._compute,
                state=xml.power_state(state),
                domain_name=name,
                project_id=owner.project_id,
                user_id=owner.user_id,
                details=parsed.details if parsed else NOTHING,
            ),
            domain_id=parsed.domain_id if parsed else None,
            display=parsed.display if parsed else None,
            problem=problem,
            unowned=parsed is not None and parsed.owner is None,
        )


def _secure_xml(domain: libvirt.virDomain) -> str:
    """The XML with its passwords (virDomainGetXMLDesc, VIR_DOMAIN_XML_SECURE); without, where libvirt denies them.

    It denies them to read-only connections, and where polkit's rules do (org.libvirt.api.domain.read-secure). Guests
    without a password have consoles all the same.
    """
    try:
        return str(domain.XMLDesc(libvirt.VIR_DOMAIN_XML_SECURE))
    except libvirt.libvirtError as error:
        if error.get_error_code() not in (libvirt.VIR_ERR_OPERATION_DENIED, libvirt.VIR_ERR_ACCESS_DENIED):
            raise
        return str(domain.XMLDesc(0))


def addresses(host: str, port: int) -> list[str]:
    """The IP addresses of a host, by the system's resolver. Blocks.

    :raises OSError: the name is unknown
    """
    found = _getaddrinfo(host, port, 0, 1)  # 1: SOCK_STREAM
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


_CLOSE_REASONS = {
    libvirt.VIR_CONNECT_CLOSE_REASON_ERROR: "the connection broke",
    libvirt.VIR_CONNECT_CLOSE_REASON_EOF: "libvirt closed the connection",
    libvirt.VIR_CONNECT_CLOSE_REASON_KEEPALIVE: "libvirt did not answer the keepalive",
    libvirt.VIR_CONNECT_CLOSE_REASON_CLIENT: "the connection was closed",
}


def _on_close(conn: object, reason: int, watcher: Watcher) -> None:
    watcher.closed(_CLOSE_REASONS.get(reason, "the connection ended"))


def _on_change(conn: object, domain: libvirt.virDomain, *rest: object) -> None:
    """Lifecycle: (event, detail, watcher). Metadata: (type, uri, watcher)."""
    watcher = rest[-1]
    assert isinstance(watcher, Watcher)  # noqa: S101 - for the type checker
    watcher.changed(domain.UUIDString())


def _on_graphics(
    conn: object, domain: libvirt.virDomain, phase: int, local: Mapping[str, object], remote: Mapping[str, object],
    auth: str | None, subject: object, watcher: Watcher,
) -> None:  # fmt: skip
    """Addresses are dictionaries with ``family`` (virDomainEventGraphicsAddressType), ``node`` and ``service``."""
    client, service = _address(remote)
    node, port = _address(local)
    watcher.graphics(
        GraphicsEvent(
            phase=Phase(phase),
            instance_id=domain.UUIDString(),
            compute=watcher.compute,
            client=client,
            service=service,
            server=f"{node} port {port}" if port else node,
            auth=str(auth or ""),
        )
    )


def _address(found: Mapping[str, object]) -> tuple[str, str]:
    """Node and service; a UNIX socket has no service."""
    node = str(found.get("node") or "")
    if found.get("family") == libvirt.VIR_DOMAIN_EVENT_GRAPHICS_ADDRESS_UNIX:
        return node, ""
    return node, str(found.get("service") or "")
