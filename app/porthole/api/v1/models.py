"""Bodies of ``/v1``. What comes in is taken strictly: no unknown keys, no conversion of types."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

Mode = Literal["full", "view"]
StateName = Literal["running", "paused", "shutdown", "crashed", "suspended", "nostate"]

_MAX_SHOWN = 5


class _Input(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class Credentials(_Input):
    """A user name and password; where Keystone knows the users, a project and domains too, by their names."""

    username: Annotated[str, Field(min_length=1, max_length=255, examples=["alice"])]
    password: Annotated[str, Field(min_length=1, max_length=1024, examples=["correct horse"])]
    project: Annotated[
        str | None, Field(max_length=64, description="The project to act for; the user's default project without it.")
    ] = None
    user_domain: Annotated[
        str | None, Field(max_length=64, description="The user's domain; Keystone's default domain without it.")
    ] = None
    project_domain: Annotated[
        str | None, Field(max_length=64, description="The project's domain; the user's without it.")
    ] = None


class ConsoleRequest(_Input):
    """Which instance's console is wanted."""

    instance: Annotated[str, Field(min_length=1, max_length=255, description="Id or name.", examples=["web-1"])]
    mode: Annotated[
        Mode, Field(description="What the console is for; with view, keyboard, mouse and clipboard do nothing.")
    ] = "full"


class ConsoleCheck(_Input):
    """A token to check."""

    token: Annotated[str, Field(max_length=4096, description="From the console's URL.")]
    resume: Annotated[
        str | None,
        Field(
            pattern=r"^[A-Za-z0-9_-]{43}$",
            description="The secret that the browser offers as subprotocol porthole.resume.SECRET.",
        ),
    ] = None


class ShareRequest(_Input):
    """What is to be shared, for how long, and with how many."""

    instance: Annotated[str, Field(min_length=1, max_length=255, description="Id or name.", examples=["web-1"])]
    expires_in: Annotated[
        int | None,
        Field(ge=1, description="Seconds; [consoleauth] share_ttl without it, share_ttl_max at most.", examples=[900]),
    ] = None
    uses: Annotated[
        int, Field(ge=1, le=100, description="Sessions that it opens; a page that is loaded again is no further one.")
    ] = 1


class Sharing(BaseModel):
    """What share links can be like."""

    expires_in: Annotated[int, Field(description="Seconds for which one works that says nothing of it.")]
    longest: Annotated[int, Field(description="The most seconds that one can work.")]


class Person(BaseModel):
    """Who is signed in."""

    user_id: str
    user_name: Annotated[str, Field(description="What people call the user.")]
    project_id: str
    project_name: Annotated[str, Field(description="What people call the project.")]
    roles: list[Literal["admin", "member", "reader"]]
    sharing: Annotated[Sharing | None, Field(description="null when this person can make no share links.")]


class InstanceSummary(BaseModel):
    """An instance in the list.

    ``compute`` is the name of the compute host that has it.
    """

    id: str
    name: str
    state: StateName
    compute: str


class InstanceList(BaseModel):
    """All instances that the caller may see."""

    instances: list[InstanceSummary]
    unreachable_computes: Annotated[
        list[str] | int,
        Field(description="Compute hosts that do not answer now: their names for administrators, else how many."),
    ]


class InstanceName(BaseModel):
    """Which instance a console is of."""

    id: str
    name: str


class Console(BaseModel):
    """A console that can be opened."""

    url: Annotated[str, Field(description="Open it in a browser. It holds the token, so it is a secret.")]
    token_id: Annotated[str, Field(description="Names the token in logs; opens nothing.")]
    expires_at: Annotated[str, Field(description="Until when it can be opened (RFC 3339, UTC).")]
    instance: InstanceName


class InstanceState(BaseModel):
    """The instance that a token opens."""

    id: str
    name: str
    state: StateName


class SessionEnd(BaseModel):
    """The session that this browser has, or would go on with."""

    id: str
    expires_at: Annotated[str | None, Field(description="When it ends (RFC 3339, UTC); null when it lasts.")]
    seconds_left: Annotated[int | None, Field(description="The same as seconds from now.")]
    renewable: Annotated[bool, Field(description="Whether POST /v1/sessions/ID/renew makes it last longer.")]


class CheckedConsole(BaseModel):
    """A token that would open its console now."""

    instance: InstanceState
    expires_at: str
    mode: str
    shared: Annotated[bool, Field(description="Whether it is a share link's.")]
    session: Annotated[SessionEnd | None, Field(description="null when the token would open a session.")]


class SessionSummary(BaseModel):
    """A session that is open, or waits for its browser to come back."""

    id: str
    token_id: str
    instance_id: str
    user_id: str
    project_id: str
    mode: str
    shared: Annotated[
        bool,
        Field(
            description="Whether it came from a share link; the user is then whoever made that, and not who watches."
        ),
    ]
    client: Annotated[str, Field(description="The browser's address.")]
    connected: Annotated[bool, Field(description="Whether the browser is connected now.")]
    started_at: str
    expires_at: str | None
    bytes_to_browser: Annotated[int, Field(description="As of some seconds ago.")]
    bytes_to_instance: int


class SessionList(BaseModel):
    """Sessions, the oldest first."""

    sessions: list[SessionSummary]


class Share(BaseModel):
    """A share link."""

    url: Annotated[str, Field(description="Whoever has it can watch. It holds the token, and is shown only here.")]
    token_id: Annotated[str, Field(description="Names it in logs and for DELETE /v1/tokens/ID; opens nothing.")]
    expires_at: Annotated[str, Field(description="When it, and every session of it, ends (RFC 3339, UTC).")]
    uses: Annotated[int, Field(description="How many sessions it opens.")]
    instance: InstanceName


class ShareSummary(BaseModel):
    """A share link that works, without the link itself."""

    token_id: str
    instance_id: str
    user_id: Annotated[str, Field(description="Who made it.")]
    project_id: str
    expires_at: str
    uses: int
    used: Annotated[int, Field(description="How many sessions it has opened.")]


class ShareList(BaseModel):
    """Share links, the first to expire first."""

    shares: list[ShareSummary]


INPUTS: dict[str, type[BaseModel]] = {
    model.__name__: model for model in (Credentials, ConsoleRequest, ConsoleCheck, ShareRequest)
}


def describe(error: ValidationError) -> str:
    """What is wrong with a body, and what would be right. Values are not repeated: one may be a password."""
    known = list(INPUTS[error.title].model_fields) if error.title in INPUTS else []
    sentences = []
    for entry in error.errors(include_url=False, include_context=True, include_input=False)[:_MAX_SHOWN]:
        key = ".".join(str(part) for part in entry["loc"])[:80]
        if not key:
            sentences.append(f"The body has to be a JSON object with {_keys(known)}.")
        elif entry["type"] == "extra_forbidden":
            sentences.append(f'There is no key "{key}" here; this call takes {_keys(known)}.')
        elif entry["type"] == "missing":
            sentences.append(f'The key "{key}" is missing.')
        else:
            sentences.append(f'The key "{key}" is not right: {entry["msg"][0].lower()}{entry["msg"][1:]}.')
    return " ".join(sentences)


def _keys(names: list[str]) -> str:
    *first, last = (f'"{name}"' for name in names)
    return f"{', '.join(first)} and {last}" if first else last
