"""Second half: guests, appliance, the result, and the end of it all. Runs as an ordinary user in its own folder.

``python -m local_lab.session FOLDER OPTIONS...``; :mod:`prepare` becomes it.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from local_lab import appliance, client, processes
from local_lab.hypervisor import Hypervisor
from local_lab.options import Options, check_can_listen, parse
from local_lab.prepare import ENDED_BY, Interrupted, raise_on_signals
from provision.progress import Progress, StepFailed

READY_SECONDS = 30.0
WATCH_SECONDS = 0.5


@dataclass(frozen=True, slots=True)
class Ready:
    """The main job, running."""

    api: client.Api
    password: str
    clouds_yaml: Path
    instances: list[dict[str, Any]]
    services: list[processes.Service]


class Session:
    """One lab from start to end."""

    def __init__(self, folder: Path, options: Options) -> None:
        self._folder = folder
        self._options = options
        self._progress = Progress()
        self._services: list[processes.Service] = []
        self._ready = False

    def run(self) -> int:
        """Run it; the exit status is for the shell: 0 also when it was ended after it had been ready."""
        try:
            state = self._start()
            if self._options.output == "smoke":
                self._smoke(state)
                return 0
            self._announce(state)
            self._watch()
        except StepFailed as failure:
            self._progress.say(f"script/lab: {failure}")
            return 1
        except Interrupted as interrupted:
            if self._ready:
                return 0
            self._progress.say("script/lab: interrupted.")
            return 128 + interrupted.number
        finally:
            self._take_down()

    def _start(self) -> Ready:
        options, progress = self._options, self._progress
        check_can_listen(options.host, options.port)
        hypervisor = Hypervisor(self._folder)
        with progress.step("Guests"):
            libvirtd = hypervisor.start()
            self._services.insert(0, libvirtd)
            names = [f"demo-{number}" for number in range(1, options.guests + 1)]
            hypervisor.start_guests(names, libvirtd)
            hypervisor.keep_capabilities()
        with progress.step("Appliance"):
            running = appliance.start(self._folder, options, hypervisor.uri)
            self._services.insert(0, running.service)
            api = client.Api(running.url, appliance.USER, running.password)
            processes.wait_for(api.is_ready, "A yes from /readyz", READY_SECONDS, self._services)
            processes.wait_for(
                lambda: len(api.instances()) == len(names), "The list of all guests", READY_SECONDS, self._services
            )
        return Ready(api, running.password, running.clouds_yaml, api.instances(), self._services)

    def _smoke(self, state: Ready) -> None:
        instance = state.instances[0]
        with self._progress.step("ask the API for a console"):
            began = time.monotonic()
            url = state.api.console_url(instance["id"])
            asked = time.monotonic()
        with self._progress.step("open the console"):
            screen = client.open_screen(url)
            opened = time.monotonic()
        _print_line(
            {
                "instance": instance["name"],
                "rfb_version": screen.rfb_version,
                "width": screen.width,
                "height": screen.height,
                "name": screen.name,
                "console_url_ms": round((asked - began) * 1000, 1),
                "connect_ms": round((opened - asked) * 1000, 1),
            }
        )

    def _announce(self, state: Ready) -> None:
        with self._progress.step("a console's URL"):
            url = state.api.console_url(state.instances[0]["id"])
        self._ready = True  # whoever reads what comes now may end us at once
        if self._options.output == "json":
            _print_line(
                {
                    "api_url": state.api.url,
                    "user": appliance.USER,
                    "password": state.password,
                    "console_url": url,
                    "clouds_yaml": str(state.clouds_yaml),
                    "instances": [{key: one[key] for key in ("id", "name", "compute")} for one in state.instances],
                }
            )
            return
        names = ", ".join(str(one["name"]) for one in state.instances)
        print(
            f"\nPorthole is ready.\n\n"
            f"  Address    {state.api.url}/\n"
            f"  User       {appliance.USER}\n"
            f"  Password   {state.password}\n"
            f"  Guests     {names}\n"
            f"  Log        {self._folder}/appliance.log\n\n"
            f"A console of {state.instances[0]['name']}, for ten minutes:\n\n  {url}\n\n"
            f"For OpenStack's clients:\n\n"
            f"  export OS_CLIENT_CONFIG_FILE={state.clouds_yaml} OS_CLOUD=porthole\n\n"
            f"Ctrl-C ends everything.\n",
            flush=True,
        )

    def _watch(self) -> NoReturn:
        """Until a signal comes, or something dies.

        :raises StepFailed: libvirtd or the appliance ended
        """
        while True:
            for service in self._services:
                service.check()
            time.sleep(WATCH_SECONDS)

    def _take_down(self) -> None:
        for number in ENDED_BY:
            signal.signal(number, signal.SIG_IGN)
        processes.end(self._services)
        processes.kill_those_of(self._folder, os.geteuid())
        shutil.rmtree(self._folder, ignore_errors=True)


def _print_line(result: dict[str, object]) -> None:
    print(json.dumps(result, ensure_ascii=False), flush=True)


def main() -> int:
    """Read the folder and the options from the command line and run."""
    folder, *arguments = sys.argv[1:]
    session = Session(Path(folder), parse(arguments))
    try:
        raise_on_signals()
        signal.pthread_sigmask(signal.SIG_UNBLOCK, ENDED_BY)
        return session.run()
    except Interrupted as interrupted:  # between the two lines above and the first of run()
        shutil.rmtree(folder, ignore_errors=True)
        return 128 + interrupted.number


if __name__ == "__main__":
    sys.exit(main())
