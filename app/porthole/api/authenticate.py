"""Who asks: a user name and password with the request, or the browser's sign-in cookie.

Both are sent by a browser without the page's doing, so a request that changes
something must not come from another site's page (CSRF).
"""

from __future__ import annotations

from flask import g, request

from porthole.api.errors import RequestError
from porthole.api.limits import LockedOut, Lockout, RequestLimit
from porthole.api.recording import SignInRecord
from porthole.api.services import Services
from porthole.auth.errors import CrossSite, NotAuthenticated, TooBusy
from porthole.auth.principal import Principal
from porthole.auth.signin import SIGN_IN_AGAIN
from porthole.proxy.origin import OriginPolicy

COOKIE = "porthole_session"
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
WITH_BODY = frozenset({"POST", "PUT", "PATCH"})

SIGN_IN = "Sign in, or send a user name and password with the request (http_basic)."


class Authentication:
    """Finds out who asks.

    :param services: the authenticator, the sign-ins and the metrics of these are used
    """

    def __init__(self, services: Services) -> None:
        self._services = services
        settings = services.settings
        self._record = SignInRecord(services.audit, services.authenticator)
        self._requests = RequestLimit(settings.api_requests_per_user, who="this user", memory=services.memory("users"))
        self._lockout = Lockout(settings.failed_sign_ins, settings.lockout_time, memory=services.memory("sign-ins"))
        self._origins = OriginPolicy(services.settings.novncproxy_base_url, ())

    def require(self) -> Principal:
        """Who asks; also kept in ``flask.g.principal``.

        :raises NotAuthenticated: nobody has proved who it is
        :raises TooBusy: passwords cannot be checked now
        :raises CrossSite: another site's page made the browser ask
        :raises TooManyRequests: this user asks more often than is allowed
        """
        if "Authorization" in request.headers:
            principal = self._from_password()
        elif COOKIE in request.cookies:
            principal = self._from_cookie(request.cookies[COOKIE])
        else:
            raise NotAuthenticated(SIGN_IN)
        self._requests.take(principal.user_id)
        g.principal = principal
        return principal

    def check_password(self, username: str, password: str, *, every_request: bool = False) -> Principal:
        """Who this is, and count and record the result.

        :param every_request: the two come with each request, so it is not recorded each time that they are right
        :raises NotAuthenticated: the two do not belong together
        :raises TooBusy: passwords cannot be checked now
        :raises LockedOut: too many were wrong
        :raises AuditUnavailable: it cannot be recorded, whether they are right or not
        """
        try:
            principal = self._check_password(username, password)
        except (NotAuthenticated, LockedOut) as error:
            self._record.is_refused(username, error, every_request=every_request)
            raise
        self._record.signs_in(principal, every_request=every_request)
        return principal

    def _check_password(self, username: str, password: str) -> Principal:
        sign_ins = self._services.metrics.sign_ins
        address = request.remote_addr or ""
        self._lockout.check(address, username)
        try:
            principal = self._services.authenticator.authenticate(username, password)
        except NotAuthenticated:
            sign_ins.labels("refused").inc()
            self._lockout.failed(address, username)
            raise
        except TooBusy:
            sign_ins.labels("busy").inc()
            raise
        sign_ins.labels("ok").inc()
        self._lockout.succeeded(address, username)
        return principal

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
        given = request.authorization
        if given is None or given.type != "basic" or given.username is None or given.password is None:
            raise NotAuthenticated(f"The Authorization header is not one of http_basic. {SIGN_IN}")
        return self.check_password(given.username, given.password, every_request=True)

    def _from_cookie(self, cookie: str) -> Principal:
        self.require_own_page()
        sign_in = self._services.sign_ins.check(cookie)
        authenticator = self._services.authenticator
        principal = authenticator.lookup(sign_in.user_id)
        if principal is None or authenticator.stamp(sign_in.user_id) != sign_in.stamp:
            raise NotAuthenticated(SIGN_IN_AGAIN)
        return principal

    def _is_same_origin(self) -> bool:
        # Scripts can set neither header (Fetch Standard, forbidden request-header names).
        if request.headers.get("Sec-Fetch-Site") == "same-origin":
            return True
        origin = request.headers.get("Origin")
        return origin is not None and self._origins.allows(origin, request.scheme, request.headers.get("Host"))
