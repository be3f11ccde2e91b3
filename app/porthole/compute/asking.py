"""Asking several computes at once, and which of their reports counts."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import gevent
from gevent.queue import Empty, SimpleQueue

from porthole.compute.deadline import Deadline
from porthole.compute.errors import ComputeUnavailable
from porthole.compute.host import Compute
from porthole.compute.model import Instance, PowerState
from porthole.compute.native import Report

# Which of two reports of one instance counts. During a live migration the target's is paused; a definition that was
# left behind on an old host is shut down.
_RANK = {PowerState.RUNNING: 0, PowerState.PAUSED: 1, PowerState.SUSPENDED: 2}
_LOWEST_RANK = 3

Found = list[tuple[Compute, Report]]
Ask = Callable[[Compute, Deadline], Report | None]
MaySee = Callable[[Instance], bool]


def everything(instance: Instance) -> bool:
    """Somebody who may see all instances."""
    return True


def everybody(computes: Iterable[Compute], deadline: Deadline, ask: Ask) -> Found:
    """Ask computes side by side, until all have answered or one reports a running guest.

    :raises ComputeUnavailable: none has it, and at least one could not be asked
    """
    found, silent = _ask(computes, deadline, ask, is_running)
    if silent and not found:
        raise unavailable(silent)
    return found


def visible(
    computes: Iterable[Compute], deadline: Deadline, ask: Ask, may_see: MaySee, *, first: bool = False
) -> list[Instance]:
    """Ask computes side by side; the instances that they report and that may be seen.

    One that may not be seen ends nothing early, so it takes as long, and fails as often, as one that nobody has.

    :param first: return as soon as a running one is found
    :raises ComputeUnavailable: there is none, and a compute could not be asked
    """

    def enough(report: Report) -> bool:
        return first and is_running(report) and may_see(report.instance)

    found, silent = _ask(computes, deadline, ask, enough)
    by_id: dict[str, Found] = {}
    for compute, report in found:
        by_id.setdefault(report.instance.id, []).append((compute, report))
    # The report that counts says whose it is, not one that was left behind.
    instances = [best(reports)[1].instance for reports in by_id.values()]
    instances = [instance for instance in instances if may_see(instance)]
    if silent and not instances:
        raise unavailable(silent)
    return instances


def best(found: Found) -> tuple[Compute, Report]:
    """The report of an instance that counts."""
    return min(found, key=lambda place: (_rank(place[1].instance.state), place[0].name))


def by_rank(place: tuple[Compute, Instance]) -> tuple[int, bool, str]:
    """A key that sorts the places of an instance, the one that counts first."""
    compute, instance = place
    return _rank(instance.state), not compute.reachable, compute.name


def is_running(report: Report) -> bool:
    """Whether no other report of the instance can count more."""
    return report.instance.state is PowerState.RUNNING


def unavailable(errors: list[ComputeUnavailable]) -> ComputeUnavailable:
    """One error for several computes."""
    if len(errors) == 1:
        return errors[0]
    errors = sorted(errors, key=lambda error: error.compute)
    names = ", ".join(error.compute for error in errors)
    return ComputeUnavailable(names, "; ".join(f"{error.compute}: {error.why}" for error in errors))


def _rank(state: PowerState) -> int:
    return _RANK.get(state, _LOWEST_RANK)


def _ask(
    computes: Iterable[Compute], deadline: Deadline, ask: Ask, enough: Callable[[Report], bool]
) -> tuple[Found, list[ComputeUnavailable]]:
    """Ask computes side by side, until one gives a report that is enough.

    :returns: who has it, and who could not be asked
    """
    computes = list(computes)
    answers: SimpleQueue[tuple[Compute, Report | ComputeUnavailable | None]] = SimpleQueue()

    def one(compute: Compute) -> None:
        try:
            answers.put((compute, ask(compute, deadline)))
        except ComputeUnavailable as error:
            answers.put((compute, error))

    greenlets = [gevent.spawn(one, compute) for compute in computes]
    waiting = {compute.name for compute in computes}
    found: Found = []
    silent: list[ComputeUnavailable] = []
    try:
        while waiting:
            compute, answer = answers.get(timeout=deadline.left + 0.1)
            waiting.discard(compute.name)
            if isinstance(answer, ComputeUnavailable):
                silent.append(answer)
            elif answer is not None:
                found.append((compute, answer))
                if enough(answer):
                    break
    except Empty:
        silent += [ComputeUnavailable(name, "did not answer in time") for name in waiting]
    finally:
        gevent.killall(greenlets, block=False)
    return found, silent
