"""See the package."""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

from tests.fuzz.running import check, run, run_with_atheris, targets

NAMES = ("CLIENT_MESSAGES", "SERVER", "FRAMES")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description="Feeds a parser what strangers may send.")
    parser.add_argument("target", choices=NAMES)
    parser.add_argument("--inputs", type=int, default=100_000, help="how many (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="the same inputs for the same seed (default: %(default)s)")
    parser.add_argument("--engine", choices=("random", "atheris"), default="random", help="default: %(default)s")
    parser.add_argument(
        "--corpus", type=Path, default=Path(".cache/fuzz"), help="where atheris keeps its inputs (default: %(default)s)"
    )
    parser.add_argument("--input", type=bytes.fromhex, help="this one alone, in hexadecimal")
    return parser.parse_args()


def main() -> int:
    """Run as the command line says; returns the exit status. What is found ends it with a traceback."""
    arguments = _arguments()
    name: str = arguments.target
    if arguments.input is not None:
        print(check(name, targets()[name], arguments.input))
        return 0
    if arguments.engine == "atheris":
        try:
            run_with_atheris(name, arguments.inputs, arguments.seed, arguments.corpus / name)
        except ModuleNotFoundError as error:
            if error.name != "atheris":
                raise
            print("atheris is not installed (pip install atheris); --engine random needs nothing.", file=sys.stderr)
            return 2
    began = time.monotonic()
    outcomes = run(name, arguments.inputs, arguments.seed)
    took = time.monotonic() - began
    print(f"{name}: {arguments.inputs} inputs of seed {arguments.seed} in {took:.1f} s, nothing wrong")
    for outcome, count in outcomes.most_common():
        print(f"{count:>10} {outcome}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
