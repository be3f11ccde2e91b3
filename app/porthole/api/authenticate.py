"""Who asks: a user name and password or a token with the request, or the browser's sign-in cookie.

All but the token are sent by a browser without the page's doing, so a request that changes
something must not come from another site's page (CSRF).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from flask import g, request

from porthole.api.errors import RequestError
from porthole.api.limits import LockedOut, Lockout, RequestLimit, SignInsUnderWay
from porthole.api.recording import SignInRecord, Way
from porthole.api.services import Services
from porthole.auth.authenticator import Login, Proved
from porthole.auth.errors import CrossSite, IdentityUnavailable, NotAuthenticated, TooBusy, WrongScope
from porthole.auth.principal import Principal
from porthole.config import AuthStrategy
from porthole.proxy.origin import OriginPolicy

T = TypeVar("T")

COOKIE = "porthole_session"
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
WITH_BODY = frozenset({"POST", "PUT", "PATCH"})

TOKEN = "X-Auth-Token"  # noqa: S105 - a header's name

SIGN_IN = {
    AuthStrategy.HTTP_BASIC: "Sign in, or send a user name and password with the request (http_basic).",
    AuthStrategy.KEYSTONE: f"Sign in, or send a token of Keystone for a project with the request ({TOKEN}).",
}


class Authentication:
    """Finds out who asks.

    :param services: the authenticator, the sign-ins and the metrics of these are used
    """

    def __init__(self, services: Services) -> None:
        self._services = services
        self._strategy = services.authenticator.strategy
        settings = services.settings
        self._record = SignInRecord(services.audit, services.authenticator)
        self._requests = RequestLimit(settings.api_requests_per_user, who="this user", memory=services.memory("users"))
        self._lockout = Lockout(settings.failed_sign_ins, settings.lockout_time, memory=services.memory("sign-ins"))
        self._under_way = SignInsUnderWay()
        self._origins = OriginPolicy(services.settings.novncproxy_base_url, ())

    def require(self) -> Principal:
        """Who asks; also kept in ``flask.g.principal``.

        :raises NotAuthenticated: nobody has proved who it is
        :raises TooBusy, IdentityUnavailable: that cannot be checked now
        :raises WrongScope: a token that is not for a project
        :raises CrossSite: another site's page made the browser ask
        :raises TooManyRequests: this user asks more often than is allowed
        """
        is_keystone = self._strategy is AuthStrategy.KEYSTONE
        if is_keystone and TOKEN in request.headers:
            principal = self._from_token(request.headers[TOKEN])
        elif "Authorization" in request.headers:
            principal = self._from_password()
        elif COOKIE in request.cookies:
            principal = self._from_cookie(request.cookies[COOKIE])
        else:
            raise NotAuthenticated(SIGN_IN[self._strategy])
        self._requests.take(principal.user_id)
        g.principal = principal
        return principal

    def sign_in(self, login: Login) -> Proved:
        """Who this is, by what was typed in the page, and count and record the result.

        :raises NotAuthenticated: it does not belong together
        :raises TooBusy, IdentityUnavailable, WrongScope: as for :meth:`require`
        :raises LockedOut: too many passwords were wrong
        :raises AuditUnavailable: it cannot be recorded, whether it is right or not
        """

        def check() -> Proved:
            with self._under_way.one(request.remote_addr or ""):
                return self._services.authenticator.sign_in(login)

        try:
            proved = self._checked(self._services.authenticator.counted_as(login), check)
        except (NotAuthenticated, LockedOut) as error:
            self._record.is_refused(login.username, error)
            raise
        self._record.signs_in(proved.principal)
        return proved

    def _checked(self, who: str, check: Callable[[], T]) -> T:
        """Check a password, unless too many were wrong."""
        sign_ins = self._services.metrics.sign_ins
        address = request.remote_addr or ""
        self._lockout.check(address, who)
        try:
            result = check()
        except NotAuthenticated:
            sign_ins.labels("refused").inc()
            self._lockout.failed(address, who)
            raise
        except WrongScope:
            sign_ins.labels("refused").inc()
            raise
        except (TooBusy, IdentityUnavailable):
            sign_ins.labels("busy").inc()
            raise
        sign_ins.labels("ok").inc()
        self._lockout.succeeded(address, who)
        return result

    def refuse_other_sites(self) -> None:
        """Refuse a request that a browser says comes from another site's page. Programs say nothing of the kind.

        :raises CrossSite: it does
        """
        if request.method in SAFE_METHODS or self._is_same_origin():
            return
        if "Origin" in request.headers or "Sec-Fetch-Site" in request.headers:
            raise CrossSite

    def require_own_page(self) -> None:
        """Refuse a request with the cookie unless the browser says it comes from a page of ours.

        :raises CrossSite: it does not say so
        :raises RequestError: a body that a plain form of another site could send
        """
        if request.method in SAFE_METHODS:
            return
        if not self._is_same_origin():
            raise CrossSite
        if request.method in WITH_BODY and request.mimetype != "application/json":
            raise RequestError(415)

    def _from_password(self) -> Principal:
        self.refuse_other_sites()
        if self._strategy is not AuthStrategy.HTTP_BASIC:
            raise NotAuthenticated(f"The Authorization header is not looked at here. {SIGN_IN[self._strategy]}")
        given = request.authorization
        if given is None or given.type != "basic" or given.username is None or given.password is None:
            raise NotAuthenticated(f"The Authorization header is not one of http_basic. {SIGN_IN[self._strategy]}")
        username, password = given.username, given.password
        who = self._services.authenticator.counted_as(Login(username, password))
        try:
            principal = self._checked(who, lambda: self._services.authenticator.authenticate(username, password))
        except (NotAuthenticated, LockedOut) as error:
            self._record.is_refused(username, error, way=Way.BASIC)
            raise
        self._record.signs_in(principal, Way.BASIC)
        return principal

    def _from_token(self, token: str) -> Principal:
        """Guessing is hopeless, so no wrong token locks anybody out; the limits of requests count."""
        self.refuse_other_sites()
        try:
            principal = self._services.authenticator.validate(token)
        except NotAuthenticated as error:
            self._record.is_refused("", error, way=Way.TOKEN)
            raise
        self._record.signs_in(principal, Way.TOKEN)
        return principal

    def _from_cookie(self, cookie: str) -> Principal:
        self.require_own_page()
        return self._services.authenticator.still(self._services.sign_ins.check(cookie))

    def _is_same_origin(self) -> bool:
        # Scripts can set neither header (Fetch Standard, forbidden request-header names).
        if request.headers.get("Sec-Fetch-Site") == "same-origin":
            return True
        origin = request.headers.get("Origin")
        return origin is not None and self._origins.allows(origin, request.scheme, request.headers.get("Host"))
