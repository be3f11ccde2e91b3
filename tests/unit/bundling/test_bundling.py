"""script/bundle: names, pins, and archives that depend on their content alone."""

from __future__ import annotations

import argparse
import os
import tarfile
from pathlib import Path

import pytest

from bundling import archive, wheels
from bundling.options import parse, release_label
from bundling.target import Target, parse_os_release, this_machine
from provision.progress import StepFailed

DEBIAN = Target("debian", "12", "3.11", "x86_64")


def test_a_bundle_is_named_after_what_it_is_for() -> None:
    assert DEBIAN.bundle_name("0.1.0") == "porthole-0.1.0-debian12-py3.11-x86_64"


@pytest.mark.parametrize(
    ("text", "distribution", "version"),
    [
        ('ID=debian\nVERSION_ID="12"\n', "debian", "12"),
        ("NAME='Ubuntu'\nID=ubuntu\nVERSION_ID=\"22.04\"\n", "ubuntu", "22.04"),
        ('ID="rocky"\nID_LIKE="rhel centos fedora"\nVERSION_ID="9.4"\n', "el", "9"),
    ],
)
def test_the_distribution_is_read_from_os_release(tmp_path: Path, text: str, distribution: str, version: str) -> None:
    (tmp_path / "os-release").write_text(text)
    target = this_machine(tmp_path / "os-release")
    assert (target.distribution, target.version) == (distribution, version)


def test_a_distribution_without_a_number_is_refused(tmp_path: Path) -> None:
    (tmp_path / "os-release").write_text("ID=debian\nVERSION_CODENAME=sid\n")
    with pytest.raises(StepFailed, match="VERSION_ID=nothing"):
        this_machine(tmp_path / "os-release")


def test_os_release_values_may_be_quoted_either_way() -> None:
    assert parse_os_release("A=\"x y\"\nB='z'\nC=w\n# D=v\n") == {"A": "x y", "B": "z", "C": "w"}


@pytest.mark.parametrize("label", ["0.1.0", "1", "2026.11+fix-2", "a" * 64])
def test_labels(label: str) -> None:
    assert release_label(label) == label


@pytest.mark.parametrize("label", ["", ".", "-1", "a b", "a/b", "../x", "ä", "a" * 65, "1\n"])
def test_what_is_no_label(label: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError):
        release_label(label)


def test_without_a_label_it_is_the_versions() -> None:
    assert parse([]).release == ""
    assert parse([]).output.name == "dist"


def test_every_wheel_has_to_be_of_the_pinned_version() -> None:
    pins = wheels.pins("# a comment\nFlask==3.1.3\nzope.event==6.2  # why\n")
    assert pins == {"flask": "3.1.3", "zope-event": "6.2"}
    wheels.check_pinned([Path("flask-3.1.3-py3-none-any.whl"), Path("zope_event-6.2-py3-none-any.whl")], pins)
    with pytest.raises(StepFailed) as caught:
        wheels.check_pinned([Path("flask-3.1.2-py3-none-any.whl"), Path("more-1-py3-none-any.whl")], pins)
    assert caught.value.details == ["flask is 3.1.2 and pinned is 3.1.3", "more==1 is not pinned"]


def test_requirements_have_the_hash_of_each_wheel_and_no_pip(tmp_path: Path) -> None:
    for name in ("b_c-2.0-cp311-cp311-linux_x86_64.whl", "a-1.0-py3-none-any.whl", "pip-26.3-py3-none-any.whl"):
        (tmp_path / name).write_text(name)
    lines = wheels.hashed_requirements(sorted(tmp_path.glob("*.whl"))).splitlines()[1:]
    assert [line.split(" --hash=sha256:")[0] for line in lines] == ["a==1.0", "b-c==2.0"]
    assert all(len(line.split(":")[-1]) == 64 for line in lines)


def test_the_wheel_is_made_from_the_package_alone(tmp_path: Path) -> None:
    app = tmp_path / "app"
    for name in ("pyproject.toml", "porthole/cli.py", "porthole/__pycache__/cli.pyc", "node_modules/x.js"):
        (app / name).parent.mkdir(parents=True, exist_ok=True)
        (app / name).write_text(name)
    wheels.copy_application(app, tmp_path / "copy")
    copied = sorted(
        str(path.relative_to(tmp_path / "copy")) for path in (tmp_path / "copy").rglob("*") if path.is_file()
    )
    assert copied == ["porthole/cli.py", "pyproject.toml"]


def test_an_archive_depends_on_nothing_but_its_content(tmp_path: Path) -> None:
    digests = []
    for number, names in enumerate((["b", "a/c"], ["a/c", "b"])):
        top = tmp_path / str(number) / "top"
        for name in names:
            (top / name).parent.mkdir(parents=True, exist_ok=True)
            (top / name).write_text(name)
            os.utime(top / name, (number, number))
            (top / name).chmod(0o600 if number else 0o664)
        digests.append(archive.write(top, tmp_path / f"{number}.tar.gz"))
    assert digests[0] == digests[1]
    assert archive.is_whole(tmp_path / "0.tar.gz")
    with tarfile.open(tmp_path / "0.tar.gz") as tar:
        assert [(entry.name, entry.mode, entry.uname) for entry in tar] == [
            ("top", 0o755, "root"),
            ("top/a", 0o755, "root"),
            ("top/a/c", 0o644, "root"),
            ("top/b", 0o644, "root"),
        ]


def test_an_archive_that_was_changed_or_has_no_checksum_is_not_whole(tmp_path: Path) -> None:
    (tmp_path / "top").mkdir()
    file = tmp_path / "x.tar.gz"
    archive.write(tmp_path / "top", file)
    file.write_bytes(file.read_bytes() + b"\0")
    assert not archive.is_whole(file)
    archive.write(tmp_path / "top", file)
    archive.checksum_file(file).unlink()
    assert not archive.is_whole(file)
