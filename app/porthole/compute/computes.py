"""All compute hosts together: where is an instance, and where is its VNC server now?"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterable, Mapping, Sequence

import gevent
from gevent.queue import Empty, SimpleQueue

from porthole.compute.deadline import Deadline
from porthole.compute.errors import (
    ComputeUnavailable,
    ConsoleTypeUnavailable,
    InstanceAmbiguous,
    InstanceNotFound,
    InstanceNotRunning,
)
from porthole.compute.host import Compute, stop_all
from porthole.compute.model import ConnectInfo, Instance, Listing, PowerState
from porthole.compute.native import Report
from porthole.config import ComputeSettings

LOG = logging.getLogger(__name__)

CONSOLE_TYPE = "novnc"

MAX_NAME = 255
"""Characters of the longest name, in Nova as in libvirt's file names; nobody is asked for a longer one."""

STOP_TIMEOUT = 2.0

_UUID = re.compile(r"([0-9a-f]{8})-?([0-9a-f]{4})-?([0-9a-f]{4})-?([0-9a-f]{4})-?([0-9a-f]{12})", re.IGNORECASE)

# Which of two reports of one instance counts. During a live migration the target's is paused; a definition that was
# left behind on an old host is shut down.
_RANK = {PowerState.RUNNING: 0, PowerState.PAUSED: 1, PowerState.SUSPENDED: 2}
_LOWEST_RANK = 3

Ask = Callable[[Compute, Deadline], Report | None]


class Computes:
    """All compute hosts. Belongs to the thread whose gevent hub it was started on.

    :param computes: one entry a compute; no computes at all is fine
    :param call_timeout: seconds a libvirt call, or opening a connection, may take; also
        the most that each method below waits for libvirt
    :param resync_interval: seconds between full listings of a compute, beside the events
    """

    def __init__(self, computes: Sequence[ComputeSettings], *, call_timeout: float, resync_interval: float) -> None:
        self._limit = call_timeout
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
        instances = {compute.name: compute.instances for compute in before.values()}
        return [
            before.get(settings)
            or Compute(
                settings,
                call_timeout=self._limit,
                resync_interval=self._resync_interval,
                # Until it has answered itself, what was known under its name before it changed.
                instances=instances.get(settings.name, {}),
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

    def find(self, id_or_name: str) -> Instance:
        """The instance of this id or name.

        What looks like a UUID (hyphens and case do not matter) is an id and nothing
        else; a name is Nova's display name or, if no instance has that, libvirt's
        ``<name>``. Memory is searched first; on a miss every compute is asked.

        :raises InstanceNotFound: no compute knows it, and every compute answered
        :raises InstanceAmbiguous: several instances have that name
        :raises ComputeUnavailable: it is unknown, and a compute cannot be asked
        """
        uuid = as_uuid(id_or_name)
        if uuid is not None:
            return self._find_id(uuid, id_or_name)
        if not _can_be_a_name(id_or_name):
            raise InstanceNotFound(id_or_name)
        return self._find_name(id_or_name)

    def connect_info(self, instance_id: str) -> ConnectInfo:
        """Where the instance's VNC server is now, by its live XML; libvirt is asked every time.

        :param instance_id: its id
        :raises InstanceNotFound: it is gone
        :raises InstanceNotRunning: it has no running guest
        :raises ConsoleTypeUnavailable: it runs without a VNC server of a TCP port
        :raises ComputeUnavailable: a compute that would have to be asked cannot be
        """
        compute, report = self._locate(instance_id)
        instance = report.instance
        if not instance.state.has_guest:
            raise InstanceNotRunning(instance.id, instance.state)
        if report.display is None:
            raise ComputeUnavailable(compute.name, report.problem)
        if report.domain_id is None:  # it stopped between libvirt's two answers
            raise InstanceNotRunning(instance.id, PowerState.SHUTDOWN)
        if report.display.port is None:
            raise ConsoleTypeUnavailable(CONSOLE_TYPE, report.display.hint)
        return ConnectInfo(
            instance=instance,
            host=compute.server_proxyclient_address,
            port=report.display.port,
            domain_id=report.domain_id,
            security=compute.security,
        )

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
                places.sort(key=_by_rank)
        return known

    def _holders(self, uuid: str) -> list[Compute]:
        """The computes that have the instance by memory, the one that counts first."""
        places = [(c, c.instances[uuid]) for c in self._computes if uuid in c.instances]
        return [compute for compute, _ in sorted(places, key=_by_rank)]

    def _known_as(self, name: str, name_of: Callable[[Instance], str]) -> list[Instance]:
        """The instances of this name, from memory."""
        ids = {i.id for compute in self._computes for i in compute.instances.values() if name_of(i) == name}
        instances = [self._holders(uuid)[0].instances[uuid] for uuid in ids]
        # During a migration the two computes may disagree about a name: the one that counts decides.
        return [instance for instance in instances if name_of(instance) == name]

    def _find_id(self, uuid: str, asked_for: str) -> Instance:
        holders = self._holders(uuid)
        if holders:
            return holders[0].instances[uuid]
        found = self._ask_all(
            self._computes, lambda compute, deadline: compute.by_id(uuid, deadline), first_running=True
        )
        if not found:
            raise InstanceNotFound(asked_for)
        return _best(found)[1].instance

    def _find_name(self, name: str) -> Instance:
        matches = self._known_as(name, lambda instance: instance.name)
        matches = matches or self._known_as(name, lambda instance: instance.domain_name)
        if not matches:
            found = self._ask_all(self._computes, lambda compute, deadline: compute.by_name(name, deadline))
            by_id: dict[str, list[tuple[Compute, Report]]] = {}
            for compute, report in found:
                by_id.setdefault(report.instance.id, []).append((compute, report))
            matches = [_best(reports)[1].instance for reports in by_id.values()]
        if not matches:
            raise InstanceNotFound(name)
        if len(matches) > 1:
            raise InstanceAmbiguous(name, tuple(sorted(match.id for match in matches)))
        return matches[0]

    def _locate(self, instance_id: str) -> tuple[Compute, Report]:
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
                report = compute.by_id(uuid, deadline)
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
                raise _unavailable(silent)
            if not found:
                others = [compute for compute in self._computes if compute not in holders]
                ask: Ask = lambda compute, deadline: compute.by_id(uuid, deadline)  # noqa: E731
                found = self._ask_all(others, ask, deadline=deadline, first_running=True)
        if not found:
            raise InstanceNotFound(instance_id)
        return _best(found)

    def _ask_all(
        self,
        computes: Iterable[Compute],
        ask: Ask,
        *,
        deadline: Deadline | None = None,
        first_running: bool = False,
    ) -> list[tuple[Compute, Report]]:
        """Ask computes side by side, and return who has it.

        :param first_running: return as soon as one reports a running guest
        :raises ComputeUnavailable: nobody has it, and at least one could not be asked
        """
        deadline = deadline or Deadline(self._limit)
        computes = list(computes)
        answers: SimpleQueue[tuple[Compute, Report | ComputeUnavailable | None]] = SimpleQueue()

        def one(compute: Compute) -> None:
            try:
                answers.put((compute, ask(compute, deadline)))
            except ComputeUnavailable as error:
                answers.put((compute, error))

        greenlets = [gevent.spawn(one, compute) for compute in computes]
        waiting = {compute.name for compute in computes}
        found: list[tuple[Compute, Report]] = []
        silent: list[ComputeUnavailable] = []
        try:
            while waiting:
                compute, answer = answers.get(timeout=deadline.left + 0.1)
                waiting.discard(compute.name)
                if isinstance(answer, ComputeUnavailable):
                    silent.append(answer)
                elif answer is not None:
                    found.append((compute, answer))
                    if first_running and answer.instance.state is PowerState.RUNNING:
                        break
        except Empty:
            silent += [ComputeUnavailable(name, "did not answer in time") for name in waiting]
        finally:
            gevent.killall(greenlets, block=False)
        if silent and not found:
            raise _unavailable(silent)
        return found


def as_uuid(text: str) -> str | None:
    """The text as a UUID, lower case with hyphens, or None when it is none."""
    match = _UUID.fullmatch(text)
    return "-".join(match.groups()).lower() if match else None


def _can_be_a_name(text: str) -> bool:
    """Whether libvirt can be asked for it: it takes C strings of UTF-8."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return 0 < len(text) <= MAX_NAME and "\0" not in text


def _list(names: Iterable[str]) -> str:
    return ", ".join(sorted(names)) or "none"


def _rank(state: PowerState) -> int:
    return _RANK.get(state, _LOWEST_RANK)


def _by_rank(place: tuple[Compute, Instance]) -> tuple[int, bool, str]:
    compute, instance = place
    return _rank(instance.state), not compute.reachable, compute.name


def _best(found: list[tuple[Compute, Report]]) -> tuple[Compute, Report]:
    return min(found, key=lambda place: (_rank(place[1].instance.state), place[0].name))


def _unavailable(errors: list[ComputeUnavailable]) -> ComputeUnavailable:
    """One error for several computes."""
    if len(errors) == 1:
        return errors[0]
    errors = sorted(errors, key=lambda error: error.compute)
    names = ", ".join(error.compute for error in errors)
    return ComputeUnavailable(names, "; ".join(f"{error.compute}: {error.why}" for error in errors))
