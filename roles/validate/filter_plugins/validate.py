"""Filters that turn what was read on a host into findings: sentences that say what is wrong and what to do."""

from __future__ import annotations

import configparser
import ipaddress
import re
import urllib.parse
from collections.abc import Callable, Mapping, Sequence
from typing import Any

VNC_PORT_MIN = 5900
EVERYWHERE = "0.0.0.0"  # noqa: S104 - what the file says, not what is listened on
LIBVIRT_PORTS = {"tls": 16514, "tcp": 16509, "ssh": 22}

_QEMU_SOCKET = re.compile(r"^\S+\s+\d+\s+\d+\s+(?P<address>\S+):(?P<port>\d+)\s.*\(\(\"(?:qemu|kvm)", re.MULTILINE)


def listeners(sockets: str) -> list[dict[str, Any]]:
    """The VNC listeners of QEMU.

    :param sockets: what ``ss -Hltnp`` printed
    :returns: for each its ``address`` (``*`` for all), its ``port`` and whether it is on all addresses, ``everywhere``
    """
    found = []
    for match in _QEMU_SOCKET.finditer(sockets):
        address = match["address"].strip("[]").partition("%")[0]
        port = int(match["port"])
        if port >= VNC_PORT_MIN:
            everywhere = address == "*" or ipaddress.ip_address(address).is_unspecified
            found.append({"address": "*" if everywhere else address, "port": port, "everywhere": everywhere})
    return found


def listener_findings(found: Sequence[Mapping[str, Any]], firewall: bool) -> list[str]:
    """What is wrong with the listeners of a compute, given whether our firewall is loaded there."""
    if firewall:
        return []
    ports = sorted({int(it["port"]) for it in found if it["everywhere"]})
    advice = "Run site.yml, which loads it; after that, look why porthole-firewall.service was stopped."
    if ports:
        shown = ", ".join(map(str, ports))
        return [f"VNC listens on all addresses (port {shown}) and the firewall is not loaded. {advice}"]
    return [f"The firewall is not loaded. {advice}"]


def open_findings(results: Sequence[Mapping[str, Any]]) -> list[str]:
    """Which ports could be reached from the controller, which is not one that needs them.

    :param results: of ``wait_for``, one a port, with ``item``
    """
    return [
        f"The VNC port {it['item']['port']} can be reached from the controller. Only the appliance needs it: look at "
        "the firewall (nft list table inet porthole_compute), and at what else forwards to it."
        for it in results
        if it.get("state") == "started"
    ]


def certificate_findings(results: Sequence[Mapping[str, Any]], days: int) -> list[str]:
    """Which certificates are missing, over or nearly so.

    :param results: of ``x509_certificate_info`` with ``valid_at`` of ``soon`` and ``now``, one a file, with ``item``
    """
    found = []
    for it in results:
        path = it["item"]
        if "not_after" not in it:
            found.append(f"{path} cannot be read as a certificate. Run site.yml, which makes it again.")
        elif it.get("expired"):
            found.append(
                f"{path} has expired ({_date(it)}). Run site.yml, which renews what it made; renew a given one."
            )
        elif not it.get("valid_at", {}).get("soon", True):
            found.append(
                f"{path} ends within {days} days ({_date(it)}). "
                "Run site.yml, which renews what it made; renew a given one."
            )
    return found


def _date(it: Mapping[str, Any]) -> str:
    """ASN.1 time as a date."""
    text = str(it.get("not_after", ""))
    return f"{text[:4]}-{text[4:6]}-{text[6:8]}"


def clock_findings(theirs: str, before: float, after: float, tolerance: float) -> list[str]:
    """Whether a host's clock is apart from the controller's.

    :param theirs: seconds since 1970 on the host, read between *before* and *after* on the controller
    """
    apart = max(before - float(theirs), float(theirs) - after, 0.0)
    if apart <= tolerance:
        return []
    return [
        f"The clock is {apart:.0f} s apart from the controller's. Tokens and certificates depend on it: set up time "
        "synchronisation (timedatectl set-ntp true)."
    ]


def listed_computes(configuration: str) -> list[dict[str, Any]]:
    """The computes of the appliance's configuration that it reaches over the network.

    :param configuration: text with ``[compute:NAME]`` sections
    :returns: for each its ``name``, and the ``host`` and ``port`` of its libvirt
    """
    found = []
    for section, options in _parsed(configuration).items():
        uri = urllib.parse.urlsplit(options.get("connection_uri", ""))
        transport = uri.scheme.partition("+")[2] or "tls"
        if section.startswith("compute:") and uri.hostname and transport in LIBVIRT_PORTS:
            port = uri.port or LIBVIRT_PORTS[transport]
            found.append({"name": section.removeprefix("compute:"), "host": uri.hostname, "port": port})
    return found


def list_findings(configuration: str, inventory: Sequence[str]) -> list[str]:
    """Where the appliance's list of computes is not the inventory's."""
    listed = {section.removeprefix("compute:") for section in _parsed(configuration) if section.startswith("compute:")}
    return [
        *(f"The compute {name} is in the inventory and not on the appliance. Run site.yml." for name in inventory
          if name not in listed),
        *(f"The compute {name} is on the appliance and not in the inventory. Run site.yml, or add it to group computes."
          for name in sorted(listed - set(inventory))),
    ]  # fmt: skip


def ready_url(configuration: str) -> str:
    """Where the service says on its own machine whether it is ready.

    :param configuration: the text of porthole.conf
    """
    options = _parsed(configuration)
    vnc = options.get("vnc", {})
    host = vnc.get("novncproxy_host", EVERYWHERE)
    host = {"::": "::1", EVERYWHERE: "127.0.0.1"}.get(host, host)
    scheme = "https" if options["DEFAULT"].get("cert") else "http"
    return f"{scheme}://{f'[{host}]' if ':' in host else host}:{vnc.get('novncproxy_port', 6080)}/readyz"


def ready_findings(answer: Mapping[str, Any]) -> list[str]:
    """What the service says that it is not ready for.

    :param answer: of ``uri``, with ``status`` and, when it is the service's, ``json.reasons``
    """
    if answer.get("status") == 200:  # noqa: PLR2004 - HTTP's OK
        return []
    reasons = answer.get("json", {}).get("reasons")
    if reasons is None:
        return ["The service does not answer. Look at systemctl status 'porthole@*' and journalctl -u 'porthole@*'."]
    return [f"The service is not ready: {reason} Look at journalctl -u 'porthole@*'." for reason in reasons]


def _parsed(configuration: str) -> dict[str, dict[str, str]]:
    """The options of each section."""
    parser = configparser.RawConfigParser(strict=False)
    parser.read_string(configuration)
    return {section: dict(parser[section]) for section in parser}


def way_findings(results: Sequence[Mapping[str, Any]]) -> list[str]:
    """Which computes the appliance cannot reach.

    :param results: of ``wait_for``, one a compute, with ``item`` of ``name``, ``host`` and ``port``
    """
    return [
        f"The compute {it['item']['name']} cannot be reached at {it['item']['host']} port {it['item']['port']}. Look "
        "whether it is up, whether libvirtd-tls.socket runs there, and at the routes and firewalls between."
        for it in results
        if it.get("state") != "started"
    ]


def all_findings(hostvars: Mapping[str, Mapping[str, Any]], hosts: Sequence[str]) -> list[str]:
    """The findings of all hosts, each with its host's name; a host that has no list gave no answer."""
    found: list[str] = []
    for host in hosts:
        theirs = hostvars[host].get("validate_findings")
        if theirs is None:
            theirs = [
                "gave no answer. Look whether it is up and whether ssh and sudo work for Ansible; "
                "take a host that is gone for good out of the inventory."
            ]
        found += [f"{host}: {finding}" for finding in theirs]
    return found


class FilterModule:
    """What Ansible loads."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """The filters by name."""
        return {
            "validate_listeners": listeners,
            "validate_listener_findings": listener_findings,
            "validate_open_findings": open_findings,
            "validate_certificate_findings": certificate_findings,
            "validate_clock_findings": clock_findings,
            "validate_list_findings": list_findings,
            "validate_listed_computes": listed_computes,
            "validate_ready_findings": ready_findings,
            "validate_ready_url": ready_url,
            "validate_way_findings": way_findings,
            "validate_all_findings": all_findings,
        }
