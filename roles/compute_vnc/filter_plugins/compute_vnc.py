"""Filters of the role compute_vnc: the addresses of other hosts, and the names in their certificates."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from cryptography import x509

# Networks inside one host, whose addresses mean nothing on another.
_INNER_INTERFACES = ("lo", "docker", "virbr", "br-", "veth", "tap", "vnet", "lxc", "cni", "podman")

_FIRST_VNC_PORT = 5900
_LAST_PORT = 65535

_INVENTORY_ADDRESSES = ("my_ip", "server_proxyclient_address", "ansible_host")


def addresses(names: Iterable[str], hostvars: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Give the addresses from which hosts may connect: those in the inventory, and those of their interfaces.

    :param names: inventory names
    :return: IPv4 and IPv6 addresses, sorted, each once; none of a loopback or link-local kind
    """
    found: set[str] = set()
    for name in names:
        host = hostvars[name]
        texts = [str(host.get(variable) or "") for variable in _INVENTORY_ADDRESSES]
        facts = host.get("ansible_facts") or {}
        for interface in facts.get("interfaces") or []:
            if not str(interface).startswith(_INNER_INTERFACES):
                texts += _of_interface(facts.get(str(interface).replace("-", "_").replace(".", "_")) or {})
        found.update(text for text in map(_plain, texts) if text)
    return sorted(found, key=lambda text: (":" in text, ipaddress.ip_address(text).packed))


def _of_interface(interface: Mapping[str, Any]) -> list[str]:
    fourth = [interface.get("ipv4") or {}, *(interface.get("ipv4_secondaries") or [])]
    return [str(entry.get("address", "")) for entry in [*fourth, *(interface.get("ipv6") or [])]]


def _plain(text: str) -> str:
    """Give an address in its shortest form; nothing for a name, and for one that is of no use from elsewhere."""
    try:
        address = ipaddress.ip_address(text.strip().removeprefix("[").removesuffix("]"))
    except ValueError:
        return ""
    return "" if address.is_loopback or address.is_link_local or address.is_unspecified else str(address)


def is_address(text: str) -> bool:
    """Whether a text is an IPv4 or IPv6 address."""
    try:
        ipaddress.ip_address(str(text))
    except ValueError:
        return False
    return True


def networks(texts: Iterable[str], version: int) -> list[str]:
    """Give the addresses and networks of one IP version, as nftables writes them."""
    found = []
    for text in texts:
        network = ipaddress.ip_network(str(text).strip(), strict=False)
        if network.version == version:
            found.append(str(network.network_address) if network.num_addresses == 1 else str(network))
    return sorted(set(found))


def bad_networks(texts: Iterable[str]) -> list[str]:
    """Give those that are neither an address nor a network."""
    found = []
    for text in texts:
        try:
            ipaddress.ip_network(str(text).strip(), strict=False)
        except ValueError:
            found.append(str(text))
    return found


def distinguished_names(
    common_names: Mapping[str, str], hostvars: Mapping[str, Mapping[str, Any]], organization: str = "Porthole"
) -> list[str]:
    """Give the subjects of hosts' client certificates as libvirt compares them.

    GnuTLS has written the parts of a subject in either order, so each name comes in both.

    :param common_names: for each host's inventory name the common name of an issued certificate
    :param hostvars: where certificates of the operator's own may be, in ``pki_given_certificates``
    """
    found: list[str] = []
    for name, common_name in common_names.items():
        given = hostvars[name].get("pki_given_certificates") or {}
        own = given.get("libvirt_client") or given.get("appliance_client")
        if own:
            subject = x509.load_pem_x509_certificate(str(own["certificate"]).encode()).subject
            parts = [part.rfc4514_string() for part in subject.rdns]
        else:
            parts = [f"O={organization}", f"CN={common_name}"]
        for entry in (",".join(parts), ",".join(reversed(parts))):
            if entry not in found:
                found.append(entry)
    return found


def problems(host: str, own: Iterable[str], settings: Mapping[str, Any]) -> list[str]:
    """Say what is wrong with a compute's addresses and ports, a sentence each.

    :param host: its inventory name
    :param own: the addresses of its interfaces
    :param settings: the role's variables, without their prefix
    """
    known = list(own)
    cure = f"{host} has {', '.join(known)}. Set server_proxyclient_address for it in the inventory."
    found = []
    address, listen = str(settings["server_proxyclient_address"]), str(settings["server_listen"])
    if not is_address(address):
        found.append(f'server_proxyclient_address of {host} is "{address}", which is no IPv4 or IPv6 address. {cure}')
    elif not any(_same(address, one) for one in known):
        found.append(f"server_proxyclient_address of {host} is {address}, which is on no interface. {cure}")
    if not any(_same(listen, one) for one in ("0.0.0.0", "::", address)):  # noqa: S104 - what Nova has for all addresses
        found.append(
            f'server_listen of {host} is "{listen}", where the appliance would find nothing: it connects to {address}. '
            'Leave server_listen out, or make it 0.0.0.0 or "::".'
        )
    if not is_address(settings["my_ip"]):
        found.append(f'my_ip of {host} is "{settings["my_ip"]}", which is no IPv4 or IPv6 address. {cure}')
    for name in ("novncproxy_hosts", "appliance_addresses", "computes_addresses"):
        bad = bad_networks(settings[name])
        if bad:
            found.append(f"compute_vnc_{name} of {host} has {', '.join(bad)}, which is no IP address or network.")
    if not settings["appliance_addresses"]:
        found.append(
            "The appliance's addresses are not known, so the firewall would shut it out. Let the play reach it, "
            "or set compute_vnc_appliance_addresses."
        )
    last = int(settings["remote_display_port_max"])
    if not _FIRST_VNC_PORT <= last <= _LAST_PORT:
        found.append(f"compute_vnc_remote_display_port_max is {last}; it has to be {_FIRST_VNC_PORT} to {_LAST_PORT}.")
    first, last = int(settings["migration_port_min"]), int(settings["migration_port_max"])
    if not 1 <= first <= last <= _LAST_PORT:
        found.append(
            f"compute_vnc_migration_port_min and compute_vnc_migration_port_max are {first} and {last}; they have to "
            f"be from 1 to {_LAST_PORT}, the first not above the second."
        )
    return found


def _same(one: str, other: str) -> bool:
    return is_address(one) and is_address(other) and ipaddress.ip_address(one) == ipaddress.ip_address(other)


def nova_changes(nova: Mapping[str, Any], wanted: Mapping[str, str], state: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Say what has to stand in which of Nova's files.

    An option whose effective value is right already stays as it is, unless it was set by an earlier run. One that is
    wrong is set in the main file, and in each other file that sets it, for a later file wins. ``my_ip`` is set only
    where no file sets it.

    :param nova: what the module compute_vnc_nova says
    :param wanted: the values, by ``group.option``
    :param state: what the module compute_vnc_options keeps
    :return: for each file its path and the options that have to be in it
    """
    kept = state.get("files", {})
    ours = {
        path: {f"{record['section']}.{record['option']}" for record in records if record["option"]}
        for path, records in kept.items()
    }
    recorded = set().union(*ours.values()) if ours else set()
    needed = {
        name: value
        for name, value in wanted.items()
        if name in recorded
        or (
            str(nova["effective"][name]).lower() != value.lower()
            and not (name == "DEFAULT.my_ip" and nova["places"][name])
        )
    }
    changes = []
    for file in {one["path"]: one for one in nova["files"] if one["ours"]}.values():
        options = [
            {"section": name.partition(".")[0], "option": name.partition(".")[2], "value": value}
            for name, value in needed.items()
            if file["path"] == nova["main"] or name in file["sets"]
        ]
        if options or ours.get(file["path"]):
            changes.append({"path": file["path"], "options": options})
    return changes


def drift(guests: Mapping[str, Any], nova: Mapping[str, Any], wanted: Mapping[str, str], stage: str) -> list[str]:
    """Say what is not as the inventory says, and what to do about each.

    :param guests: what the module compute_vnc_guests says
    :param nova: what the module compute_vnc_nova says; without ``effective`` where there is no Nova
    :param wanted: Nova's options, by ``group.option``
    :param stage: ``compute_vnc_tls_stage``
    """
    found = [
        f"Nova reads {name} = {value} instead of {wanted[name]}. Run site.yml, which sets it."
        for name, value in nova.get("effective", {}).items()
        if name != "DEFAULT.my_ip" and str(value).lower() != wanted[name].lower()
    ]
    found += [
        f"The guest {guest['name']} {', '.join(guest['problems'])}: {', then '.join(guest['advice'])}."
        for guest in guests["guests"]
    ]
    if stage == "permissive":
        found.append(
            "VNC without TLS is still taken here (compute_vnc_tls_stage is permissive), and "
            f"{guests['without_tls']} of {guests['running']} running guests are without it. "
            + (
                "When those have been started anew or migrated, set it to enforced."
                if guests["without_tls"]
                else "Set it to enforced."
            )
        )
    return found


class FilterModule:
    """The filters, by the names they have in templates."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Name each filter."""
        return {
            "compute_vnc_addresses": addresses,
            "compute_vnc_distinguished_names": distinguished_names,
            "compute_vnc_drift": drift,
            "compute_vnc_networks": networks,
            "compute_vnc_nova_changes": nova_changes,
            "compute_vnc_problems": problems,
        }
