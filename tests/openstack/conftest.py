"""Fixtures with OpenStack's packages. Those of compute hosts and of the service come from ``tests/conftest.py``."""

from __future__ import annotations
