"""What can be asked for, and who may do it when no file says otherwise: Nova's rules with Nova's defaults, and ours.

Sources: nova/policies/base.py, servers.py, extended_server_attributes.py, remote_consoles.py and
console_auth_tokens.py, as they are since enforce_new_defaults is the default (Nova 27). What Nova keeps of its older
defaults, ``admin_or_owner`` and ``admin_api``, is not here.
"""

from __future__ import annotations

import textwrap
from enum import StrEnum

from oslo_policy.policy import DocumentedRuleDefault, RuleDefault

ADMIN = "rule:context_is_admin"
PROJECT_MEMBER_OR_ADMIN = "rule:project_member_or_admin"
PROJECT_READER_OR_ADMIN = "rule:project_reader_or_admin"
SESSION_OWNER_OR_ADMIN = "rule:session_owner_or_admin"


class Action(StrEnum):
    """What can be asked for; the value is the name of the rule, Nova's where Nova has one."""

    LIST_INSTANCES = "os_compute_api:servers:index"
    LIST_INSTANCE_DETAILS = "os_compute_api:servers:detail"
    LIST_ALL_INSTANCES = "os_compute_api:servers:index:get_all_tenants"
    LIST_ALL_INSTANCE_DETAILS = "os_compute_api:servers:detail:get_all_tenants"
    USE_ALL_FILTERS = "os_compute_api:servers:allow_all_filters"
    SHOW_INSTANCE = "os_compute_api:servers:show"
    SHOW_HOST = "os_compute_api:os-extended-server-attributes"
    CREATE_CONSOLE = "os_compute_api:os-remote-consoles"
    LOOK_UP_TOKEN = "os_compute_api:os-console-auth-tokens"  # noqa: S105 - a rule's name
    LIST_SESSIONS = "porthole:sessions:list"
    LIST_ALL_SESSIONS = "porthole:sessions:list:get_all_tenants"
    SHOW_SESSION = "porthole:sessions:show"
    END_SESSION = "porthole:sessions:delete"
    REVOKE_TOKEN = "porthole:tokens:delete"  # noqa: S105 - a rule's name
    SHARE_CONSOLE = "porthole:share"


def _rule(action: Action, check: str, description: str, *operations: str) -> DocumentedRuleDefault:
    """:param operations: each a method and a path"""
    return DocumentedRuleDefault(
        str(action), check, description, [{"method": o.split()[0], "path": o.split()[1]} for o in operations]
    )


RULES: tuple[RuleDefault, ...] = (
    RuleDefault("context_is_admin", "role:admin", "Who is an administrator: what the check is_admin:True asks."),
    RuleDefault(
        "project_member_api",
        "role:member and project_id:%(project_id)s",
        "A member of the project that owns it. Administrators are members, and members are readers.",
    ),
    RuleDefault(
        "project_reader_api", "role:reader and project_id:%(project_id)s", "A reader of the project that owns it."
    ),
    RuleDefault("project_member_or_admin", "rule:project_member_api or rule:context_is_admin", "Either of the two."),
    RuleDefault("project_reader_or_admin", "rule:project_reader_api or rule:context_is_admin", "Either of the two."),
    RuleDefault(
        "session_owner",
        "rule:project_reader_api and user_id:%(user_id)s",
        "The user who opened the session, or whom the token was given to.",
    ),
    RuleDefault("session_owner_or_admin", "rule:session_owner or rule:context_is_admin", "Either of the two."),
    _rule(
        Action.LIST_INSTANCES,
        PROJECT_READER_OR_ADMIN,
        "List instances. Those are shown which os_compute_api:servers:show lets one see.",
        "GET /v1/instances",
        "GET /v2.1/servers",
    ),
    _rule(
        Action.LIST_INSTANCE_DETAILS,
        PROJECT_READER_OR_ADMIN,
        "List instances with details. Those are shown which os_compute_api:servers:show lets one see.",
        "GET /v2.1/servers/detail",
    ),
    _rule(
        Action.LIST_ALL_INSTANCES,
        ADMIN,
        "List the instances of all projects. Those are shown which os_compute_api:servers:show lets one see.",
        "GET /v1/instances",
        "GET /v2.1/servers",
    ),
    _rule(
        Action.LIST_ALL_INSTANCE_DETAILS,
        ADMIN,
        "List the instances of all projects with details. Those are shown which os_compute_api:servers:show lets one "
        "see.",
        "GET /v2.1/servers/detail",
    ),
    _rule(
        Action.USE_ALL_FILTERS,
        ADMIN,
        "Use every filter of a list. Without it those count that Nova has for everybody, and others are passed over.",
        "GET /v2.1/servers",
        "GET /v2.1/servers/detail",
    ),
    _rule(
        Action.SHOW_INSTANCE,
        PROJECT_READER_OR_ADMIN,
        "See an instance. For somebody who may not it does not exist.",
        "GET /v1/instances",
        "GET /v2.1/servers/{server_id}",
    ),
    _rule(
        Action.SHOW_HOST,
        ADMIN,
        "See on which compute an instance is, and its name there.",
        "GET /v2.1/servers/{server_id}",
        "GET /v2.1/servers/detail",
    ),
    _rule(
        Action.CREATE_CONSOLE,
        PROJECT_MEMBER_OR_ADMIN,
        "Get the URL of an instance's console. Asked again whenever the URL is opened, and while a session lasts.",
        "POST /v1/consoles",
        "POST /v2.1/servers/{server_id}/remote-consoles",
        "POST /v2.1/servers/{server_id}/action",
    ),
    _rule(
        Action.LOOK_UP_TOKEN,
        ADMIN,
        "Show what a console's token stands for.",
        "GET /v2.1/os-console-auth-tokens/{console_token}",
    ),
    _rule(
        Action.LIST_SESSIONS,
        PROJECT_READER_OR_ADMIN,
        "List sessions and share links. Those are shown which porthole:sessions:show lets one see.",
        "GET /v1/sessions",
        "GET /v1/shares",
    ),
    _rule(
        Action.LIST_ALL_SESSIONS,
        ADMIN,
        "List the sessions and share links of all projects. Those are shown which porthole:sessions:show lets one see.",
        "GET /v1/sessions",
        "GET /v1/shares",
    ),
    _rule(
        Action.SHOW_SESSION,
        SESSION_OWNER_OR_ADMIN,
        "See a session or a share link. For somebody who may not it does not exist.",
        "GET /v1/sessions",
        "GET /v1/shares",
        "GET /v1/sessions/{session_id}",
    ),
    _rule(Action.END_SESSION, SESSION_OWNER_OR_ADMIN, "End a session.", "DELETE /v1/sessions/{session_id}"),
    _rule(
        Action.REVOKE_TOKEN,
        SESSION_OWNER_OR_ADMIN,
        "Revoke a console's URL and end its sessions.",
        "DELETE /v1/tokens/{token_id}",
    ),
    _rule(
        Action.SHARE_CONSOLE,
        PROJECT_MEMBER_OR_ADMIN,
        "Make a link with which anybody can watch an instance's console. It takes os_compute_api:os-remote-consoles "
        "too. Asked again whenever the link is opened, and while a session of it lasts.",
        "POST /v1/shares",
    ),
)
"""Every rule that can be asked for, and the rules that these are made of."""


def sample() -> str:
    """A policy file with all rules and their defaults, commented, in the form of oslopolicy-sample-generator."""
    lines = [
        "# Rules that count instead of the defaults ([oslo_policy] policy_file).",
        "# A commented rule shows its default.",
        "",
    ]
    for rule in RULES:
        lines += textwrap.wrap(rule.description or "", 100, initial_indent="# ", subsequent_indent="# ")
        lines += [f"# {operation['method']}  {operation['path']}" for operation in getattr(rule, "operations", [])]
        lines += [f'#"{rule.name}": "{rule.check_str}"', ""]
    return "\n".join(lines).rstrip() + "\n"
