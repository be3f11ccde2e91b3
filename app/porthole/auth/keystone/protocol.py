"""keystonemiddleware, as far as it is used here."""

from __future__ import annotations

from typing import Any

from keystonemiddleware.auth_token import AuthProtocol
from oslo_config import cfg

from porthole.config import KeystoneSettings

RETRIES = 1
"""Further attempts of one request when no connection comes about."""


class TokenProtocol(AuthProtocol):  # type: ignore[misc]  # it has no types
    """keystonemiddleware without its memory, which wants a memcached or grows without a bound.

    :param settings: its ``http_connect_timeout`` counts as it is; keystonemiddleware's option has whole seconds, and
        would make none of 0.5
    """

    def __init__(self, settings: KeystoneSettings) -> None:
        self._timeout = settings.http_connect_timeout
        super().__init__(None, _configuration(settings))

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
