"""What an instance is made of, by its domain's XML: Nova's flavor and image, and since when.

Nova writes them into the metadata beside the owner (``LibvirtConfigGuestMetaNovaInstance``,
nova/virt/libvirt/config.py)::

    <nova:creationTime>2026-11-23 18:00:00</nova:creationTime>
    <nova:flavor name="m1.small" id="2">
      <nova:memory>2048</nova:memory> <nova:disk>20</nova:disk> <nova:swap>0</nova:swap>
      <nova:ephemeral>0</nova:ephemeral> <nova:vcpus>1</nova:vcpus>
      <nova:extraSpecs> <nova:extraSpec name="hw:cpu_policy">shared</nova:extraSpec> </nova:extraSpecs>
    </nova:flavor>
    <nova:image uuid="155d…"> <nova:properties> <nova:property name="hw_disk_bus">virtio</nova:property> …
    <nova:root type="image" uuid="155d…"/>

Of any other domain the XML has the memory and the processors. None of this decides anything: it is only shown, so
what cannot be read counts as not said.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import TypeVar, cast
from xml.etree.ElementTree import Element

MAX_TEXT = 255
"""Characters of a name or value that are kept; Nova's columns have no more."""

MAX_PAIRS = 128
"""Extra specs, and properties of an image, that are kept; Nova's own quota of metadata is the same."""

MAX_SHARED = 2048
"""Flavors and images that are kept once, however many instances have them."""

_MAX_NUMBER = 0x7FFFFFFF
"""nova/db/constants.py ``MAX_INT``."""

_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
_KEY = re.compile(r"[a-zA-Z0-9_:. -]{1,255}")
_NUMBER = re.compile(r"[0-9]{1,18}")
_KIB_IN_MIB = 1024

T = TypeVar("T")
Pairs = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Flavor:
    """What an instance has of its host, in Nova's units.

    :ivar id: Nova's id of it; its name where an older Nova does not say the id
    :ivar ram: MiB
    :ivar disk: GiB of the root disk; 0 where it is as large as its image, or not known
    :ivar ephemeral: GiB
    :ivar swap: MiB
    :ivar extra_specs: sorted
    """

    id: str
    name: str
    vcpus: int
    ram: int
    disk: int = 0
    ephemeral: int = 0
    swap: int = 0
    extra_specs: Pairs = ()


@dataclass(frozen=True, slots=True)
class Image:
    """The image an instance was made from.

    :ivar properties: those that Nova's driver has looked at, sorted
    """

    id: str
    properties: Pairs = ()


@dataclass(frozen=True, slots=True)
class Details:
    """What is shown of an instance and decides nothing.

    :ivar flavor: None when the XML has neither one nor memory and processors
    :ivar image: None when it has none, or a volume, or is not Nova's
    :ivar configured: when Nova wrote the domain's XML, which it does at every start of its own;
        ``2026-11-23T18:00:00Z``, or empty when it is not Nova's
    """

    flavor: Flavor | None = None
    image: Image | None = None
    configured: str = ""


NOTHING = Details()


def read(domain: Element, instance: Element | None, namespace: str) -> Details:
    """Read them.

    :param instance: Nova's element, None when the domain is not Nova's
    :param namespace: that of its elements
    """
    if instance is None:
        return Details(_by_hardware(domain))
    inside = _Inside(instance, namespace)
    return Details(_nova_flavor(inside) or _by_hardware(domain), _image(inside), _time(inside.text("creationTime")))


class _Inside:
    """Nova's elements by their names without the namespace."""

    def __init__(self, element: Element, namespace: str) -> None:
        self.element = element
        self._namespace = namespace

    def find(self, name: str) -> _Inside | None:
        found = self.element.find(f"{{{self._namespace}}}{name}")
        return None if found is None else _Inside(found, self._namespace)

    def text(self, name: str) -> str:
        return (self.element.findtext(f"{{{self._namespace}}}{name}") or "").strip()

    def number(self, name: str) -> int:
        return _number(self.text(name)) or 0

    def pairs(self, folder: str, name: str) -> Pairs:
        holder = self.find(folder)
        return () if holder is None else tuple(sorted(dict(holder._named(name)).items()))

    def _named(self, name: str) -> Iterator[tuple[str, str]]:
        for element in self.element.findall(f"{{{self._namespace}}}{name}")[:MAX_PAIRS]:
            key = element.get("name", "")
            if _KEY.fullmatch(key):
                yield key, (element.text or "")[:MAX_TEXT]


def _nova_flavor(inside: _Inside) -> Flavor | None:
    flavor = inside.find("flavor")
    name = flavor.element.get("name", "")[:MAX_TEXT] if flavor is not None else ""
    if flavor is None or not name:
        return None
    return _shared(
        Flavor(
            id=flavor.element.get("id", "")[:MAX_TEXT] or name,
            name=name,
            vcpus=flavor.number("vcpus"),
            ram=flavor.number("memory"),
            disk=flavor.number("disk"),
            ephemeral=flavor.number("ephemeral"),
            swap=flavor.number("swap"),
            extra_specs=flavor.pairs("extraSpecs", "extraSpec"),
        )
    )


def _by_hardware(domain: Element) -> Flavor | None:
    """A flavor of the domain's own processors and memory, the same for all domains that have the same."""
    memory, vcpus = _number(domain.findtext("memory") or ""), _number(domain.findtext("vcpu") or "")
    if memory is None or vcpus is None:
        return None
    # libvirt writes KiB, in whatever unit the memory was given to it.
    ram = memory // _KIB_IN_MIB
    name = f"{vcpus}-vcpu-{ram}-mib"
    return _shared(Flavor(id=name, name=name, vcpus=vcpus, ram=ram))


def _image(inside: _Inside) -> Image | None:
    root = inside.find("root")
    if root is None or root.element.get("type") != "image":
        return None
    uuid = root.element.get("uuid", "")
    if not _UUID.fullmatch(uuid):
        return None
    image = inside.find("image")
    return _shared(Image(uuid.lower(), image.pairs("properties", "property") if image is not None else ()))


def _shared(described: T) -> T:
    """The same object for all that are equal: thousands of instances have the same few."""
    return cast(T, _first_of(described))


@lru_cache(maxsize=MAX_SHARED)
def _first_of(described: object) -> object:
    return described


def _time(text: str) -> str:
    try:
        return datetime.strptime(text, "%Y-%m-%d %H:%M:%S").replace(tzinfo=UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    except ValueError:
        return ""


def _number(text: str) -> int | None:
    text = text.strip()
    return min(int(text), _MAX_NUMBER) if _NUMBER.fullmatch(text) else None
