"""Packages from npm, as the package-lock.json beside their package.json pins them: noVNC, and axe for the tests."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path

from provision import debian
from provision.progress import Progress, run

STAMP = ".complete"
MANIFESTS = ("package.json", "package-lock.json")


def ensure(folder: Path, app: Path, log: Path, progress: Progress) -> Path:
    """Install noVNC below *folder* unless it is there as pinned.

    :param app: the folder of package.json and package-lock.json
    :returns: the package's folder, for the setting ``novnc_path``
    :raises StepFailed: npm failed
    """
    package = Path("@novnc", "novnc")
    return _ensure(folder, app, package / "core" / "rfb.js", "noVNC from npm", log, progress) / package


def ensure_axe(folder: Path, manifests: Path, log: Path, progress: Progress) -> None:
    """Install axe-core below *folder*, likewise."""
    _ensure(folder, manifests, Path("axe-core", "axe.min.js"), "axe from npm", log, progress)


def is_there(folder: Path, app: Path) -> bool:
    """Whether :func:`ensure` would have nothing to do, and so needs no npm."""
    return _is_there(folder, app, Path("@novnc", "novnc", "core", "rfb.js"))


def _wanted(manifests: Path) -> str:
    return hashlib.sha256(b"\0".join((manifests / name).read_bytes() for name in MANIFESTS)).hexdigest()


def _is_there(folder: Path, manifests: Path, file: Path) -> bool:
    stamp = folder / STAMP
    return stamp.is_file() and stamp.read_text() == _wanted(manifests) and (folder / "node_modules" / file).is_file()


def _ensure(folder: Path, manifests: Path, file: Path, step: str, log: Path, progress: Progress) -> Path:
    modules = folder / "node_modules"
    stamp = folder / STAMP
    if _is_there(folder, manifests, file):
        return modules
    with progress.step(step):
        stamp.unlink(missing_ok=True)
        folder.mkdir(parents=True, exist_ok=True)
        for name in MANIFESTS:
            shutil.copyfile(manifests / name, folder / name)
        npm = debian.find_program("npm") or "npm"
        argv = [npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
        run(argv, log, cwd=folder, advice="If registry.npmjs.org cannot be reached, set npm's registry or proxy.")
    stamp.write_text(_wanted(manifests))
    return modules
