"""Which security types a compute's VNC servers may have."""

from __future__ import annotations

from dataclasses import dataclass

from porthole.config import AuthScheme


@dataclass(frozen=True, slots=True)
class SecurityPolicy:
    """What a VNC server has to offer, and whose certificate it has to have.

    :ivar schemes: those that are used, in our order: of those that a VNC server offers the first one here is taken
    :ivar server_name: DNS name or IP address that the certificate of a VNC server has to carry
    """

    schemes: tuple[AuthScheme, ...]
    server_name: str

    @property
    def words(self) -> str:
        """The schemes as the option has them."""
        return ",".join(self.schemes)
