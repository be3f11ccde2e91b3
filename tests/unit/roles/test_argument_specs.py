"""Each role says what its variables are, and its defaults are those it says."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

ROLES = sorted(path for path in (Path(__file__).resolve().parents[3] / "roles").iterdir() if path.is_dir())


def load(path: Path) -> Any:
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def options(role: Path) -> dict[str, dict[str, Any]]:
    """The variables of all entry points."""
    specs = load(role / "meta" / "argument_specs.yml")["argument_specs"]
    return {name: option for spec in specs.values() for name, option in spec.get("options", {}).items()}


@pytest.fixture(params=ROLES, ids=lambda role: role.name)
def role(request: pytest.FixtureRequest) -> Path:
    folder: Path = request.param
    return folder


def test_there_are_roles() -> None:
    assert {role.name for role in ROLES} >= {"appliance", "compute_vnc", "pki"}


def test_each_entry_point_that_can_be_called_is_described(role: Path) -> None:
    specs = load(role / "meta" / "argument_specs.yml")["argument_specs"]
    assert "main" in specs
    for name, spec in specs.items():
        assert (role / "tasks" / f"{name}.yml").is_file(), name
        assert spec["short_description"], name
        assert spec["description"], name


def test_each_variable_has_a_type_and_a_description_and_the_role_s_name(role: Path) -> None:
    for name, option in options(role).items():
        assert name.startswith(f"{role.name}_"), name
        assert option["type"], name
        assert option["description"], name


def test_the_defaults_are_those_that_are_described(role: Path) -> None:
    defaults = load(role / "defaults" / "main.yml") or {}
    described = {name: option["default"] for name, option in options(role).items() if "default" in option}
    assert described == defaults


def test_what_has_no_default_is_required(role: Path) -> None:
    undecided = [
        name for name, option in options(role).items() if "default" not in option and option.get("required") is not True
    ]
    assert undecided == []
