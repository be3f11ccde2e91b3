"""What the API works with; the service builds it, tests build their own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from porthole.api.limits import Memory, own_memory
from porthole.audit import Recorder
from porthole.auth.authenticator import Authenticator
from porthole.auth.policy import Policy
from porthole.auth.signin import SignIns
from porthole.compute.model import ConnectInfo, Instance, Listing
from porthole.config import TokenAuthority
from porthole.consoleauth.tokens import ConsoleAuth
from porthole.metrics import Metrics
from porthole.sessions.admission import Described
from porthole.sessions.records import Records
from porthole.state.shares import ShareTable


class Computes(Protocol):
    """The part of :class:`porthole.compute.computes.Computes` that the API uses."""

    def wait_until_asked(self, timeout: float) -> bool:
        """Whether each compute has been listed, or has failed, once; waits up to ``timeout`` seconds for it."""

    def listing(self) -> Listing:
        """All instances that are known, from memory."""

    def find(self, id_or_name: str, may_see: Callable[[Instance], bool]) -> Instance:
        """An instance, for somebody who may see some of them.

        :param may_see: whether it may be seen; one that may not is as one that does not exist
        :raises porthole.compute.errors.ComputeError: there is none, there are several, or it cannot be said
        """

    def connect_info(self, instance_id: str, may_see: Callable[[Instance], bool] = ...) -> ConnectInfo:
        """Where its VNC server is at this moment.

        :param may_see: as for :meth:`find`; without it everything may be
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

    @property
    def token_authority(self) -> Sequence[TokenAuthority]:
        """``[consoleauth] token_authority``."""

    @property
    def frame_ancestors(self) -> Sequence[str]:
        """``[console] frame_ancestors``."""

    @property
    def api_requests_per_address(self) -> int:
        """``[limits] api_requests_per_address``, a minute."""

    @property
    def api_requests_per_user(self) -> int:
        """``[limits] api_requests_per_user``, a minute."""

    @property
    def share_ttl(self) -> int:
        """``[consoleauth] share_ttl``."""

    @property
    def share_ttl_max(self) -> int:
        """``[consoleauth] share_ttl_max``."""

    @property
    def shares_per_user(self) -> int:
        """``[limits] shares_per_user``."""

    @property
    def failed_sign_ins(self) -> int:
        """``[limits] failed_sign_ins``."""

    @property
    def lockout_time(self) -> int:
        """``[limits] lockout_time``."""


class Admission(Protocol):
    """The part of :class:`porthole.sessions.admission.Admission` that the API uses."""

    def describe(self, token: str | None, resume_hash: str | None, client: str) -> Described:
        """What the token says, the instance whose console it would open now, and the session that would go on.

        :param resume_hash: of the browser's secret, None when it has none
        :param client: the browser's address

        :raises Exception: exactly what an upgrade with this token would be refused with
        """


@dataclass(frozen=True, slots=True)
class Services:
    """The collaborators of the API.

    :ivar settings: the configuration, or the few values of it that the API needs
    :ivar authenticator: the back end that knows the users
    :ivar sign_ins: the browser's sign-ins
    :ivar policy: who may do what
    :ivar computes: the compute hosts
    :ivar console_auth: issues and checks tokens
    :ivar admission: would a token be let in
    :ivar records: the sessions on record
    :ivar shares: the share links that work
    :ivar metrics: what is counted
    :ivar audit: what is recorded for good
    :ivar is_draining: whether the whole service leaves new clients to another one
    :ivar memory: where the limit of this name counts: ``addresses``, ``users`` or ``sign-ins``
    :ivar readiness: further checks for ``/readyz``: each returns what is missing, a sentence, or an empty text
    :ivar notices: likewise what ``/readyz`` says of a service that is ready all the same
    """

    settings: ApiSettings
    authenticator: Authenticator
    sign_ins: SignIns
    policy: Policy
    computes: Computes
    console_auth: ConsoleAuth
    admission: Admission
    records: Records
    shares: ShareTable
    metrics: Metrics
    audit: Recorder
    readiness: Sequence[Callable[[], str]] = field(default=())
    notices: Sequence[Callable[[], str]] = field(default=())
    is_draining: Callable[[], bool] = field(default=lambda: False)
    memory: Callable[[str], Memory] = field(default=own_memory)

    @property
    def secure_cookies(self) -> bool:
        """Whether browsers come over TLS by design, even where a front end speaks plain HTTP to this service."""
        return self.settings.novncproxy_base_url.startswith("https:")
