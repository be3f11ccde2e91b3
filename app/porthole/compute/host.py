"""One compute host: its connection, kept open, and its instances, kept current."""

from __future__ import annotations

import contextlib
import logging
import random
from collections.abc import Callable, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import TypeVar

import gevent
from gevent.event import Event

from porthole.compute import native
from porthole.compute.deadline import Deadline
from porthole.compute.errors import ComputeUnavailable
from porthole.compute.events import event_loop
from porthole.compute.link import THREADS, Link, LinkError, OnGraphics, open_link
from porthole.compute.model import Instance
from porthole.compute.native import Report
from porthole.compute.probe import is_local
from porthole.compute.threads import NativeThreads
from porthole.config import ComputeSettings
from porthole.proxy.rfb.policy import SecurityPolicy

LOG = logging.getLogger(__name__)

T = TypeVar("T")

FIRST_PAUSE = 0.5
LONGEST_PAUSE = 15.0
"""Seconds between attempts to connect: doubled after each, and varied by a quarter so that a fleet does not march in
step."""

RETRY_PAUSE = 0.5
LONGEST_STUCK = 60.0
"""Seconds between looks whether calls are still stuck in a libvirt that is there, and until the connection is replaced
for it. libvirt 9.0 waits up to 40 s for a QEMU to end."""

CHUNK = 50
"""Domains that are described by one call, so that a large compute does not use up a call's time limit."""


class Compute:
    """A compute host. Belongs to the thread whose gevent hub it was started on.

    :param settings: its name, libvirt URI and VNC address
    :param call_timeout: seconds a libvirt call, or opening a connection, may take
    :param resync_interval: seconds between full listings, beside the events
    :param instances: what is known of it before it has been asked, by id
    :param on_graphics: called on the hub with what the clients of screens do; it must not block
    """

    def __init__(
        self,
        settings: ComputeSettings,
        *,
        call_timeout: float,
        resync_interval: float,
        instances: Mapping[str, Instance] = MappingProxyType({}),
        on_graphics: OnGraphics = lambda event: None,
    ) -> None:
        self.settings = settings
        self.name = settings.name
        self.server_proxyclient_address = settings.server_proxyclient_address
        self.security = SecurityPolicy(settings.auth_schemes, settings.tls_server_name)
        self._uri = settings.connection_uri
        self._limit = call_timeout
        self._resync_interval = resync_interval
        self._on_graphics = on_graphics
        self._threads: NativeThreads | None = None
        self._link: Link | None = None
        self._listed = False
        self._why = "it has not been asked yet"
        self._instances: dict[str, Instance] = dict(instances)
        self._greenlet: gevent.Greenlet[..., None] | None = None
        self.asked = Event()
        """Set when the first attempt has ended: the instances are listed, or it failed."""

    # --- what is known

    @property
    def instances(self) -> Mapping[str, Instance]:
        """The instances by id, as the compute last reported them."""
        return MappingProxyType(self._instances)

    @property
    def reachable(self) -> bool:
        """Whether it is connected and has listed its instances."""
        return self._listed and self._link is not None and not self._link.dead

    @property
    def busy_threads(self) -> int:
        """Native threads that are in a call at the moment; beyond those of the live connection they are stuck."""
        return self._threads.busy if self._threads else 0

    @property
    def is_local(self) -> bool:
        """Whether it is this machine.

        :raises ValueError: its URI is malformed; it can never have been reached then
        """
        return is_local(self._uri)

    # --- asking it now

    def by_id(self, instance_id: str, deadline: Deadline, *, with_password: bool = False) -> Report | None:
        """Ask libvirt for a domain by uuid; None when it has none.

        :param with_password: whether its VNC password is asked for, too
        :raises ComputeUnavailable: it cannot be asked
        """
        return self._ask(
            lambda connection: connection.by_id(instance_id, with_password=with_password), deadline, key=instance_id
        )

    def by_name(self, name: str, deadline: Deadline) -> Report | None:
        """Ask libvirt for a domain by its ``<name>``; None when it has none.

        :raises ComputeUnavailable: it cannot be asked
        """
        return self._ask(lambda connection: connection.by_name(name), deadline)

    def _ask(
        self, function: Callable[[native.Connection], Report | None], deadline: Deadline, key: str = ""
    ) -> Report | None:
        # Only the very first attempt is waited for: later, a compute that is down fails at once.
        if self._link is None and not self.asked.is_set():
            self._first_attempt(deadline)
        link = self._link
        if link is None:
            raise ComputeUnavailable(self.name, self._why)
        report = self._with_owner(link.call(function, deadline, key))
        if report is not None and self._instances.get(report.instance.id) != report.instance:
            link.domain_changed(report.instance.id)
        return report

    def _first_attempt(self, deadline: Deadline) -> None:
        if self._greenlet is None:
            return
        self.asked.wait(deadline.left)

    # --- its life

    def start(self) -> None:
        """Begin to connect in the background. Returns at once."""
        if self._greenlet is None:
            self._threads = NativeThreads(THREADS)
            self._greenlet = gevent.spawn(self._live, self._threads)

    def stop(self, timeout: float, why: str = "the service stops") -> None:
        """End the connection; waits for its closing ``timeout`` seconds at most.

        :param why: for those who ask it nevertheless
        """
        if self._greenlet is None or self._threads is None:
            return
        deadline = Deadline(timeout)
        self._greenlet.kill(timeout=deadline.left)
        self._greenlet = None
        link = self._link
        self._why = why  # nothing is wrong, so there is no warning
        self._down(why)
        self.asked.set()
        if link is not None:
            link.closed.wait(deadline.left)
        self._threads.close()

    def _live(self, threads: NativeThreads) -> None:
        pause = FIRST_PAUSE
        while True:
            self._listed = False
            try:
                self._link = open_link(self.name, self._uri, threads, self._limit, event_loop(), self._on_graphics)
                self._follow(self._link)
            except LinkError as error:
                why = str(error)
            except ComputeUnavailable as error:
                why = error.why
            except Exception as error:
                LOG.exception("compute %s: unexpected error", self.name)
                why = f"unexpected error: {error!r}"
            if self._listed:
                pause = FIRST_PAUSE
            self._down(why)
            self.asked.set()
            gevent.sleep(pause * random.uniform(0.75, 1.25))  # noqa: S311 - no secret
            pause = min(pause * 2, LONGEST_PAUSE)

    def _down(self, why: str) -> None:
        if self._why != why:
            LOG.warning("compute %s is not reachable: %s", self.name, why)
        self._why = why
        if self._link is not None:
            self._link.kill(why)
            self._link = None

    def _follow(self, link: Link) -> None:
        """List, then follow the events until the connection is dead.

        :raises ComputeUnavailable: it is
        """
        until_resync = Deadline(0)
        while True:
            if link.dead:
                raise ComputeUnavailable(self.name, link.why)
            try:
                if link.stale or not until_resync.left:
                    link.stale = False
                    self._list(link)
                    until_resync = Deadline(self._resync_interval * random.uniform(0.9, 1.0))  # noqa: S311 - no secret
                elif link.changed:
                    self._refresh(link)
            except ComputeUnavailable as error:
                if link.dead:
                    raise
                self._wait_while_stuck(link, error.why)
                continue
            if not (link.changed or link.stale or link.dead):
                link.wake.clear()
                link.wake.wait(until_resync.left)

    def _wait_while_stuck(self, link: Link, why: str) -> None:
        """A listing was not answered, and the connection stands: libvirt waits for one domain.

        Until that is over what is known stays, and other instances can be asked for; then all is looked at again.
        """
        LOG.warning("compute %s does not list its instances at the moment: %s", self.name, why)
        self.asked.set()
        link.stale = True
        patience = Deadline(LONGEST_STUCK)
        gevent.sleep(RETRY_PAUSE)
        while link.stuck:
            if not patience.left:
                link.kill(f"libvirt has not answered a call for {LONGEST_STUCK:g} s")
            gevent.sleep(RETRY_PAUSE)

    def _list(self, link: Link) -> None:
        ids = link.call(lambda connection: connection.ids(), Deadline(self._limit), key="the list of domains")
        # What changes from here on is in link.changed and will be looked at again after this.
        found: dict[str, Instance] = {}
        for start in range(0, len(ids), CHUNK):
            found.update(self._describe(link, ids[start : start + CHUNK]))
        self._instances = found
        if not self._listed:
            LOG.info("compute %s is connected and has %d instances", self.name, len(found))
            self._listed, self._why = True, ""
            self.asked.set()

    def _refresh(self, link: Link) -> None:
        ids = [link.changed.pop() for _ in range(min(CHUNK, len(link.changed)))]
        found = self._describe(link, ids)
        for uuid in ids:
            if uuid in found:
                self._instances[uuid] = found[uuid]
            else:
                self._instances.pop(uuid, None)

    def _describe(self, link: Link, ids: list[str]) -> dict[str, Instance]:
        reports = link.call(lambda connection: connection.describe(ids), Deadline(self._limit))
        owned = {uuid: self._with_owner(report) for uuid, report in reports.items()}
        return {uuid: report.instance for uuid, report in owned.items() if report is not None}

    def _with_owner(self, report: Report | None) -> Report | None:
        """The report, with the compute's owner when the domain names none itself."""
        if report is None or not report.unowned:
            return report
        owner_project, owner_user = self.settings.owner_project, self.settings.owner_user
        return replace(report, instance=replace(report.instance, project_id=owner_project, user_id=owner_user))


def stop_all(computes: list[Compute], timeout: float) -> None:
    """Stop computes side by side, within ``timeout`` seconds and a little."""
    with contextlib.suppress(gevent.Timeout):
        gevent.joinall([gevent.spawn(compute.stop, timeout) for compute in computes], timeout=timeout + 1)
