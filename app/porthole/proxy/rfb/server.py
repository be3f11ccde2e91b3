"""The opening with a VNC server, whose client we are: from its greeting to its SecurityResult."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from porthole.config import AuthScheme
from porthole.proxy.rfb import none, vencrypt, vncauth
from porthole.proxy.rfb.conversation import Conversation, Read, Send, Steps
from porthole.proxy.rfb.errors import PeerRefused, SecurityMismatch
from porthole.proxy.rfb.policy import SecurityPolicy
from porthole.proxy.rfb.reading import reason
from porthole.proxy.rfb.wire import VERSION_LENGTH, SecurityType, Version, from_u32, named, server_version

_TYPES: dict[AuthScheme, tuple[SecurityType, ...]] = {
    AuthScheme.VENCRYPT: (SecurityType.VENCRYPT,),
    AuthScheme.NONE: (SecurityType.NONE, SecurityType.VNC_AUTH),
}
"""The security types of a scheme, in our order: a guest's password is no matter of the connection to its host."""

_AFTER: dict[SecurityType, Callable[[Version], Steps[None]]] = {
    SecurityType.NONE: none.with_server,
    SecurityType.VNC_AUTH: vncauth.with_server,
    SecurityType.VENCRYPT: vencrypt.with_server,
}


@dataclass(frozen=True, slots=True)
class Opened:
    """What was agreed on.

    :ivar version: of RFB
    :ivar security: the security type; with ``VNC_AUTH`` the VNC server's challenge comes next
    """

    version: Version
    security: SecurityType


def open_server(policy: SecurityPolicy) -> Conversation[Opened]:
    """The conversation that opens a VNC server's connection as the policy wants it."""
    return Conversation(_steps(policy))


def _steps(policy: SecurityPolicy) -> Steps[Opened]:
    version = server_version((yield Read(VERSION_LENGTH, "its greeting")))
    yield Send(version.value)
    if version.has_choice:
        # RFC 6143 7.1.2
        count = (yield Read(1, "the number of its security types"))[0]
        offered = list((yield Read(count, "its security types"))) if count else []
    else:
        # RFC 6143 A.1: the server decides
        decided = from_u32((yield Read(4, "its security type")))
        offered = [decided] if decided != SecurityType.INVALID else []
    if not offered:
        raise PeerRefused(f"it refuses the connection, {(yield from reason())}")
    chosen = _choose(policy, offered)
    if version.has_choice:
        yield Send(bytes([chosen]))
    yield from _AFTER[chosen](version)
    return Opened(version, chosen)


def _choose(policy: SecurityPolicy, offered: Sequence[int]) -> SecurityType:
    """The first of ours that is offered. The order of the offers says nothing: somebody in between may have made it.

    :raises SecurityMismatch: none is; the sentence says what would help
    """
    for scheme in policy.schemes:
        for kind in _TYPES[scheme]:
            if kind in offered:
                return kind
    what = f"its VNC server offers {named(offered, SecurityType)}, and auth_schemes of the compute is {policy.words}"
    if SecurityType.VENCRYPT in offered:
        raise SecurityMismatch(f"{what}: put vencrypt into auth_schemes, and set vencrypt_ca_certs in [vnc]")
    if {SecurityType.NONE, SecurityType.VNC_AUTH}.intersection(offered):
        raise SecurityMismatch(
            f"{what}: this VNC server is without TLS; set vnc_tls and vnc_tls_x509_verify to 1 in the qemu.conf of the "
            "host and start the guest anew or migrate it, or let auth_schemes = vencrypt,none take it as it is"
        )
    raise SecurityMismatch(what)
