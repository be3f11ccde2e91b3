"""What a principal may do, by Nova's rule names and with Nova's defaults.

The defaults are those of nova/policies/servers.py, remote_consoles.py and
console_auth_tokens.py: readers list and show, members open consoles,
administrators look up tokens and see where an instance runs.
"""

from __future__ import annotations

from enum import StrEnum

from porthole.auth.errors import Forbidden
from porthole.auth.principal import Principal, Role
from porthole.compute.model import Instance

__all__ = ["Action", "Forbidden", "enforce", "may"]


class Action(StrEnum):
    """What can be asked for; the value is Nova's name of the rule."""

    LIST_INSTANCES = "os_compute_api:servers:index"
    LIST_INSTANCE_DETAILS = "os_compute_api:servers:detail"
    SHOW_INSTANCE = "os_compute_api:servers:show"
    SHOW_HOST = "os_compute_api:os-extended-server-attributes"
    CREATE_CONSOLE = "os_compute_api:os-remote-consoles"
    LOOK_UP_TOKEN = "os_compute_api:os-console-auth-tokens"  # noqa: S105 - a rule's name
    LIST_ALL_INSTANCES = "os_compute_api:servers:index:get_all_tenants"
    LIST_ALL_INSTANCE_DETAILS = "os_compute_api:servers:detail:get_all_tenants"
    LIST_SESSIONS = "porthole:sessions:list"
    SHOW_SESSION = "porthole:sessions:show"
    END_SESSION = "porthole:sessions:delete"
    REVOKE_TOKEN = "porthole:tokens:delete"  # noqa: S105 - a rule's name
    SHARE_CONSOLE = "porthole:share"


_READERS = frozenset({Role.READER, Role.MEMBER, Role.ADMIN})
_MEMBERS = frozenset({Role.MEMBER, Role.ADMIN})
_ADMINS = frozenset({Role.ADMIN})

_ALLOWED: dict[Action, frozenset[Role]] = {
    Action.LIST_INSTANCES: _READERS,
    Action.LIST_INSTANCE_DETAILS: _READERS,
    Action.SHOW_INSTANCE: _READERS,
    Action.SHOW_HOST: _ADMINS,
    Action.CREATE_CONSOLE: _MEMBERS,
    Action.LOOK_UP_TOKEN: _ADMINS,
    Action.LIST_ALL_INSTANCES: _ADMINS,
    Action.LIST_ALL_INSTANCE_DETAILS: _ADMINS,
    Action.LIST_SESSIONS: _READERS,
    Action.SHOW_SESSION: _READERS,
    Action.END_SESSION: _READERS,
    Action.REVOKE_TOKEN: _READERS,
    Action.SHARE_CONSOLE: _MEMBERS,
}


def may(principal: Principal, action: Action, instance: Instance | None = None) -> bool:
    """Whether the principal may do this.

    :param instance: the instance it is about; None asks whether it may do so at all.
        With the htpasswd file everybody acts for the same project, so it changes nothing yet.
    """
    return bool(principal.roles & _ALLOWED[action])


def enforce(principal: Principal, action: Action, instance: Instance | None = None) -> None:
    """Raise unless the principal may do this.

    :raises Forbidden: it may not
    """
    if not may(principal, action, instance):
        needed = [str(role) for role in Role if role in _ALLOWED[action]]
        raise Forbidden(action, f"It needs the role {' or '.join(needed)}; an administrator can give it.")
