"""Rules in oslo.policy's language, checked more strictly than oslo.policy does.

oslo.policy takes what it does not understand for a rule that allows nothing, a missing value for one that allows
everything, and finds out about cycles when somebody asks. Here all that is an error, before a rule counts.
"""

from __future__ import annotations

import difflib
import logging
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from oslo_policy.policy import AndCheck, Check, NotCheck, OrCheck, RuleCheck, RuleDefault

from porthole.auth.policy_rules import RULES
from porthole.auth.principal import Role

CREDENTIALS = ("user_id", "project_id", "is_admin")
TARGET = ("project_id", "user_id")
"""What is known of who asks, beside the roles, and of what it is about."""

MAX_RULE = 1_000
MAX_DEPTH = 40
MAX_CHECKS = 1_000
"""Characters of a rule, levels of its checks with the rules it refers to, and how many these are together."""

_LANGUAGE = "It has to be checks such as role:member, rule:NAME and project_id:%(project_id)s with and, or, not and ()."
_LITERAL = re.compile(r"'[^'\"\\]*'|\"[^'\"\\]*\"")
_OF_TARGET = re.compile(rf"%\(({'|'.join(TARGET)})\)s")

# It prints a traceback for what is an error with a sentence here.
logging.getLogger("oslo_policy._parser").disabled = True


class RuleError(Exception):
    """Rules cannot be used; ``str()`` names the rule and says what would be right."""


@dataclass(frozen=True, slots=True)
class Rules:
    """Checked rules, each with all that oslo.policy needs of it.

    :ivar checks: every rule by its name, the defaults among them
    :ivar asks_user: the rules whose answer depends on the user whose instance or session it is
    """

    checks: Mapping[str, Any]
    asks_user: frozenset[str]


@dataclass(frozen=True, slots=True)
class _Extent:
    """How large a rule is with those it refers to, and whether one of them asks for the target's user."""

    depth: int
    checks: int
    asks_user: bool


def checked(own: Mapping[str, str]) -> Rules:
    """The defaults with these rules instead of their own.

    :param own: rules of a file by name, in the order of the file
    :raises RuleError: one of them cannot be used
    """
    checks: dict[str, Any] = {rule.name: rule.check for rule in RULES}
    for name, text in own.items():
        checks[name] = _parsed(name, text)
    for name in own:
        _refuse_unknown_references(name, checks)
    _refuse_unused(own, checks)
    extents = _Extents(checks)
    return Rules(checks, frozenset(name for name in checks if extents.of_rule(name).asks_user))


def _parsed(name: str, text: str) -> Any:
    if len(text) > MAX_RULE:
        raise RuleError(f"rule {name[:80]!r} has {len(text)} characters; at most {MAX_RULE} are read.")
    for word in text.split():
        _check_word(name, word.lstrip("(").rstrip(")"))
    check = RuleDefault(name, text).check
    # "!" is how oslo.policy writes a rule that allows nothing, and that is what it makes of one that it cannot read.
    if str(check) == "!" and text.strip(" ()\t\r\n") != "!":
        raise RuleError(f"rule {name!r} is {text!r}, where operators or parentheses do not fit. {_LANGUAGE}")
    return check


def _check_word(name: str, word: str) -> None:
    """One word of a rule, without the parentheses around it."""
    if word in ("", "@", "!") or word.lower() in ("and", "or", "not"):
        return
    kind, colon, match = word.partition(":")
    where = f"rule {name!r} has {word!r}"
    if not colon or not match:
        raise RuleError(f"{where}, which is no check. {_LANGUAGE}")
    if kind in ("http", "https"):
        raise RuleError(f"{where}, which asks another server. That is not supported: every answer would wait for it.")
    if kind == "rule":
        return
    if "%" in _OF_TARGET.sub("", match):
        known = " and ".join(f"%({attribute})s" for attribute in TARGET)
        raise RuleError(f"{where}. What is known of an instance or a session is {known}.")
    if kind == "role":
        if match not in list(Role):
            raise RuleError(f"{where}, and nobody can have that role. Roles are {', '.join(Role)}.")
    elif kind == "is_admin":
        if match not in ("True", "False"):
            raise RuleError(f"{where}; it is is_admin:True or is_admin:False.")
    elif kind not in CREDENTIALS and not _LITERAL.fullmatch(kind):
        raise RuleError(
            f"{where}. What is known of who asks is role, {', '.join(CREDENTIALS)}; a text is in quotation marks."
        )


def _refuse_unknown_references(name: str, checks: Mapping[str, Any]) -> None:
    for other in _references(checks[name]):
        if other not in checks:
            raise RuleError(f"rule {name!r} refers to the rule {other!r}, which is not there.{_suggest(other, checks)}")


def _refuse_unused(own: Mapping[str, str], checks: Mapping[str, Any]) -> None:
    """A name that nothing asks for is a slip of the pen, and what it should have changed has not changed."""
    known = {rule.name for rule in RULES}
    used = known | {other for name, check in checks.items() for other in _references(check) if other != name}
    for name in own:
        if name not in used:
            raise RuleError(
                f"rule {name[:80]!r} is unknown: nothing here is allowed by it, and no other rule refers to it."
                f"{_suggest(name, known)} 'porthole policy sample' prints all."
            )


def _references(check: Any) -> set[str]:
    """The names of the rules that a check refers to."""
    found, waiting = set(), [check]
    while waiting:
        part = waiting.pop()
        waiting += _parts(part)
        if isinstance(part, RuleCheck):
            found.add(part.match)
    return found


def _parts(check: Any) -> list[Any]:
    if isinstance(check, AndCheck | OrCheck):
        return check.rules
    return [check.rule] if isinstance(check, NotCheck) else []


class _Extents:
    """Measures rules, each of them once."""

    def __init__(self, checks: Mapping[str, Any]) -> None:
        self._checks = checks
        self._known: dict[str, _Extent] = {}

    def of_rule(self, name: str, path: tuple[str, ...] = (), level: int = 0) -> _Extent:
        """The extent of a rule.

        :param path: the rules that lead to it
        :raises RuleError: it leads to itself, or is too large
        """
        if name in path:
            raise RuleError(f"rules refer to each other in a circle: {' -> '.join([*path[path.index(name) :], name])}.")
        if name not in self._known:
            self._known[name] = self._of(self._checks[name], (*path, name), level)
        return self._known[name]

    def _of(self, check: Any, path: tuple[str, ...], level: int) -> _Extent:
        if level >= MAX_DEPTH:
            raise _too_large(path)
        if isinstance(check, RuleCheck):
            inside = [self.of_rule(check.match, path, level + 1)]
        else:
            inside = [self._of(part, path, level + 1) for part in _parts(check)]
        extent = _Extent(
            1 + max((part.depth for part in inside), default=0),
            1 + sum(part.checks for part in inside),
            any(part.asks_user for part in inside) or (isinstance(check, Check) and "%(user_id)s" in check.match),
        )
        if extent.depth > MAX_DEPTH or extent.checks > MAX_CHECKS:
            raise _too_large(path)
        return extent


def _too_large(path: tuple[str, ...]) -> RuleError:
    return RuleError(
        f"rule {path[0]!r}, with the rules that it refers to, has more than {MAX_CHECKS} checks or {MAX_DEPTH} levels "
        "of them."
    )


def _suggest(name: str, known: Mapping[str, Any] | set[str]) -> str:
    near = difflib.get_close_matches(name[:80], known, n=1)
    return f" Did you mean {near[0]!r}?" if near else ""
