"""A guest's VNC password, in a form that does not find its way into logs."""

from __future__ import annotations

from dataclasses import dataclass, field

from porthole.proxy.rfb import des


@dataclass(frozen=True, slots=True)
class VncPassword:
    """The password of a VNC server, as libvirt has it.

    :ivar secret: the password; ``repr()`` and ``str()`` are without it
    :ivar valid_to: until when libvirt has it valid, in its own form and in UTC (``passwdValidTo``); empty for ever
    """

    secret: str = field(repr=False)
    valid_to: str = ""

    def answer(self, challenge: bytes) -> bytes:
        """The response to a challenge of VNC authentication (RFC 6143 7.2.2).

        :param challenge: 16 bytes
        """
        return des.response(self.secret.encode(), challenge)
