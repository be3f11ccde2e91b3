"""The command line: what each command answers, and the service as a process, from its start to its end."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from porthole import __version__, cli
from porthole.auth.policy_checks import checked
from porthole.auth.policy_file import read
from porthole.auth.policy_rules import RULES
from tests.service.installation import ENVIRONMENT, Installation


@pytest.fixture
def installation(tmp_path: Path) -> Iterator[Installation]:
    installation = Installation(tmp_path)
    yield installation
    installation.end()


@pytest.fixture
def says(capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    """Run a command in this process: exit status, standard output, standard error."""

    def run(*arguments: str) -> tuple[int, str, str]:
        capsys.readouterr()
        status = cli.main(arguments)
        printed = capsys.readouterr()
        return status, printed.out, printed.err

    return run


class TestCommands:
    def test_version(self, capsys: pytest.CaptureFixture[str]) -> None:
        with pytest.raises(SystemExit) as caught:
            cli.main(["--version"])
        assert caught.value.code == 0
        assert capsys.readouterr().out == f"porthole {__version__}\n"

    @pytest.mark.parametrize("arguments", [[], ["config"], ["nonsense"], ["user", "add", "x", "--role", "god"]])
    def test_what_is_not_understood_is_2(self, arguments: list[str]) -> None:
        with pytest.raises(SystemExit) as caught:
            cli.main(arguments)
        assert caught.value.code == 2

    def test_keys_add_may_keep_the_newest_alone(
        self, says: Callable[..., tuple[int, str, str]], installation: Installation
    ) -> None:
        file = str(installation.folder / "token.keys")
        assert "holds 2 keys" in says("keys", "add", file)[1]
        assert "holds 2 keys" in says("keys", "add", "--keep", "2", file)[1]
        with pytest.raises(SystemExit):
            cli.main(["keys", "add", "--keep", "0", file])

    def test_the_store_is_copied_and_put_back(
        self, says: Callable[..., tuple[int, str, str]], installation: Installation
    ) -> None:
        config_file, copy = ("--config-file", str(installation.configure())), str(installation.folder / "copy")
        assert says("store", "backup", copy, *config_file)[2].endswith("there is no store yet.\n")
        process = installation.serve()
        installation.answers()
        assert says("store", "backup", copy, *config_file)[0] == 0
        status, _, err = says("store", "restore", copy, *config_file)
        assert (status, "a service has it open" in err) == (1, True)
        process.terminate()
        process.communicate(timeout=30)
        assert says("store", "restore", copy, *config_file)[0] == 0

    def test_config_sample(self, says: Callable[..., tuple[int, str, str]]) -> None:
        status, out, _ = says("config", "sample")
        assert status == 0
        assert "#token_ttl = 600" in out

    def test_config_check(self, says: Callable[..., tuple[int, str, str]], installation: Installation) -> None:
        file = str(installation.configure())
        assert says("config", "check", "--config-file", file) == (
            0, f"The configuration is good: 0 computes, http://127.0.0.1:{installation.port}/vnc_auto.html\n", "",
        )  # fmt: skip
        assert not (installation.folder / "state").exists(), "it only looks"

    def test_config_check_says_what_is_wrong(
        self, says: Callable[..., tuple[int, str, str]], installation: Installation
    ) -> None:
        file = str(installation.configure(token_ttl=1))
        status, out, err = says("config", "check", "--config-file", file)
        assert (status, out) == (1, "")
        assert err.startswith(f"porthole: {file}: option token_ttl in [DEFAULT] is unknown.")

    def test_config_check_loads_the_certificate(
        self, says: Callable[..., tuple[int, str, str]], installation: Installation
    ) -> None:
        file = str(installation.configure(cert=installation.folder / "htpasswd"))
        status, _, err = says("config", "check", "--config-file", file)
        assert status == 1
        assert "cert and key in [DEFAULT]" in err

    def test_config_check_loads_the_certificates_for_vnc(
        self, says: Callable[..., tuple[int, str, str]], installation: Installation
    ) -> None:
        file = installation.configure()
        file.write_text(file.read_text() + f"\n[vnc]\nvencrypt_ca_certs = {installation.folder / 'htpasswd'}\n")
        status, _, err = says("config", "check", "--config-file", str(file))
        assert status == 1
        assert "vencrypt_ca_certs in [vnc]" in err
        assert "which does not load" in err

    def test_config_check_reads_the_policy_file(
        self, says: Callable[..., tuple[int, str, str]], installation: Installation
    ) -> None:
        policy_file = installation.folder / "policy.yaml"
        installation.more = f"[oslo_policy]\npolicy_file = {policy_file}\n"
        file = str(installation.configure())
        policy_file.write_text('"os_compute_api:os-remote-consoles": "role:memer"')
        status, out, err = says("config", "check", "--config-file", file)
        assert (status, out) == (1, "")
        assert err.startswith(f"porthole: {policy_file}: rule 'os_compute_api:os-remote-consoles' has 'role:memer'")
        policy_file.write_text('"os_compute_api:os-remote-consoles": "role:member"')
        assert says("config", "check", "--config-file", file)[0] == 0

    def test_policy_sample_is_a_policy_file_that_changes_nothing(
        self, says: Callable[..., tuple[int, str, str]], tmp_path: Path
    ) -> None:
        status, out, err = says("policy", "sample")
        assert (status, err) == (0, "")
        rules = [line for line in out.splitlines() if line.startswith('#"')]
        assert len(rules) == len(RULES)
        for uncomment in (False, True):
            file = tmp_path / "policy.yaml"
            file.write_text(out.replace('#"', '"') if uncomment else out)
            given, default = read(file).checks, checked({}).checks
            assert {name: str(check) for name, check in given.items()} == {n: str(c) for n, c in default.items()}

    def test_users(
        self,
        says: Callable[..., tuple[int, str, str]],
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        files = ("--user-file", str(tmp_path / "u"), "--role-file", str(tmp_path / "r"))
        for password, role, word in (("first-password", "member", "added"), ("second-password", "admin", "changed")):
            read, write = os.pipe()
            os.write(write, f"{password}\n".encode())
            os.close(write)
            with os.fdopen(read) as stdin:
                monkeypatch.setattr(sys, "stdin", stdin)
                status, out, _ = says("user", "add", "ann", "--role", role, "--password-stdin", *files)
            assert (status, out) == (0, f"User ann was {word} with the role {role}.\n")
            assert password not in (tmp_path / "u").read_text()
        assert says("user", "list", *files) == (0, "ann\tadmin\n", "")
        assert says("user", "remove", "ann", *files) == (0, "User ann was removed.\n", "")
        status, _, err = says("user", "remove", "ann", *files)
        assert (status, err[:10]) == (1, "porthole: ")

    def test_a_user_without_a_password(
        self, says: Callable[..., tuple[int, str, str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        with open(os.devnull) as stdin:
            monkeypatch.setattr(sys, "stdin", stdin)
            status, _, err = says("user", "add", "ann", "--password-stdin", "--user-file", str(tmp_path / "u"))
        assert (status, err) == (1, "porthole: There is no password on standard input.\n")
        assert not (tmp_path / "u").exists()

    def test_keys(self, says: Callable[..., tuple[int, str, str]], tmp_path: Path) -> None:
        path = tmp_path / "keys"
        assert says("keys", "add", str(path))[1].startswith(f"{path} holds 1 key; ")
        assert says("keys", "add", str(path))[1].startswith(f"{path} holds 2 keys; ")
        assert path.stat().st_mode & 0o777 == 0o600
        path.write_text("nonsense\n")
        status, _, err = says("keys", "add", str(path))
        assert status == 1
        assert "line 1" in err
        assert "nonsense" not in err

    def test_openapi(self, says: Callable[..., tuple[int, str, str]]) -> None:
        status, out, _ = says("openapi")
        assert status == 0
        assert json.loads(out)["openapi"].startswith("3.")

    def test_a_reader_that_goes_away_is_no_traceback(self) -> None:
        read, write = os.pipe()
        os.close(read)
        done = subprocess.run(
            [sys.executable, "-m", "porthole", "config", "sample"],
            stdout=write, stderr=subprocess.PIPE, text=True, env=ENVIRONMENT, check=False,
        )  # fmt: skip
        os.close(write)
        assert "Traceback" not in done.stderr


class TestNoStart:
    """What keeps the service from working ends its start with a sentence, not later and not with a traceback."""

    def test_a_port_in_use(self, installation: Installation) -> None:
        with socket.socket() as other:
            other.bind(("127.0.0.1", installation.port))
            other.listen(1)
            assert f"127.0.0.1 and {installation.port}" in installation.refusal()

    def test_a_store_that_is_none(self, installation: Installation) -> None:
        (installation.folder / "state").mkdir()
        (installation.folder / "state" / "porthole.sqlite").write_text("this is no database\n" * 99)
        message = installation.refusal()
        assert "state_path in [DEFAULT]" in message
        assert "file is not a database" in message

    def test_a_certificate_that_does_not_load(self, installation: Installation) -> None:
        assert "do not load" in installation.refusal(cert=installation.folder / "token.keys")
