"""Fixtures of all tests: real compute hosts, the real service, noVNC from its packages."""

from __future__ import annotations

pytest_plugins = ["tests.certificates", "tests.hosts.fixtures", "tests.service.fixtures"]
