"""The commented sample file."""

from __future__ import annotations

from oslo_config import cfg

from porthole.config.options import COMPUTE_OPTS, COMPUTE_PREFIX, GROUPS, expected


def sample() -> str:
    """The whole configuration as a commented file, each option with its help, type and default."""
    lines = ["# Porthole's configuration. A commented option shows its default.", ""]
    for group, opts in GROUPS.items():
        lines += [f"[{group}]", ""]
        for opt in opts:
            lines += _described(group, opt, _shown(opt.default))
    lines += ["# One section for each compute host.", "#[compute:NAME]", ""]
    examples = {
        "connection_uri": "qemu+tls://NAME/system", "server_proxyclient_address": "192.0.2.11",
        "auth_schemes": "vencrypt", "tls_server_name": "NAME", "owner_project": "default", "owner_user": "",
    }  # fmt: skip
    for opt in COMPUTE_OPTS:
        lines += _described(COMPUTE_PREFIX, opt, examples[opt.name])
    return "\n".join(lines).rstrip() + "\n"


def _described(group: str, opt: cfg.Opt, value: str) -> list[str]:
    kind = expected(group, opt.name).removeprefix("It has to be ").partition(": ")[0]
    return [f"# {opt.help}", f"# ({kind})", f"#{opt.name} = {value}".rstrip(), ""]


def _shown(default: object) -> str:
    if default is None:
        return ""
    if isinstance(default, bool):
        return str(default).lower()
    if isinstance(default, list):
        return ",".join(default)
    return str(default)
