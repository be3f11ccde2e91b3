"""``porthole clouds-yaml``: what it prints, and of which authority it tells clients."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from porthole import cli
from porthole.cli_clouds import own_authority, text
from tests.certificates import Authority, make_certificate
from tests.service.installation import Installation

Says = Callable[..., tuple[int, str, str]]


@pytest.fixture
def installation(tmp_path: Path) -> Installation:
    return Installation(tmp_path)


@pytest.fixture
def says(capsys: pytest.CaptureFixture[str], installation: Installation) -> Says:
    """Run it in this process, with options in [DEFAULT]: exit status, standard output, standard error."""

    def run(*arguments: str, base_url: str = "", **default: object) -> tuple[int, str, str]:
        installation.more = f"[vnc]\nnovncproxy_base_url = {base_url}\n" if base_url else ""
        capsys.readouterr()
        status = cli.main(["clouds-yaml", *arguments, "--config-file", str(installation.configure(**default))])
        printed = capsys.readouterr()
        return status, printed.out, printed.err

    return run


def cloud_of(printed: str, name: str = "porthole") -> Any:
    return yaml.safe_load(printed)["clouds"][name]


def test_it_has_the_two_addresses_and_the_user_and_no_password(says: Says, installation: Installation) -> None:
    status, printed, _ = says("alice")

    assert status == 0
    assert cloud_of(printed) == {
        "auth_type": "http_basic",
        "auth": {"endpoint": f"http://127.0.0.1:{installation.port}/v3", "username": "alice"},
        "compute_endpoint_override": f"http://127.0.0.1:{installation.port}/v2.1",
    }
    assert printed.startswith("# ")
    assert "OS_CLOUD=porthole" in printed


def test_the_address_is_what_stands_before_the_page(says: Says) -> None:
    _, printed, _ = says("alice", base_url="https://consoles.example.org/prefix/vnc_lite.html")

    assert cloud_of(printed)["compute_endpoint_override"] == "https://consoles.example.org/prefix/v2.1"
    assert cloud_of(printed)["auth"]["endpoint"] == "https://consoles.example.org/prefix/v3"
    assert "cacert" not in cloud_of(printed)


def test_the_cloud_has_the_name_that_is_asked_for(says: Says) -> None:
    assert cloud_of(says("alice", "--cloud", "lab-2")[1], "lab-2")["auth"]["username"] == "alice"


@pytest.mark.parametrize("name", ["", "a b", "a:b", "-a", "x" * 65, "ä"])
def test_what_is_no_name_of_a_cloud_is_refused(says: Says, name: str) -> None:
    with pytest.raises(SystemExit) as caught:
        says("alice", f"--cloud={name}")
    assert caught.value.code == 2


@pytest.mark.parametrize("user", ["alice", "o'neil", "a: b", "*x", "- y", "zoë", "x\ny", "123", "yes"])
def test_every_name_of_a_user_is_quoted_as_yaml_wants_it(user: str) -> None:
    assert cloud_of(text("https://a.example/vnc_auto.html", user))["auth"]["username"] == user


class TestKeystone:
    """With its users, clients ask Keystone for a token and need no catalogue."""

    @pytest.fixture
    def says_with_keystone(self, capsys: pytest.CaptureFixture[str], installation: Installation) -> Says:
        installation.more = (
            "[api]\nauth_strategy = keystone\n[keystone_authtoken]\nauth_url = http://keystone.test:5000\n"
            "www_authenticate_uri = https://keystone.example.org/v3\n"
            "username = porthole\nproject_name = service\npassword = of the service\n"
        )

        def run(*arguments: str) -> tuple[int, str, str]:
            capsys.readouterr()
            status = cli.main(["clouds-yaml", *arguments, "--config-file", str(installation.configure())])
            printed = capsys.readouterr()
            return status, printed.out, printed.err

        return run

    def test_it_has_keystones_address_as_clients_know_it_and_the_project(
        self, says_with_keystone: Says, installation: Installation
    ) -> None:
        status, printed, _ = says_with_keystone("alice", "--project", "web", "--domain", "Customers")

        assert status == 0
        assert cloud_of(printed) == {
            "auth_type": "v3password",
            "auth": {
                "auth_url": "https://keystone.example.org/v3",
                "project_name": "web",
                "user_domain_name": "Customers",
                "project_domain_name": "Customers",
                "username": "alice",
            },
            "compute_endpoint_override": f"http://127.0.0.1:{installation.port}/v2.1",
        }
        assert "of the service" not in printed

    def test_where_there_is_no_image_service_clients_are_told_so(self, says_with_keystone: Says) -> None:
        told, untold = (
            cloud_of(says_with_keystone("alice", "--project", "web", *more)[1]) for more in (["--no-image-service"], [])
        )
        assert told == {**untold, "has_image": False}

    def test_without_a_project_it_says_what_is_missing(self, says_with_keystone: Says) -> None:
        status, printed, error = says_with_keystone("alice")

        assert (status, printed) == (1, "")
        assert "--project" in error

    @pytest.mark.parametrize("arguments", [["--project", "web"], ["--domain", "Customers"], ["--no-image-service"]])
    def test_where_there_is_no_keystone_what_is_for_it_is_refused(self, says: Says, arguments: list[str]) -> None:
        status, printed, error = says("alice", *arguments)

        assert (status, printed) == (1, "")
        assert "auth_strategy = keystone" in error


class TestAuthority:
    def test_a_certificate_that_is_its_own_is_named(self, says: Says, tmp_path: Path) -> None:
        cert, key = make_certificate(tmp_path, "127.0.0.1")

        assert cloud_of(says("alice", cert=cert, key=key)[1])["cacert"] == str(cert)

    def test_one_that_brings_its_authority_along_is_named_and_one_that_does_not_is_not(self, tmp_path: Path) -> None:
        authority = Authority(tmp_path / "ca")
        cert, _ = authority.issue("a", "consoles.example.org")

        assert own_authority(cert) is None
        cert.write_bytes(cert.read_bytes() + authority.certificate.read_bytes())
        assert own_authority(cert) == cert

    def test_a_file_that_holds_the_private_key_too_is_never_named(self, says: Says, tmp_path: Path) -> None:
        cert, key = make_certificate(tmp_path, "127.0.0.1")
        cert.write_bytes(cert.read_bytes() + key.read_bytes())

        status, printed, error = says("alice", cert=cert, key=key)

        assert (status, printed) == (1, "")
        assert "private key" in error
        assert "--cacert" in error

    def test_one_that_would_not_be_named_may_hold_it(self, says: Says, tmp_path: Path) -> None:
        """Whoever has the certificate of a known authority, and the key in the same file, needs no cacert."""
        cert, key = Authority(tmp_path / "ca").issue("a", "127.0.0.1")
        cert.write_bytes(cert.read_bytes() + key.read_bytes())

        status, printed, _ = says("alice", cert=cert, key=key)

        assert status == 0
        assert "cacert" not in cloud_of(printed)

    def test_the_file_that_clients_have_counts_before_it(self, says: Says, tmp_path: Path) -> None:
        cert, key = make_certificate(tmp_path, "127.0.0.1")
        _, printed, _ = says("alice", "--cacert", "/etc/ssl/ours.pem", cert=cert, key=key)

        assert cloud_of(printed)["cacert"] == "/etc/ssl/ours.pem"

    def test_behind_a_front_end_without_tls_there_is_none(self, says: Says, tmp_path: Path) -> None:
        cert, key = make_certificate(tmp_path, "127.0.0.1")
        _, printed, _ = says("alice", base_url="http://127.0.0.1/vnc_auto.html", cert=cert, key=key)

        assert "cacert" not in cloud_of(printed)

    def test_one_that_cannot_be_read_is_an_error_in_words(self, says: Says, tmp_path: Path) -> None:
        cert = tmp_path / "bad.pem"
        cert.write_text("-----BEGIN CERTIFICATE-----\nx\n-----END CERTIFICATE-----\n")
        status, printed, error = says("alice", base_url="https://a.example/vnc_auto.html", cert=cert, key=cert)

        assert (status, printed) == (1, "")
        assert f"option cert in [DEFAULT] is {cert}, which cannot be read" in error
        assert "--cacert" in error
