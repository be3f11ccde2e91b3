"""Security type VNC Authentication (RFC 6143 7.2.2): a challenge, and a response made with the guest's password.

Where the service has the password it answers itself, and the browser is asked for
nothing. Where it has none, the person in front of the browser may know it: challenge,
response and result are then passed on as they come, and there is nothing to do here.
"""

from __future__ import annotations

from porthole.proxy.rfb.conversation import Read, Send, Steps
from porthole.proxy.rfb.des import CHALLENGE_LENGTH
from porthole.proxy.rfb.errors import PasswordRefused
from porthole.proxy.rfb.password import VncPassword
from porthole.proxy.rfb.reading import security_result
from porthole.proxy.rfb.wire import Version


def with_server(version: Version, password: VncPassword) -> Steps[None]:
    """The VNC server's challenge, our response, and its result, which comes in all versions (RFC 6143 A.1, A.2).

    :raises PasswordRefused: it does not take the response, or nobody is to be let in
    """
    if not password.secret:
        # So libvirt's documentation has it, and so libvirt has QEMU do it (CVE-2016-5008).
        raise PasswordRefused("libvirt has an empty VNC password for the guest, with which nobody is to be let in")
    challenge = yield Read(CHALLENGE_LENGTH, "its challenge")
    yield Send(password.answer(challenge))
    refusal = "it does not accept the VNC password that libvirt has for the guest"
    if password.valid_to:
        refusal += f" (valid until {password.valid_to} UTC)"
    yield from security_result(version, refusal, PasswordRefused)


def with_browser(_version: Version) -> Steps[None]:
    """Nothing: the VNC server speaks next."""
    yield Send(b"")
