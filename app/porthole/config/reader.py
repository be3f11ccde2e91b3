"""From files to :class:`Settings`."""

from __future__ import annotations

import ipaddress
import os
import re
import urllib.parse
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Literal

from oslo_config import cfg

from porthole.config import files as config_files
from porthole.config import frames, keystone, libvirt_uri
from porthole.config.options import COMPUTE_OPTS, COMPUTE_PREFIX, GROUPS, POLICY_FILE, expected
from porthole.config.settings import (
    AuthScheme,
    AuthStrategy,
    ComputeSettings,
    ConfigError,
    Network,
    Settings,
    TokenAuthority,
)

_PKI_FILES = ("cacert.pem", "clientcert.pem", "clientkey.pem")
"""What libvirt looks for in a pkipath."""


def load(files: Sequence[Path], directories: Sequence[Path] = ()) -> Settings:
    """Read and check the configuration.

    :param files: INI files; in later ones an option replaces the one of earlier files
    :param directories: folders whose ``*.conf`` files are read after them, in the order of their names
    :raises ConfigError: a file is missing or malformed, an option or section is
        unknown or has the wrong type, or a file that an option names is missing
    """
    paths = [*files, *config_files.in_directories(directories)]
    sections = config_files.read(paths)
    names = config_files.compute_names(sections)
    conf = cfg.ConfigOpts()
    for group, opts in GROUPS.items():
        conf.register_opts(opts, group=None if group == "DEFAULT" else group)
    for name in names:
        conf.register_opts(COMPUTE_OPTS, group=cfg.OptGroup(COMPUTE_PREFIX + name))
    conf([], project="porthole", default_config_files=[str(p) for p in paths], default_config_dirs=[])
    return _Reader(conf, sections).settings(names)


class _Reader:
    """Turns oslo.config's values into Settings, and its errors into sentences."""

    def __init__(self, conf: cfg.ConfigOpts, sections: config_files.Sections) -> None:
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
        pkipath = self._pkipath()
        auth_schemes = self._auth_schemes("vnc")
        vencrypt_ca_certs = self._existing("vnc", "vencrypt_ca_certs")
        vencrypt_client_cert = self._existing("vnc", "vencrypt_client_cert")
        vencrypt_client_key = self._existing("vnc", "vencrypt_client_key")
        if vencrypt_client_key is not None and vencrypt_client_cert is None:
            raise self._error(
                "vnc", "vencrypt_client_key", "is set and vencrypt_client_cert is not; set it to the certificate."
            )
        authorities = self._authorities()
        computes = tuple(self._compute(name, pkipath, auth_schemes) for name in names)
        if vencrypt_ca_certs is None:
            self._refuse_vencrypt(computes)
        return Settings(
            my_ip=my_ip,
            cert=cert,
            key=self._existing("DEFAULT", "key"),
            ssl_only=ssl_only,
            hsts_max_age=self._int("DEFAULT", "hsts_max_age"),
            web=self._existing("DEFAULT", "web", folder=True),
            novnc_path=self._novnc_path(),
            state_path=self._path("DEFAULT", "state_path"),
            debug=self._bool("DEFAULT", "debug"),
            workers=self._int("DEFAULT", "workers"),
            graceful_shutdown_timeout=self._int("DEFAULT", "graceful_shutdown_timeout"),
            vnc_enabled=self._bool("vnc", "enabled"),
            novncproxy_host=host,
            novncproxy_port=port,
            novncproxy_base_url=base_url,
            auth_schemes=auth_schemes,
            vencrypt_ca_certs=vencrypt_ca_certs,
            vencrypt_client_cert=vencrypt_client_cert,
            vencrypt_client_key=vencrypt_client_key,
            known_clients=tuple(self._known_clients()),
            token_authority=authorities,
            token_ttl=self._int("consoleauth", "token_ttl"),
            enforce_session_timeout=self._bool("consoleauth", "enforce_session_timeout"),
            token_uses=self._int("consoleauth", "token_uses"),
            share_ttl=self._int("consoleauth", "share_ttl"),
            share_ttl_max=self._int("consoleauth", "share_ttl_max"),
            resume_ttl=self._int("consoleauth", "resume_ttl"),
            idle_timeout=self._int("consoleauth", "idle_timeout"),
            session_timeout=self._int("consoleauth", "session_timeout"),
            token_key_file=self._required_file("consoleauth", "token_key_file", "Make one with: porthole keys add {}"),
            allowed_origins=tuple(self._origins()),
            frame_ancestors=self._frame_ancestors(),
            nova_auth_url=str(self._value("nova", "auth_url") or ""),
            nova_username=str(self._value("nova", "username") or ""),
            nova_password=self._nova_password() if TokenAuthority.NOVA in authorities else "",
            nova_password_file=self._existing("nova", "password_file"),
            nova_user_domain_name=self._str("nova", "user_domain_name"),
            nova_project_name=self._str("nova", "project_name"),
            nova_project_domain_name=self._str("nova", "project_domain_name"),
            nova_region_name=self._value("nova", "region_name") or None,
            nova_valid_interfaces=tuple(self._value("nova", "valid_interfaces")),
            nova_endpoint_override=self._value("nova", "endpoint_override") or None,
            nova_cafile=self._existing("nova", "cafile"),
            nova_timeout=self._float("nova", "timeout"),
            nova_compute_networks=tuple(self._networks("nova", "compute_networks")),
            auth_strategy=self._strategy(),
            http_basic_auth_user_file=self._users_file("http_basic_auth_user_file"),
            http_basic_auth_role_file=self._users_file("http_basic_auth_role_file"),
            http_basic_project=self._str("api", "http_basic_project"),
            policy_file=self._policy_file(),
            libvirt_call_timeout=self._float("libvirt", "call_timeout"),
            libvirt_resync_interval=self._float("libvirt", "resync_interval"),
            connect_timeout=self._float("proxy", "connect_timeout"),
            request_timeout=self._float("proxy", "request_timeout"),
            ping_interval=self._float("proxy", "ping_interval"),
            ping_timeout=self._float("proxy", "ping_timeout"),
            pipeline_updates=self._bool("proxy", "pipeline_updates"),
            trusted_proxies=tuple(self._networks("proxy", "trusted_proxies")),
            max_sessions=self._int("proxy", "max_sessions"),
            sessions_per_user=self._int("limits", "sessions_per_user"),
            sessions_per_instance=self._int("limits", "sessions_per_instance"),
            sessions_per_address=self._int("limits", "sessions_per_address"),
            shares_per_user=self._int("limits", "shares_per_user"),
            api_requests_per_address=self._int("limits", "api_requests_per_address"),
            api_requests_per_user=self._int("limits", "api_requests_per_user"),
            failed_sign_ins=self._int("limits", "failed_sign_ins"),
            lockout_time=self._int("limits", "lockout_time"),
            audit_enabled=self._bool("audit", "enabled"),
            audit_path=self._audit_path(),
            audit_key_file=self._audit_key_file(),
            audit_max_bytes=self._int("audit", "max_bytes"),
            audit_backups=self._int("audit", "backups"),
            audit_announce_every=self._float("audit", "announce_every"),
            metrics_host=self._str("metrics", "host"),
            metrics_port=self._int("metrics", "port"),
            computes=computes,
            keystone=keystone.read(self) if self._strategy() is AuthStrategy.KEYSTONE else None,
        )

    def _compute(self, name: str, pkipath: Path | None, auth_schemes: tuple[AuthScheme, ...]) -> ComputeSettings:
        group = COMPUTE_PREFIX + name
        uri = self._str(group, "connection_uri")
        problem = libvirt_uri.problem(uri, name, allow_plain_tcp=self._bool("libvirt", "allow_plain_tcp"))
        if problem:
            raise self._error(group, "connection_uri", problem)
        if pkipath is not None:
            uri = _with_pkipath(uri, pkipath)
        return ComputeSettings(
            name,
            uri,
            self._str(group, "server_proxyclient_address"),
            auth_schemes if self._value(group, "auth_schemes") is None else self._auth_schemes(group),
            str(self._value(group, "tls_server_name") or name),
            *self._owner(group),
        )

    def _owner(self, group: str) -> tuple[str, str]:
        """Project and user of the compute's instances that name no owner; an empty project means nobody."""
        project, user = self._value(group, "owner_project"), self._value(group, "owner_user")
        if project is None:
            asks_keystone = self._strategy() is AuthStrategy.KEYSTONE
            project = "" if asks_keystone else self._str("api", "http_basic_project")
        if user and not project:
            raise self._error(group, "owner_user", "is set and owner_project is empty; a user owns within a project.")
        return str(project), str(user or "")

    def _strategy(self) -> AuthStrategy:
        return AuthStrategy(self._str("api", "auth_strategy"))

    def _users_file(self, name: str) -> Path:
        """A file of http_basic, which nobody needs when Keystone knows the users."""
        if self._strategy() is not AuthStrategy.HTTP_BASIC:
            return Path(self._str("api", name))
        return self._required_file("api", name, "Make one with: porthole user add NAME --role admin")

    def _policy_file(self) -> Path:
        """The file with the rules, which need not exist where it is by default."""
        path = self._path("oslo_policy", "policy_file")
        if str(path) != POLICY_FILE and not path.is_file():
            raise self._error(
                "oslo_policy", "policy_file", f"is {path}, and there is no such file. An empty one leaves the defaults."
            )
        return path

    def _audit_path(self) -> Path:
        """The audit log, beside the store unless it is said otherwise."""
        given = self._value("audit", "path")
        return self._path("audit", "path") if given else self._path("DEFAULT", "state_path") / "audit.log"

    def _audit_key_file(self) -> Path:
        """The keys of the audit log, which nobody needs when there is none."""
        if not self._bool("audit", "enabled"):
            return Path(self._str("audit", "key_file"))
        return self._required_file("audit", "key_file", "Make one with: porthole keys add {}")

    def _auth_schemes(self, group: str) -> tuple[AuthScheme, ...]:
        schemes = tuple(AuthScheme(word) for word in self._value(group, "auth_schemes"))
        if not schemes or len(set(schemes)) < len(schemes):
            what = "names a scheme twice" if schemes else "is empty"
            raise self._error(group, "auth_schemes", f"{what}. {expected(group, 'auth_schemes')}")
        return schemes

    def _refuse_vencrypt(self, computes: Sequence[ComputeSettings]) -> None:
        """Without authorities no certificate can be checked."""
        for compute in computes:
            if AuthScheme.VENCRYPT not in compute.auth_schemes:
                continue
            raise self._error(
                "vnc", "vencrypt_ca_certs", f"is not set, and auth_schemes of [{COMPUTE_PREFIX}{compute.name}] is "
                f"{','.join(compute.auth_schemes)}. Set it to the certificates (PEM) of the authorities that the "
                "certificates of the VNC servers come from. Or take VNC without TLS: auth_schemes = none, in [vnc] "
                f"for all computes or in [{COMPUTE_PREFIX}{compute.name}]."
            )  # fmt: skip

    def _authorities(self) -> tuple[TokenAuthority, ...]:
        """Whose tokens open consoles; for Nova's, what it takes to ask Nova has to be there."""
        found = tuple(dict.fromkeys(TokenAuthority(word) for word in self._value("consoleauth", "token_authority")))
        if not found:
            raise self._error(
                "consoleauth", "token_authority", f"is empty. {expected('consoleauth', 'token_authority')}"
            )
        for name in ("auth_url", "username") if TokenAuthority.NOVA in found else ():
            if not self._value("nova", name):
                raise self._error(
                    "nova", name, "is not set, and token_authority in [consoleauth] has nova. Set it to what Nova's "
                    "own services have in [service_user] or [keystone_authtoken]."
                )  # fmt: skip
        return found

    def _nova_password(self) -> str:
        """The service's password at Keystone, from one of two places."""
        given, path = self._value("nova", "password"), self._existing("nova", "password_file")
        if bool(given) == bool(path):
            what = "are both set; remove one" if given else "are both missing; token_authority = nova needs one"
            raise self._error("nova", "password", f"and password_file {what}.")
        if given:
            return str(given)
        try:
            text = Path(path or "").read_text("utf-8").rstrip("\r\n")
        except (OSError, UnicodeDecodeError) as error:
            raise self._error("nova", "password_file", f"is {path}, which cannot be read: {error}.") from None
        if not text or "\n" in text:
            raise self._error("nova", "password_file", f"is {path}, which has to hold one line, the password.")
        return text

    def _pkipath(self) -> Path | None:
        folder = self._existing("libvirt", "pkipath", folder=True)
        for name in _PKI_FILES if folder else ():
            path = Path(folder or "", name)
            if not path.is_file():
                raise self._error("libvirt", "pkipath", f"is {folder}, and there is no file {name} in it.")
            if not os.access(path, os.R_OK):
                raise self._error("libvirt", "pkipath", f"is {folder}, and this user may not read {name} in it.")
        return folder

    def _novnc_path(self) -> Path:
        path = self._path("DEFAULT", "novnc_path")
        if not (path / "core" / "rfb.js").is_file():
            raise self._error(
                "DEFAULT", "novnc_path", f"is {path}, where core/rfb.js is missing. It is the folder of the unpacked "
                "npm package @novnc/novnc 1.7."
            )  # fmt: skip
        return path

    def _origins(self) -> Iterator[str]:
        for origin in self._value("console", "allowed_origins"):
            try:
                parts = urllib.parse.urlsplit(origin if "://" in origin else f"//{origin}")
                valid = bool(parts.hostname) and parts.path in ("", "/") and (parts.port or 1) > 0
                valid = valid and parts.scheme in ("", "http", "https")
            except ValueError:
                valid = False
            if not valid:
                raise self._error(
                    "console", "allowed_origins", f"has {origin!r}; an entry is host, host:port or scheme://host:port."
                )
            yield origin.rstrip("/").lower()

    def _frame_ancestors(self) -> tuple[str, ...]:
        try:
            return frames.ancestors(self._value("console", "frame_ancestors"))
        except ValueError as error:
            raise self._error("console", "frame_ancestors", str(error)) from None

    def _known_clients(self) -> Iterator[Network | Literal["unix"]]:
        for entry in self._value("vnc", "known_clients"):
            if entry == "unix":
                yield "unix"
            else:
                yield self._network("vnc", "known_clients", entry)

    def _networks(self, group: str, name: str) -> Iterator[Network]:
        for entry in self._value(group, name):
            yield self._network(group, name, entry)

    def _network(self, group: str, name: str, entry: str) -> Network:
        try:
            return ipaddress.ip_network(entry)
        except ValueError:
            raise self._error(
                group, name, f"has {entry!r}; an entry is an address or a network, 10.0.0.5 or 10.0.0.0/24."
            ) from None

    def _existing(self, group: str, name: str, folder: bool = False) -> Path | None:
        if not self._value(group, name):
            return None
        path = self._path(group, name)
        if not (path.is_dir() if folder else path.is_file()):
            raise self._error(group, name, f"is {path}, and there is no such {'folder' if folder else 'file'}.")
        return path

    def _required_file(self, group: str, name: str, hint: str) -> Path:
        path = self._path(group, name)
        if not path.is_file():
            raise self._error(group, name, f"is {path}, and there is no such file. {hint.format(path)}")
        if not os.access(path, os.R_OK):
            raise self._error(group, name, f"is {path}, which this user may not read.")
        return path

    def _path(self, group: str, name: str) -> Path:
        """A path, in which ``%d/`` at the start is systemd's folder of credentials, as in unit files."""
        value = self._str(group, name)
        if not re.match(r"%d(/|\Z)", value):
            return Path(value)
        credentials = os.environ.get("CREDENTIALS_DIRECTORY")
        if not credentials:
            raise self._error(
                group, name, f"is {value}, where %d is systemd's folder of credentials, and $CREDENTIALS_DIRECTORY, "
                "which names it, is not set. systemd sets it for a unit that has LoadCredential=."
            )  # fmt: skip
        return Path(credentials, value.removeprefix("%d").lstrip("/"))

    def text(self, group: str, name: str) -> str:
        """An option's text, empty when it is not set."""
        return str(self._value(group, name) or "")

    def file(self, group: str, name: str) -> Path | None:
        """A file that exists and may be read; None when it is not set."""
        path = self._existing(group, name)
        if path is not None and not os.access(path, os.R_OK):
            raise self._error(group, name, f"is {path}, which this user may not read.")
        return path

    def _value(self, group: str, name: str) -> Any:
        try:
            holder = self._conf if group == "DEFAULT" else self._conf[group]
            return holder[name]
        except cfg.ConfigFileValueError as error:
            reason = str(error).partition("is not valid: ")[2] or str(error)
            raise self._error(group, name, f"is not valid: {reason}. {expected(group, name)}") from None
        except (cfg.TemplateSubstitutionError, cfg.NoSuchOptError) as error:
            raise self._error(group, name, f"is not valid: {error}.") from None

    def _str(self, group: str, name: str) -> str:
        value = self._value(group, name)
        if value in (None, ""):
            raise self._error(group, name, f"is not set. {expected(group, name)}")
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

    # What porthole.config.keystone reads its group with, beside text and file.
    string, number, truth, error = _str, _float, _bool, _error


def _with_pkipath(uri: str, pkipath: Path) -> str:
    """A libvirt URI with a pkipath, when it uses TLS and has none."""
    parts = urllib.parse.urlsplit(uri)
    transport = parts.scheme.partition("+")[2]
    uses_tls = transport == "tls" or (not transport and parts.hostname)  # TLS is libvirt's default for other machines
    if not uses_tls or "pkipath" in urllib.parse.parse_qs(parts.query, keep_blank_values=True):
        return uri
    more = f"pkipath={urllib.parse.quote(str(pkipath))}"
    return urllib.parse.urlunsplit(parts._replace(query=f"{parts.query}&{more}" if parts.query else more))


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host
