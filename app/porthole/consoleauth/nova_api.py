"""nova-api, asked what a token opens, with the service's own credentials.

Nothing of an answer is kept: it does not say when the token expires, so whatever remembered it could outlive it.
A question waits for its answer in a greenlet; the sockets are gevent's, and one limit of time counts for all together:
waiting for a turn, signing in at Keystone, the answer. keystoneauth keeps its own sign-in until shortly before
it expires, and signs in anew when Nova does not take it any more.
"""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path
from typing import Any

import gevent
from gevent.lock import BoundedSemaphore
from keystoneauth1.adapter import Adapter
from keystoneauth1.exceptions import ClientException
from keystoneauth1.identity import Password
from keystoneauth1.session import Session

from porthole.consoleauth.errors import AuthorityUnavailable, TokenInvalid
from porthole.consoleauth.nova import BadAnswer, NovaConsole, read_console

AT_ONCE = 16
"""Questions under way at the same time."""

MAX_WAITING = 200
"""Questions that wait for their turn; one more is refused."""

OF_ONE_CLIENT = 8
"""Questions under way or waiting because of one client's address; one more is refused, and the others have the rest."""

OLD_FOR = 300.0
"""Seconds for which a Nova that had the oldest alone is asked for that at once; after them it may be a newer one."""

MAX_ANSWER = 64 * 1024
"""Bytes of an answer; Nova's have some 200."""

NEWEST = "2.99"
"""The microversion that tells tokens of spice-direct apart (nova/api/openstack/rest_api_version_history.rst)."""

OLDEST = "2.31"
"""The first that answers for all types."""

_SERVICE = "compute"


@dataclass(frozen=True, slots=True)
class NovaCredentials:
    """The options of ``[nova]`` that say how nova-api is asked; names as in keystoneauth.

    :ivar timeout: seconds for a question and its answer
    """

    auth_url: str
    username: str
    password: str = field(repr=False)
    project_name: str
    user_domain_name: str
    project_domain_name: str
    region_name: str | None
    valid_interfaces: tuple[str, ...]
    endpoint_override: str | None
    cafile: Path | None
    timeout: float


class _OutOfTime(BaseException):
    """The time for a question is over."""


class NovaApi:
    """Asks nova-api. Belongs to the thread whose gevent hub it is used on.

    :param credentials: those of a user who may show tokens (Nova's rule ``os_compute_api:os-console-auth-tokens``)
    :param clock: seconds; tests set it
    """

    def __init__(self, credentials: NovaCredentials, clock: Callable[[], float] = time.monotonic) -> None:
        auth = Password(
            auth_url=credentials.auth_url,
            username=credentials.username,
            password=credentials.password,
            project_name=credentials.project_name,
            user_domain_name=credentials.user_domain_name,
            project_domain_name=credentials.project_domain_name,
        )
        session = Session(
            auth=auth,
            verify=str(credentials.cafile) if credentials.cafile else True,
            timeout=credentials.timeout,
            app_name="porthole",
            redirect=False,
        )
        self._adapter = Adapter(
            session,
            service_type=_SERVICE,
            interface=list(credentials.valid_interfaces),
            region_name=credentials.region_name,
            endpoint_override=credentials.endpoint_override,
        )
        self._timeout = credentials.timeout
        self._clock = clock
        self._old_until = 0.0
        self._turns = BoundedSemaphore(AT_ONCE)
        self._waiting: Counter[str] = Counter()

    def show(self, token: str, client: str) -> NovaConsole:
        """What a token opens at this moment.

        :param token: of the form of Nova's
        :param client: who came with it: one client alone has a bound of its own
        :raises TokenInvalid: Nova does not know it: it never was, has expired, or its instance was deleted or moved
        :raises TokenOfAnotherConsole: it is for a console that is not VNC
        :raises AuthorityUnavailable: Nova cannot be asked, or does not answer as Nova does
        """
        try:
            with self._counted(client), gevent.Timeout(self._timeout, _OutOfTime), self._turns:
                status, body = self._ask(token)
        except _OutOfTime:
            raise AuthorityUnavailable(f"no answer within {self._timeout:g} s") from None
        except (ClientException, OSError) as error:  # those of requests are of the latter
            raise AuthorityUnavailable(str(error).replace(token, "***")) from None
        except (ValueError, RecursionError, TypeError, AttributeError, LookupError) as error:
            # Of a host that is none, which urllib3 encodes; of an answer of Keystone's that json does not read, or in
            # which keystoneauth does not find what it looks for.
            raise AuthorityUnavailable(f"it is not answered as by Nova: {error}".replace(token, "***")) from None
        return _console(status, body)

    @contextmanager
    def _counted(self, client: str) -> Iterator[None]:
        if self._waiting.total() >= AT_ONCE + MAX_WAITING:
            raise AuthorityUnavailable(f"{self._waiting.total()} questions wait for Nova already")
        if self._waiting[client] >= OF_ONE_CLIENT:
            raise AuthorityUnavailable(f"{OF_ONE_CLIENT} questions of {client} wait for Nova already")
        self._waiting[client] += 1
        try:
            yield
        finally:
            self._waiting[client] -= 1
            if not self._waiting[client]:
                del self._waiting[client]

    def _ask(self, token: str) -> tuple[int, bytes]:
        if self._clock() >= self._old_until:
            status, body = self._get(token, NEWEST)
            if status != HTTPStatus.NOT_ACCEPTABLE:
                return status, body
            self._old_until = self._clock() + OLD_FOR
        return self._get(token, OLDEST)

    def _get(self, token: str, microversion: str) -> tuple[int, bytes]:
        # Without a log: its lines have the address, and that has the token.
        response = self._adapter.get(
            f"/os-console-auth-tokens/{token}",
            microversion=microversion,
            headers={"Accept": "application/json"},
            raise_exc=False,
            log=False,
            stream=True,
        )
        try:
            body = b""
            for piece in response.iter_content(MAX_ANSWER):
                body += piece
                if len(body) > MAX_ANSWER:
                    raise AuthorityUnavailable(f"its answer has more than {MAX_ANSWER} bytes")
            return response.status_code, body
        finally:
            response.close()


def _console(status: int, body: bytes) -> NovaConsole:
    answer = _json(body)
    if status == HTTPStatus.OK:
        try:
            return read_console(answer)
        except BadAnswer as error:
            raise AuthorityUnavailable(f"it is not answered as by Nova: {error}") from None
    if status == HTTPStatus.NOT_FOUND and "itemNotFound" in answer:
        raise TokenInvalid
    if status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
        raise AuthorityUnavailable(
            f"Nova answered {status}: the user of [nova] username may not show tokens, which Nova's rule "
            "os_compute_api:os-console-auth-tokens gives to the role admin"
        )
    if status == HTTPStatus.NOT_ACCEPTABLE:
        raise AuthorityUnavailable(f"this Nova does not have microversion {OLDEST}")
    raise AuthorityUnavailable(f"Nova answered {status}")


def _json(body: bytes) -> Mapping[str, Any]:
    try:
        answer = json.loads(body)
    except (ValueError, RecursionError):  # the latter of one that is nested too deeply
        return {}
    return answer if isinstance(answer, dict) else {}
