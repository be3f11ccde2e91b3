"""Every option: its name, type, default and help, in Nova's groups and with Nova's names where Nova has them."""

from __future__ import annotations

from oslo_config import cfg, types

from porthole.config import keystone
from porthole.config.settings import AuthScheme, AuthStrategy, TokenAuthority

COMPUTE_PREFIX = "compute:"
"""A compute is a section ``[compute:NAME]``."""

_AUTH_SCHEME = types.String(choices=[scheme.value for scheme in AuthScheme])

DEFAULT_OPTS: list[cfg.Opt] = [
    cfg.HostAddressOpt(
        "my_ip",
        default="127.0.0.1",
        help="The address of this machine that browsers reach; the default of [vnc] novncproxy_base_url uses it.",
    ),
    cfg.StrOpt("cert", help="Certificate (PEM, with its chain) for TLS to the browser. TLS is off without it."),
    cfg.StrOpt("key", help="Private key (PEM) of cert, when it is not in the same file."),
    cfg.BoolOpt("ssl_only", default=False, help="Refuse connections without TLS. Needs cert."),
    cfg.IntOpt(
        "hsts_max_age",
        default=31_536_000,
        min=0,
        help="Seconds for which browsers that came over TLS are to come over TLS only (Strict-Transport-Security). It "
        " counts for all ports of the host name: set 0, which says nothing, where it has sites without TLS.",
    ),
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
    cfg.IntOpt(
        "workers",
        default=0,
        min=0,
        max=128,
        help="Processes that serve, each with sessions of its own; 0: one for each processor that the service may use.",
    ),
    cfg.IntOpt(
        "graceful_shutdown_timeout",
        default=3600,
        min=0,
        help="Seconds for which sessions may go on while others take the new ones: those of earlier workers after a "
        "reload, and all of them after SIGUSR2; 0 ends them at once.",
    ),
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
    cfg.ListOpt(
        "auth_schemes",
        default=["vencrypt"],
        item_type=_AUTH_SCHEME,
        help="How VNC servers of computes may be secured, in order of preference: vencrypt is TLS with certificates on "
        "both sides, with the guest's VNC password inside of it where it has one; vnc takes a VNC password without "
        "TLS, none takes VNC without both.",
    ),
    cfg.StrOpt(
        "vencrypt_ca_certs",
        help="Certificates (PEM) of the authorities whose certificates VNC servers have. Needed for vencrypt.",
    ),
    cfg.StrOpt(
        "vencrypt_client_cert",
        help="Certificate (PEM) that this service shows to VNC servers; those with vnc_tls_x509_verify insist on one.",
    ),
    cfg.StrOpt(
        "vencrypt_client_key", help="Private key (PEM) of vencrypt_client_cert, when it is not in the same file."
    ),
    cfg.ListOpt(
        "known_clients",
        default=[],
        help="Other VNC clients that may come to the computes, a nova-novncproxy for example: addresses or networks, "
        "10.0.0.5 or 10.0.0.0/24, and unix for those that come through a socket of the host. Everybody else who is "
        "seen at a screen, and did not come through this service, is recorded as a stranger.",
    ),
]

_AUTHORITY = types.String(choices=[authority.value for authority in TokenAuthority])

CONSOLEAUTH_OPTS: list[cfg.Opt] = [
    cfg.ListOpt(
        "token_authority",
        default=[TokenAuthority.PORTHOLE.value],
        item_type=_AUTHORITY,
        help="Whose tokens open consoles: porthole is this service's own, nova is those that nova-api hands out, about "
        "which it is asked at each connect ([nova]). Both can be named: porthole,nova.",
    ),
    cfg.IntOpt("token_ttl", default=600, min=1, help="Seconds for which a console's URL can be opened."),
    cfg.BoolOpt(
        "enforce_session_timeout",
        default=False,
        help="End a session when its token expires, not only refuse new ones. The page warns a minute before, and "
        "whoever may still ask for the console can renew it there.",
    ),
    cfg.IntOpt(
        "token_uses",
        default=1,
        min=0,
        help="Sessions that a console's URL opens; 0 is Nova's behaviour, any number until it expires. The browser "
        "that opened a session goes on with it after a reload or a loss of the network, which is no further use.",
    ),
    cfg.IntOpt(
        "share_ttl",
        default=3600,
        min=1,
        help="Seconds for which a share link works, and its sessions last, unless whoever makes it says otherwise; "
        "share_ttl_max instead where that is less.",
    ),
    cfg.IntOpt(
        "share_ttl_max",
        default=86400,
        min=0,
        help="The most seconds that one may say; 0 switches share links off, those that exist too.",
    ),
    cfg.IntOpt(
        "resume_ttl",
        default=60,
        min=0,
        max=3600,
        help="Seconds for which a browser can go on with its session once its connection broke; 0 for not at all.",
    ),
    cfg.IntOpt(
        "idle_timeout",
        default=0,
        min=0,
        help="Seconds without keyboard and mouse after which a session ends; 0: never. Sessions for viewing only are "
        "left out: whoever watches sends nothing.",
    ),
    cfg.IntOpt(
        "session_timeout",
        default=0,
        min=0,
        help="Seconds after its start at which a session ends in any case; 0: never.",
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
    cfg.ListOpt(
        "frame_ancestors",
        default=["'self'"],
        help="Whose pages may show the console page in a frame: 'self' for this service's own, 'none' for nobody's, "
        "https://dashboard.example.org, a host, or https: for all with TLS (CSP frame-ancestors). With others than "
        "'self', frames that are sandboxed without allow-same-origin work too.",
    ),
]

API_OPTS: list[cfg.Opt] = [
    cfg.StrOpt(
        "auth_strategy",
        default=AuthStrategy.HTTP_BASIC.value,
        choices=[strategy.value for strategy in AuthStrategy],
        help="How callers prove who they are: http_basic has users of its own, in files; keystone takes OpenStack's "
        "tokens, as [keystone_authtoken] says.",
    ),
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

POLICY_FILE = "/etc/porthole/policy.yaml"

OSLO_POLICY_OPTS: list[cfg.Opt] = [
    cfg.StrOpt(
        "policy_file",
        default=POLICY_FILE,
        help="Rules (YAML, in oslo.policy's language) that count instead of the defaults; it is read again when it "
        "changes. Without such a file the defaults count.",
    ),
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
    cfg.BoolOpt(
        "allow_plain_tcp",
        default=False,
        help="Whether a connection_uri may be qemu+tcp, where anybody in between can read, change and answer all. For "
        "tests.",
    ),
    cfg.StrOpt(
        "pkipath",
        help="Folder with cacert.pem, clientcert.pem and clientkey.pem, for every connection_uri that uses TLS and has "
        "no pkipath of its own. libvirt's own places count without it.",
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
    cfg.ListOpt(
        "trusted_proxies",
        default=[],
        help="Addresses or networks of the reverse proxies in front of this service, 10.0.0.5 or 10.0.0.0/24: what "
        "these say in X-Forwarded-For is the browser's address, and X-Forwarded-Proto says whether it came over TLS. "
        "Nobody else is believed.",
    ),
    cfg.BoolOpt(
        "pipeline_updates",
        default=True,
        help="Whether the VNC server is asked for the next picture before a browser that is far away has the last one, "
        "as long as its connection keeps up. QEMU sends one picture for one request, so a browser 100 ms away would "
        "see fewer than ten a second.",
    ),
    cfg.IntOpt(
        "max_sessions",
        default=5000,
        min=1,
        help="Sessions at once, of all workers together; further ones are refused with 503.",
    ),
]

LIMITS_OPTS: list[cfg.Opt] = [
    cfg.IntOpt("sessions_per_user", default=0, min=0, help="Open consoles of one user; further ones get 429. 0: any."),
    cfg.IntOpt("sessions_per_instance", default=0, min=0, help="Open consoles of one instance. 0: any number."),
    cfg.IntOpt("sessions_per_address", default=0, min=0, help="Open consoles from one address. 0: any number."),
    cfg.IntOpt(
        "shares_per_user",
        default=100,
        min=0,
        help="Share links of one user that work at the same time; a further one gets 429. 0: any number.",
    ),
    cfg.IntOpt(
        "api_requests_per_user",
        default=0,
        min=0,
        help="Requests of the HTTP API a minute by one user; further ones get 429. 0: any number.",
    ),
    cfg.IntOpt(
        "api_requests_per_address",
        default=0,
        min=0,
        help="Requests of the HTTP API a minute from one address, signed in or not; further ones get 429. 0: any "
        "number.",
    ),
    cfg.IntOpt(
        "failed_sign_ins",
        default=10,
        min=0,
        help="Wrong passwords for a user name from one address; then it has to wait, twice as long after each further "
        "one, and gets 429 meanwhile. 0: any number.",
    ),
    cfg.IntOpt("lockout_time", default=900, min=1, help="Seconds that such a wait lasts at most."),
]

NOVA_OPTS: list[cfg.Opt] = [
    cfg.URIOpt("auth_url", schemes=["http", "https"], help="Keystone, where this service signs in to ask Nova."),
    cfg.StrOpt("username", help="The user as whom it asks; Nova lets the role admin show tokens."),
    cfg.StrOpt("password", secret=True, help="The user's password. password_file keeps it out of this file."),
    cfg.StrOpt("password_file", help="File with the user's password, instead of password."),
    cfg.StrOpt("user_domain_name", default="Default", help="The user's domain."),
    cfg.StrOpt("project_name", default="service", help="The project for which it asks."),
    cfg.StrOpt("project_domain_name", default="Default", help="The project's domain."),
    cfg.StrOpt("region_name", help="The region of the nova-api, where Keystone's catalogue has several."),
    cfg.ListOpt(
        "valid_interfaces",
        default=["internal", "public"],
        item_type=types.String(choices=["internal", "public", "admin"]),
        help="The nova-api's interface in the catalogue, in order of preference.",
    ),
    cfg.URIOpt(
        "endpoint_override",
        schemes=["http", "https"],
        help="The nova-api's address, http://controller:8774/v2.1, instead of that in the catalogue.",
    ),
    cfg.StrOpt("cafile", help="Certificates (PEM) of the authorities of Keystone's and nova-api's certificates."),
    cfg.FloatOpt(
        "timeout", default=10.0, min=0.1, help="Seconds for a question, signing in included; then consoles get 503."
    ),
    cfg.ListOpt(
        "compute_networks",
        default=[],
        help="Networks, 10.0.0.0/24, in which a console of Nova's is connected to at the address that Nova gives, "
        "where its compute is none of the [compute:NAME] and libvirt cannot be asked. Default: in none.",
    ),
]

AUDIT_OPTS: list[cfg.Opt] = [
    cfg.BoolOpt(
        "enabled",
        default=True,
        help="Whether sign-ins, tokens, sessions, refusals and administrative acts are recorded. What cannot be "
        "recorded is refused with 503.",
    ),
    cfg.StrOpt(
        "path",
        help="The audit log. Its folder has to exist, be one that this user may write to, and be of a file system of "
        "this machine. Default: audit.log in [DEFAULT] state_path",
    ),
    cfg.StrOpt(
        "key_file",
        default="/etc/porthole/audit.keys",
        help="Keys that chain its lines, one a line: the first signs, all verify. Keep old ones as long as their "
        "lines. Make one with: porthole keys add FILE",
    ),
    cfg.IntOpt(
        "max_bytes",
        default=64 * 1024 * 1024,
        min=64 * 1024,
        help="Size of one file; a full one is renamed and a new one begun.",
    ),
    cfg.IntOpt("backups", default=10, min=1, help="Full files that are kept; the oldest is removed."),
    cfg.FloatOpt(
        "announce_every",
        default=60.0,
        min=1.0,
        help="Seconds between two announcements of the chain's head in the service's own log while there are new "
        "records. What was recorded since the last one can be cut off unseen.",
    ),
]

METRICS_OPTS: list[cfg.Opt] = [
    cfg.HostAddressOpt("host", default="127.0.0.1", help="Address at which /metrics is served to Prometheus."),
    cfg.PortOpt("port", default=9464, min=0, help="Port at which /metrics is served; 0 switches it off."),
]

COMPUTE_OPTS: list[cfg.Opt] = [
    cfg.StrOpt("connection_uri", help="libvirt's URI of the compute, as Nova's [libvirt] connection_uri."),
    cfg.HostAddressOpt(
        "server_proxyclient_address",
        help="Address at which this appliance reaches the compute's VNC servers, as Nova's "
        "[vnc] server_proxyclient_address.",
    ),
    cfg.ListOpt(
        "auth_schemes",
        item_type=_AUTH_SCHEME,
        help="As [vnc] auth_schemes, for this compute alone: with vencrypt,none its guests that still run without TLS "
        "are taken too.",
    ),
    cfg.HostAddressOpt(
        "tls_server_name",
        help="DNS name or IP address that the certificate of the compute's VNC servers has to carry. Default: NAME",
    ),
    cfg.StrOpt(
        "owner_project",
        help="The project that owns those of the compute's instances whose metadata name no owner; empty: nobody does, "
        "and only administrators see them. Default: [api] http_basic_project; with keystone nobody",
    ),
    cfg.StrOpt("owner_user", help="The user in owner_project who owns them. Default: none"),
]

GROUPS: dict[str, list[cfg.Opt]] = {
    "DEFAULT": DEFAULT_OPTS,
    "vnc": VNC_OPTS,
    "consoleauth": CONSOLEAUTH_OPTS,
    "console": CONSOLE_OPTS,
    "nova": NOVA_OPTS,
    "api": API_OPTS,
    keystone.GROUP: keystone.OPTS,
    "oslo_policy": OSLO_POLICY_OPTS,
    "libvirt": LIBVIRT_OPTS,
    "proxy": PROXY_OPTS,
    "limits": LIMITS_OPTS,
    "audit": AUDIT_OPTS,
    "metrics": METRICS_OPTS,
}
"""All options by section; ``[compute:NAME]`` has :data:`COMPUTE_OPTS`."""


def _option(group: str, name: str) -> cfg.Opt:
    opts = COMPUTE_OPTS if group.startswith(COMPUTE_PREFIX) else GROUPS[group]
    return next(opt for opt in opts if opt.name == name)


def expected(group: str, name: str) -> str:
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
    elif choices := getattr(getattr(kind, "item_type", None), "choices", None):
        words = f"one or more of {', '.join(choices)}, with commas between them"
    elif choices := getattr(kind, "choices", None):
        words = " or ".join(str(choice) for choice in choices)
    elif isinstance(kind, types.HostAddress):
        words = "a host name or an IP address"
    elif isinstance(kind, types.URI):
        words = "a URL" if group == keystone.GROUP else "a URL such as https://consoles.example.org/vnc_auto.html"
    else:
        words = "text"
    return f"It has to be {words}: {opt.help}"
