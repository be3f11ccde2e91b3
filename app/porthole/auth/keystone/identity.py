"""Questions to Keystone: is this token good, whose is this password, and forget that token.

keystonemiddleware validates tokens, as in front of every service of OpenStack: with this service's own user, whose
token it gets anew when that is over. Of it only ``AuthProtocol.fetch_token`` is used. As a WSGI filter it would answer
by itself where Keystone is away, and its own memory of tokens has no bound without a memcached.

Both work with requests, whose sockets gevent has made its own (``porthole.__main__``), so only the greenlet waits.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

import gevent
import structlog
from gevent.lock import BoundedSemaphore
from keystoneauth1 import access, exceptions, session
from keystoneauth1.identity import v3
from keystonemiddleware.auth_token import AuthProtocol, InvalidToken
from oslo_config import cfg
from webob.exc import HTTPServiceUnavailable

from porthole.auth.authenticator import Login
from porthole.auth.errors import AuthError, IdentityUnavailable, NotAuthenticated
from porthole.config import KeystoneSettings

T = TypeVar("T")

AT_ONCE = 16
"""Questions that are asked at the same time by one process."""

MAX_WAITING = 128
"""Questions that are asked or wait; beyond it nobody can say who asks."""

PATIENCE = 3
"""A question with all that belongs to it, which may be four requests, has ``http_connect_timeout`` so many times."""

RETRIES = 1
"""Further attempts of one request when no connection comes about."""

PROBE_EVERY = 10.0
"""Seconds after which Keystone is looked for again when nobody has asked it anything."""

DEFAULT_DOMAIN_ID = "default"
"""Keystone's ``[identity] default_domain_id``."""

_QUIET = ("keystonemiddleware", "keystoneauth", "keystoneauth1", "oslo_cache", "urllib3")

log = structlog.get_logger("porthole.auth")


class Answer(NamedTuple):
    """What Keystone says about a token.

    :ivar body: as it came, ``{"token": {...}}``
    """

    info: access.AccessInfoV3
    body: dict[str, Any]


class Identity:
    """Keystone, for this service.

    :param settings: where it is, and who we are
    :param clock: seconds that only go forward
    """

    def __init__(self, settings: KeystoneSettings, clock: Callable[[], float] = time.monotonic) -> None:
        for name in _QUIET:
            # They write what Keystone answered, in which there may be tokens; what matters is logged here.
            logging.getLogger(name).setLevel(logging.CRITICAL + 1)
        self._settings = settings
        self._clock = clock
        self._deadline = PATIENCE * settings.http_connect_timeout
        self._protocol = _Protocol(_configuration(settings), settings.http_connect_timeout)
        self._session = session.Session(
            verify=False if settings.insecure else str(settings.cafile or "") or True,
            timeout=settings.http_connect_timeout,
            app_name="porthole",
        )
        self._at_once = BoundedSemaphore(AT_ONCE)
        self._waiting = 0
        self._trouble = ""
        self._heard = -PROBE_EVERY
        self._probe: gevent.Greenlet[[], None] | None = None

    # --- questions

    def validate(self, token: str) -> Answer:
        """What a token is.

        :raises NotAuthenticated: it is none, or not good any more
        :raises IdentityUnavailable: nobody can say
        """

        def ask() -> Answer:
            body = self._protocol.fetch_token(token)
            return Answer(access.AccessInfoV3(body=body, auth_token=token), body)

        return self._ask(ask, "The token is not valid, or has expired. Get a new one from Keystone.")

    def password(self, login: Login) -> tuple[str, access.AccessInfo]:
        """A token of the project for somebody who knows the password.

        :raises NotAuthenticated: the password is wrong, or the user has no role in that project, or there is none
        :raises IdentityUnavailable: nobody can say
        """
        user_domain = login.user_domain
        project_domain = login.project_domain or user_domain
        plugin = v3.Password(
            self._settings.auth_url,
            username=login.username,
            password=login.password,
            user_domain_name=user_domain or None,
            user_domain_id=None if user_domain else DEFAULT_DOMAIN_ID,
            project_name=login.project or None,
            project_domain_name=project_domain if login.project and project_domain else None,
            project_domain_id=DEFAULT_DOMAIN_ID if login.project and not project_domain else None,
            include_catalog=False,
        )

        def ask() -> tuple[str, access.AccessInfo]:
            info = plugin.get_access(self._session)
            return str(info.auth_token), info

        wrong = "The user name, the password, the project or a domain is wrong, or the user has no role in the project."
        return self._ask(ask, wrong)

    def revoke(self, token: str) -> None:
        """Make a token worthless. One that is so already is no error.

        :raises IdentityUnavailable: it could not be told
        """
        headers = {"X-Auth-Token": token, "X-Subject-Token": token}

        def ask() -> None:
            self._session.delete(f"{self._settings.auth_url}/auth/tokens", headers=headers, authenticated=False)

        try:
            self._ask(ask, "")
        except NotAuthenticated:
            return

    # --- whether it is there

    def problem(self) -> str:
        """What keeps Keystone from being asked, a sentence, as far as is known; looks again in the background."""
        is_looking = self._probe is not None and not self._probe.dead
        if not is_looking and self._clock() - self._heard >= PROBE_EVERY:
            self._probe = gevent.spawn(self._look)
        if not self._trouble:
            return ""
        return "The identity service (Keystone) cannot be asked: nobody can sign in. Open consoles go on."

    def close(self) -> None:
        """Look no more."""
        if self._probe is not None:
            self._probe.kill(block=False)

    def _look(self) -> None:
        try:
            self._ask(lambda: self._session.get(self._settings.auth_url, authenticated=False), "")
        except AuthError:
            return  # it is on record

    def _ask(self, question: Callable[[], T], refused: str) -> T:
        """:param refused: what is said when Keystone says no"""
        if self._waiting >= MAX_WAITING:
            raise IdentityUnavailable(f"{MAX_WAITING} questions wait for it already")
        self._waiting += 1
        try:
            with gevent.Timeout(self._deadline, _TooLate), self._at_once:
                answer = question()
        except (
            exceptions.Unauthorized,
            exceptions.NotFound,
            exceptions.BadRequest,
            exceptions.Forbidden,
            InvalidToken,
        ):
            self._tell("")
            raise NotAuthenticated(refused) from None
        except _TooLate:
            raise self._unavailable(f"it did not answer within {self._deadline:g} s") from None
        except HTTPServiceUnavailable as error:
            # keystonemiddleware's, with the reason behind it.
            raise self._unavailable(str(error.__context__ or error)) from None
        except (exceptions.ClientException, OSError) as error:
            raise self._unavailable(str(error)) from None
        finally:
            self._waiting -= 1
        self._tell("")
        return answer

    def _unavailable(self, why: str) -> IdentityUnavailable:
        self._tell(why)
        return IdentityUnavailable(why)

    def _tell(self, why: str) -> None:
        """Log what is wrong with Keystone, once, and that it is over."""
        self._heard = self._clock()
        if why and not self._trouble:
            log.error("Keystone cannot be asked", url=self._settings.auth_url, why=why)
        elif self._trouble and not why:
            log.info("Keystone answers again", url=self._settings.auth_url)
        self._trouble = why


class _Protocol(AuthProtocol):  # type: ignore[misc]  # it has no types
    """keystonemiddleware without its memory, which wants a memcached or grows without a bound.

    :param timeout: seconds; the option that it reads itself has whole ones, and 0.5 would be none
    """

    def __init__(self, conf: dict[str, Any], timeout: float) -> None:
        self._timeout = timeout
        super().__init__(None, conf)

    def _create_session(self, **more: Any) -> Any:
        return super()._create_session(timeout=self._timeout, **more)

    def _token_cache_factory(self) -> _Forgetful:
        return _Forgetful()


class _Forgetful:
    """What is validated is remembered in :mod:`porthole.auth.keystone.validated`."""

    def get(self, token: str) -> None:
        """Nothing is remembered."""

    def set(self, token: str, data: object) -> None:
        """Nothing is."""


class _TooLate(Exception):
    """The time for a question is over."""


def _configuration(settings: KeystoneSettings) -> dict[str, Any]:
    """What keystonemiddleware is told, as a paste file would (``filter_factory``)."""
    conf = cfg.ConfigOpts()  # of its own: oslo.config's global one stays as it is
    conf([], project="porthole", default_config_files=[], default_config_dirs=[])
    given = {
        "auth_url": settings.auth_url,
        "www_authenticate_uri": settings.www_authenticate_uri,
        "auth_type": settings.auth_type,
        "username": settings.username,
        "password": settings.password,
        "project_name": settings.project_name,
        "user_domain_name": settings.user_domain_name,
        "project_domain_name": settings.project_domain_name,
        "interface": settings.interface,
        "insecure": settings.insecure,
        "http_request_max_retries": RETRIES,
        "include_service_catalog": False,
    }
    optional = {"cafile": str(settings.cafile or ""), "region_name": settings.region_name}
    return {"oslo_config_config": conf, **given, **{name: value for name, value in optional.items() if value}}
