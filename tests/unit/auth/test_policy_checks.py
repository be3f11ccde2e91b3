"""Rules are checked before they count: what oslo.policy would take for "nobody" or "everybody" is an error."""

from __future__ import annotations

import pytest

from porthole.auth.policy_checks import MAX_CHECKS, MAX_DEPTH, MAX_RULE, RuleError, checked
from porthole.auth.policy_rules import RULES

CONSOLES = "os_compute_api:os-remote-consoles"


def refusal(rule: str, **more: str) -> str:
    """What is said of a rule for consoles; ``more`` are further rules."""
    with pytest.raises(RuleError) as refused:
        checked({CONSOLES: rule, **more})
    return str(refused.value)


# --- what can be said


@pytest.mark.parametrize(
    "rule",
    [
        "",
        "@",
        "!",
        "( ! )",
        "role:admin",
        "not role:reader",
        "(role:member and project_id:%(project_id)s) or rule:context_is_admin",
        "role:member and (project_id:%(project_id)s or user_id:%(user_id)s)",
        "ROLE:admin".lower() + " OR role:member AND NOT user_id:bob",
        "is_admin:True",
        "is_admin:False and user_id:alice",
        "'web':%(project_id)s",
        '"web":%(project_id)s',
        "project_id:a%(project_id)s-b",
        "role:admin\n  or\trole:member",
    ],
)
def test_a_rule_of_oslo_policys_language_is_taken(rule: str) -> None:
    assert CONSOLES in checked({CONSOLES: rule}).checks


def test_without_rules_of_ones_own_there_are_the_defaults() -> None:
    assert {name: str(check) for name, check in checked({}).checks.items()} == {
        rule.name: str(rule.check) for rule in RULES
    }


def test_the_rules_that_ask_for_the_user_are_known() -> None:
    sessions = {"porthole:sessions:show", "porthole:sessions:delete", "porthole:tokens:delete"}
    asks_user = checked({}).asks_user

    assert asks_user == {"session_owner", "session_owner_or_admin", *sessions}
    assert checked({CONSOLES: "not (user_id:%(user_id)s)"}).asks_user == {*asks_user, CONSOLES}
    assert checked({CONSOLES: "rule:mine", "mine": "'a':%(user_id)s"}).asks_user == {*asks_user, CONSOLES, "mine"}


# --- what cannot


@pytest.mark.parametrize(
    "rule",
    [
        "and",
        "not",
        "role:admin or",
        "or role:admin",
        "role:admin role:member",
        "(role:admin",
        "role:admin)",
        "()",
        "role:admin and (role:member or",
        "not and role:admin",
        "! !",
        "@ @",
    ],
)
def test_operators_that_do_not_fit_are_refused_and_do_not_mean_nobody(rule: str) -> None:
    assert f"rule '{CONSOLES}' is {rule!r}, where operators or parentheses do not fit. It has to be" in refusal(rule)


@pytest.mark.parametrize("rule", ["admin", "role:", ":admin", "role", "role: admin", "not admin", "role:admin or bob"])
def test_a_word_that_is_no_check_is_refused(rule: str) -> None:
    assert "has '" in refusal(rule)


@pytest.mark.parametrize("name", ["http", "https"])
def test_another_server_is_not_asked(name: str) -> None:
    assert "asks another server" in refusal(f"{name}://policy.example/%(project_id)s")
    assert "asks another server" in refusal(f"role:admin or not ({name}:x)")


@pytest.mark.parametrize("rule", ["role:membr", "role:Admin", "role:manager", "not role:raeder", "role:%(project_id)s"])
def test_a_role_that_nobody_can_have_is_refused(rule: str) -> None:
    """With ``not`` it would let everybody in."""
    assert "nobody can have that role. Roles are admin, member, reader." in refusal(rule)


@pytest.mark.parametrize(
    "rule",
    [
        "project:%(project_id)s",
        "not tenant:%(project_id)s",
        "roles:admin",
        "Role:admin",
        "system_scope:all",
        "user_id.name:bob",
        "True:%(project_id)s",
        "1x:%(project_id)s",
        "project-id:web",
        "'web:%(project_id)s",
        "'a'b':%(project_id)s",
        "__import__('os'):x",
    ],
)
def test_what_is_not_known_of_who_asks_is_refused(rule: str) -> None:
    assert "What is known of who asks is role, user_id, project_id, is_admin" in refusal(rule)


@pytest.mark.parametrize(
    "rule",
    [
        "project_id:%(tenant_id)s",
        "project_id:%(project_id)",
        "project_id:%(project_id)d",
        "project_id:%s",
        "project_id:100%",
        "project_id:%%",
        "user_id:%(project_id)s%(x)s",
        "'a':%(target.user.id)s",
        "role:100%",
    ],
)
def test_what_is_not_known_of_the_target_is_refused(rule: str) -> None:
    """Python's formatting would fail at the first request, or never be equal."""
    assert "What is known of an instance or a session is %(project_id)s and %(user_id)s." in refusal(rule)


@pytest.mark.parametrize("rule", ["is_admin:true", "is_admin:1", "is_admin:yes"])
def test_is_admin_is_true_or_false(rule: str) -> None:
    assert "it is is_admin:True or is_admin:False" in refusal(rule)


# --- rules and their names


def test_a_name_that_nothing_asks_for_is_refused_with_the_one_that_may_be_meant() -> None:
    with pytest.raises(RuleError) as refused:
        checked({"os_compute_api:os-remote-console": "!"})

    assert str(refused.value) == (
        "rule 'os_compute_api:os-remote-console' is unknown: nothing here is allowed by it, and no other rule refers "
        "to it. Did you mean 'os_compute_api:os-remote-consoles'? 'porthole policy sample' prints all."
    )


@pytest.mark.parametrize("name", ["default", "admin_api", "os_compute_api:servers:create", "", " ", "x" * 60_000])
def test_a_name_of_novas_that_is_not_asked_for_here_is_refused_too(name: str) -> None:
    with pytest.raises(RuleError, match="is unknown") as refused:
        checked({name: "role:admin"})
    assert len(str(refused.value)) < 400


def test_a_rule_that_only_refers_to_itself_is_not_used() -> None:
    with pytest.raises(RuleError, match="'mine' is unknown"):
        checked({"mine": "rule:mine"})


def test_a_rule_that_is_not_there_cannot_be_referred_to() -> None:
    assert refusal("rule:project_membr_api") == (
        f"rule '{CONSOLES}' refers to the rule 'project_membr_api', which is not there. "
        "Did you mean 'project_member_api'?"
    )
    assert "refers to the rule 'x', which is not there" in refusal("not (role:admin and not rule:x)")


@pytest.mark.parametrize(
    ("rules", "circle"),
    [
        ({"context_is_admin": "rule:context_is_admin"}, "context_is_admin -> context_is_admin"),
        ({"context_is_admin": "not rule:context_is_admin"}, "context_is_admin -> context_is_admin"),
        (
            {"context_is_admin": "role:admin or rule:a", "a": "not (@ and rule:b)", "b": "not rule:context_is_admin"},
            "context_is_admin -> a -> b -> context_is_admin",
        ),
    ],
)
def test_a_circle_is_refused_and_does_not_end_in_a_crash(rules: dict[str, str], circle: str) -> None:
    with pytest.raises(RuleError, match="in a circle") as refused:
        checked(rules)
    assert circle in str(refused.value)


def test_the_same_rule_twice_is_no_circle() -> None:
    checked({CONSOLES: "rule:context_is_admin and (rule:context_is_admin or rule:project_member_or_admin)"})


# --- bounds


def test_an_endless_rule_is_refused() -> None:
    assert f"at most {MAX_RULE} are read" in refusal(" or ".join(["role:admin"] * 100))


@pytest.mark.parametrize("form", ["not {}", "(not {})", "(@ and {})"])
def test_deep_nesting_is_refused(form: str) -> None:
    rule = "@"
    while len(form.format(rule)) <= MAX_RULE:
        rule = form.format(rule)

    assert f"more than {MAX_CHECKS} checks or {MAX_DEPTH} levels" in refusal(rule)


def test_a_long_chain_of_deep_rules_is_refused() -> None:
    chain = {f"r{n}": f"{'not ' * 20}rule:r{n + 1}" for n in range(500)}

    assert "levels" in refusal("rule:r0", **chain, r500="@")


def test_rules_that_double_at_every_step_are_refused() -> None:
    """Two to the power of thirty checks, in thirty lines."""
    doubling = {f"r{n}": f"rule:r{n + 1} and rule:r{n + 1}" for n in range(15)}

    assert f"more than {MAX_CHECKS} checks" in refusal("rule:r0", **doubling, r15="@")
