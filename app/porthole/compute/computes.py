"""All compute hosts together: where is an instance, and where is its VNC server now?"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterable, Mapping, Sequence

import gevent

from porthole.compute import asking
from porthole.compute.asking import Ask, MaySee
from porthole.compute.deadline import Deadline
from porthole.compute.errors import (
    ComputeUnavailable,
    ConsoleTypeUnavailable,
    InstanceAmbiguous,
    InstanceNotFound,
    InstanceNotRunning,
)
from porthole.compute.host import Compute, stop_all
from porthole.compute.link import OnGraphics
from porthole.compute.model import ConnectInfo, Instance, Listing, PowerState
from porthole.compute.native import Report
from porthole.config import ComputeSettings

LOG = logging.getLogger(__name__)

CONSOLE_TYPE = "novnc"

ELSEWHERE = (
    "The instance's VNC display listens on a UNIX socket of its compute host, which is another machine. An "
    "administrator can give it a TCP port."
)

MAX_NAME = 255
"""Characters of the longest name, in Nova as in libvirt's file names; nobody is asked for a longer one."""

STOP_TIMEOUT = 2.0

_UUID = re.compile(r"([0-9a-f]{8})-?([0-9a-f]{4})-?([0-9a-f]{4})-?([0-9a-f]{4})-?([0-9a-f]{12})", re.IGNORECASE)


class Computes:
    """All compute hosts. Belongs to the thread whose gevent hub it was started on.

    :param computes: one entry a compute; no computes at all is fine
    :param call_timeout: seconds a libvirt call, or opening a connection, may take; also
        the most that each method below waits for libvirt
    :param resync_interval: seconds between full listings of a compute, beside the events
    :param on_graphics: called on the hub with what the clients of screens do; it must not block
    """

    def __init__(
        self,
        computes: Sequence[ComputeSettings],
        *,
        call_timeout: float,
        resync_interval: float,
        on_graphics: OnGraphics = lambda event: None,
    ) -> None:
        self._limit = call_timeout
        self._on_graphics = on_graphics
        self._resync_interval = resync_interval
        self._computes = self._made_of(computes, {})
        self._asked = False
        """Whether all computes of the start have been asked."""

    # --- life

    def start(self) -> None:
        """Begin to connect in the background. Returns at once. To be called after a fork, never before."""
        for compute in self._computes:
            compute.start()

    def replace(self, computes: Sequence[ComputeSettings]) -> None:
        """Work with these computes from now on.

        What is the same stays connected; what is new or has changed is connected in the background,
        the rest is let go. Nothing waits for that.
        """
        before = {compute.settings: compute for compute in self._computes}
        self._computes = self._made_of(computes, before)
        names = {compute.name for compute in self._computes}
        for compute in self._computes:
            compute.start()
        gone = [compute for compute in before.values() if compute not in self._computes]
        for compute in gone:
            gevent.spawn(compute.stop, STOP_TIMEOUT, "it is no longer configured so")
        old_names = {compute.name for compute in before.values()}
        LOG.info(
            "computes taken over: added %s; changed %s; removed %s",
            _list(names - old_names), _list(compute.name for compute in gone if compute.name in names),
            _list(old_names - names),
        )  # fmt: skip

    def _made_of(self, computes: Sequence[ComputeSettings], before: Mapping[ComputeSettings, Compute]) -> list[Compute]:
        """Computes by name: those that are there already, and new ones."""
        instances = {(c.name, *_owner_of(c.settings)): c.instances for c in before.values()}
        return [
            before.get(settings)
            or Compute(
                settings,
                call_timeout=self._limit,
                resync_interval=self._resync_interval,
                # Until it has answered itself, what was known under its name before it changed. Not when its owner
                # changed: what was known would go on to be the old one's.
                instances=instances.get((settings.name, *_owner_of(settings)), {}),
                on_graphics=self._on_graphics,
            )
            for settings in sorted(computes, key=lambda settings: settings.name)
        ]

    def stop(self) -> None:
        """End all connections; takes :data:`STOP_TIMEOUT` seconds and a little at most."""
        stop_all(self._computes, STOP_TIMEOUT)

    def wait_until_asked(self, timeout: float) -> bool:
        """Wait until every compute of the start has been listed once, or has failed once.

        Those of :meth:`replace` do not count: a service that is ready stays so while it gets to know another compute.

        :param timeout: seconds to wait at most
        :returns: whether that is so
        """
        if not self._asked:
            deadline = Deadline(timeout)
            self._asked = all(compute.asked.wait(deadline.left) for compute in self._computes)
        return self._asked

    # --- from memory

    def listing(self) -> Listing:
        """All known instances. From memory, never blocks."""
        best = {uuid: found[0][1] for uuid, found in self._known().items()}
        return Listing(
            instances=tuple(sorted(best.values(), key=lambda instance: (instance.name, instance.id))),
            unreachable=tuple(compute.name for compute in self._computes if not compute.reachable),
        )

    def status(self) -> dict[str, bool]:
        """Whether each compute is reachable, by name, sorted by name."""
        return {compute.name: compute.reachable for compute in self._computes}

    # --- asking

    def find(self, id_or_name: str, may_see: MaySee = asking.everything) -> Instance:
        """The instance of this id or name, for somebody who may see some of them.

        What looks like a UUID (hyphens and case do not matter) is an id and nothing
        else; a name is Nova's display name or, if no instance has that, libvirt's
        ``<name>``. Memory is searched first; on a miss every compute is asked.

        An instance that may not be seen is as one that does not exist: the same computes are
        asked for it, the same errors come of it, and no other instance is less found for it.

        :param may_see: whether the one who asks may see an instance; called on the hub, it must not block
        :raises InstanceNotFound: no compute knows it, and every compute answered
        :raises InstanceAmbiguous: several instances have that name
        :raises ComputeUnavailable: it is unknown, and a compute cannot be asked
        """
        uuid = as_uuid(id_or_name)
        if uuid is not None:
            return self._find_id(uuid, id_or_name, may_see)
        if not _can_be_a_name(id_or_name):
            raise InstanceNotFound(id_or_name)
        return self._find_name(id_or_name, may_see)

    def connect_info(
        self, instance_id: str, may_see: MaySee = asking.everything, *, with_password: bool = False
    ) -> ConnectInfo:
        """Where the instance's VNC server is now, by its live XML; libvirt is asked every time.

        :param instance_id: its id
        :param may_see: as for :meth:`find`; what counts is whose the instance is now
        :param with_password: whether its VNC password is asked for, too; nothing keeps it
        :raises InstanceNotFound: it is gone
        :raises InstanceNotRunning: it has no running guest
        :raises ConsoleTypeUnavailable: it runs without a VNC server, or with one that cannot be reached from here
        :raises ComputeUnavailable: a compute that would have to be asked cannot be
        """
        self._pass_over_hidden(instance_id, may_see)
        compute, report = self._locate(instance_id, with_password=with_password)
        instance = report.instance
        if not may_see(instance):
            raise InstanceNotFound(instance_id)
        if not instance.state.has_guest:
            raise InstanceNotRunning(instance.id, instance.state)
        if report.display is None:
            raise ComputeUnavailable(compute.name, report.problem)
        if report.domain_id is None:  # it stopped between libvirt's two answers
            raise InstanceNotRunning(instance.id, PowerState.SHUTDOWN)
        if report.display.hint:
            raise ConsoleTypeUnavailable(CONSOLE_TYPE, report.display.hint)
        if report.display.path and not compute.is_local:
            raise ConsoleTypeUnavailable(CONSOLE_TYPE, ELSEWHERE)
        return ConnectInfo(
            instance=instance,
            host=compute.server_proxyclient_address,
            port=report.display.port or 0,
            domain_id=report.domain_id,
            security=compute.security,
            path=report.display.path,
            password=report.display.password,
        )

    def addresses(self) -> frozenset[str]:
        """Where VNC servers are that libvirt can be asked about: the ``server_proxyclient_address`` of each compute."""
        return frozenset(compute.server_proxyclient_address for compute in self._computes)

    def power_state(self, instance_id: str) -> PowerState | None:
        """The instance's power state now, asked of libvirt; None when it is gone.

        :raises ComputeUnavailable: a compute that would have to be asked cannot be
        """
        try:
            return self._locate(instance_id)[1].instance.state
        except InstanceNotFound:
            return None

    # --- inside

    def _known(self) -> dict[str, list[tuple[Compute, Instance]]]:
        """Every known instance by id with the computes that have it, the one that counts first."""
        known: dict[str, list[tuple[Compute, Instance]]] = {}
        for compute in self._computes:
            for instance in compute.instances.values():
                known.setdefault(instance.id, []).append((compute, instance))
        for places in known.values():
            if len(places) > 1:
                places.sort(key=asking.by_rank)
        return known

    def _holders(self, uuid: str) -> list[Compute]:
        """The computes that have the instance by memory, the one that counts first."""
        places = [(c, c.instances[uuid]) for c in self._computes if uuid in c.instances]
        return [compute for compute, _ in sorted(places, key=asking.by_rank)]

    def _known_as(self, name: str, name_of: Callable[[Instance], str], may_see: MaySee) -> list[Instance]:
        """The instances of this name that may be seen, from memory."""
        ids = {i.id for compute in self._computes for i in compute.instances.values() if name_of(i) == name}
        instances = [self._holders(uuid)[0].instances[uuid] for uuid in ids]
        # During a migration the two computes may disagree about a name: the one that counts decides.
        return [instance for instance in instances if name_of(instance) == name and may_see(instance)]

    def _find_id(self, uuid: str, asked_for: str, may_see: MaySee) -> Instance:
        holders = self._holders(uuid)
        if holders and may_see(holders[0].instances[uuid]):
            return holders[0].instances[uuid]
        matches = asking.visible(self._computes, Deadline(self._limit), _by_id(uuid), may_see, first=True)
        if not matches:
            raise InstanceNotFound(asked_for)
        return matches[0]

    def _pass_over_hidden(self, instance_id: str, may_see: MaySee) -> None:
        """Look for an instance that may not be seen as for one that nobody has, and not where it is.

        :raises InstanceNotFound, ComputeUnavailable: as it would be for that
        """
        uuid = as_uuid(instance_id)
        holders = self._holders(uuid) if uuid else []
        if uuid and holders and not may_see(holders[0].instances[uuid]):
            self._find_id(uuid, instance_id, may_see)

    def _find_name(self, name: str, may_see: MaySee) -> Instance:
        matches = self._known_as(name, lambda instance: instance.name, may_see)
        matches = matches or self._known_as(name, lambda instance: instance.domain_name, may_see)
        matches = matches or asking.visible(self._computes, Deadline(self._limit), _by_name(name), may_see)
        if not matches:
            raise InstanceNotFound(name)
        if len(matches) > 1:
            raise InstanceAmbiguous(name, tuple(sorted(match.id for match in matches)))
        return matches[0]

    def _locate(self, instance_id: str, *, with_password: bool = False) -> tuple[Compute, Report]:
        """The compute that has the instance now, with its report.

        :raises InstanceNotFound: none has it, and all were asked
        :raises ComputeUnavailable: none of those that answered runs it, and another may
        """
        uuid = as_uuid(instance_id)
        if uuid is None:
            raise InstanceNotFound(instance_id)
        deadline = Deadline(self._limit)
        holders = self._holders(uuid)
        found: list[tuple[Compute, Report]] = []
        silent: list[ComputeUnavailable] = []
        for compute in holders:
            try:
                report = compute.by_id(uuid, deadline, with_password=with_password)
            except ComputeUnavailable as error:
                silent.append(error)
                continue
            if report is None:
                continue
            found.append((compute, report))
            if report.instance.state is PowerState.RUNNING:
                break
        if not any(report.instance.state.has_guest for _, report in found):
            if silent:
                raise asking.unavailable(silent)
            if not found:
                others = [compute for compute in self._computes if compute not in holders]
                found = asking.everybody(others, deadline, _by_id(uuid, with_password=with_password))
        if not found:
            raise InstanceNotFound(instance_id)
        return asking.best(found)


def as_uuid(text: str) -> str | None:
    """The text as a UUID, lower case with hyphens, or None when it is none."""
    match = _UUID.fullmatch(text)
    return "-".join(match.groups()).lower() if match else None


def _by_id(uuid: str, *, with_password: bool = False) -> Ask:
    return lambda compute, deadline: compute.by_id(uuid, deadline, with_password=with_password)


def _by_name(name: str) -> Ask:
    return lambda compute, deadline: compute.by_name(name, deadline)


def _can_be_a_name(text: str) -> bool:
    """Whether libvirt can be asked for it: it takes C strings of UTF-8."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return 0 < len(text) <= MAX_NAME and "\0" not in text


def _list(names: Iterable[str]) -> str:
    return ", ".join(sorted(names)) or "none"


def _owner_of(settings: ComputeSettings) -> tuple[str, str]:
    return settings.owner_project, settings.owner_user
