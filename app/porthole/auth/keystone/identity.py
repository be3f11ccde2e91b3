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
from dataclasses import dataclass
from typing import TypeVar

import gevent
from keystoneauth1 import access, exceptions, session
from keystoneauth1.identity import v3
from keystonemiddleware.auth_token import InvalidToken
from webob.exc import HTTPServiceUnavailable

from porthole.auth.authenticator import Login
from porthole.auth.errors import AuthError, IdentityUnavailable, NotAuthenticated
from porthole.auth.keystone import verdicts
from porthole.auth.keystone.answers import ODD, Answer, read
from porthole.auth.keystone.protocol import TokenProtocol
from porthole.auth.keystone.trouble import About, Trouble
from porthole.auth.keystone.turns import NoTurn, TooLate, Turns
from porthole.config import KeystoneSettings

T = TypeVar("T")

AT_ONCE = 16
"""Tokens that are asked about at the same time by one process."""

MAX_WAITING = 128
"""Tokens that are asked about or wait for that; beyond it nobody can say who asks."""

SIGN_INS_AT_ONCE = 4
"""Passwords that are asked about at the same time: however many come, they take no turn from a token."""

MAX_SIGN_INS = 32
"""Passwords that are asked about or wait for that."""

REVOCATIONS_AT_ONCE = 2
"""Tokens of ended sign-ins that are revoked at the same time; nobody waits for that."""

MAX_REVOCATIONS = 64
"""Revocations that are under way or wait; beyond it a token lives until it expires."""

PATIENCE = 3
"""A question with all that belongs to it, which may be four requests, has ``http_connect_timeout`` so many times."""

PROBE_EVERY = 10.0
"""Seconds after which Keystone is looked for again when nobody has asked it anything."""

PROVE_EVERY = 60.0
"""Seconds after which it is asked about a token that is none, while it is not known to check tokens for us."""

NO_TOKEN = "porthole-asks-whether-tokens-are-checked"  # noqa: S105 - it is none
"""Keystone says of it that it is none, if it says anything about tokens to this service."""

DEFAULT_DOMAIN_ID = "default"
"""Keystone's ``[identity] default_domain_id``."""

_QUIET = ("keystonemiddleware", "keystoneauth", "keystoneauth1", "oslo_cache", "urllib3")


@dataclass(frozen=True, slots=True)
class _Kind:
    """A kind of question.

    :ivar about: what is wrong when there is an answer and it is neither yes nor no; None where that is nobody's concern
    :ivar is_no: whether an error of keystoneauth is Keystone's "no"
    :ivar proves: what works when Keystone says yes or no
    """

    turns: Turns
    about: About | None
    is_no: Callable[[BaseException], bool]
    proves: tuple[About, ...]


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
        self._protocol = TokenProtocol(settings)
        self._session = session.Session(
            verify=False if settings.insecure else str(settings.cafile or "") or True,
            timeout=settings.http_connect_timeout,
            app_name="porthole",
        )
        one = settings.http_connect_timeout
        self._deadline = PATIENCE * one
        times = self._deadline - one, self._deadline
        self._tokens = _Kind(
            Turns(AT_ONCE, MAX_WAITING, *times), About.TOKENS, verdicts.is_no_token, (About.REACH, About.TOKENS)
        )
        self._sign_ins = _Kind(
            Turns(SIGN_INS_AT_ONCE, MAX_SIGN_INS, *times), About.SIGN_INS, verdicts.is_refusal,
            (About.REACH, About.SIGN_INS),
        )  # fmt: skip
        self._revocations = _Kind(
            Turns(REVOCATIONS_AT_ONCE, MAX_REVOCATIONS, *times), None, verdicts.is_refusal, (About.REACH,)
        )
        # What stands in the place of Keystone may answer this too, so the answer's content has to prove it.
        self._looks = _Kind(Turns(1, 1, *times), None, lambda _error: False, ())
        self._trouble = Trouble(settings.auth_url, clock)
        self._is_proved = False
        self._heard, self._tried = -PROBE_EVERY, -PROVE_EVERY
        self._probe: gevent.Greenlet[[], None] | None = None

    # --- questions

    def validate(self, token: str) -> Answer:
        """What a token is.

        :raises NotAuthenticated: it is none, or not good any more
        :raises IdentityUnavailable: nobody can say
        """

        def ask() -> Answer:
            return read(access.AccessInfoV3(body=self._protocol.fetch_token(token), auth_token=token))

        self._tried = self._clock()
        return self._ask(self._tokens, ask, "The token is not valid, or has expired. Get a new one from Keystone.")

    def password(self, login: Login) -> tuple[str, Answer]:
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

        def ask() -> tuple[str, Answer]:
            info = plugin.get_auth_ref(self._session)
            return str(info.auth_token), read(info)

        wrong = "The user name, the password, the project or a domain is wrong, or the user has no role in the project."
        return self._ask(self._sign_ins, ask, wrong)

    def revoke(self, token: str) -> None:
        """Make a token worthless. One that is so already is no error.

        :raises IdentityUnavailable: it could not be told
        """
        headers = {"X-Auth-Token": token, "X-Subject-Token": token}

        def ask() -> None:
            self._session.delete(f"{self._settings.auth_url}/auth/tokens", headers=headers, authenticated=False)

        try:
            self._ask(self._revocations, ask, "")
        except NotAuthenticated:
            return

    # --- whether it is there

    def problem(self) -> str:
        """What keeps Keystone from being asked, a sentence, as far as is known; looks again in the background."""
        is_looking = self._probe is not None and not self._probe.dead
        if not is_looking and self._clock() - self._heard >= PROBE_EVERY:
            self._probe = gevent.spawn(self._look)
        return self._trouble.sentence()

    def close(self) -> None:
        """Look no more."""
        if self._probe is not None:
            self._probe.kill(block=False)

    def _look(self) -> None:
        """Whether it is there; and now and then, as long as that is in doubt, whether it checks tokens for us."""
        is_in_doubt = not self._is_proved or self._trouble.has(About.TOKENS)
        try:
            if is_in_doubt and self._clock() - self._tried >= PROVE_EVERY:
                self.validate(NO_TOKEN)
            elif self._ask(self._looks, self._says_version, ""):
                self._trouble.is_over(About.REACH)
        except AuthError:
            return  # it is on record

    def _says_version(self) -> bool:
        """As Keystone says which version of its API it has; another server at its address does not."""
        body = self._session.get(self._settings.auth_url, authenticated=False).json()
        return isinstance(body, dict) and isinstance(body.get("version"), dict)

    def _ask(self, kind: _Kind, question: Callable[[], T], refused: str) -> T:
        """:param refused: what is said when Keystone says no"""
        try:
            with kind.turns.one():
                answer = question()
        except NoTurn as error:
            raise IdentityUnavailable(str(error)) from None
        except TooLate:
            raise self._unavailable(About.REACH, f"it did not answer within {self._deadline:g} s") from None
        except (exceptions.ClientException, HTTPServiceUnavailable, InvalidToken, OSError, *ODD) as error:
            raise self._refusal(kind, verdicts.cause(error), refused) from None
        self._works(kind)
        return answer

    def _refusal(self, kind: _Kind, happened: BaseException, refused: str) -> AuthError:
        """What an error of keystoneauth is for the one who asks."""
        if kind.is_no(happened):
            self._works(kind)
            return NotAuthenticated(refused)
        about = verdicts.about(happened, kind.about)
        if about is not About.REACH and verdicts.is_keystones(happened):
            self._trouble.is_over(About.REACH)
        return self._unavailable(about, verdicts.why(happened))

    def _works(self, kind: _Kind) -> None:
        """Keystone has said yes or no."""
        self._heard = self._clock()
        self._is_proved = self._is_proved or About.TOKENS in kind.proves
        self._trouble.is_over(*kind.proves)

    def _unavailable(self, about: About | None, why: str) -> IdentityUnavailable:
        self._heard = self._clock()
        if about is not None:
            self._trouble.begins(about, why)
        return IdentityUnavailable(why)
