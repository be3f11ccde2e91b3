"""``script/lab`` as a person and a script meet it: the main job, its end, and what can go wrong.

The first of these tests may install; the others find everything there.
"""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import time
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from local_lab.options import address_for_others
from tests.lab.running import Lab, eventually, free_port, get, is_running, machines_libvirt, run

StartLab = Callable[..., Lab]


@pytest.fixture
def start() -> Iterator[StartLab]:
    """Starts labs, each on a free port unless told otherwise, and ends those that are left."""
    labs: list[Lab] = []

    def starter(*arguments: str) -> Lab:
        port = () if "--port" in arguments else ("--port", str(free_port()))
        labs.append(Lab(*arguments, *port))
        return labs[-1]

    yield starter
    for lab in labs:
        lab.kill()


class TestSmoke:
    def test_prints_one_line_of_json_about_the_console_it_opened(self, capsys: pytest.CaptureFixture[str]) -> None:
        began = time.monotonic()
        done = run("--smoke", "--port", str(free_port()))
        assert done.returncode == 0, done.stderr
        assert done.stdout.count("\n") == 1
        result = json.loads(done.stdout)
        assert set(result) == {"instance", "rfb_version", "width", "height", "name", "console_url_ms", "connect_ms"}
        assert result["instance"] == "demo-1"
        assert result["rfb_version"] == "003.008"
        assert (result["width"], result["height"]) == (720, 400)  # VGA text mode, 80 by 25 characters of 9 by 16
        assert "demo-1" in result["name"]
        with capsys.disabled():
            print(f"\nscript/lab --smoke took {time.monotonic() - began:.1f} s: {done.stdout.strip()}")

    def test_a_second_run_installs_nothing(self, capsys: pytest.CaptureFixture[str]) -> None:
        began = time.monotonic()
        done = run("--smoke", "--port", str(free_port()))
        assert done.returncode == 0, done.stderr
        assert "PyPI" not in done.stderr
        assert "npm" not in done.stderr
        assert "Debian" not in done.stderr
        with capsys.disabled():
            print(f"\na second run of script/lab --smoke took {time.monotonic() - began:.1f} s")

    def test_works_over_ipv6(self) -> None:
        done = run("--smoke", "--host", "::1", "--guests", "1", "--port", str(free_port()))
        assert done.returncode == 0, done.stderr


class TestReady:
    def test_json_has_what_a_script_needs(self, start: StartLab) -> None:
        port = free_port()
        ready = start("--json", "--port", str(port)).ready()
        assert set(ready) == {"api_url", "user", "password", "console_url", "clouds_yaml", "instances"}
        assert ready["api_url"] == f"http://127.0.0.1:{port}"
        assert re.fullmatch(
            rf"http://127\.0\.0\.1:{port}/vnc_auto\.html\?path=%3Ftoken%3D[A-Za-z0-9._-]+", ready["console_url"]
        )
        assert [set(one) for one in ready["instances"]] == [{"id", "name", "compute"}] * 2
        assert [one["name"] for one in ready["instances"]] == ["demo-1", "demo-2"]
        listed = get(f"{ready['api_url']}/v1/instances", ready["user"], ready["password"])["instances"]
        assert {one["id"] for one in listed} == {one["id"] for one in ready["instances"]}
        assert {one["state"] for one in listed} == {"running"}

    def test_the_console_page_answers_at_its_url(self, start: StartLab) -> None:
        ready = start("--json", "--guests", "1").ready()
        with urllib.request.urlopen(ready["console_url"], timeout=10) as page:
            assert page.status == 200
            assert page.headers.get_content_type() == "text/html"

    def test_the_screen_shows_address_user_password_and_a_url(self, start: StartLab) -> None:
        port = free_port()
        lab = start("--port", str(port), "--guests", "1")
        assert lab.process.stdout is not None
        lines: list[str] = []
        while not lines or "Ctrl-C" not in lines[-1]:
            lines.append(lab.process.stdout.readline())
            assert lines[-1], lab.wait()
        text = "".join(lines)
        assert f"Address    http://127.0.0.1:{port}/" in text
        assert "User       admin" in text
        password = re.search(r"Password   (\S+)", text)
        assert password is not None
        assert len(password[1]) >= 16
        assert f"http://127.0.0.1:{port}/vnc_auto.html?path=%3Ftoken%3D" in text

    def test_as_many_guests_as_asked_for(self, start: StartLab) -> None:
        ready = start("--json", "--guests", "4").ready()
        assert [one["name"] for one in ready["instances"]] == ["demo-1", "demo-2", "demo-3", "demo-4"]

    def test_listening_everywhere_the_url_has_the_machines_address(self, start: StartLab) -> None:
        port = free_port()
        ready = start("--json", "--guests", "1", "--host", "0.0.0.0", "--port", str(port)).ready()
        assert ready["api_url"] == f"http://{address_for_others('0.0.0.0')}:{port}"
        assert urllib.parse.urlsplit(ready["console_url"]).netloc == urllib.parse.urlsplit(ready["api_url"]).netloc

    def test_two_labs_at_once(self, start: StartLab) -> None:
        labs = [start("--json", "--guests", "1"), start("--json", "--guests", "1")]
        first, second = (lab.ready() for lab in labs)
        assert first["api_url"] != second["api_url"]
        assert first["instances"][0]["id"] != second["instances"][0]["id"]
        labs[0].end()
        assert get(f"{second['api_url']}/v1/instances", second["user"], second["password"])["instances"]


class TestPrivacy:
    def test_nothing_of_it_runs_as_root(self, start: StartLab) -> None:
        lab = start("--json", "--guests", "1")
        lab.ready()
        owners = {os.stat(f"/proc/{pid}").st_uid for pid in [lab.process.pid, *lab.descendants()]}
        assert 0 not in owners
        assert len(owners) == 1

    def test_neither_password_nor_token_is_in_a_command_line_or_a_log(self, start: StartLab) -> None:
        lab = start("--json", "--guests", "1")
        ready = lab.ready()
        token = ready["console_url"].rpartition("%3D")[2]
        with urllib.request.urlopen(ready["console_url"], timeout=10):
            pass
        folder = lab.folder
        assert folder is not None
        for secret in (ready["password"], token):
            assert not [line for line in lab.descendants().values() if secret in line]
            for log in folder.glob("*.log"):
                assert secret not in log.read_text(errors="replace"), log.name

    def test_others_cannot_look_into_its_folder(self, start: StartLab) -> None:
        lab = start("--json", "--guests", "1")
        lab.ready()
        assert lab.folder is not None
        assert lab.folder.stat().st_mode & 0o077 == 0


class TestEnd:
    @pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
    def test_a_signal_takes_everything_down(self, start: StartLab, number: signal.Signals) -> None:
        before = machines_libvirt()
        lab = start("--json")
        ready = lab.ready()
        processes, folder = lab.descendants(), lab.folder
        assert len([line for line in processes.values() if "qemu-system" in line and "keeper" not in line]) == 2
        assert folder is not None
        status, _, errors = lab.end(number)
        assert status == 0, errors
        assert {pid: line for pid, line in processes.items() if is_running(pid)} == {}
        assert not folder.exists()
        address = urllib.parse.urlsplit(ready["api_url"])
        with socket.socket() as client:
            assert client.connect_ex((address.hostname, address.port)) != 0
        assert machines_libvirt() == before

    def test_so_does_one_in_the_middle_of_the_start(self, start: StartLab) -> None:
        lab = start("--json", "--guests", "4")
        eventually(lambda: any("qemu-system" in line for line in lab.descendants().values()), "a first guest", 60)
        processes, folder = lab.descendants(), lab.folder
        status, output, errors = lab.end(signal.SIGINT)
        assert status == 128 + signal.SIGINT
        assert output == ""
        assert "interrupted" in errors
        eventually(lambda: not any(is_running(pid) for pid in processes), "the end of its processes")
        assert folder is not None
        assert not folder.exists()

    @pytest.mark.parametrize(("program", "name"), [("libvirtd", "libvirtd"), ("porthole serve", "the appliance")])
    def test_it_says_what_died_and_ends(self, start: StartLab, program: str, name: str) -> None:
        lab = start("--json", "--guests", "1")
        lab.ready()
        processes, folder = lab.descendants(), lab.folder
        os.kill(lab.find(program), signal.SIGKILL)
        status, _, errors = lab.wait()
        assert status == 1
        assert f"{name} ended by itself (signal 9)" in errors
        assert {pid: line for pid, line in processes.items() if is_running(pid)} == {}
        assert folder is not None
        assert not folder.exists()

    def test_when_it_is_killed_its_processes_end_and_the_next_one_clears_up(self, start: StartLab) -> None:
        lab = start("--json", "--guests", "1")
        lab.ready()
        processes, folder = lab.descendants(), lab.folder
        assert folder is not None
        lab.process.kill()
        eventually(lambda: not any(is_running(pid) for pid in processes), "the end of its processes")
        assert folder.exists()
        start("--json", "--guests", "1").ready()
        assert not folder.exists()


class TestMistakes:
    def test_a_port_in_use_is_named(self) -> None:
        with socket.socket() as other:
            other.bind(("127.0.0.1", 0))
            other.listen(1)
            port = other.getsockname()[1]
            done = run("--smoke", "--port", str(port))
        assert done.returncode == 1
        assert done.stdout == ""
        assert f"port {port} on 127.0.0.1 is in use." in done.stderr
        assert "--port" in done.stderr

    def test_an_address_that_is_not_this_machines_is_named(self) -> None:
        done = run("--smoke", "--host", "192.0.2.1", "--port", str(free_port()))
        assert done.returncode == 1
        assert "192.0.2.1 is not an address of this machine." in done.stderr

    @pytest.mark.parametrize(
        "arguments",
        [
            ("--guests", "0"),
            ("--guests", "21"),
            ("--guests", "two"),
            ("--guests", "-1"),
            ("--guests",),
            ("--port", "0"),
            ("--port", "65536"),
            ("--port", "http"),
            ("--host", "not a host"),
            ("--host", ""),
            ("--smoke", "--json"),
            ("--smok",),
            ("extra",),
        ],
    )
    def test_a_wrong_option_is_refused_with_2(self, arguments: tuple[str, ...]) -> None:
        done = run(*arguments, timeout=30)
        assert done.returncode == 2
        assert done.stdout == ""
        assert "script/lab: error: " in done.stderr

    def test_help_names_every_option(self) -> None:
        done = run("--help", timeout=30)
        assert done.returncode == 0
        for option in ("--host", "--port", "--guests", "--smoke", "--json"):
            assert option in done.stdout


def test_the_checkout_stays_as_it_was(start: StartLab) -> None:
    script = Path(__file__).resolve().parents[2] / "script"
    before = sorted(path for path in script.rglob("*") if path.parent.name != "__pycache__")
    start("--json", "--guests", "1").ready()
    assert sorted(path for path in script.rglob("*") if path.parent.name != "__pycache__") == before
