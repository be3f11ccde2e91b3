"""The file with rules of one's own: each thing that is wrong with it is a sentence, and never a rule."""

from __future__ import annotations

import os
import textwrap
from pathlib import Path

import pytest

from porthole.auth.policy_file import MAX_FILE_BYTES, PolicyFile, PolicyFileError, read
from porthole.auth.policy_rules import RULES, Action, sample
from porthole.config import ConfigError

CONSOLES = "os_compute_api:os-remote-consoles"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "policy.yaml"


def refusal(file: Path, content: str | bytes) -> str:
    """What is said of a file; the message always names it."""
    file.write_bytes(content.encode() if isinstance(content, str) else content)
    with pytest.raises(PolicyFileError) as refused:
        read(file)
    message = str(refused.value)
    assert message.startswith(f"{file}: ")
    assert message.endswith(".")
    return message.removeprefix(f"{file}: ")


def test_its_errors_are_errors_of_the_configuration() -> None:
    """A start that ends with one of them ends with its sentence."""
    assert issubclass(PolicyFileError, ConfigError)


# --- what it says


def test_rules_are_read_as_yaml(file: Path) -> None:
    file.write_text(
        textwrap.dedent(f"""\
            # A comment
            "{CONSOLES}": "rule:context_is_admin"
            porthole:share: '!'
            os_compute_api:servers:show: >
              rule:project_reader_or_admin
              or user_id:auditor
        """)
    )
    checks = read(file).checks

    assert str(checks[CONSOLES]) == "rule:context_is_admin"
    assert str(checks["porthole:share"]) == "!"
    assert str(checks["os_compute_api:servers:show"]) == "(rule:project_reader_or_admin or user_id:auditor)"


def test_json_is_yaml(file: Path) -> None:
    file.write_text(f'{{"{CONSOLES}": "!"}}')

    assert str(read(file).checks[CONSOLES]) == "!"


# --- what is wrong with it


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("a: [", "line 1 is no YAML"),
        ("'a", "line 1 is no YAML"),
        ("a: b: c", "line 1 is no YAML"),
        ("ok: '@'\n\tb: c", "line 2 is no YAML"),
        ("a: @", "line 1 is no YAML"),
        ("a: '!'\n---\nb: '!'", "line 2 is no YAML"),
        ("a: *b", "line 1 is no YAML"),
        ("\0", "is no YAML"),
        ("- a", "line 1 is no rule"),
        ("just a text", "line 1 is no rule"),
        ("42", "line 1 is no rule"),
    ],
)
def test_what_is_no_yaml_of_rules_is_refused_with_its_line(file: Path, text: str, says: str) -> None:
    refused = refusal(file, text)

    assert says in refused
    assert 'A line is "NAME": "RULE"; an empty file leaves the defaults.' in refused


@pytest.mark.parametrize(
    "value", ["", "null", "~", "true", "1", "[]", "['role:admin']", "{}", "!", "!!python/name:os.system x"]
)
def test_a_value_that_is_no_text_is_refused_and_does_not_allow_everybody(file: Path, value: str) -> None:
    assert f"line 2 has the rule {CONSOLES!r}, whose value is no text." in refusal(file, f"\n{CONSOLES}: {value}\n")


@pytest.mark.parametrize("key", ["1", "null", "[a]", "{}", "<<", "true"])
def test_a_name_that_is_no_text_is_refused(file: Path, key: str) -> None:
    assert "line 1 has a name that is no text" in refusal(file, f"? {key}\n: '@'\n")


def test_a_rule_that_is_there_twice_is_refused(file: Path) -> None:
    """YAML's readers take the last one, without a word."""
    text = f"{CONSOLES}: '!'\nporthole:share: '!'\n\"{CONSOLES}\": '@'\n"

    assert refusal(file, text) == f"line 3 has the rule {CONSOLES!r} a second time; remove one of them."


def test_a_rule_that_cannot_be_used_is_refused_with_its_name(file: Path) -> None:
    assert refusal(file, f"{CONSOLES}: role:admin or").startswith(f"rule {CONSOLES!r} is 'role:admin or', where")


def test_aliases_that_double_at_every_step_are_refused_at_once(file: Path) -> None:
    lines = ["a0: &a0 ['x']"] + [f"a{n}: &a{n} [*a{n - 1}, *a{n - 1}]" for n in range(1, 40)]

    assert "whose value is no text" in refusal(file, "\n".join(lines))


@pytest.mark.parametrize("text", ["[" * 60_000, "a: " + "[" * 60_000, "{a: " * 15_000])
def test_deep_nesting_is_no_way_to_crash(file: Path, text: str) -> None:
    assert "is no YAML" in refusal(file, text)


def test_a_huge_file_is_refused(file: Path) -> None:
    assert "larger than" in refusal(file, "#" * (MAX_FILE_BYTES + 1))
    file.write_text("#" * MAX_FILE_BYTES)
    read(file)


def test_what_is_not_utf_8_is_refused_with_its_line(file: Path) -> None:
    assert refusal(file, b"# a\n# \xff\n") == "line 2 is not UTF-8."


def test_a_folder_or_a_pipe_is_refused_and_not_waited_for(file: Path) -> None:
    file.mkdir()
    with pytest.raises(PolicyFileError, match="is no regular file"):
        read(file)
    file.rmdir()
    os.mkfifo(file)
    with pytest.raises(PolicyFileError, match="is no regular file"):
        read(file)


def test_a_file_that_may_not_be_read_is_refused(tmp_path: Path) -> None:
    # A name in a file's place fails for everybody, the superuser included.
    (tmp_path / "file").touch()

    with pytest.raises(PolicyFileError, match=r"cannot be read: Not a directory\."):
        read(tmp_path / "file" / "policy.yaml")


# --- looking at it again


def settled(file: Path, text: str, seconds: int) -> None:
    """Write, and have it written some time ago."""
    file.write_text(text)
    os.utime(file, (1_700_000_000 + seconds, 1_700_000_000 + seconds))


def test_what_has_not_changed_is_not_read_again(file: Path) -> None:
    settled(file, "", 0)
    looked = PolicyFile(file)

    assert looked.look() is None


def test_what_has_changed_is(file: Path) -> None:
    settled(file, "", 0)
    looked = PolicyFile(file)
    settled(file, f"{CONSOLES}: '!'", 1)

    rules = looked.look()

    assert rules is not None
    assert str(rules.checks[CONSOLES]) == "!"
    assert looked.look() is None


def test_what_was_written_just_now_is_read_again_for_a_while(file: Path) -> None:
    """Two changes within one tick of the file system's clock look like one."""
    file.write_text("")
    looked = PolicyFile(file)

    assert looked.look() is not None


def test_what_is_not_there_is_the_defaults_until_it_is(file: Path) -> None:
    looked = PolicyFile(file)
    assert set(looked.rules.checks) == {rule.name for rule in RULES}
    assert looked.look() is None

    settled(file, f"{CONSOLES}: '!'", 0)
    rules = looked.look()

    assert rules is not None
    assert str(rules.checks[CONSOLES]) == "!"


def test_what_is_gone_is_an_error_once(file: Path) -> None:
    settled(file, "", 0)
    looked = PolicyFile(file)
    file.unlink()

    with pytest.raises(PolicyFileError, match="is gone"):
        looked.look()
    assert looked.look() is None


# --- the sample


def test_the_sample_names_every_rule_with_its_default(file: Path) -> None:
    lines = sample().splitlines()

    assert set(Action) <= {rule.name for rule in RULES}
    for rule in RULES:
        assert f'#"{rule.name}": "{rule.check_str}"' in lines


def test_the_sample_changes_nothing_and_can_be_used_line_by_line(file: Path) -> None:
    file.write_text(sample())
    defaults = read(file).checks
    file.write_text("\n".join(line.removeprefix("#") for line in sample().splitlines() if line.startswith('#"')))

    assert read(file).checks == defaults
