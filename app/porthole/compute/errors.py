"""What can go wrong between asking for an instance's VNC server and having its address.

ComputeError
├── InstanceNotFound        no compute knows it, and every compute answered
├── InstanceAmbiguous       several instances have that name
├── InstanceNotRunning      it exists, and has no running guest
├── ConsoleTypeUnavailable  it runs, and has no VNC display to reach (Nova's name)
├── ComputeUnavailable      a compute that would have to be asked does not answer
└── ComputeNotAllowed       it is on a compute that nobody may connect to
"""

from __future__ import annotations

from porthole.compute.model import PowerState


class ComputeError(Exception):
    """Base of this package's errors."""


class InstanceNotFound(ComputeError):
    """No compute has an instance of this id or name.

    :param instance: the id or name as it was asked for
    """

    def __init__(self, instance: str) -> None:
        super().__init__(f"Instance {instance} could not be found.")
        self.instance = instance


class InstanceAmbiguous(ComputeError):
    """More than one instance has this name.

    :param name: the name
    :param ids: the ids of the instances that have it, sorted
    """

    def __init__(self, name: str, ids: tuple[str, ...]) -> None:
        super().__init__(f"Several instances are named {name}; give one of the ids: {', '.join(ids)}.")
        self.name = name
        self.ids = ids


class InstanceNotRunning(ComputeError):
    """The instance exists and has no running guest, so it has no screen.

    :param instance: its id
    :param state: what libvirt says of it
    """

    def __init__(self, instance: str, state: PowerState) -> None:
        super().__init__(
            f"Instance {instance} is not running (its power state is {state.name}). "
            "Start it, then ask for the console again."
        )
        self.instance = instance
        self.state = state


class ConsoleTypeUnavailable(ComputeError):
    """The instance runs without a console of this type.

    :param console_type: Nova's name of the type, ``novnc``
    :param hint: a sentence that says what to do
    """

    def __init__(self, console_type: str, hint: str = "") -> None:
        super().__init__(f"Unavailable console type {console_type}. {hint}".rstrip())
        self.console_type = console_type


class ComputeUnavailable(ComputeError):
    """The libvirt of a compute cannot be reached, or did not answer in time.

    ``str()`` names no compute, for it is shown to everybody; ``compute`` and
    ``why`` are for administrators and the log.

    :param compute: the compute's name
    :param why: what happened, a sentence's end such as ``timed out after 3 s``
    """

    def __init__(self, compute: str, why: str) -> None:
        super().__init__(
            "A compute host that has to be asked for this instance cannot be reached at the moment. "
            "Try again in a few seconds; if it lasts, tell your administrator."
        )
        self.compute = compute
        self.why = why


class ComputeNotAllowed(ComputeError):
    """Nova says where the instance's VNC server is, and that is in none of the networks that may be connected to.

    :param instance: its id
    :param why: which address, for the log
    """

    def __init__(self, instance: str, why: str) -> None:
        super().__init__(
            "This instance is on a compute host that this service does not know and may not connect to. "
            "Tell your administrator: the log of this service says which one."
        )
        self.instance = instance
        self.why = why
