"""Whether an error out of keystoneauth is Keystone's "no", and what is wrong if it is not."""

from __future__ import annotations

from http import HTTPStatus

from keystoneauth1 import exceptions
from keystonemiddleware.auth_token import InvalidToken, ServiceError
from webob.exc import HTTPServiceUnavailable

from porthole.auth.keystone.answers import ODD
from porthole.auth.keystone.trouble import About

_WRAPPED = (HTTPServiceUnavailable, InvalidToken, ServiceError)
"""keystonemiddleware's, behind which there is what happened."""

_REFUSALS = (exceptions.Unauthorized, exceptions.NotFound, exceptions.BadRequest, exceptions.Forbidden)

_UNREACHED = (exceptions.ConnectionError, exceptions.DiscoveryFailure, exceptions.RequestTimeout, OSError)

_GATEWAYS = {HTTPStatus.BAD_GATEWAY, HTTPStatus.SERVICE_UNAVAILABLE, HTTPStatus.GATEWAY_TIMEOUT}
"""What stands in front of Keystone answers so when there is none behind."""


def cause(error: BaseException) -> BaseException:
    """What happened."""
    while isinstance(error, _WRAPPED) and error.__context__ is not None:
        error = error.__context__
    return error


def is_no_token(happened: BaseException) -> bool:
    """Whether Keystone says that a token is none. A 404 to this service's own sign-in says nothing about the token."""
    return isinstance(happened, exceptions.NotFound) and happened.method == "GET" and is_keystones(happened)


def is_refusal(happened: BaseException) -> bool:
    """Whether Keystone does not sign somebody in, or does not know what is to be revoked.

    One that wants further proofs of who it is (multi-factor rules) gives a receipt instead of a token.
    """
    if isinstance(happened, exceptions.MissingAuthMethods):
        return True
    return isinstance(happened, _REFUSALS) and is_keystones(happened)


def is_keystones(happened: BaseException) -> bool:
    """Whether it has the form of Keystone's errors; a proxy in front of it, or another server, has its own."""
    response = getattr(happened, "response", None)
    if isinstance(happened, exceptions.MissingAuthMethods):
        return True
    if not isinstance(happened, exceptions.HttpError) or response is None:
        return False
    try:
        body = response.json()
    except ValueError:
        return False
    return isinstance(body, dict) and isinstance(body.get("error"), dict)


def about(happened: BaseException, own: About | None) -> About | None:
    """What trouble is about.

    :param own: what was asked for
    """
    is_gateways = getattr(happened, "http_status", 0) in _GATEWAYS
    return About.REACH if is_gateways or _is_unreached(happened) else own


def why(happened: BaseException) -> str:
    """What happened, for the log. Of an answer that is odd nothing is repeated."""
    if isinstance(happened, (exceptions.ClientException, OSError, *_WRAPPED)) and not isinstance(happened, ODD):
        return str(happened)
    return f"its answer is not one of Keystone's ({type(happened).__name__})"


def _is_unreached(happened: BaseException) -> bool:
    """Nothing came; JSON that is none is of OSError too (requests.JSONDecodeError), but it came."""
    return isinstance(happened, _UNREACHED) and not isinstance(happened, ODD)
