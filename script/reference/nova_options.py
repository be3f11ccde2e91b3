"""nova-options.md: what the service does with each option that Nova has for consoles in VNC."""

from __future__ import annotations

import json
from pathlib import Path

from reference import markdown

NOVA = "34"
LISTS = Path(__file__).with_name("nova_options.json")
"""Of Nova's own lists: ``script/reference/nova_list.py``, run by a Python with Nova. A test compares them."""

_INTRODUCTION = f"""\
# Nova's options and this service

Every option that Nova {NOVA} has in `[vnc]`, `[consoleauth]` and `[console]`, out of Nova's own lists, and what this
service does with it. *The same* means: this service has an option of this name in this group, which means the same.
[Options](options.md) has all that this service takes; a nova.conf cannot be given to it as it is, for what it does not
know ends its start.
"""

USES: dict[str, dict[str, str]] = {
    "vnc": {
        "enabled": "The same: without it no console is handed out. On computes Nova decides by it whether guests have "
        "a display at all.",
        "server_listen": "Not taken: it is for computes, where role compute_vnc sets it. Where a guest's VNC server "
        "listens is looked up in libvirt, and that address is never connected to.",
        "server_proxyclient_address": "The same, in the section `[compute:NAME]` of each compute, because one service "
        "has many computes. Role compute_vnc sets it for Nova on the compute.",
        "novncproxy_base_url": "The same, without a query: `?path=...` of one's own is refused, for the page finds its "
        "WebSocket by itself. In Nova's file it has to lead to this service for Nova's tokens to be opened here; role "
        "nova_console sets it.",
        "novncproxy_host": "The same.",
        "novncproxy_port": "The same.",
        "auth_schemes": "The same words, and `vnc` for guests with a VNC password. The default is `vencrypt` instead "
        "of `none`. A `[compute:NAME]` may have its own.",
        "vencrypt_client_key": "The same; not needed where the key is in the certificate's file.",
        "vencrypt_client_cert": "The same.",
        "vencrypt_ca_certs": "The same. The name in the VNC server's certificate is checked too, which Nova does not.",
    },
    "consoleauth": {
        "token_ttl": "The same for our own tokens; at least 1. When one of Nova's expires Nova decides, by its own "
        "option. Here it then says when a session ends, with enforce_session_timeout: so long after the "
        "token was seen first. Set both to the same value.",
        "enforce_session_timeout": "The same. The page warns before, and for our own tokens a session can be renewed.",
    },
    "console": {
        "allowed_origins": "The same, and with scheme and port too: an entry is `host`, `host:port` or "
        "`scheme://host:port`. An `Origin` with another port than the page's own is refused, which Nova takes.",
        "ssl_ciphers": "Not taken: TLS has what OpenSSL and Python take for good, with TLS 1.2 as the least.",
        "ssl_minimum_version": "Not taken: TLS 1.2 is the least, also where Nova's default leaves it to the system.",
    },
}
"""By group and option; a test holds it against Nova's lists."""


def page() -> str:
    """The page.

    :raises ValueError: an option of Nova's is missing here, or one that is here Nova has not
    """
    lists: dict[str, dict[str, object]] = json.loads(LISTS.read_text(encoding="utf-8"))
    parts = [markdown.NOTICE, _INTRODUCTION]
    if {group: sorted(options) for group, options in lists.items()} != {g: sorted(o) for g, o in USES.items()}:
        raise ValueError(f"{LISTS.name} and USES of script/reference/nova_options.py have different options")
    for group, options in lists.items():
        rows = [(f"`{name}`", _shown(default), USES[group][name]) for name, default in options.items()]
        parts += [f"## [{group}]\n", markdown.table(("option", "Nova's default", "here"), rows)]
    return "\n".join(parts)


def _shown(default: object) -> str:
    if default is None or default == []:
        return ""
    text = ",".join(map(str, default)) if isinstance(default, list) else str(default)
    return f"`{text}`"
