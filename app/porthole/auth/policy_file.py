"""The file with the rules that count instead of the defaults (``[oslo_policy] policy_file``)."""

from __future__ import annotations

import os
import stat
import time
from pathlib import Path

import yaml

from porthole.auth.policy_checks import RuleError, Rules, checked
from porthole.config import ConfigError

MAX_FILE_BYTES = 64 * 1024

_SETTLED_NS = 2_000_000_000
_STRING = "tag:yaml.org,2002:str"
_NOTHING = "tag:yaml.org,2002:null"
_FORM = 'A line is "NAME": "RULE"; an empty file leaves the defaults.'


class PolicyFileError(ConfigError):
    """The file cannot be used; the message names it, the rule or line, and what would be right."""


class PolicyFile:
    """The file, and when it was last read. Every method reads the disk, so :meth:`look` belongs on a native thread.

    :param path: it need not exist; then the defaults count until it does
    :raises PolicyFileError: it is there and cannot be used
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._seen: tuple[object, ...] | None = ()
        self.rules = self.look() or checked({})

    def look(self) -> Rules | None:
        """Look at it again.

        :returns: its rules when it has changed, or may have; None when it has not
        :raises PolicyFileError: it has changed and cannot be used, or is gone
        """
        signature = _signature(self.path)
        if signature == self._seen:
            return None
        # Two changes within one tick of the file system's clock have the same time: until that has passed, look again.
        self._seen = signature if _is_settled(signature) else None
        if not signature:
            raise PolicyFileError(f"{self.path}: the policy file is gone. An empty one gives the defaults back.")
        return read(self.path)


def read(path: Path) -> Rules:
    """The defaults with the rules of a file instead of their own.

    :raises PolicyFileError: it cannot be read, is no YAML of rules, or one of the rules cannot be used
    """
    try:
        return checked(_parse(path, _text(path)))
    except RuleError as error:
        raise PolicyFileError(f"{path}: {error}") from None


def _text(path: Path) -> str:
    try:
        with open(path, "rb", opener=_open) as file:
            data = file.read(MAX_FILE_BYTES + 1)
    except _IrregularError:
        raise PolicyFileError(f"{path}: is no regular file. {_FORM}") from None
    except OSError as error:
        raise PolicyFileError(f"{path}: cannot be read: {error.strerror}.") from None
    if len(data) > MAX_FILE_BYTES:
        raise PolicyFileError(f"{path}: is larger than {MAX_FILE_BYTES} bytes, which no policy file needs.")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise PolicyFileError(f"{path}: line {data.count(10, 0, error.start) + 1} is not UTF-8.") from None


class _IrregularError(Exception):
    """It is a folder, a pipe, or a device."""


def _open(path: str, flags: int) -> int:
    """Open a regular file; opening a pipe as usual would wait for its other end."""
    descriptor = os.open(path, flags | os.O_NONBLOCK)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise _IrregularError
    return descriptor


def _parse(path: Path, text: str) -> dict[str, str]:
    """The rules by name. The YAML is read as far as its nodes, so that a name that is there twice is seen."""
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise PolicyFileError(f"{path}: line {line} is no YAML: {error.problem}. {_FORM}") from None
    except (yaml.YAMLError, RecursionError):
        raise PolicyFileError(f"{path}: is no YAML. {_FORM}") from None
    if root is None or root.tag == _NOTHING:
        return {}
    if not isinstance(root, yaml.MappingNode):
        raise PolicyFileError(f"{path}: line {root.start_mark.line + 1} is no rule. {_FORM}")
    rules: dict[str, str] = {}
    for key, value in root.value:
        name, rule = _string(key), _string(value)
        line = key.start_mark.line + 1
        if name is None:
            raise PolicyFileError(f"{path}: line {line} has a name that is no text. {_FORM}")
        if name in rules:
            raise PolicyFileError(f"{path}: line {line} has the rule {name[:80]!r} a second time; remove one of them.")
        if rule is None:
            # A missing value would be a rule that allows everything.
            raise PolicyFileError(
                f'{path}: line {line} has the rule {name[:80]!r}, whose value is no text. "@" allows everybody, '
                '"!" nobody; both need their quotation marks.'
            )
        rules[name] = rule
    return rules


def _string(node: yaml.Node) -> str | None:
    return str(node.value) if isinstance(node, yaml.ScalarNode) and node.tag == _STRING else None


def _signature(path: Path) -> tuple[object, ...]:
    """What changes with the file; empty when there is none."""
    try:
        status = path.stat()
    except OSError:
        return ()
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns


def _is_settled(signature: tuple[object, ...]) -> bool:
    return not signature or abs(time.time_ns() - int(str(signature[3]))) > _SETTLED_NS
