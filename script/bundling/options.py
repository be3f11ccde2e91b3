"""The command line of script/bundle."""

from __future__ import annotations

import argparse
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[2]
MAX_RELEASE = 64

EPILOG = """\
The bundle is porthole-RELEASE-DISTRIBUTION-pyX.Y-ARCHITECTURE.tar.gz, with its checksum beside it in a file that ends
in .sha256. It can be installed on hosts with this machine's distribution, Python and processor; run it once for each
kind, for example in a chroot. As root it installs the Debian packages that are missing. A second run with nothing
changed only looks.

The same input gives the same file, byte for byte, on the same distribution: all tools are pinned, archives are sorted,
and times and owners are fixed. What may still differ between two machines: libvirt-python, when their compilers
differ, and the compression, when their zlib does.
"""


@dataclass(frozen=True, slots=True)
class Options:
    """What was asked for.

    :ivar release: the label, "" for the version in app/pyproject.toml
    :ivar output: the folder that gets the bundle
    """

    release: str
    output: Path


def parser() -> argparse.ArgumentParser:
    """The command line's description."""
    it = argparse.ArgumentParser(
        prog="script/bundle",
        description="Build the release bundle for this machine's distribution and Python, and print its path.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    it.add_argument("--release", type=release_label, metavar="LABEL", help="default: the version in app/pyproject.toml")
    it.add_argument(
        "--output", type=Path, default=CHECKOUT / "dist", metavar="DIR", help="default: dist/ in the checkout"
    )
    return it


def parse(argv: Sequence[str]) -> Options:
    """Read a command line; on a mistake it says so and exits with 2."""
    given = parser().parse_args(argv)
    return Options(given.release or "", given.output)


def release_label(text: str) -> str:
    """A label as it may be in file names.

    :raises argparse.ArgumentTypeError: it is not one
    """
    if len(text) > MAX_RELEASE or not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9.+-]*", text, re.ASCII):
        raise argparse.ArgumentTypeError(
            f"{text!r} is no release label: up to {MAX_RELEASE} letters, digits, '.', '+' and '-', the first a letter "
            "or a digit"
        )
    return text
