"""``[keystone_authtoken]``: the options of keystonemiddleware that are taken here, by its names."""

from __future__ import annotations

import ssl
import urllib.parse
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from oslo_config import cfg

from porthole.config.settings import ConfigError

GROUP = "keystone_authtoken"

MAX_CACHE_TIME = 300
"""Seconds; keystonemiddleware's own default."""

MAX_PASSWORD = 4096
"""Characters that a password's file may have."""

OPTS: list[cfg.Opt] = [
    cfg.URIOpt(
        "auth_url",
        schemes=["http", "https"],
        help="Keystone's address, https://keystone.example.org:5000/v3. Needed with [api] auth_strategy = keystone, as "
        "are username, project_name and a password.",
    ),
    cfg.URIOpt(
        "www_authenticate_uri",
        schemes=["http", "https"],
        help="Keystone's address as clients know it, for the WWW-Authenticate header. Default: auth_url",
    ),
    cfg.StrOpt(
        "auth_type",
        default="password",
        choices=["password", "v3password"],
        help="How this service proves to Keystone who it is.",
    ),
    cfg.StrOpt("username", help="This service's own user, which may validate tokens: it has the role service."),
    cfg.StrOpt("password", secret=True, help="Its password. password_file instead keeps it out of this file."),
    cfg.StrOpt(
        "password_file", help="A file with the password in its first line, for example %d/keystone.password."
    ),
    cfg.StrOpt("project_name", help="The project in which it has that role; in most clouds service."),
    cfg.StrOpt("user_domain_name", default="Default", help="The domain of this service's user."),
    cfg.StrOpt("project_domain_name", default="Default", help="The domain of its project."),
    cfg.StrOpt("cafile", help="Certificates (PEM) of the authorities that Keystone's certificate comes from."),
    cfg.BoolOpt(
        "insecure",
        default=False,
        help="Take any certificate for Keystone's. Whoever is in between then reads passwords. For tests.",
    ),
    cfg.StrOpt(
        "interface",
        default="internal",
        choices=["internal", "public", "admin"],
        help="Which of Keystone's addresses in the catalogue tokens are validated at.",
    ),
    cfg.StrOpt("region_name", help="The region whose Keystone is asked, where the catalogue has several."),
    cfg.FloatOpt(
        "http_connect_timeout",
        default=10.0,
        min=0.1,
        max=60.0,
        help="Seconds for which Keystone may be silent; three times as many for all that one question takes.",
    ),
    cfg.IntOpt(
        "token_cache_time",
        default=60,
        min=0,
        max=MAX_CACHE_TIME,
        help="Seconds for which a token that was valid is not asked about again. One that is revoked in Keystone works "
        "for so long at most.",
    ),
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class KeystoneSettings:
    """``[keystone_authtoken]``, checked; a field for each option. Times are seconds.

    :ivar auth_url: ends in ``/v3``
    :ivar password: out of ``password_file`` where that is given
    """

    auth_url: str
    www_authenticate_uri: str
    auth_type: str
    username: str
    password: str = field(repr=False)
    project_name: str
    user_domain_name: str
    project_domain_name: str
    cafile: Path | None
    insecure: bool
    interface: str
    region_name: str
    http_connect_timeout: float
    token_cache_time: int


class Options(Protocol):
    """How a value is read: those methods of ``porthole.config.reader`` that are needed here."""

    def string(self, group: str, name: str) -> str:
        """A value that is needed.

        :raises ConfigError: it is not set
        """

    def text(self, group: str, name: str) -> str:
        """A value, empty when it is not set."""

    def number(self, group: str, name: str) -> float:
        """A number."""

    def truth(self, group: str, name: str) -> bool:
        """True or false."""

    def file(self, group: str, name: str) -> Path | None:
        """A file that has to exist when it is named."""

    def error(self, group: str, name: str, what: str) -> ConfigError:
        """An error about an option."""


def read(options: Options) -> KeystoneSettings:
    """The group, for a service that asks Keystone.

    :raises ConfigError: an option is missing or wrong
    """
    auth_url = _v3(options.string(GROUP, "auth_url"))
    return KeystoneSettings(
        auth_url=auth_url,
        www_authenticate_uri=options.text(GROUP, "www_authenticate_uri") or auth_url,
        auth_type=options.string(GROUP, "auth_type"),
        username=options.string(GROUP, "username"),
        password=_password(options),
        project_name=options.string(GROUP, "project_name"),
        user_domain_name=options.string(GROUP, "user_domain_name"),
        project_domain_name=options.string(GROUP, "project_domain_name"),
        cafile=_authorities(options),
        insecure=options.truth(GROUP, "insecure"),
        interface=options.string(GROUP, "interface"),
        region_name=options.text(GROUP, "region_name"),
        http_connect_timeout=options.number(GROUP, "http_connect_timeout"),
        token_cache_time=int(options.number(GROUP, "token_cache_time")),
    )


def _v3(url: str) -> str:
    """With the version, so that nobody has to ask which there are; an address that names another one stays."""
    parts = urllib.parse.urlsplit(url.rstrip("/"))
    last = parts.path.rpartition("/")[2]
    is_versioned = last[:1] == "v" and last[1:2].isdigit()
    return parts.geturl() if is_versioned else f"{parts.geturl()}/v3"


def _authorities(options: Options) -> Path | None:
    path = options.file(GROUP, "cafile")
    try:
        ssl.create_default_context(cafile=path)
    except ssl.SSLError:
        raise options.error(GROUP, "cafile", f"is {path}, in which there is no certificate in PEM.") from None
    return path


def _password(options: Options) -> str:
    given, path = options.text(GROUP, "password"), options.file(GROUP, "password_file")
    if given and path:
        raise options.error(GROUP, "password_file", "is set, and password is too; leave one of them out.")
    if path is None:
        return given or options.string(GROUP, "password")
    try:
        with path.open(encoding="utf-8") as file:
            first = file.readline(MAX_PASSWORD).rstrip("\r\n")
    except UnicodeDecodeError:
        raise options.error(GROUP, "password_file", f"is {path}, which is not UTF-8 text.") from None
    except OSError as error:
        raise options.error(GROUP, "password_file", f"is {path}, which cannot be read: {error.strerror}.") from None
    if not first:
        raise options.error(GROUP, "password_file", f"is {path}, whose first line is empty; it is the password.")
    return first
