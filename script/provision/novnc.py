"""noVNC from npm, as app/package-lock.json pins it."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path

from provision import debian
from provision.progress import Progress, run

STAMP = ".complete"
MANIFESTS = ("package.json", "package-lock.json")


def ensure(folder: Path, app: Path, log: Path, progress: Progress) -> Path:
    """Install it below *folder* unless it is there as pinned.

    :param app: the folder of package.json and package-lock.json
    :returns: the package's folder, for the setting ``novnc_path``
    :raises StepFailed: npm failed
    """
    package = folder / "node_modules" / "@novnc" / "novnc"
    stamp = folder / STAMP
    wanted = hashlib.sha256(b"\0".join((app / name).read_bytes() for name in MANIFESTS)).hexdigest()
    if stamp.is_file() and stamp.read_text() == wanted and (package / "core" / "rfb.js").is_file():
        return package
    with progress.step("noVNC from npm"):
        stamp.unlink(missing_ok=True)
        folder.mkdir(parents=True, exist_ok=True)
        for name in MANIFESTS:
            shutil.copyfile(app / name, folder / name)
        npm = debian.find_program("npm") or "npm"
        argv = [npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
        run(argv, log, cwd=folder, advice="If registry.npmjs.org cannot be reached, set npm's registry or proxy.")
    stamp.write_text(wanted)
    return package
