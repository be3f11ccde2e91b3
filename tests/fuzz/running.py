"""The loop: seeded chance, which needs nothing, or atheris (libFuzzer), which sees which lines an input reaches."""

from __future__ import annotations

import importlib
from collections import Counter
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING

from tests.fuzz.mutation import MAX_INPUT, mutated

if TYPE_CHECKING:
    from tests.fuzz.targets import Target

_SEEDS = 200


class Found(Exception):
    """An input that is neither parsed nor refused with a documented error; the cause says what happened instead."""

    def __init__(self, name: str, data: bytes) -> None:
        super().__init__(f"again with: python -m tests.fuzz {name} --input {data.hex() or '00'}")
        self.data = data


def targets() -> dict[str, Target]:
    """All of them. They are imported here, so that atheris is there before what it looks into."""
    found: dict[str, Target] = importlib.import_module("tests.fuzz.targets").TARGETS
    return found


def check(name: str, target: Target, data: bytes) -> str:
    """Feed one input; returns its outcome.

    :raises Found: something is wrong
    """
    try:
        return target.check(data)
    except Exception as error:
        raise Found(name, data) from error


def run(name: str, inputs: int, seed: int) -> Counter[str]:
    """Feed as many inputs; the same ones each time for the same seed.

    :returns: how often which outcome came
    :raises Found: at the first that is wrong
    """
    target = targets()[name]
    random = Random(seed)  # noqa: S311 - inputs are to be the same again
    return Counter(check(name, target, mutated(random, target.dialogue)) for _ in range(inputs))


def run_with_atheris(name: str, inputs: int, seed: int, corpus: Path) -> None:
    """The same with atheris. It ends the process: with status 0, or with what it found.

    :param corpus: folder in which inputs that reach new lines are kept, for the next run too
    :raises ModuleNotFoundError: it is not installed
    """
    atheris = importlib.import_module("atheris")
    with atheris.instrument_imports(include=["porthole.proxy"]):
        target = targets()[name]
    corpus.mkdir(parents=True, exist_ok=True)
    random = Random(seed)  # noqa: S311 - inputs are to be the same again
    for number in range(_SEEDS):
        (corpus / f"dialogue-{number}").write_bytes(target.dialogue(random)[:MAX_INPUT])
    arguments = [f"-runs={inputs}", f"-seed={seed}", f"-max_len={MAX_INPUT}", str(corpus)]
    atheris.Setup(["tests.fuzz", *arguments], lambda data: check(name, target, data) and None)
    atheris.Fuzz()
