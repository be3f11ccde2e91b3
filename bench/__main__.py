"""``script/bench``: install what is compared, then measure.

This part runs on Debian's Python and imports nothing else; what measures (:mod:`bench.run`) runs in the checkout's
environment.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from bench import options, prepare
from provision.progress import Progress, StepFailed

CHECKOUT = Path(__file__).resolve().parents[1]


def main(arguments: Sequence[str]) -> int:
    """Prepare, and hand over to the measuring."""
    asked = options.parse(arguments)
    if asked.listed:
        print(options.listing())
        return 0
    progress = Progress()
    try:
        python = prepare.everything([peer.name for peer in asked.chosen_peers], progress)
    except StepFailed as failure:
        progress.say(f"script/bench: {failure}")
        return 1
    except KeyboardInterrupt:
        return 128 + signal.SIGINT
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(str(CHECKOUT / name) for name in (".", "app", "script"))}
    os.execve(python, [str(python), "-m", "bench.run", *arguments], env)  # noqa: S606 - there is no shell in it


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
