"""Every setting, with Nova's groups and names where Nova has them.

:func:`load` reads the files and returns a frozen :class:`Settings`, or raises
:class:`ConfigError` with the file, the option and what would be right. No other
module reads a configuration file or keeps settings in a global.
"""

from __future__ import annotations

import difflib
import os
import re
import urllib.parse
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from oslo_config import cfg, types

COMPUTE_PREFIX = "compute:"
"""A compute is a section ``[compute:NAME]``."""

DEFAULT_OPTS: list[cfg.Opt] = [
    cfg.HostAddressOpt(
        "my_ip",
        default="127.0.0.1",
        help="The address of this machine that browsers reach; the default of [vnc] novncproxy_base_url uses it.",
    ),
    cfg.StrOpt("cert", help="Certificate (PEM, with its chain) for TLS to the browser. TLS is off without it."),
    cfg.StrOpt("key", help="Private key (PEM) of cert, when it is not in the same file."),
    cfg.BoolOpt("ssl_only", default=False, help="Refuse connections without TLS. Needs cert."),
    cfg.StrOpt(
        "web",
        help="Folder of a stock noVNC (Debian: /usr/share/novnc). Its vnc.html, vnc_lite.html, app/, core/ "
        "and vendor/ are then served beside Porthole's own pages.",
    ),
    cfg.StrOpt(
        "novnc_path",
        default="/usr/share/porthole/novnc",
        help="Folder of the npm package @novnc/novnc 1.7, which the console page uses.",
    ),
    cfg.StrOpt("state_path", default="/var/lib/porthole", help="Folder of the store. It is created when missing."),
    cfg.BoolOpt("debug", default=False, help="Log what is only of use when looking for an error."),
]

VNC_OPTS: list[cfg.Opt] = [
    cfg.BoolOpt("enabled", default=True, help="Whether instances have VNC consoles at all."),
    cfg.HostAddressOpt("novncproxy_host", default="0.0.0.0", help="Address to listen on."),  # noqa: S104 - Nova's default
    cfg.PortOpt("novncproxy_port", default=6080, min=1, help="Port to listen on."),
    cfg.URIOpt(
        "novncproxy_base_url",
        schemes=["http", "https"],
        help="Where browsers find the console page; ?path=%3Ftoken%3D... is added to it. "
        "Default: http(s)://$my_ip:$novncproxy_port/vnc_auto.html",
    ),
]

CONSOLEAUTH_OPTS: list[cfg.Opt] = [
    cfg.IntOpt("token_ttl", default=600, min=1, help="Seconds for which a console's URL can be opened."),
    cfg.BoolOpt(
        "enforce_session_timeout",
        default=False,
        help="End a session when its token expires, not only refuse new ones.",
    ),
    cfg.StrOpt(
        "token_key_file",
        default="/etc/porthole/token.keys",
        help="Keys that sign tokens and sign-ins, one a line: the first signs, all verify. Make one with: "
        "porthole keys add FILE",
    ),
]

CONSOLE_OPTS: list[cfg.Opt] = [
    cfg.ListOpt(
        "allowed_origins",
        default=[],
        help="Hosts, besides the one the page came from, whose pages may open consoles: host, host:port or "
        "scheme://host:port.",
    ),
]

API_OPTS: list[cfg.Opt] = [
    cfg.StrOpt("auth_strategy", default="http_basic", choices=["http_basic"], help="How callers prove who they are."),
    cfg.StrOpt(
        "http_basic_auth_user_file",
        default="/etc/porthole/htpasswd",
        help="Users and their bcrypt passwords, a line each (htpasswd -B, or: porthole user add).",
    ),
    cfg.StrOpt(
        "http_basic_auth_role_file",
        default="/etc/porthole/roles",
        help="Who has which role, in the form of Apache's group files: 'admin: alice bob'.",
    ),
    cfg.StrOpt("http_basic_project", default="default", help="The project that users of http_basic act for."),
]

LIBVIRT_OPTS: list[cfg.Opt] = [
    cfg.FloatOpt(
        "call_timeout", default=3.0, min=0.1, help="Seconds a libvirt call, or opening a connection, may take."
    ),
    cfg.FloatOpt(
        "resync_interval",
        default=60.0,
        min=1.0,
        help="Seconds between full listings of a compute's instances, beside the events.",
    ),
]

PROXY_OPTS: list[cfg.Opt] = [
    cfg.FloatOpt(
        "connect_timeout", default=5.0, min=0.1, help="Seconds to wait for an instance's VNC server to accept."
    ),
    cfg.FloatOpt(
        "request_timeout", default=20.0, min=1.0, help="Seconds a client has to send a whole request, TLS included."
    ),
    cfg.FloatOpt("ping_interval", default=20.0, min=0.1, help="Seconds of silence after which a browser is pinged."),
    cfg.FloatOpt("ping_timeout", default=20.0, min=0.1, help="Seconds to wait for a sign of life after a ping."),
    cfg.IntOpt("max_sessions", default=5000, min=1, help="Sessions at once; further ones are refused with 503."),
]

COMPUTE_OPTS: list[cfg.Opt] = [
    cfg.StrOpt("connection_uri", help="libvirt's URI of the compute, as Nova's [libvirt] connection_uri."),
    cfg.HostAddressOpt(
        "server_proxyclient_address",
        help="Address at which this appliance reaches the compute's VNC servers, as Nova's "
        "[vnc] server_proxyclient_address.",
    ),
]

GROUPS: dict[str, list[cfg.Opt]] = {
    "DEFAULT": DEFAULT_OPTS,
    "vnc": VNC_OPTS,
    "consoleauth": CONSOLEAUTH_OPTS,
    "console": CONSOLE_OPTS,
    "api": API_OPTS,
    "libvirt": LIBVIRT_OPTS,
    "proxy": PROXY_OPTS,
}
"""All options by section; ``[compute:NAME]`` has :data:`COMPUTE_OPTS`."""

_COMPUTE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,253}\Z")


class ConfigError(Exception):
    """The configuration cannot be used; the message names the file, the option and what would be right."""


@dataclass(frozen=True, slots=True)
class ComputeSettings:
    """One ``[compute:NAME]`` section.

    :ivar name: NAME
    :ivar connection_uri: libvirt's URI
    :ivar server_proxyclient_address: host name or IP address where its VNC servers are reached
    """

    name: str
    connection_uri: str
    server_proxyclient_address: str


@dataclass(frozen=True, slots=True)
class Settings:
    """The whole configuration, checked. Each field is the option of that name; times are seconds."""

    my_ip: str
    cert: Path | None
    key: Path | None
    ssl_only: bool
    web: Path | None
    novnc_path: Path
    state_path: Path
    debug: bool
    vnc_enabled: bool
    novncproxy_host: str
    novncproxy_port: int
    novncproxy_base_url: str
    token_ttl: int
    enforce_session_timeout: bool
    token_key_file: Path
    allowed_origins: tuple[str, ...]
    auth_strategy: str
    http_basic_auth_user_file: Path
    http_basic_auth_role_file: Path
    http_basic_project: str
    libvirt_call_timeout: float
    libvirt_resync_interval: float
    connect_timeout: float
    request_timeout: float
    ping_interval: float
    ping_timeout: float
    max_sessions: int
    computes: tuple[ComputeSettings, ...]


def load(files: Sequence[Path], directories: Sequence[Path] = ()) -> Settings:
    """Read and check the configuration.

    :param files: INI files; in later ones an option replaces the one of earlier files
    :param directories: folders whose ``*.conf`` files are read after them, in the order of their names
    :raises ConfigError: a file is missing or malformed, an option or section is
        unknown or has the wrong type, or a file that an option names is missing
    """
    paths = [*files, *_files_in(directories)]
    sections = [(path, _sections_of(path)) for path in paths]
    names = _compute_names(sections)
    for path, options in sections:
        _refuse_unknown(path, options)

    conf = cfg.ConfigOpts()
    for group, opts in GROUPS.items():
        conf.register_opts(opts, group=None if group == "DEFAULT" else group)
    for name in names:
        conf.register_opts(COMPUTE_OPTS, group=cfg.OptGroup(COMPUTE_PREFIX + name))
    conf([], project="porthole", default_config_files=[str(p) for p in paths], default_config_dirs=[])
    settings = _Reader(conf, sections).settings(names)
    return settings


def _files_in(directories: Sequence[Path]) -> Iterator[Path]:
    for directory in directories:
        if not directory.is_dir():
            raise ConfigError(f"{directory}: there is no such folder of configuration files (--config-dir).")
        yield from sorted(directory.glob("*.conf"))


def _sections_of(path: Path) -> dict[str, list[str]]:
    """The option names of a file by section."""
    sections: dict[str, dict[str, list[str]]] = {}
    try:
        cfg.ConfigParser(str(path), sections).parse()
    except FileNotFoundError:
        raise ConfigError(
            f"{path}: there is no such configuration file. 'porthole config sample' prints one."
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: cannot be read: {error}.") from None
    except cfg.ParseError as error:
        raise ConfigError(f"{path}: {error}. A line is [section], option = value, or starts with #.") from None
    return {section: list(options) for section, options in sections.items()}


def _compute_names(sections: list[tuple[Path, dict[str, list[str]]]]) -> list[str]:
    names: list[str] = []
    for path, options in sections:
        for section in options:
            if not section.startswith(COMPUTE_PREFIX):
                continue
            name = section.removeprefix(COMPUTE_PREFIX)
            if not _COMPUTE_NAME.match(name):
                raise ConfigError(
                    f"{path}: [{section}]: a compute's name has letters, digits, dots, hyphens and underscores, "
                    "as a host name has."
                )
            if name not in names:
                names.append(name)
    return names


def _refuse_unknown(path: Path, sections: dict[str, list[str]]) -> None:
    for section, options in sections.items():
        if section.startswith(COMPUTE_PREFIX):
            known = COMPUTE_OPTS
        elif section in GROUPS:
            known = GROUPS[section]
        else:
            raise ConfigError(
                f"{path}: section [{section}] is unknown.{_suggest(section, list(GROUPS), '[{}]')} "
                f"Sections are {', '.join(f'[{g}]' for g in GROUPS)} and [compute:NAME]."
            )
        allowed = [opt.name for opt in known]
        for option in options:
            if option in allowed:
                continue
            elsewhere = next((g for g, opts in GROUPS.items() if option in [o.name for o in opts]), None)
            hint = f" It belongs into [{elsewhere}]." if elsewhere else _suggest(option, allowed, "{}")
            raise ConfigError(
                f"{path}: option {option} in [{section}] is unknown.{hint} "
                f"[{section}] has: {', '.join(sorted(allowed))}."
            )


def _suggest(word: str, known: list[str], form: str) -> str:
    near = difflib.get_close_matches(word, known, n=1)
    return f" Did you mean {form.format(near[0])}?" if near else ""


class _Reader:
    """Turns oslo.config's values into Settings, and its errors into sentences."""

    def __init__(self, conf: cfg.ConfigOpts, sections: list[tuple[Path, dict[str, list[str]]]]) -> None:
        self._conf = conf
        self._sections = sections

    def settings(self, names: list[str]) -> Settings:
        cert = self._existing("DEFAULT", "cert")
        ssl_only = self._bool("DEFAULT", "ssl_only")
        if ssl_only and cert is None:
            raise self._error("DEFAULT", "ssl_only", "is true and cert is not set; set cert (and key) to PEM files.")
        host = self._str("vnc", "novncproxy_host")
        port = self._int("vnc", "novncproxy_port")
        my_ip = self._str("DEFAULT", "my_ip")
        base_url = str(self._value("vnc", "novncproxy_base_url") or "")
        if not base_url:
            base_url = f"{'https' if cert else 'http'}://{_bracketed(my_ip)}:{port}/vnc_auto.html"
        elif urllib.parse.urlsplit(base_url).query or urllib.parse.urlsplit(base_url).fragment:
            raise self._error(
                "vnc", "novncproxy_base_url", "may have no ?query and no #fragment; the token is added there."
            )
        return Settings(
            my_ip=my_ip,
            cert=cert,
            key=self._existing("DEFAULT", "key"),
            ssl_only=ssl_only,
            web=self._existing("DEFAULT", "web", folder=True),
            novnc_path=self._novnc_path(),
            state_path=Path(self._str("DEFAULT", "state_path")),
            debug=self._bool("DEFAULT", "debug"),
            vnc_enabled=self._bool("vnc", "enabled"),
            novncproxy_host=host,
            novncproxy_port=port,
            novncproxy_base_url=base_url,
            token_ttl=self._int("consoleauth", "token_ttl"),
            enforce_session_timeout=self._bool("consoleauth", "enforce_session_timeout"),
            token_key_file=self._required_file("consoleauth", "token_key_file", "Make one with: porthole keys add {}"),
            allowed_origins=tuple(self._origins()),
            auth_strategy=self._str("api", "auth_strategy"),
            http_basic_auth_user_file=self._required_file(
                "api", "http_basic_auth_user_file", "Make one with: porthole user add NAME --role admin"
            ),
            http_basic_auth_role_file=self._required_file(
                "api", "http_basic_auth_role_file", "Make one with: porthole user add NAME --role admin"
            ),
            http_basic_project=self._str("api", "http_basic_project"),
            libvirt_call_timeout=self._float("libvirt", "call_timeout"),
            libvirt_resync_interval=self._float("libvirt", "resync_interval"),
            connect_timeout=self._float("proxy", "connect_timeout"),
            request_timeout=self._float("proxy", "request_timeout"),
            ping_interval=self._float("proxy", "ping_interval"),
            ping_timeout=self._float("proxy", "ping_timeout"),
            max_sessions=self._int("proxy", "max_sessions"),
            computes=tuple(self._compute(name) for name in names),
        )

    def _compute(self, name: str) -> ComputeSettings:
        group = COMPUTE_PREFIX + name
        uri = self._str(group, "connection_uri")
        scheme = uri.partition("://")[0]
        if "://" not in uri or not re.fullmatch(r"[a-z]+(\+[a-z]+)?", scheme):
            raise self._error(
                group, "connection_uri", f"is {uri!r}, which is no libvirt URI, for example qemu+tls://{name}/system."
            )
        return ComputeSettings(name, uri, self._str(group, "server_proxyclient_address"))

    def _novnc_path(self) -> Path:
        path = Path(self._str("DEFAULT", "novnc_path"))
        if not (path / "core" / "rfb.js").is_file():
            raise self._error(
                "DEFAULT", "novnc_path", f"is {path}, where core/rfb.js is missing. It is the folder of the unpacked "
                "npm package @novnc/novnc 1.7."
            )  # fmt: skip
        return path

    def _origins(self) -> Iterator[str]:
        for origin in self._value("console", "allowed_origins"):
            parts = urllib.parse.urlsplit(origin if "://" in origin else f"//{origin}")
            try:
                valid = bool(parts.hostname) and parts.path in ("", "/") and (parts.port or 1) > 0
            except ValueError:
                valid = False
            if not valid:
                raise self._error(
                    "console", "allowed_origins", f"has {origin!r}; an entry is host, host:port or scheme://host:port."
                )
            yield origin.rstrip("/").lower()

    def _existing(self, group: str, name: str, folder: bool = False) -> Path | None:
        value = self._value(group, name)
        if not value:
            return None
        path = Path(value)
        if not (path.is_dir() if folder else path.is_file()):
            raise self._error(group, name, f"is {path}, and there is no such {'folder' if folder else 'file'}.")
        return path

    def _required_file(self, group: str, name: str, hint: str) -> Path:
        path = Path(self._str(group, name))
        if not path.is_file():
            raise self._error(group, name, f"is {path}, and there is no such file. {hint.format(path)}")
        if not os.access(path, os.R_OK):
            raise self._error(group, name, f"is {path}, which this user may not read.")
        return path

    def _value(self, group: str, name: str) -> Any:
        try:
            holder = self._conf if group == "DEFAULT" else self._conf[group]
            return holder[name]
        except cfg.ConfigFileValueError as error:
            reason = str(error).partition("is not valid: ")[2] or str(error)
            raise self._error(group, name, f"is not valid: {reason}. {_expected(group, name)}") from None
        except cfg.TemplateSubstitutionError as error:
            raise self._error(group, name, f"is not valid: {error}.") from None

    def _str(self, group: str, name: str) -> str:
        value = self._value(group, name)
        if value in (None, ""):
            raise self._error(group, name, f"is not set. {_expected(group, name)}")
        return str(value)

    def _int(self, group: str, name: str) -> int:
        return int(self._str(group, name))

    def _float(self, group: str, name: str) -> float:
        return float(self._str(group, name))

    def _bool(self, group: str, name: str) -> bool:
        return bool(self._value(group, name))

    def _error(self, group: str, name: str, what: str) -> ConfigError:
        """An error that names the last file that sets the option, for that one counts."""
        holders = [path for path, options in self._sections if name in options.get(group, ())]
        holders = (
            holders or [path for path, options in self._sections if group in options] or [p for p, _ in self._sections]
        )
        where = f"{holders[-1]}: " if holders else ""
        return ConfigError(f"{where}option {name} in [{group}] {what}")


def _option(group: str, name: str) -> cfg.Opt:
    opts = COMPUTE_OPTS if group.startswith(COMPUTE_PREFIX) else GROUPS[group]
    return next(opt for opt in opts if opt.name == name)


def _expected(group: str, name: str) -> str:
    """What would be right, as a sentence."""
    opt = _option(group, name)
    kind = opt.type
    words: str
    if isinstance(kind, types.Boolean):
        words = "true or false"
    elif isinstance(kind, types.Integer | types.Float):
        words = "a whole number" if isinstance(kind, types.Integer) else "a number"
        if kind.min is not None and kind.max is not None:
            words += f" from {kind.min} to {kind.max}"
        elif kind.min is not None:
            words += f" of {kind.min} or more"
    elif choices := getattr(kind, "choices", None):
        words = " or ".join(str(choice) for choice in choices)
    elif isinstance(kind, types.HostAddress):
        words = "a host name or an IP address"
    elif isinstance(kind, types.URI):
        words = "a URL such as https://consoles.example.org/vnc_auto.html"
    else:
        words = "text"
    return f"It has to be {words}: {opt.help}"


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def sample() -> str:
    """The whole configuration as a commented file, each option with its help, type and default."""
    lines = ["# Porthole's configuration. A commented option shows its default.", ""]
    for group, opts in GROUPS.items():
        lines += [f"[{group}]", ""]
        for opt in opts:
            lines += _described(group, opt, _shown(opt.default))
    lines += ["# One section for each compute host.", "#[compute:NAME]", ""]
    examples = {"connection_uri": "qemu+tls://NAME/system", "server_proxyclient_address": "192.0.2.11"}
    for opt in COMPUTE_OPTS:
        lines += _described(COMPUTE_PREFIX, opt, examples[opt.name])
    return "\n".join(lines).rstrip() + "\n"


def _described(group: str, opt: cfg.Opt, value: str) -> list[str]:
    expected = _expected(group, opt.name).removeprefix("It has to be ").partition(": ")[0]
    return [f"# {opt.help}", f"# ({expected})", f"#{opt.name} = {value}".rstrip(), ""]


def _shown(default: object) -> str:
    if default is None:
        return ""
    if isinstance(default, bool):
        return str(default).lower()
    if isinstance(default, list):
        return ",".join(default)
    return str(default)
