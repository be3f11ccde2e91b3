"""The configuration once it is checked."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


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
