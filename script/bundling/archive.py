"""A folder as a tar.gz that depends on nothing but the folder's content."""

from __future__ import annotations

import gzip
import os
import tarfile
from pathlib import Path

from bundling.wheels import EPOCH, sha256

LEVEL = 6


def write(folder: Path, archive: Path) -> str:
    """Pack *folder* and write the checksum beside it; both are put in place as a whole, the checksum last.

    Entries are sorted; times, owners and modes are fixed.

    :returns: the archive's sha256
    """
    temporary = archive.with_name(f".{archive.name}.{os.getpid()}")
    checksum = checksum_file(archive)
    try:
        with (
            temporary.open("wb") as raw,
            gzip.GzipFile(filename="", mode="wb", compresslevel=LEVEL, fileobj=raw, mtime=EPOCH) as packed,
            tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as tar,
        ):
            for path in [folder, *sorted(folder.rglob("*"))]:
                tar.add(path, str(path.relative_to(folder.parent)), recursive=False, filter=_plain)
        digest = sha256(temporary)
        checksum.unlink(missing_ok=True)
        temporary.replace(archive)
    finally:
        temporary.unlink(missing_ok=True)
    checksum.write_text(f"{digest}  {archive.name}\n", encoding="ascii")
    return digest


def checksum_file(archive: Path) -> Path:
    """Where an archive's checksum is, in the form that ``sha256sum --check`` reads."""
    return archive.with_name(archive.name + ".sha256")


def is_whole(archive: Path) -> bool:
    """Whether the archive is there and is what its checksum says."""
    checksum = checksum_file(archive)
    if not (archive.is_file() and checksum.is_file()):
        return False
    return checksum.read_text(encoding="ascii").split()[:1] == [sha256(archive)]


def _plain(entry: tarfile.TarInfo) -> tarfile.TarInfo:
    entry.uid = entry.gid = 0
    entry.uname = entry.gname = "root"
    entry.mtime = EPOCH
    entry.mode = 0o755 if entry.isdir() or entry.mode & 0o100 else 0o644
    return entry
