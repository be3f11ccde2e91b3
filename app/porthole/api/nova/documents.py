"""What the OpenAPI document says of Nova's calls. The schemas of the bodies are those they are checked with."""

from __future__ import annotations

from typing import Any

from porthole.api.nova import schemas
from porthole.api.spec import nova_faults

Document = dict[str, Any]

_TEXT = {"type": "string"}
_NULLABLE_TEXT = {"type": ["string", "null"]}
_LINKS = {
    "type": "array",
    "items": {"type": "object", "properties": {"rel": _TEXT, "href": _TEXT}, "required": ["rel", "href"]},
}
_BASIC = {"id": {"type": "string", "format": "uuid"}, "name": _TEXT, "links": _LINKS}
_SERVER = {
    "type": "object",
    "properties": {
        **_BASIC,
        "status": _TEXT,
        "tenant_id": _TEXT,
        "user_id": _TEXT,
        "created": {"type": "string", "format": "date-time"},
        "updated": {"type": "string", "format": "date-time"},
        "flavor": {"type": "object"},
        "image": {"type": ["object", "string"]},
        "OS-EXT-STS:vm_state": _NULLABLE_TEXT,
        "OS-EXT-STS:task_state": _NULLABLE_TEXT,
        "OS-EXT-STS:power_state": {"type": "integer", "enum": [0, 1, 3, 4, 6, 7]},
        "OS-EXT-SRV-ATTR:host": _TEXT,
        "OS-EXT-SRV-ATTR:hypervisor_hostname": _TEXT,
        "OS-EXT-SRV-ATTR:instance_name": _TEXT,
    },
    "required": ["id", "name", "links", "status", "OS-EXT-STS:vm_state", "OS-EXT-STS:power_state"],
}


def _answer(name: str, schema: Document, description: str) -> Document:
    body = {"type": "object", "properties": {name: schema}, "required": [name]}
    return {"description": description, "content": {"application/json": {"schema": body}}}


def _query(name: str, description: str, schema: Document | None = None) -> Document:
    return {"name": name, "in": "query", "description": description, "schema": schema or _TEXT}


def _body(schema: Document) -> Document:
    return {"required": True, "content": {"application/json": {"schema": schema}}}


def _described(operation_id: str, answer: Document, *statuses: int, extra: Document | None = None) -> Document:
    """Arguments of APIFlask's ``doc``; what it has no argument for goes through ``extensions``."""
    return {
        "operation_id": operation_id,
        "responses": {200: answer, **nova_faults(*statuses)},
        "extensions": {"x-porthole-operation": extra or {}},
    }


_FILTERS = {
    "parameters": [
        _query("limit", "At most this many, 1000 without it.", {"type": "integer", "minimum": 0, "maximum": 999999999}),
        _query("marker", "The id of the last instance of the page before.", {"type": "string", "format": "uuid"}),
        _query("name", "Part of the name; ^ and $ stand for its start and end."),
        _query("status", "Nova's status, for example ACTIVE; may be repeated."),
        _query("host", "Name of the compute; for administrators."),
        _query("all_tenants", "True for the instances of all projects, for administrators; false for one's own alone."),
        _query("sort_key", "A field to sort by, for example display_name; may be repeated."),
        _query("sort_dir", "The direction for each of them.", {"type": "string", "enum": ["asc", "desc"]}),
    ]
}
_FLAVOR_FILTERS = {
    "parameters": [
        *_FILTERS["parameters"][:1],
        _query("marker", "The id of the last flavor of the page before."),
        _query("minRam", "MiB at least.", {"type": "integer"}),
        _query("minDisk", "GiB of the root disk at least.", {"type": "integer"}),
        _query("name", "The name (2.102 and later)."),
    ]
}
_BASIC_FLAVOR = {
    "type": "object",
    "properties": {"id": _TEXT, "name": _TEXT, "links": _LINKS},
    "required": ["id", "name", "links"],
}
_FLAVOR = {
    "type": "object",
    "properties": {
        "id": _TEXT,
        "name": _TEXT,
        "links": _LINKS,
        **{name: {"type": "integer"} for name in ("vcpus", "ram", "disk", "OS-FLV-EXT-DATA:ephemeral")},
        "swap": {"type": ["integer", "string"]},
    },
    "required": ["id", "name", "links", "vcpus", "ram", "disk", "swap", "OS-FLV-EXT-DATA:ephemeral"],
}
_BASIC_SERVER = {"type": "object", "properties": _BASIC, "required": list(_BASIC)}
_CONSOLE_FIELDS = {"type": _TEXT, "url": {"type": "string", "format": "uri"}}

VERSION = _described(
    "showVersion",
    _answer("version", {"type": "object"}, "The version and its microversions."),
    400,
    406,
    extra={"security": []},
)
LIST = _described(
    "listServers",
    _answer("servers", {"type": "array", "items": _BASIC_SERVER}, "A page of instances."),
    *(400, 401, 403, 406, 503),
    extra=_FILTERS,
)
LIST_DETAIL = _described(
    "listServersDetail",
    _answer("servers", {"type": "array", "items": _SERVER}, "A page of instances."),
    *(400, 401, 403, 406, 503),
    extra=_FILTERS,
)
SHOW = _described("showServer", _answer("server", _SERVER, "The instance."), 400, 401, 403, 404, 406, 503)
ACTION = _described(
    "serverAction",
    _answer(
        "console",
        {"type": "object", "properties": _CONSOLE_FIELDS, "required": ["type", "url"]},
        "The console's type and URL.",
    ),
    *(400, 401, 403, 404, 406, 409, 413, 415, 503),
    extra={"requestBody": _body({"oneOf": list(schemas.ACTIONS.values())})},
)
CREATE_CONSOLE = _described(
    "createRemoteConsole",
    _answer(
        "remote_console",
        {
            "type": "object",
            "properties": {"protocol": _TEXT, **_CONSOLE_FIELDS},
            "required": ["protocol", "type", "url"],
        },
        "The console's protocol, type and URL.",
    ),
    *(400, 401, 403, 404, 406, 409, 413, 415, 503),
    extra={"requestBody": _body(schemas.CREATE_V299)},
)
LIST_FLAVORS = _described(
    "listFlavors",
    _answer("flavors", {"type": "array", "items": _BASIC_FLAVOR}, "A page of flavors."),
    *(400, 401, 403, 406, 503),
    extra=_FLAVOR_FILTERS,
)
LIST_FLAVORS_DETAIL = _described(
    "listFlavorsDetail",
    _answer("flavors", {"type": "array", "items": _FLAVOR}, "A page of flavors."),
    *(400, 401, 403, 406, 503),
    extra=_FLAVOR_FILTERS,
)
SHOW_FLAVOR = _described("showFlavor", _answer("flavor", _FLAVOR, "The flavor."), 400, 401, 403, 404, 406, 503)
SHOW_TOKEN = _described(
    "showConsoleAuthToken",
    _answer(
        "console",
        {
            "type": "object",
            "properties": {
                "instance_uuid": {"type": "string", "format": "uuid"},
                "host": _TEXT,
                "port": {"type": "integer", "minimum": 1, "maximum": 65535},
                "internal_access_path": _NULLABLE_TEXT,
            },
            "required": ["instance_uuid", "host", "port", "internal_access_path"],
        },
        "The instance, and where its VNC server is at this moment.",
    ),
    *(400, 401, 403, 404, 406, 503),
)
