"""The real service as a process of its own, for tests that talk to it from outside."""

from tests.service.appliance import Appliance
from tests.service.rfb import RfbClient

__all__ = ["Appliance", "RfbClient"]
