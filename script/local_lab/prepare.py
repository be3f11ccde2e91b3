"""First half: everything there, a private folder, and from then on no longer root."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pwd
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import NoReturn

from local_lab import processes
from local_lab.options import Options, check_can_listen
from provision import debian, novnc, python_env
from provision.progress import Progress, StepFailed, run

CHECKOUT = Path(__file__).resolve().parents[2]
SCRIPTS = CHECKOUT / "script"
REQUIREMENTS = (CHECKOUT / "app" / "requirements.txt", SCRIPTS / "local_lab" / "requirements.txt")
BOOT_SOURCE = SCRIPTS / "local_lab" / "guest" / "boot.S"
USER = "porthole-lab"
PREFIX = "porthole-lab-"
TEMPORARY = Path("/tmp")  # noqa: S108 - short, for a UNIX socket's path has at most 107 bytes; the folder is private
ENDED_BY = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
NEEDS = (*debian.PYTHON_NEEDS, *debian.NODE_NEEDS, *debian.HYPERVISOR_NEEDS)


class Interrupted(BaseException):
    """A signal asked to end. Not an Exception, so that nothing takes it for a failure.

    :ivar number: the signal's
    """

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


def raise_on_signals() -> None:
    """From now on SIGINT, SIGTERM and SIGHUP raise :class:`Interrupted` in the main thread."""

    def handler(number: int, _frame: FrameType | None) -> NoReturn:
        for one in ENDED_BY:
            signal.signal(one, signal.SIG_IGN)  # once is enough; taking down is not to be interrupted
        raise Interrupted(number)

    for one in ENDED_BY:
        if one != signal.SIGHUP or signal.getsignal(one) != signal.SIG_IGN:  # nohup stays nohup
            signal.signal(one, handler)


def prepare_and_run(options: Options) -> int:
    """Set up, then become the second half; returns an exit status only when that does not come about."""
    os.umask(0o022)
    progress = Progress()
    raise_on_signals()
    folder: Path | None = None
    try:
        check_can_listen(options.host, options.port)
        cache = cache_folder()
        with _only_one(cache / "setup.lock", progress):
            user = _user_to_be()
            python, package, image = _set_up(cache, progress)
            _remove_left_overs(user.uid)
            folder = Path(tempfile.mkdtemp(prefix=PREFIX, dir=TEMPORARY))
            lock = _lock(folder / "lock")
            if lock is None:
                raise StepFailed(f"{folder} is locked by somebody else.", step="temporary folder")
            (cache / "libvirt").mkdir(exist_ok=True)
            _furnish(folder, package, image, cache)
            if os.geteuid() == 0:
                _hand_over(folder, user)
                _hand_over(cache / "libvirt", user)
            _become_session(python, folder, lock, user, options)
    except StepFailed as failure:
        progress.say(f"script/lab: {failure}")
        status = 1
    except Interrupted as interrupted:
        progress.say("script/lab: interrupted.")
        status = 128 + interrupted.number
    if folder is not None:
        shutil.rmtree(folder, ignore_errors=True)
    return status


def cache_folder() -> Path:
    """Where what is installed stays; made when missing.

    :raises StepFailed: it cannot be made
    """
    if os.geteuid() == 0:
        folder = Path("/var/cache/porthole-lab")
    else:
        base = os.environ.get("XDG_CACHE_HOME", "")
        folder = Path(base if base.startswith("/") else os.path.expanduser("~/.cache")) / "porthole-lab"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StepFailed(
            f"{folder} cannot be made: {error.strerror}.",
            step="cache folder",
            advice="HOME has to be a folder you may write to; or name another one with XDG_CACHE_HOME.",
        ) from None
    return folder


@contextlib.contextmanager
def _only_one(path: Path, progress: Progress) -> Iterator[None]:
    """Hold a lock meanwhile, so that two labs that start at once set up one after the other; execve releases it too."""
    with path.open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            with progress.step("Waiting for another script/lab to finish its set-up"):
                fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _set_up(cache: Path, progress: Progress) -> tuple[Path, Path, Path]:
    """The virtual environment's Python, noVNC's folder, the guest's image."""
    log = cache / "setup.log"
    log.unlink(missing_ok=True)
    log.touch(0o644)
    debian.ensure(NEEDS, log, progress)
    # An environment has its fingerprint in its name: a lab that runs keeps its own when requirements change.
    environment = cache / f"venv-{python_env.fingerprint(REQUIREMENTS)}"
    python = python_env.ensure(environment, REQUIREMENTS, log, progress)
    for old in cache.glob("venv-*"):
        if old != environment and not processes.those_of(old):
            shutil.rmtree(old, ignore_errors=True)
    package = novnc.ensure(cache / "novnc", CHECKOUT / "app", log, progress)
    image = cache / "boot.img"
    with progress.step("Guest image"):
        build_image(image, log)
    return python, package, image


def build_image(image: Path, log: Path) -> None:
    """Assemble the guest's boot sector."""
    objects = image.with_suffix(".o")
    assembler, linker = (debian.find_program(name) or name for name in ("as", "ld"))
    run([assembler, "--32", "-o", str(objects), str(BOOT_SOURCE)], log)
    new = image.with_suffix(".new")
    flags = ["-m", "elf_i386", "-Ttext", "0x7c00", "--oformat", "binary"]
    run([linker, *flags, "-o", str(new), str(objects)], log)
    new.replace(image)


@dataclass(frozen=True, slots=True)
class Ids:
    """Whom the second half runs as."""

    uid: int
    gid: int


def _user_to_be() -> Ids:
    """This user, or for root a system user, created when missing."""
    if os.geteuid() != 0:
        try:
            pwd.getpwuid(os.geteuid())
        except KeyError:
            raise StepFailed(
                f"user id {os.geteuid()} has no entry in /etc/passwd, and libvirtd does not run without one.",
                step="user",
                advice="Give it a name (useradd --uid), or run this as another user.",
            ) from None
        return Ids(os.geteuid(), os.getegid())
    with contextlib.suppress(KeyError):
        return _ids_of(USER)
    argv = ["useradd", "--system", "--user-group", "--no-create-home", "--home-dir", "/nonexistent"]
    argv += ["--shell", "/usr/sbin/nologin", "--comment", "Porthole's script/lab", USER]
    env = {**os.environ, "PATH": debian.PATH}
    made = subprocess.run(argv, env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    if made.returncode:
        raise StepFailed(
            f"the system user {USER} cannot be created.",
            step="user",
            details=made.stderr.splitlines(),
            advice=f"Create it by hand: {' '.join(argv[:-3])} {USER}",
        )
    return _ids_of(USER)


def _ids_of(name: str) -> Ids:
    entry = pwd.getpwnam(name)
    return Ids(entry.pw_uid, entry.pw_gid)


def _lock(path: Path) -> int | None:
    """A file descriptor that holds the lock on *path*, or None when somebody else has it."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    return descriptor


def _remove_left_overs(uid: int) -> None:
    """Take down what labs of this user left behind that were killed: nobody holds their folder's lock."""
    for folder in TEMPORARY.glob(f"{PREFIX}*"):
        with contextlib.suppress(OSError):
            status = folder.lstat()
            if not stat.S_ISDIR(status.st_mode) or status.st_uid not in (uid, os.geteuid()):
                continue
            lock = _lock(folder / "lock")
            if lock is None:
                continue
            processes.kill_those_of(folder, uid)
            shutil.rmtree(folder, ignore_errors=True)
            os.close(lock)


def _furnish(folder: Path, package: Path, image: Path, cache: Path) -> None:
    """Copy into the folder what the second half's user may not be able to read: the checkout may be below /root."""
    without = shutil.ignore_patterns("__pycache__", "node_modules")
    code = folder / "code"
    shutil.copytree(CHECKOUT / "app" / "porthole", code / "porthole", ignore=without)
    for name in ("provision", "local_lab"):
        shutil.copytree(SCRIPTS / name, code / name, ignore=without)
    shutil.copyfile(image, folder / "boot.img")
    for name in ("home", "config", "cache", "run", "state"):
        (folder / name).mkdir(0o700)
    (folder / "novnc").symlink_to(package)
    (folder / "warm").symlink_to(cache / "libvirt")


def _hand_over(folder: Path, user: Ids) -> None:
    for parent, _, files in os.walk(folder):
        for path in (parent, *(os.path.join(parent, name) for name in files)):
            os.chown(path, user.uid, user.gid, follow_symlinks=False)


def session_environment(folder: Path) -> dict[str, str]:
    """All of the second half's environment: nothing of the caller's gets in, and nothing of libvirt's gets out."""
    return {
        "PATH": debian.PATH,
        "LANG": "C.UTF-8",
        "HOME": str(folder / "home"),
        "XDG_CONFIG_HOME": str(folder / "config"),
        "XDG_CACHE_HOME": str(folder / "cache"),
        "XDG_DATA_HOME": str(folder / "home"),
        "XDG_RUNTIME_DIR": str(folder / "run"),
        "PYTHONPATH": str(folder / "code"),
        "PYTHONDONTWRITEBYTECODE": "1",
        "LIBVIRT_AUTOSTART": "0",  # a client is not to start a libvirtd of its own
    }


def _become_session(python: Path, folder: Path, lock: int, user: Ids, options: Options) -> NoReturn:
    """Replace this process with the second half. It keeps the process id, and the lock until it ends."""
    environment = session_environment(folder)
    if "TERM" in os.environ:
        environment["TERM"] = os.environ["TERM"]
    argv = [str(python), "-m", "local_lab.session", str(folder), *options.arguments()]
    # A signal between here and the second half's own handlers waits instead of killing.
    signal.pthread_sigmask(signal.SIG_BLOCK, ENDED_BY)
    os.set_inheritable(lock, True)
    os.chdir("/")
    os.umask(0o077)
    sys.stdout.flush()
    sys.stderr.flush()
    if os.geteuid() == 0:
        try:
            os.setgroups([])
            os.setresgid(user.gid, user.gid, user.gid)
            os.setresuid(user.uid, user.uid, user.uid)
        except OSError as error:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, ENDED_BY)
            raise StepFailed(f"cannot become user {USER}: {error.strerror}.", step="user") from None
    os.execve(python, argv, environment)  # noqa: S606 - an argument list, no shell
