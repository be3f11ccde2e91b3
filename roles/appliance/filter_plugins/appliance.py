"""Filters of role appliance: the list of computes out of the inventory, and what is to know about a bundle."""

from __future__ import annotations

import hashlib
import ipaddress
import json
import re
import tarfile
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleFilterError

_BUNDLE = re.compile(
    r"porthole-(?P<release>[A-Za-z0-9][A-Za-z0-9.+-]*)-(?P<target>[a-z0-9_.]+-py[0-9.]+-[a-z0-9_]+)\.tar\.gz"
)


class FilterModule:
    """What Ansible finds here."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Name → function."""
        return {
            "appliance_bracketed": bracketed,
            "appliance_bundle_problems": bundle_problems,
            "appliance_computes": computes,
            "appliance_computes_problems": computes_problems,
            "appliance_release_of": release_of,
            "appliance_sha256": sha256,
            "appliance_text": text,
        }


def bracketed(address: str) -> str:
    """As a URL wants it: an IPv6 address in brackets (RFC 3986 3.2.2)."""
    return f"[{address}]" if ":" in address else address


def computes(names: Iterable[str], hostvars: Mapping[str, Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The service's entry for each compute, out of the variables of that host.

    The address is ``server_proxyclient_address``, else ``my_ip``, else that of the host's default route; empty
    where none of them is known.
    """
    found = []
    for name in sorted(names):
        host = hostvars[name]
        address = str(host.get("server_proxyclient_address") or host.get("my_ip") or _default_address(host))
        entry = {
            "name": name,
            "connection_uri": f"qemu+tls://{bracketed(address)}/system",
            "server_proxyclient_address": address,
        }
        if host.get("compute_vnc_tls_stage", "enforced") == "permissive":
            entry["auth_schemes"] = "vencrypt,none"
        found.append(entry)
    return found


def _default_address(host: Mapping[str, Any]) -> str:
    facts = host.get("ansible_facts", {})
    return next(
        (facts[name]["address"] for name in ("default_ipv4", "default_ipv6") if facts.get(name, {}).get("address")), ""
    )


def computes_problems(entries: Iterable[Mapping[str, Any]]) -> list[str]:
    """What is wrong with a list of computes, a sentence each."""
    problems = []
    for entry in entries:
        name, address = str(entry.get("name", "")), str(entry.get("server_proxyclient_address", ""))
        if not re.fullmatch(r"[^\s\[\]=#;:]+", name):
            problems.append(f"The compute {name!r} cannot be a section of the configuration by that name.")
        if not address:
            problems.append(
                f"The address of {name} is not known: set server_proxyclient_address for it in the inventory, or "
                "let the play reach it once."
            )
        elif _is_loopback(address):
            problems.append(
                f"server_proxyclient_address of {name} is {address}, which is the appliance itself as seen from the "
                "appliance; it has to be the compute's address."
            )
    return problems


def _is_loopback(address: str) -> bool:
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address == "localhost"
    return parsed.is_loopback or parsed.is_unspecified


def release_of(bundle: str, default: str) -> str:
    """The release in a bundle's file name; *default* when it is not named as bundles are."""
    match = _BUNDLE.fullmatch(Path(bundle).name)
    return match["release"] if match else default


def bundle_problems(bundle: str, target: str, release: str) -> list[str]:
    """What is wrong with a bundle on the controller for a host, a sentence each.

    :param bundle: its path
    :param target: what the host needs, as in a bundle's name: ``debian12-py3.11-x86_64``
    :param release: the release that is wanted, for the command that builds it
    """
    path = Path(bundle)
    distribution, python, machine = target.split("-")
    build = (
        f"Build it on a machine with {distribution}, Python {python.removeprefix('py')} and {machine}: "
        f"script/bundle --release {release}"
    )
    match = _BUNDLE.fullmatch(path.name)
    if match and match["target"] != target:
        return [f"{path} is for {match['target']}, and this host is {target}. {build}"]
    if not path.is_file():
        return [f"There is no bundle {path}. {build}"]
    if match is None:
        return [
            f"{path.name} is not named as bundles are: porthole-{release}-{target}.tar.gz. Leave its name as it was."
        ]
    checksum = path.with_name(path.name + ".sha256")
    if not checksum.is_file():
        return [f"There is no {checksum.name} beside {path}. script/bundle writes it; copy it along."]
    if checksum.read_text(encoding="ascii", errors="replace").split()[:1] != [sha256(bundle)]:
        return [f"{path} is not what {checksum.name} says: it is damaged, or the two are of different builds. {build}"]
    return list(_manifest_problems(path, match["release"], target))


def _manifest_problems(path: Path, release: str, target: str) -> Iterable[str]:
    top = path.name.removesuffix(".tar.gz")
    try:
        with tarfile.open(path) as tar:
            member = tar.extractfile(f"{top}/manifest.json")
            manifest = json.load(member) if member else {}
    except (OSError, KeyError, ValueError, tarfile.TarError) as error:
        yield f"{path} is no bundle: its manifest cannot be read ({error})."
        return
    said = "{distribution}{distribution_version}-py{python}-{architecture}".format_map({**_NOTHING, **manifest})
    if (manifest.get("release"), said) != (release, target):
        yield f"{path} holds release {manifest.get('release')} for {said}, and is named otherwise."


_NOTHING = dict.fromkeys(("distribution", "distribution_version", "python", "architecture"), "?")


def sha256(path: str) -> str:
    """The checksum of a file on the controller, empty when there is none."""
    digest = hashlib.sha256()
    try:
        with Path(path).open("rb") as file:
            while block := file.read(1 << 20):
                digest.update(block)
    except OSError:
        return ""
    return digest.hexdigest()


def text(given: str) -> str:
    """PEM text as it is, or the content of the file on the controller whose path was given instead."""
    if not given or "-----BEGIN" in given:
        return given
    try:
        return Path(given).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise AnsibleFilterError(f"{given} is neither PEM text nor a file that can be read: {error}") from None
