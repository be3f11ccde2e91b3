"""The command line of script/lab, and what of it the two halves hand on."""

from __future__ import annotations

import argparse
import errno
import ipaddress
import re
import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from provision.progress import StepFailed

MAX_GUESTS = 20
DEFAULT_PORT = 6080
EPILOG = """\
It installs what is missing (as root), makes everything else below one cache folder (/var/cache/porthole-lab for root,
~/.cache/porthole-lab for others) and one temporary folder in /tmp, and runs as an ordinary user: for root that is the
system user porthole-lab, which it creates. The machine's own libvirt is not touched. Ctrl-C ends it all.
"""


@dataclass(frozen=True, slots=True)
class Options:
    """What was asked for.

    :ivar host: address or name to listen on
    :ivar guests: 1 to :data:`MAX_GUESTS`
    :ivar output: "text", "json" or "smoke"
    """

    host: str
    port: int
    guests: int
    output: str

    def arguments(self) -> list[str]:
        """The same options as a command line."""
        flags = [] if self.output == "text" else [f"--{self.output}"]
        return ["--host", self.host, "--port", str(self.port), "--guests", str(self.guests), *flags]


def parser() -> argparse.ArgumentParser:
    """The command line's description."""
    it = argparse.ArgumentParser(
        prog="script/lab",
        description="Start real guests under a private libvirtd and the appliance in front, and print a console's URL.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    it.add_argument(
        "--host",
        type=_host,
        default="127.0.0.1",
        help="address to listen on; 0.0.0.0 or :: for every address (default: %(default)s)",
    )
    it.add_argument(
        "--port", type=_between(1, 65535), default=DEFAULT_PORT, help="port to listen on (default: %(default)s)"
    )
    it.add_argument(
        "--guests",
        type=_between(1, MAX_GUESTS),
        default=2,
        metavar="N",
        help=f"how many guests, 1 to {MAX_GUESTS} (default: %(default)s)",
    )
    output = it.add_mutually_exclusive_group()
    output.add_argument("--smoke", action="store_true", help="open one console as a client would, print JSON, and end")
    output.add_argument("--json", action="store_true", help="print one line of JSON when ready, and run until ended")
    return it


def parse(argv: Sequence[str]) -> Options:
    """Read a command line; on a mistake it says so and exits with 2."""
    given = parser().parse_args(argv)
    output = "smoke" if given.smoke else "json" if given.json else "text"
    return Options(given.host, given.port, given.guests, output)


def _host(text: str) -> str:
    bare = text.removeprefix("[").removesuffix("]")
    try:
        return str(ipaddress.ip_address(bare))
    except ValueError:
        if re.fullmatch(r"[A-Za-z]([A-Za-z0-9.-]{0,251}[A-Za-z0-9])?", text):
            return text
        raise argparse.ArgumentTypeError(f"{text!r} is no IP address and no host name") from None


def _between(low: int, high: int) -> Callable[[str], int]:
    def number(text: str) -> int:
        if not re.fullmatch(r"[0-9]{1,6}", text) or not low <= int(text) <= high:
            raise argparse.ArgumentTypeError(f"{text!r} is no whole number from {low} to {high}")
        return int(text)

    return number


def check_can_listen(host: str, port: int) -> None:
    """See whether the appliance will be able to listen there.

    :raises StepFailed: it will not be, with the reason in words
    """
    step = "listening address"
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except socket.gaierror as error:
        raise StepFailed(f"{host} cannot be resolved: {error.strerror}.", step=step) from None
    family, kind, protocol, _, address = found[0]
    with socket.socket(family, kind, protocol) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(address)
            probe.listen(1)
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                reason, advice = f"port {port} on {host} is in use.", "Choose another one with --port."
            elif error.errno == errno.EADDRNOTAVAIL:
                reason, advice = f"{host} is not an address of this machine.", "Choose one of its own with --host."
            elif error.errno == errno.EACCES:
                reason, advice = f"port {port} is reserved for root.", "Choose one above 1023 with --port."
            else:
                reason, advice = f"cannot listen on {host} port {port}: {error.strerror}.", ""
            raise StepFailed(reason, step=step, advice=advice) from None


def address_for_others(host: str) -> str:
    """The address that goes into URLs: *host*, or this machine's own one where *host* means every address."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host
    if not address.is_unspecified:
        return host
    v6 = address.version == 6
    try:
        with socket.socket(socket.AF_INET6 if v6 else socket.AF_INET, socket.SOCK_DGRAM) as way_out:
            # Connecting a datagram socket sends nothing; it only chooses the source address (RFC 5737, RFC 3849).
            way_out.connect(("2001:db8::1" if v6 else "192.0.2.1", 9))
            return str(way_out.getsockname()[0])
    except OSError:
        return "::1" if v6 else "127.0.0.1"


def bracketed(host: str) -> str:
    """As a URL wants it: an IPv6 address in brackets (RFC 3986, 3.2.2)."""
    return f"[{host}]" if ":" in host else host
