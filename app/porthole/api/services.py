"""What the API works with; the service builds it, tests build their own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from porthole.auth.authenticator import Authenticator
from porthole.auth.signin import SignIns
from porthole.compute.model import ConnectInfo, Instance, Listing
from porthole.consoleauth.tokens import Claims, ConsoleAuth
from porthole.metrics import Metrics


class Computes(Protocol):
    """The part of :class:`porthole.compute.computes.Computes` that the API uses."""

    def wait_until_asked(self, timeout: float) -> bool:
        """Whether each compute has been listed, or has failed, once; waits up to ``timeout`` seconds for it."""

    def listing(self) -> Listing:
        """All instances that are known, from memory."""

    def find(self, id_or_name: str) -> Instance:
        """An instance.

        :raises porthole.compute.errors.ComputeError: there is none, there are several, or it cannot be said
        """

    def connect_info(self, instance_id: str) -> ConnectInfo:
        """Where its VNC server is at this moment.

        :raises porthole.compute.errors.ComputeError: it has none, or it cannot be said
        """

    def status(self) -> dict[str, bool]:
        """Whether each compute can be reached, by name."""


class ApiSettings(Protocol):
    """The part of :class:`porthole.config.Settings` that the API uses."""

    @property
    def novncproxy_base_url(self) -> str:
        """``[vnc] novncproxy_base_url``."""

    @property
    def vnc_enabled(self) -> bool:
        """``[vnc] enabled``."""


class Admission(Protocol):
    """The part of :class:`porthole.sessions.admission.Admission` that the API uses."""

    def describe(self, token: str | None) -> tuple[Claims, Instance]:
        """What the token says, and the instance whose console it would open now.

        :raises Exception: exactly what an upgrade with this token would be refused with
        """


@dataclass(frozen=True, slots=True)
class Services:
    """The collaborators of the API.

    :ivar readiness: further checks for ``/readyz``: each returns what is missing, a sentence, or an empty text
    """

    settings: ApiSettings
    authenticator: Authenticator
    sign_ins: SignIns
    computes: Computes
    console_auth: ConsoleAuth
    admission: Admission
    metrics: Metrics
    readiness: Sequence[Callable[[], str]] = field(default=())

    @property
    def secure_cookies(self) -> bool:
        """Whether browsers come over TLS by design, even where a front end speaks plain HTTP to this service."""
        return self.settings.novncproxy_base_url.startswith("https:")
