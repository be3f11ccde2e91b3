"""Signing in and out of the browser."""

from __future__ import annotations

from typing import Any

from apiflask import APIBlueprint
from flask import Response, g, make_response, request

from porthole.api.authenticate import COOKIE, Authentication
from porthole.api.errors import RequestError
from porthole.api.recording import address
from porthole.api.services import Services
from porthole.api.spec import problems
from porthole.api.v1.models import Credentials, Person
from porthole.api.v1.shares import sharing
from porthole.audit import Event, Who
from porthole.auth.authenticator import Login
from porthole.auth.principal import Principal
from porthole.config import AuthStrategy

_NO_PROJECTS = (
    "Users of this service have one project, so none can be chosen: leave project, user_domain and project_domain out."
)


def add_routes(v1: APIBlueprint, services: Services, authentication: Authentication) -> None:
    """Add ``/v1/session``."""

    @v1.post("/session")
    @v1.input(Credentials, arg_name="credentials")
    @v1.output(Person, status_code=201, description="Signed in; the answer sets the cookie porthole_session.")
    @v1.doc(
        operation_id="signIn",
        responses=problems(400, 401, 403, 413, 415, 429, 503),
        extensions={"x-porthole-operation": {"security": []}},
    )
    def sign_in(credentials: Credentials) -> Any:
        """Sign in

        A project, and domains, are for services that ask Keystone; a user without a default project has to name one.
        """
        # Else another site's page could sign a visitor in as somebody else.
        authentication.refuse_other_sites()
        proved = authentication.sign_in(_login(services, credentials))
        response = make_response(person(services, proved.principal).model_dump(mode="json"), 201)
        response.set_cookie(
            COOKIE,
            services.sign_ins.issue(proved.principal, proved.stamp, proved.expires),
            max_age=services.sign_ins.lifetime,
            path="/",
            secure=services.secure_cookies or request.is_secure,
            httponly=True,
            samesite="Strict",
        )
        return response

    @v1.get("/session")
    @v1.output(Person, description="Who the caller is.")
    @v1.doc(operation_id="showSession", responses=problems(401, 429, 503))
    def show_session() -> Person:
        """Who is signed in"""
        return person(services, g.principal)

    @v1.delete("/session")
    @v1.doc(
        operation_id="signOut",
        responses={
            204: {"description": "Signed out; no copy of the cookie works any more."},
            **problems(403, 429, 503),
        },
        extensions={"x-porthole-operation": {"security": [{"session": []}, {}]}},
    )
    def sign_out() -> Response:
        """Sign out"""
        cookie = request.cookies.get(COOKIE)
        if cookie:
            authentication.require_own_page()
            if ended := services.sign_ins.end(cookie):
                services.authenticator.sign_out(ended)
                services.audit.happened(Event.SIGN_OUT, who=Who(ended.user_id), client=address())
        response = make_response("", 204)
        response.delete_cookie(
            COOKIE,
            path="/",
            secure=services.secure_cookies or request.is_secure,
            httponly=True,
            samesite="Strict",
        )
        return response


def _login(services: Services, credentials: Credentials) -> Login:
    """:raises RequestError: a project was named where there is none to choose"""
    domain, project = credentials.user_domain or "", credentials.project or ""
    login = Login(credentials.username, credentials.password, domain, project, credentials.project_domain or "")
    if services.authenticator.strategy is not AuthStrategy.KEYSTONE and (
        login.user_domain or login.project or login.project_domain
    ):
        raise RequestError(400, _NO_PROJECTS)
    return login


def person(services: Services, principal: Principal) -> Person:
    """A principal as it is shown to itself."""
    return Person(
        user_id=principal.user_id,
        user_name=principal.user_name or principal.user_id,
        project_id=principal.project_id,
        project_name=principal.project_name or principal.project_id,
        roles=sorted(role.value for role in principal.roles),
        sharing=sharing(services, principal),
    )
