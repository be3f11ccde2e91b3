"""The configuration once it is checked."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from porthole.config.keystone import KeystoneSettings

Network = IPv4Network | IPv6Network


class AuthScheme(StrEnum):
    """How a compute's VNC servers may be secured; the words of ``auth_schemes``.

    Nova has ``vencrypt`` and ``none`` (nova/console/rfb/auth.py).
    """

    VENCRYPT = "vencrypt"
    VNC = "vnc"
    NONE = "none"


class TokenAuthority(StrEnum):
    """Who issues tokens that open consoles; the words of ``token_authority``."""

    PORTHOLE = "porthole"
    NOVA = "nova"


class AuthStrategy(StrEnum):
    """How callers prove who they are; the words of ``auth_strategy``."""

    HTTP_BASIC = "http_basic"
    KEYSTONE = "keystone"


class ConfigError(Exception):
    """The configuration cannot be used; the message names the file, the option and what would be right."""


@dataclass(frozen=True, slots=True)
class ComputeSettings:
    """One ``[compute:NAME]`` section.

    :ivar name: NAME
    :ivar connection_uri: libvirt's URI
    :ivar server_proxyclient_address: host name or IP address where its VNC servers are reached
    :ivar auth_schemes: its own, else those of ``[vnc]``; never empty
    :ivar tls_server_name: name or IP address in the certificate of its VNC servers
    :ivar owner_project: the project whose instances are that name no owner; empty: nobody's
    :ivar owner_user: the user in it
    """

    name: str
    connection_uri: str
    server_proxyclient_address: str
    auth_schemes: tuple[AuthScheme, ...]
    tls_server_name: str
    owner_project: str = ""
    owner_user: str = ""


@dataclass(frozen=True, slots=True)
class Settings:
    """The whole configuration, checked. Times are seconds.

    Each field is the option of that name, or of that name after its group's (``libvirt_call_timeout``).
    ``[libvirt] pkipath`` is part of the computes' URIs, and ``allow_plain_tcp`` says only which of these are taken.
    ``keystone`` has all of ``[keystone_authtoken]``, and is None with another ``auth_strategy``.
    """

    my_ip: str
    cert: Path | None
    key: Path | None
    ssl_only: bool
    hsts_max_age: int
    web: Path | None
    novnc_path: Path
    state_path: Path
    debug: bool
    workers: int
    graceful_shutdown_timeout: int
    vnc_enabled: bool
    novncproxy_host: str
    novncproxy_port: int
    novncproxy_base_url: str
    auth_schemes: tuple[AuthScheme, ...]
    vencrypt_ca_certs: Path | None
    vencrypt_client_cert: Path | None
    vencrypt_client_key: Path | None
    known_clients: tuple[Network | Literal["unix"], ...]
    token_authority: tuple[TokenAuthority, ...]
    token_ttl: int
    enforce_session_timeout: bool
    token_uses: int
    share_ttl: int
    share_ttl_max: int
    resume_ttl: int
    idle_timeout: int
    session_timeout: int
    token_key_file: Path
    allowed_origins: tuple[str, ...]
    frame_ancestors: tuple[str, ...]
    nova_auth_url: str
    nova_username: str
    nova_password: str = field(repr=False)
    nova_password_file: Path | None
    nova_user_domain_name: str
    nova_project_name: str
    nova_project_domain_name: str
    nova_region_name: str | None
    nova_valid_interfaces: tuple[str, ...]
    nova_endpoint_override: str | None
    nova_cafile: Path | None
    nova_timeout: float
    nova_compute_networks: tuple[Network, ...]
    auth_strategy: AuthStrategy
    http_basic_auth_user_file: Path
    http_basic_auth_role_file: Path
    http_basic_project: str
    policy_file: Path
    libvirt_call_timeout: float
    libvirt_resync_interval: float
    connect_timeout: float
    request_timeout: float
    ping_interval: float
    ping_timeout: float
    pipeline_updates: bool
    trusted_proxies: tuple[Network, ...]
    max_sessions: int
    sessions_per_user: int
    sessions_per_instance: int
    sessions_per_address: int
    shares_per_user: int
    api_requests_per_address: int
    api_requests_per_user: int
    failed_sign_ins: int
    lockout_time: int
    audit_enabled: bool
    audit_path: Path
    audit_key_file: Path
    audit_max_bytes: int
    audit_backups: int
    audit_announce_every: float
    metrics_host: str
    metrics_port: int
    computes: tuple[ComputeSettings, ...]
    keystone: KeystoneSettings | None
