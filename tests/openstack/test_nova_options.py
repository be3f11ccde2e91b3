"""docs/reference/nova-options.md has every option of Nova's own lists, with Nova's defaults."""

from __future__ import annotations

import json
from pathlib import Path

from reference import nova_options
from tests.openstack.environment import run_python

SCRIPT = nova_options.LISTS.with_name("nova_list.py")


def test_the_lists_are_those_of_the_nova_that_is_installed(tmp_path: Path) -> None:
    done = run_python("-W", "ignore", str(SCRIPT), home=tmp_path)
    assert done.returncode == 0, done.stderr
    assert json.loads(nova_options.LISTS.read_text()) == json.loads(done.stdout)


def test_it_is_the_nova_that_the_page_names(tmp_path: Path) -> None:
    done = run_python("-c", "import importlib.metadata as m; print(m.version('nova'))", home=tmp_path)
    assert done.stdout.partition(".")[0] == nova_options.NOVA
