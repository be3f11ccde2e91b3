"""What a bundle is for: a distribution, a Python and a processor, each as this machine has them."""

from __future__ import annotations

import platform
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from provision.progress import StepFailed

OS_RELEASE = Path("/etc/os-release")

ENTERPRISE_LINUX = frozenset({"almalinux", "centos", "ol", "rhel", "rocky"})
"""Distributions whose packages are interchangeable within a major version: together they are ``el``."""


@dataclass(frozen=True, slots=True)
class Target:
    """Where a bundle can be installed.

    :ivar distribution: ``debian``, ``ubuntu``, ``el`` or another ID of os-release
    :ivar version: of the distribution; its first number for ``el``
    :ivar python: ``3.11``
    :ivar architecture: ``x86_64``, ``aarch64``
    """

    distribution: str
    version: str
    python: str
    architecture: str

    def bundle_name(self, release: str) -> str:
        """The name of a release's bundle, which is also that of its only folder."""
        return f"porthole-{release}-{self.distribution}{self.version}-py{self.python}-{self.architecture}"


def this_machine(os_release: Path = OS_RELEASE) -> Target:
    """The target that this machine is.

    :raises StepFailed: the distribution does not say what it is
    """
    try:
        fields = parse_os_release(os_release.read_text(encoding="utf-8"))
    except OSError as error:
        raise StepFailed(f"{os_release} cannot be read: {error.strerror}.", step="distribution") from None
    name, version = fields.get("ID", ""), fields.get("VERSION_ID", "")
    if not (re.fullmatch(r"[a-z0-9_.-]+", name) and re.fullmatch(r"[a-z0-9_.-]+", version)):
        raise StepFailed(
            f"{os_release} says ID={name or 'nothing'} and VERSION_ID={version or 'nothing'}.",
            step="distribution",
            advice="A bundle is for a numbered release of a distribution. Run this on one, or in a chroot of it.",
        )
    if name in ENTERPRISE_LINUX:
        name, version = "el", version.partition(".")[0]
    return Target(name, version, f"{sys.version_info.major}.{sys.version_info.minor}", platform.machine())


def parse_os_release(text: str) -> Mapping[str, str]:
    """os-release(5): ``NAME=value`` lines, the value quoted or not."""
    found = re.findall(r"""^([A-Z0-9_]+)=(["']?)(.*)\2[ \t]*$""", text, re.MULTILINE)
    return {name: value for name, _, value in found}
