"""The opening with a VNC server, whose client we are: from its greeting to its SecurityResult."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from porthole.config import AuthScheme
from porthole.proxy.rfb import none, vencrypt, vncauth
from porthole.proxy.rfb.conversation import Conversation, Read, Send, Steps
from porthole.proxy.rfb.errors import PeerRefused, SecurityMismatch
from porthole.proxy.rfb.password import VncPassword
from porthole.proxy.rfb.policy import SecurityPolicy
from porthole.proxy.rfb.reading import reason
from porthole.proxy.rfb.wire import VERSION_LENGTH, SecurityType, Version, from_u32, named, server_version

_TYPES: dict[AuthScheme, SecurityType] = {
    AuthScheme.VENCRYPT: SecurityType.VENCRYPT,
    AuthScheme.VNC: SecurityType.VNC_AUTH,
    AuthScheme.NONE: SecurityType.NONE,
}


@dataclass(frozen=True, slots=True)
class Opened:
    """What was agreed on.

    :ivar version: of RFB
    :ivar security: the security type
    :ivar answered: with ``VNC_AUTH``, whether the VNC server's challenge has been answered here
    """

    version: Version
    security: SecurityType
    answered: bool = False

    @property
    def asks_browser(self) -> bool:
        """Whether the VNC server's challenge comes next, and is for the browser."""
        return self.security is SecurityType.VNC_AUTH and not self.answered


def open_server(policy: SecurityPolicy, password: VncPassword | None = None) -> Conversation[Opened]:
    """The conversation that opens a VNC server's connection as the policy wants it.

    :param password: the guest's, None when nobody told
    """
    return Conversation(_steps(policy, password))


def _steps(policy: SecurityPolicy, password: VncPassword | None) -> Steps[Opened]:
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
    if chosen is SecurityType.VENCRYPT:
        yield from vencrypt.with_server(version, policy, password)
    elif chosen is SecurityType.NONE:
        yield from none.with_server(version)
    elif password is not None:
        yield from vncauth.with_server(version, password)
    return Opened(version, chosen, answered=chosen is SecurityType.VNC_AUTH and password is not None)


def _choose(policy: SecurityPolicy, offered: Sequence[int]) -> SecurityType:
    """The first of ours that is offered. The order of the offers says nothing: somebody in between may have made it.

    :raises SecurityMismatch: none is; the sentence says what would help
    """
    for scheme in policy.schemes:
        if _TYPES[scheme] in offered:
            return _TYPES[scheme]
    what = f"its VNC server offers {named(offered, SecurityType)}, and auth_schemes of the compute is {policy.words}"
    if SecurityType.VENCRYPT in offered:
        raise SecurityMismatch(f"{what}: put vencrypt into auth_schemes, and set vencrypt_ca_certs in [vnc]")
    for scheme in (AuthScheme.NONE, AuthScheme.VNC):
        if _TYPES[scheme] in offered:
            raise SecurityMismatch(
                f"{what}: this VNC server is without TLS; set vnc_tls and vnc_tls_x509_verify to 1 in the qemu.conf of "
                f"the host and start the guest anew or migrate it, or let auth_schemes = {policy.words},{scheme} take "
                "it as it is"
            )
    raise SecurityMismatch(what)
