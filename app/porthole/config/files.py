"""Configuration files: which there are, which sections and options they have, and which of these nobody knows."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from oslo_config import cfg

from porthole.config.options import COMPUTE_OPTS, COMPUTE_PREFIX, GROUPS
from porthole.config.settings import ConfigError

Sections = list[tuple[Path, dict[str, list[str]]]]
"""For each file, in the order in which they count, the names of its options by section."""

_COMPUTE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,253}\Z")


def in_directories(directories: Sequence[Path]) -> Iterator[Path]:
    """The ``*.conf`` files of folders, in the order of their names.

    :raises ConfigError: there is no such folder
    """
    for directory in directories:
        if not directory.is_dir():
            raise ConfigError(f"{directory}: there is no such folder of configuration files (--config-dir).")
        yield from sorted(directory.glob("*.conf"))


def read(paths: Sequence[Path]) -> Sections:
    """The names of all options of all files.

    :raises ConfigError: a file cannot be read, or has a section or an option that nobody knows
    """
    sections = [(path, _sections_of(path)) for path in paths]
    for path, options in sections:
        _refuse_unknown(path, options)
    return sections


def _sections_of(path: Path) -> dict[str, list[str]]:
    """The option names of a file by section."""
    sections: dict[str, dict[str, list[str]]] = {}
    try:
        cfg.ConfigParser(str(path), sections).parse()
    except FileNotFoundError:
        raise ConfigError(
            f"{path}: there is no such configuration file. 'porthole config sample' prints one."
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: cannot be read: {error}.") from None
    except cfg.ParseError as error:
        raise ConfigError(f"{path}: {error}. A line is [section], option = value, or starts with #.") from None
    return {section: list(options) for section, options in sections.items()}


def compute_names(sections: Sections) -> list[str]:
    """The NAMEs of the ``[compute:NAME]`` sections.

    :raises ConfigError: one cannot be a name
    """
    names: list[str] = []
    for path, options in sections:
        for section in options:
            if not section.startswith(COMPUTE_PREFIX):
                continue
            name = section.removeprefix(COMPUTE_PREFIX)
            if not _COMPUTE_NAME.match(name):
                raise ConfigError(
                    f"{path}: [{section}]: a compute's name has letters, digits, dots, hyphens and underscores, "
                    "as a host name has."
                )
            if name not in names:
                names.append(name)
    return names


def _refuse_unknown(path: Path, sections: dict[str, list[str]]) -> None:
    for section, options in sections.items():
        if section.startswith(COMPUTE_PREFIX):
            known = COMPUTE_OPTS
        elif section in GROUPS:
            known = GROUPS[section]
        else:
            raise ConfigError(
                f"{path}: section [{section}] is unknown.{_suggest(section, list(GROUPS), '[{}]')} "
                f"Sections are {', '.join(f'[{g}]' for g in GROUPS)} and [compute:NAME]."
            )
        allowed = [opt.name for opt in known]
        for option in options:
            if option in allowed:
                continue
            elsewhere = next((g for g, opts in GROUPS.items() if option in [o.name for o in opts]), None)
            hint = f" It belongs into [{elsewhere}]." if elsewhere else _suggest(option, allowed, "{}")
            raise ConfigError(
                f"{path}: option {option} in [{section}] is unknown.{hint} "
                f"[{section}] has: {', '.join(sorted(allowed))}."
            )


def _suggest(word: str, known: list[str], form: str) -> str:
    near = difflib.get_close_matches(word, known, n=1)
    return f" Did you mean {form.format(near[0])}?" if near else ""
