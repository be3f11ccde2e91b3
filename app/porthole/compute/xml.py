"""What a domain's live XML says. Pure functions: text in, values out.

Sources: libvirt's "Domain XML format", element ``graphics``; Nova's
``LibvirtConfigGuestMetaNovaInstance`` (nova/virt/libvirt/config.py) for the
metadata; ``LIBVIRT_POWER_STATE`` (nova/virt/libvirt/guest.py) for the states.
"""

from __future__ import annotations

from dataclasses import dataclass
from xml.etree import ElementTree

import libvirt

from porthole.compute import details, owner
from porthole.compute.details import Details
from porthole.compute.model import PowerState
from porthole.compute.owner import NOVA_NAMESPACES, Owner
from porthole.proxy.address import MAX_PATH
from porthole.proxy.rfb.password import VncPassword

MAX_XML = 1 << 20
"""Characters of XML that are parsed; a domain with hundreds of disks has about 200,000."""

MAX_NAME = 255
"""Characters of a display name that are kept, which is Nova's own limit."""

_MAX_PORT = 65535

_MAX_DATE = 30
"""Characters of a passwdValidTo that are kept; libvirt's have 19."""

_POWER_STATES = {
    libvirt.VIR_DOMAIN_NOSTATE: PowerState.NOSTATE,
    libvirt.VIR_DOMAIN_RUNNING: PowerState.RUNNING,
    # Xen only: the guest runs and its processor is idle.
    libvirt.VIR_DOMAIN_BLOCKED: PowerState.RUNNING,
    libvirt.VIR_DOMAIN_PAUSED: PowerState.PAUSED,
    # Being shut down counts as shut down, as in Nova.
    libvirt.VIR_DOMAIN_SHUTDOWN: PowerState.SHUTDOWN,
    libvirt.VIR_DOMAIN_SHUTOFF: PowerState.SHUTDOWN,
    libvirt.VIR_DOMAIN_CRASHED: PowerState.CRASHED,
    libvirt.VIR_DOMAIN_PMSUSPENDED: PowerState.SUSPENDED,
}


class DomainXMLError(ValueError):
    """The XML is not what libvirt gives for a domain; the message says how."""


@dataclass(frozen=True, slots=True)
class Display:
    """What the XML says of a domain's VNC server.

    :ivar port: its TCP port, 1 to 65535, or None when it has none
    :ivar hint: a sentence for the person who asked, why it cannot be reached; empty when it can
    :ivar path: the UNIX socket where it listens instead of a port; empty when it does not
    :ivar password: its password, which libvirt tells only when it is asked for it (``VIR_DOMAIN_XML_SECURE``)
    """

    port: int | None
    hint: str
    path: str = ""
    password: VncPassword | None = None


@dataclass(frozen=True, slots=True)
class Domain:
    """What is read of a domain's XML.

    :ivar uuid: lower case with hyphens
    :ivar domain_name: libvirt's ``<name>``
    :ivar display_name: Nova's, else libvirt's ``<name>``
    :ivar domain_id: libvirt's id of the running domain; None when it is off
    :ivar display: its VNC server
    :ivar owner: whose it is by its metadata; None when they do not say
    :ivar details: what it is made of
    """

    uuid: str
    domain_name: str
    display_name: str
    domain_id: int | None
    display: Display
    owner: Owner | None
    details: Details


def power_state(libvirt_state: int) -> PowerState:
    """The Nova power state of a ``VIR_DOMAIN_*`` state; NOSTATE for one that a later libvirt invents."""
    return _POWER_STATES.get(libvirt_state, PowerState.NOSTATE)


def parse(xml: str) -> Domain:
    """Read a domain's XML.

    :raises DomainXMLError: it is too long, malformed, or no domain with a uuid and a name
    """
    root = _tree(xml)
    uuid = (root.findtext("uuid") or "").strip().lower()
    name = root.findtext("name") or ""
    if not uuid or not name:
        raise DomainXMLError("the domain's XML has no uuid or no name")
    return Domain(
        uuid=uuid,
        domain_name=name,
        display_name=_nova_name(root) or name,
        domain_id=_number(root, "id"),
        display=_display(root),
        owner=owner.find(root),
        details=_details(root),
    )


def _tree(xml: str) -> ElementTree.Element:
    if len(xml) > MAX_XML:
        raise DomainXMLError(f"the domain's XML has {len(xml)} characters; at most {MAX_XML} are read")
    # libvirt never writes a document type. Without one there are no entities, so nothing can expand.
    if "<!DOCTYPE" in xml:
        raise DomainXMLError("the domain's XML has a document type, which libvirt never writes")
    try:
        root = ElementTree.fromstring(xml)  # noqa: S314 - bounded, and without entities
    except (ElementTree.ParseError, ValueError) as error:
        raise DomainXMLError(f"the domain's XML is malformed: {error}") from None
    if root.tag != "domain":
        raise DomainXMLError(f"expected the XML of a domain, got <{str(root.tag)[:50]}>")
    return root


def _nova_name(root: ElementTree.Element) -> str:
    for namespace in NOVA_NAMESPACES:
        name = root.findtext(f"metadata/{{{namespace}}}instance/{{{namespace}}}name")
        if name and name.strip():
            return name.strip()[:MAX_NAME]
    return ""


def _details(root: ElementTree.Element) -> Details:
    for namespace in NOVA_NAMESPACES:
        instance = root.find(f"metadata/{{{namespace}}}instance")
        if instance is not None:
            return details.read(root, instance, namespace)
    return details.read(root, None, "")


def _display(root: ElementTree.Element) -> Display:
    """The first VNC server of a TCP port, else of a UNIX socket; QEMU allows one, beside SPICE and others."""
    found = Display(None, "The instance has no VNC display.")
    for graphics in root.iterfind("devices/graphics"):
        if graphics.get("type") != "vnc":
            continue
        listen = graphics.find("listen")
        if graphics.get("socket") or (listen is not None and listen.get("type") == "socket"):
            path = graphics.get("socket") or (listen.get("socket") if listen is not None else None) or ""
            found = _on_socket(path, _password(graphics))
            continue
        # The attribute websocket is QEMU's own WebSocket port. It is not used: only RFB over TCP is relayed.
        port = _number(graphics, "port")
        if port is None or port == -1:
            found = found if found.path else Display(None, "The instance's VNC display has no port at the moment.")
        elif 1 <= port <= _MAX_PORT:
            return Display(port, "", password=_password(graphics))
        else:
            raise DomainXMLError(f"the domain's XML has the VNC port {port}")
    return found


def _on_socket(path: str, password: VncPassword | None) -> Display:
    if path.startswith("/") and len(path.encode()) <= MAX_PATH:
        return Display(None, "", path, password)
    return Display(None, "The instance's VNC display listens on a UNIX socket whose path cannot be used.")


def _password(graphics: ElementTree.Element) -> VncPassword | None:
    """libvirt, "Domain XML format", element ``graphics``: passwd and passwdValidTo."""
    secret = graphics.get("passwd")
    return None if secret is None else VncPassword(secret, graphics.get("passwdValidTo", "")[:_MAX_DATE])


def _number(element: ElementTree.Element, attribute: str) -> int | None:
    text = element.get(attribute)
    if text is None:
        return None
    try:
        return int(text)
    except ValueError:
        raise DomainXMLError(f"the domain's XML has {attribute}={text[:50]!r}, which is no number") from None
