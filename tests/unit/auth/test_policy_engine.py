"""Who may do what, by Nova's rule names and defaults, and by rules of one's own."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import gevent
import pytest
from gevent.event import Event
from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs

from porthole.auth import policy_engine
from porthole.auth.errors import Forbidden
from porthole.auth.policy_checks import RuleError, checked
from porthole.auth.policy_engine import Policy
from porthole.auth.policy_file import PolicyFile, PolicyFileError
from porthole.auth.policy_rules import Action
from porthole.auth.principal import Principal, Role
from porthole.compute import Instance, PowerState

READERS = {Role.READER, Role.MEMBER, Role.ADMIN}
MEMBERS = {Role.MEMBER, Role.ADMIN}
ADMINS = {Role.ADMIN}

# Who may do it with what is its own, and who with what is another project's.
DEFAULTS = {
    Action.LIST_INSTANCES: (READERS, ADMINS),
    Action.LIST_INSTANCE_DETAILS: (READERS, ADMINS),
    Action.LIST_ALL_INSTANCES: (ADMINS, ADMINS),
    Action.LIST_ALL_INSTANCE_DETAILS: (ADMINS, ADMINS),
    Action.USE_ALL_FILTERS: (ADMINS, ADMINS),
    Action.SHOW_INSTANCE: (READERS, ADMINS),
    Action.SHOW_HOST: (ADMINS, ADMINS),
    Action.CREATE_CONSOLE: (MEMBERS, ADMINS),
    Action.LOOK_UP_TOKEN: (ADMINS, ADMINS),
    Action.LIST_SESSIONS: (READERS, ADMINS),
    Action.LIST_ALL_SESSIONS: (ADMINS, ADMINS),
    Action.SHOW_SESSION: (READERS, ADMINS),
    Action.END_SESSION: (READERS, ADMINS),
    Action.REVOKE_TOKEN: (READERS, ADMINS),
    Action.SHARE_CONSOLE: (MEMBERS, ADMINS),
}
OF_A_USER = {Action.SHOW_SESSION, Action.END_SESSION, Action.REVOKE_TOKEN}
"""What it takes more for than to be of the project."""


@dataclass(frozen=True)
class Thing:
    """An instance, a session or a token: what counts is whose it is."""

    project_id: str
    user_id: str


def somebody(*roles: Role, project: str = "web", user: str = "alice") -> Principal:
    return Principal(user, project, frozenset(roles))


def instance(project: str, user: str = "") -> Instance:
    return Instance("7b1b4f4e-2a57-4d5b-9c39-0d9a1f3f8a10", "a", "c1", PowerState.RUNNING, "a", project, user)


OWN = Thing("web", "alice")
COLLEAGUES = Thing("web", "bob")
OTHERS = Thing("db", "carol")
NOBODYS = Thing("", "")


class TestDefaults:
    policy = Policy()

    def test_every_action_is_asked_for_here(self) -> None:
        assert set(DEFAULTS) == set(Action)

    @pytest.mark.parametrize("role", list(Role))
    @pytest.mark.parametrize("action", list(Action))
    def test_what_a_role_may(self, action: Action, role: Role) -> None:
        own, others = DEFAULTS[action]
        principal = somebody(role)

        assert self.policy.may(principal, action, OWN) is (role in own)
        assert self.policy.may(principal, action, OTHERS) is (role in others)
        assert self.policy.may(principal, action, NOBODYS) is (role in others)
        assert self.policy.may(principal, action, COLLEAGUES) is (role in (others if action in OF_A_USER else own))
        # Without a thing: with one's own, as in Nova.
        assert self.policy.may(principal, action) is (role in own)

    @pytest.mark.parametrize("action", list(Action))
    def test_without_a_role_nothing_is_allowed(self, action: Action) -> None:
        assert not any(self.policy.may(somebody(), action, thing) for thing in (None, OWN, OTHERS, NOBODYS))

    def test_several_roles_add_up(self) -> None:
        assert self.policy.may(somebody(Role.READER, Role.ADMIN), Action.LOOK_UP_TOKEN)

    def test_an_administrator_sees_what_is_nobodys_and_everybody_elses(self) -> None:
        things = [instance("db"), instance(""), instance("web")]

        assert self.policy.visible(somebody(Role.ADMIN), things) == things

    def test_the_project_decides_and_not_the_user_in_it(self) -> None:
        member = somebody(Role.MEMBER)

        assert self.policy.may(member, Action.CREATE_CONSOLE, instance("web", "bob"))
        assert not self.policy.may(member, Action.CREATE_CONSOLE, instance("db", "alice"))

    @pytest.mark.parametrize("project", ["WEB", "web ", "we", "webb", "%(project_id)s", "*", "None", "wеb"])  # noqa: RUF001 - a Cyrillic letter
    def test_a_project_that_is_like_ones_own_is_another(self, project: str) -> None:
        assert not self.policy.may(somebody(Role.MEMBER), Action.SHOW_INSTANCE, instance(project))

    @pytest.mark.parametrize("project", ["%", "%s", "%(x)s", "%(project_id)s", "'", "(", "🦊", "x" * 10_000])
    def test_a_project_is_a_text_and_no_rule(self, project: str) -> None:
        assert self.policy.may(somebody(Role.MEMBER, project=project), Action.SHOW_INSTANCE, instance(project))
        assert not self.policy.may(somebody(Role.MEMBER), Action.SHOW_INSTANCE, instance(project))

    def test_who_acts_for_no_project_owns_nothing_of_nobodys(self) -> None:
        nobody = somebody(Role.MEMBER, project="", user="")

        assert not any(self.policy.may(nobody, action, NOBODYS) for action in Action)
        assert not any(self.policy.may(nobody, action) for action in Action)


class TestRefusal:
    policy = Policy()

    def refusal(self, principal: Principal, action: Action, thing: Thing | None = None) -> str:
        with pytest.raises(Forbidden) as refused:
            self.policy.enforce(principal, action, thing)
        return str(refused.value)

    def test_it_has_novas_words_and_says_which_role_it_takes(self) -> None:
        assert self.refusal(somebody(Role.READER), Action.CREATE_CONSOLE) == (
            "Policy doesn't allow os_compute_api:os-remote-consoles to be performed. "
            "It needs the role admin or member; an administrator can give it."
        )

    def test_for_another_project_it_takes_an_administrator(self) -> None:
        assert self.refusal(somebody(Role.MEMBER), Action.CREATE_CONSOLE, OTHERS).endswith(
            "It needs the role admin; an administrator can give it."
        )

    def test_what_is_allowed_is_not_refused(self) -> None:
        self.policy.enforce(somebody(Role.MEMBER), Action.CREATE_CONSOLE, OWN)

    def test_where_no_role_is_enough_it_says_that(self, tmp_path: Path) -> None:
        file = tmp_path / "policy.yaml"
        file.write_text('"os_compute_api:os-remote-consoles": "!"')

        with pytest.raises(Forbidden, match="No role would be enough by this service's rules"):
            Policy(file).enforce(somebody(Role.ADMIN), Action.CREATE_CONSOLE, OWN)


class TestVisible:
    policy = Policy()

    def test_instances_are_those_of_the_project_in_their_order(self) -> None:
        things = [instance("web", "z"), instance("db"), instance(""), instance("web", "a")]

        assert self.policy.visible(somebody(Role.READER), things) == [things[0], things[3]]
        assert self.policy.visible(somebody(), things) == []

    def test_sessions_are_those_of_the_user(self) -> None:
        things = [OWN, COLLEAGUES, OTHERS, NOBODYS]

        assert self.policy.visible(somebody(Role.READER), things, Action.SHOW_SESSION) == [OWN]
        assert self.policy.visible(somebody(Role.ADMIN), things, Action.SHOW_SESSION) == things

    def test_a_long_list_leaves_others_their_turn(self) -> None:
        turns: list[int] = []

        def others() -> None:
            while True:
                turns.append(1)
                gevent.sleep(0)

        greenlet = gevent.spawn(others)
        gevent.sleep(0)
        before = len(turns)
        shown = self.policy.visible(somebody(Role.MEMBER), [instance(f"p{n}") for n in range(500)] + [instance("web")])
        greenlet.kill()

        assert shown == [instance("web")]
        assert len(turns) - before >= 500 // policy_engine.DECISIONS_AT_ONCE - 1


# --- rules of one's own


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "policy.yaml"


CONSOLES = "os_compute_api:os-remote-consoles"


class TestOwnRules:
    def policy(self, file: Path, text: str) -> Policy:
        file.write_text(text)
        return Policy(file)

    def test_they_count_instead_of_the_defaults_and_the_rest_stays(self, file: Path) -> None:
        policy = self.policy(file, f'"{CONSOLES}": "rule:context_is_admin"')

        assert not policy.may(somebody(Role.MEMBER), Action.CREATE_CONSOLE, OWN)
        assert policy.may(somebody(Role.ADMIN), Action.CREATE_CONSOLE, OTHERS)
        assert policy.may(somebody(Role.MEMBER), Action.SHOW_INSTANCE, OWN)

    def test_a_console_for_its_user_alone(self, file: Path) -> None:
        policy = self.policy(file, f'"{CONSOLES}": "rule:project_member_api and user_id:%(user_id)s"')
        alice = somebody(Role.MEMBER)

        assert policy.may(alice, Action.CREATE_CONSOLE, OWN)
        # Asked after the one above: another user of the project is another question.
        assert not policy.may(alice, Action.CREATE_CONSOLE, COLLEAGUES)
        assert not policy.may(alice, Action.CREATE_CONSOLE, Thing("web", ""))

    def test_a_base_rule_changes_all_that_are_made_of_it(self, file: Path) -> None:
        policy = self.policy(file, '"project_member_api": "role:reader and project_id:%(project_id)s"')

        assert policy.may(somebody(Role.READER), Action.CREATE_CONSOLE, OWN)
        assert not policy.may(somebody(Role.READER), Action.CREATE_CONSOLE, OTHERS)

    def test_a_rule_of_ones_own_has_a_name(self, file: Path) -> None:
        policy = self.policy(file, f'"operators": "user_id:bob or user_id:carol"\n"{CONSOLES}": "rule:operators"')

        assert policy.may(somebody(Role.READER, user="bob"), Action.CREATE_CONSOLE, OTHERS)
        assert not policy.may(somebody(Role.MEMBER, user="alice"), Action.CREATE_CONSOLE, OWN)

    def test_who_is_an_administrator_is_a_rule_too(self, file: Path) -> None:
        policy = self.policy(
            file, '"context_is_admin": "role:admin and user_id:root"\n"porthole:sessions:list": "is_admin:True"'
        )

        assert policy.may(somebody(Role.ADMIN, user="root"), Action.LIST_SESSIONS, OTHERS)
        assert not policy.may(somebody(Role.ADMIN, user="alice"), Action.LIST_SESSIONS, OTHERS)
        assert not policy.may(somebody(Role.ADMIN, user="alice"), Action.SHOW_INSTANCE, OTHERS)

    def test_nobody_and_everybody(self, file: Path) -> None:
        policy = self.policy(file, f'"{CONSOLES}": "!"\n"os_compute_api:servers:show": "@"')

        assert not policy.may(somebody(Role.ADMIN), Action.CREATE_CONSOLE, OWN)
        assert policy.may(somebody(), Action.SHOW_INSTANCE, NOBODYS)

    @pytest.mark.parametrize("text", ["", "# nothing\n", "{}", "---\n"])
    def test_a_file_without_rules_leaves_the_defaults(self, file: Path, text: str) -> None:
        policy = self.policy(file, text)

        assert policy.may(somebody(Role.MEMBER), Action.CREATE_CONSOLE, OWN)
        assert not policy.may(somebody(Role.MEMBER), Action.CREATE_CONSOLE, OTHERS)

    def test_a_file_that_is_not_there_leaves_the_defaults(self, file: Path) -> None:
        assert Policy(file).may(somebody(Role.MEMBER), Action.CREATE_CONSOLE, OWN)

    def test_a_broken_file_is_no_start(self, file: Path) -> None:
        with pytest.raises(PolicyFileError, match=r"policy\.yaml: rule .* has 'role:memer', and nobody can have"):
            self.policy(file, f'"{CONSOLES}": "role:memer"')


WORDS = [
    *("and", "or", "not", "(", ")", "((", "))", "@", "!", "", "role:admin", "role:x", "is_admin:True", "is_admin:x"),
    *("rule:context_is_admin", "rule:mine", "project_id:%(project_id)s", "not(", "user_id:%(user_id)s", "'a':%(x)s"),
    *("'a'", "a:%", "user_id:a%", "http:x", "1:1", "user_id:", ":", "%(project_id)s:x", "'a':%(user_id)s)"),
]


@given(st.lists(st.sampled_from(WORDS), max_size=8).map(" ".join))
def test_a_rule_is_either_refused_or_answers(rule: str) -> None:
    """Whatever is written: what was taken at the start never fails at a request."""
    policy = Policy()
    try:
        policy._take(checked({CONSOLES: rule}))
    except RuleError:
        return
    for thing in (None, OWN, OTHERS, NOBODYS):
        assert policy.may(somebody(Role.MEMBER), Action.CREATE_CONSOLE, thing) in (True, False)


# --- the file changes


@pytest.fixture
def _looks_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(policy_engine, "LOOK_AGAIN", 0.02)


@pytest.fixture
def following(file: Path) -> Iterator[Callable[[str], Policy]]:
    """A policy that follows its file."""
    made: list[Policy] = []

    def start(text: str) -> Policy:
        file.write_text(text)
        made.append(Policy(file))
        made[-1].start()
        return made[-1]

    yield start
    for policy in made:
        policy.stop()


def consoles(policy: Policy) -> bool:
    """Whether a member may open consoles."""
    return policy.may(somebody(Role.MEMBER), Action.CREATE_CONSOLE, OWN)


def until(condition: Callable[[], bool]) -> None:
    with gevent.Timeout(20):
        while not condition():
            gevent.sleep(0.01)


NOBODY_MAY = f'"{CONSOLES}": "!"'


@pytest.mark.usefixtures("_looks_often")
class TestChanges:
    def test_a_change_counts_from_the_next_look(self, following: Callable[[str], Policy], file: Path) -> None:
        policy = following("")
        assert consoles(policy)

        file.write_text(NOBODY_MAY)
        until(lambda: not consoles(policy))
        # Within the same tick of the clock, and of the same size.
        file.write_text(NOBODY_MAY.replace("!", "@"))
        until(lambda: consoles(policy))

    def test_a_file_that_is_put_in_its_place_counts(self, following: Callable[[str], Policy], file: Path) -> None:
        policy = following("")
        new = file.with_name("new")
        new.write_text(NOBODY_MAY)
        new.replace(file)

        until(lambda: not consoles(policy))

    def test_a_file_that_appears_later_counts(self, file: Path) -> None:
        policy = Policy(file)
        policy.start()
        try:
            file.write_text(NOBODY_MAY)
            until(lambda: not consoles(policy))
        finally:
            policy.stop()

    @pytest.mark.parametrize("text", ["a: [", f'"{CONSOLES}": "role:nobody"', f'"{CONSOLES}":', "\0"])
    def test_a_broken_change_leaves_the_last_good_rules_and_is_told_once(
        self, following: Callable[[str], Policy], file: Path, text: str
    ) -> None:
        policy = following(NOBODY_MAY)
        with capture_logs() as logs:
            file.write_text(text)
            until(lambda: bool(logs))
            gevent.sleep(policy_engine.LOOK_AGAIN * 5)

            assert not consoles(policy)
        assert [entry["event"] for entry in logs] == ["policy file ignored"]
        assert str(file) in logs[0]["reason"]

        file.write_text("")
        until(lambda: consoles(policy))

    def test_a_file_that_is_gone_gives_nothing_back(self, following: Callable[[str], Policy], file: Path) -> None:
        """A stricter rule does not end because somebody moves the file for a moment."""
        policy = following(NOBODY_MAY)
        with capture_logs() as logs:
            file.unlink()
            until(lambda: bool(logs))

        assert "gone" in logs[0]["reason"]
        assert not consoles(policy)

    def test_the_hub_does_not_wait_for_the_disk(
        self, following: Callable[[str], Policy], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A pipe stands for a disk that does not answer: only a native thread can wait for it without the hub."""
        policy = following("")
        reading, writing = os.pipe()
        entered, hub = Event(), gevent.get_hub()
        told = hub.loop.async_()
        told.start(entered.set)

        def hang_once(self: PolicyFile) -> None:
            monkeypatch.undo()
            told.send()
            os.read(reading, 1)

        # Were it on the hub, nobody else could end it.
        rescue = threading.Timer(10, os.write, (writing, b"x"))
        rescue.start()
        monkeypatch.setattr(PolicyFile, "look", hang_once)
        try:
            assert entered.wait(20)
            # It hangs now, and this goes on: decisions as well as everything else.
            gevent.sleep(0.05)
            assert consoles(policy)
            assert rescue.is_alive()
        finally:
            rescue.cancel()
            os.write(writing, b"x")
            policy.stop()
            told.close()
            os.close(reading)
            os.close(writing)

    def test_after_the_stop_nothing_looks_any_more(self, following: Callable[[str], Policy], file: Path) -> None:
        policy = following("")
        policy.stop()
        policy.stop()
        file.write_text(NOBODY_MAY)
        gevent.sleep(policy_engine.LOOK_AGAIN * 5)

        assert consoles(policy)
