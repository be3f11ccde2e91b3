"""The configuration: what is read, in which order, and that each error says where it is and what would be right."""

from __future__ import annotations

import re
from dataclasses import fields, replace
from pathlib import Path
from typing import Any, ClassVar

import pytest

from porthole import config
from porthole.audit import log as audit_log
from porthole.audit.line import MAX_LINE
from porthole.config import AuthScheme, ComputeSettings, ConfigError, Settings, TokenAuthority
from porthole.config.options import COMPUTE_OPTS, GROUPS

COMPUTE = (
    "[compute:c1]\nconnection_uri = qemu+tls://192.0.2.11/system\nserver_proxyclient_address = 192.0.2.11\n"
    "auth_schemes = none\n"
)
NEITHER = COMPUTE.replace("auth_schemes = none\n", "")
"""A compute that says nothing of its VNC servers' security."""

PLAIN = (AuthScheme.NONE,)


class Folder:
    """A folder with the files that a configuration names, and with configurations that name them."""

    def __init__(self, path: Path) -> None:
        self.path = path
        for name in ("token.keys", "audit.keys", "htpasswd", "roles", "cert.pem", "key.pem"):
            (path / name).touch()
        (path / "novnc" / "core").mkdir(parents=True)
        (path / "novnc" / "core" / "rfb.js").touch()

    @property
    def needed(self) -> dict[str, dict[str, str]]:
        """The options whose defaults are files that a test machine has not."""
        return {
            "DEFAULT": {"novnc_path": str(self.path / "novnc")},
            "consoleauth": {"token_key_file": str(self.path / "token.keys")},
            "audit": {"key_file": str(self.path / "audit.keys")},
            "api": {
                "http_basic_auth_user_file": str(self.path / "htpasswd"),
                "http_basic_auth_role_file": str(self.path / "roles"),
            },
        }

    def file(
        self, options: dict[str, dict[str, str]] | None = None, more: str = "", name: str = "porthole.conf"
    ) -> Path:
        """A good configuration with these options changed, and with more lines at its end."""
        sections = self.needed
        for section, values in (options or {}).items():
            sections.setdefault(section, {}).update(values)
        lines = [
            line
            for section, values in sections.items()
            for line in (f"[{section}]", *(f"{option} = {value}" for option, value in values.items()))
        ]
        return self.plain("\n".join(lines) + "\n" + more, name)

    def plain(self, text: str, name: str) -> Path:
        path = self.path / name
        path.write_text(text)
        return path

    def load(self, options: dict[str, dict[str, str]] | None = None, more: str = "") -> Settings:
        return config.load([self.file(options, more)])

    def refusal(self, options: dict[str, dict[str, str]] | None = None, more: str = "") -> str:
        """Why it is refused; the message always names the file."""
        file = self.file(options, more)
        with pytest.raises(ConfigError) as caught:
            config.load([file])
        message = str(caught.value)
        assert message.startswith(f"{file}: ")
        return message.removeprefix(f"{file}: ")


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path)


class TestValues:
    def test_nothing_but_the_files_gives_the_documented_defaults(self, folder: Folder) -> None:
        settings = folder.load()
        assert (settings.my_ip, settings.novncproxy_host, settings.novncproxy_port) == ("127.0.0.1", "0.0.0.0", 6080)
        assert settings.novncproxy_base_url == "http://127.0.0.1:6080/vnc_auto.html"
        assert (settings.token_ttl, settings.enforce_session_timeout) == (600, False)
        assert (settings.cert, settings.key, settings.web) == (None, None, None)
        assert settings.allowed_origins == ()
        assert settings.computes == ()

    def test_the_base_url_follows_address_port_and_tls(self, folder: Folder) -> None:
        assert folder.load(
            {"DEFAULT": {"my_ip": "192.0.2.1"}, "vnc": {"novncproxy_port": "80"}}
        ).novncproxy_base_url == ("http://192.0.2.1:80/vnc_auto.html")
        assert folder.load({"DEFAULT": {"my_ip": "2001:db8::1"}}).novncproxy_base_url == (
            "http://[2001:db8::1]:6080/vnc_auto.html"
        )
        tls = folder.load({"DEFAULT": {"cert": str(folder.path / "cert.pem"), "my_ip": "c.example"}})
        assert tls.novncproxy_base_url == "https://c.example:6080/vnc_auto.html"

    def test_one_option_may_use_another_as_in_nova(self, folder: Folder) -> None:
        settings = folder.load(
            {
                "DEFAULT": {"my_ip": "192.0.2.1"},
                "vnc": {"novncproxy_host": "$my_ip", "novncproxy_base_url": "https://$my_ip/console"},
            }
        )
        assert (settings.novncproxy_host, settings.novncproxy_base_url) == ("192.0.2.1", "https://192.0.2.1/console")

    def test_several_computes_in_one_file(self, folder: Folder) -> None:
        assert folder.load(more=COMPUTE + COMPUTE.replace("c1", "c2").replace(".11", ".12")).computes == (
            ComputeSettings("c1", "qemu+tls://192.0.2.11/system", "192.0.2.11", PLAIN, "c1", "default"),
            ComputeSettings("c2", "qemu+tls://192.0.2.12/system", "192.0.2.12", PLAIN, "c2", "default"),
        )

    def test_vnc_is_taken_over_tls_only_unless_it_is_said_otherwise(self, folder: Folder) -> None:
        settings = folder.load({"vnc": {"vencrypt_ca_certs": str(folder.path / "cert.pem")}}, NEITHER)
        assert settings.auth_schemes == (AuthScheme.VENCRYPT,)
        assert settings.vencrypt_ca_certs == folder.path / "cert.pem"
        (compute,) = settings.computes
        assert (compute.auth_schemes, compute.tls_server_name) == ((AuthScheme.VENCRYPT,), "c1")

    def test_a_compute_has_its_own_schemes_and_the_name_of_its_certificate(self, folder: Folder) -> None:
        more = NEITHER + "auth_schemes = vencrypt, none\ntls_server_name = 2001:db8::11\n"
        settings = folder.load(
            {"vnc": {"auth_schemes": "none", "vencrypt_ca_certs": str(folder.path / "cert.pem")}}, more
        )
        (compute,) = settings.computes
        assert compute.auth_schemes == (AuthScheme.VENCRYPT, AuthScheme.NONE)
        assert compute.tls_server_name == "2001:db8::11"

    def test_origins_are_hosts_ports_and_urls(self, folder: Folder) -> None:
        settings = folder.load(
            {"console": {"allowed_origins": "dash.example, dash.example:8443, HTTPS://Dash.example/, [2001:db8::1]:80"}}
        )
        assert settings.allowed_origins == (
            "dash.example",
            "dash.example:8443",
            "https://dash.example",
            "[2001:db8::1]:80",
        )


class TestOwners:
    def test_instances_that_name_no_owner_are_of_the_project_of_http_basic(self, folder: Folder) -> None:
        (compute,) = folder.load({"api": {"http_basic_project": "team"}}, COMPUTE).computes
        assert (compute.owner_project, compute.owner_user) == ("team", "")

    def test_a_compute_names_their_owner_itself(self, folder: Folder) -> None:
        (compute,) = folder.load(more=COMPUTE + "owner_project = web\nowner_user = alice\n").computes
        assert (compute.owner_project, compute.owner_user) == ("web", "alice")

    def test_an_empty_owner_is_nobody_and_not_the_default(self, folder: Folder) -> None:
        (compute,) = folder.load(more=COMPUTE + "owner_project =\n").computes
        assert (compute.owner_project, compute.owner_user) == ("", "")

    def test_a_user_owns_within_a_project(self, folder: Folder) -> None:
        assert folder.refusal(more=COMPUTE + "owner_project =\nowner_user = alice\n") == (
            "option owner_user in [compute:c1] is set and owner_project is empty; a user owns within a project."
        )


class TestPolicyFile:
    def test_where_it_is_by_default_it_need_not_exist(self, folder: Folder) -> None:
        assert folder.load().policy_file == Path("/etc/porthole/policy.yaml")

    def test_elsewhere_it_has_to(self, folder: Folder) -> None:
        path = folder.path / "policy.yaml"
        refusal = folder.refusal({"oslo_policy": {"policy_file": str(path)}})
        assert refusal.startswith(f"option policy_file in [oslo_policy] is {path}, and there is no such file.")
        path.touch()
        assert folder.load({"oslo_policy": {"policy_file": str(path)}}).policy_file == path


class TestAudit:
    def test_the_log_is_beside_the_store_unless_it_is_said_otherwise(self, folder: Folder) -> None:
        assert folder.load({"DEFAULT": {"state_path": "/srv/state"}}).audit_path == Path("/srv/state/audit.log")
        assert folder.load({"audit": {"path": "/var/log/audit"}}).audit_path == Path("/var/log/audit")

    def test_the_defaults_are_those_of_the_log_itself(self, folder: Folder) -> None:
        settings = folder.load()
        assert settings.audit_enabled
        assert (settings.audit_max_bytes, settings.audit_backups) == (audit_log.MAX_BYTES, audit_log.BACKUPS)
        assert settings.audit_announce_every == audit_log.ANNOUNCE_EVERY

    def test_a_file_holds_a_line_at_least(self, folder: Folder) -> None:
        folder.load({"audit": {"max_bytes": str(MAX_LINE)}})
        assert "max_bytes in [audit]" in folder.refusal({"audit": {"max_bytes": str(MAX_LINE - 1)}})
        assert "backups in [audit]" in folder.refusal({"audit": {"backups": "0"}})

    def test_switched_off_it_needs_no_key(self, folder: Folder) -> None:
        (folder.path / "audit.keys").unlink()
        assert not folder.load({"audit": {"enabled": "false"}}).audit_enabled

    def test_a_change_of_it_needs_a_restart(self, folder: Folder) -> None:
        changed = folder.load({"audit": {"backups": "3", "path": "/a"}})
        assert config.changes(folder.load(), changed) == ["[audit] backups", "[audit] path"]


class TestCredentials:
    """``%d/`` is systemd's folder of credentials."""

    def test_a_path_may_be_in_it(self, folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(folder.path))
        settings = folder.load(
            {
                "DEFAULT": {"cert": "%d/cert.pem", "key": "%d/key.pem", "state_path": "%d", "novnc_path": "%d/novnc"},
                "consoleauth": {"token_key_file": "%d/token.keys"},
                "api": {"http_basic_auth_user_file": "%d/htpasswd"},
            }
        )
        assert settings.cert == folder.path / "cert.pem"
        assert settings.token_key_file == folder.path / "token.keys"
        assert settings.state_path == folder.path

    def test_elsewhere_it_means_nothing(self, folder: Folder) -> None:
        assert folder.load({"DEFAULT": {"state_path": "/a/%d/b"}}).state_path == Path("/a/%d/b")
        assert folder.load({"DEFAULT": {"state_path": "%data"}}).state_path == Path("%data")

    def test_without_one_it_is_an_error(self, folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delenv("CREDENTIALS_DIRECTORY", raising=False)
        message = folder.refusal({"consoleauth": {"token_key_file": "%d/token.keys"}})
        assert message.startswith("option token_key_file in [consoleauth] is %d/token.keys, ")
        assert "$CREDENTIALS_DIRECTORY" in message
        assert "LoadCredential=" in message

    def test_a_file_that_is_not_there(self, folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(folder.path))
        message = folder.refusal({"DEFAULT": {"cert": "%d/none.pem"}})
        assert f"is {folder.path}/none.pem, and there is no such file" in message


class TestPkipath:
    """``[libvirt] pkipath`` becomes part of the computes' URIs."""

    @pytest.fixture
    def pki(self, tmp_path: Path) -> Path:
        path = tmp_path / "porthole@1 pki"
        path.mkdir()
        for name in ("cacert.pem", "clientcert.pem", "clientkey.pem"):
            (path / name).touch()
        return path

    @pytest.mark.parametrize(
        ("uri", "more"),
        [
            ("qemu+tls://c1/system", "?pkipath={}"),
            ("qemu+tls://[2001:db8::1]:16514/system", "?pkipath={}"),
            ("qemu://c1/system", "?pkipath={}"),
            ("qemu+tls://c1/system?no_verify=0", "&pkipath={}"),
            ("qemu+tls://c1/system?pkipath=/etc/pki", ""),
            ("qemu+ssh://root@c1/system", ""),
            ("qemu:///system", ""),
            ("test:///default", ""),
        ],
    )
    def test_where_tls_is_used(self, folder: Folder, pki: Path, uri: str, more: str) -> None:
        text = COMPUTE.replace("qemu+tls://192.0.2.11/system", uri)
        (compute,) = folder.load({"libvirt": {"pkipath": str(pki)}}, text).computes
        assert compute.connection_uri == uri + more.format(f"{folder.path}/porthole%401%20pki")

    def test_in_the_credentials(self, folder: Folder, pki: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(pki))
        (compute,) = folder.load({"libvirt": {"pkipath": "%d"}}, COMPUTE).computes
        assert compute.connection_uri.endswith("?pkipath=" + str(pki).replace("@", "%40").replace(" ", "%20"))

    @pytest.mark.parametrize("name", ["cacert.pem", "clientcert.pem", "clientkey.pem"])
    def test_all_three_files_have_to_be_there(self, folder: Folder, pki: Path, name: str) -> None:
        (pki / name).unlink()
        message = folder.refusal({"libvirt": {"pkipath": str(pki)}})
        assert message == f"option pkipath in [libvirt] is {pki}, and there is no file {name} in it."

    def test_and_the_folder(self, folder: Folder) -> None:
        assert "there is no such folder" in folder.refusal({"libvirt": {"pkipath": "/nowhere"}})


class TestLibvirtUri:
    """Over a network libvirt is encrypted, and proves who it is."""

    @pytest.mark.parametrize(
        "uri", ["qemu+tcp://192.0.2.11/system", "qemu+tcp:///system", "qemu+tcp://c1:1/system?a=b"]
    )
    def test_without_tls_is_refused_with_what_would_be_right(self, folder: Folder, uri: str) -> None:
        assert folder.refusal(more=COMPUTE.replace("qemu+tls://192.0.2.11/system", uri)) == (
            f"option connection_uri in [compute:c1] is {uri!r}, a connection without TLS in which neither side proves "
            "who it is. Use qemu+tls://c1/system with certificates ([libvirt] pkipath). Where that does not matter, as "
            "in a test, allow_plain_tcp = true in [libvirt] takes it."
        )

    def test_unless_a_setting_says_so_in_so_many_words(self, folder: Folder) -> None:
        text = COMPUTE.replace("qemu+tls", "qemu+tcp")
        assert "allow_plain_tcp" in folder.refusal({"libvirt": {"allow_plain_tcp": "false"}}, text)
        (compute,) = folder.load({"libvirt": {"allow_plain_tcp": "true"}}, text).computes
        assert compute.connection_uri == "qemu+tcp://192.0.2.11/system"

    @pytest.mark.parametrize(
        "query",
        [
            "no_verify=1", "NO_Verify=1", "no_verify=-1", "no_verify", "no_verify=", "a=b&no_verify=1",
            "pkipath=/x;no_verify=1", "no%5fverify=1", "no_verify=0&no_verify=1",
        ],
    )  # fmt: skip
    @pytest.mark.parametrize("allowed", ["true", "false"])
    def test_a_host_that_need_not_prove_who_it_is_is_refused_always(
        self, folder: Folder, query: str, allowed: str
    ) -> None:
        text = COMPUTE.replace("/system\n", f"/system?{query}\n")
        message = folder.refusal({"libvirt": {"allow_plain_tcp": allowed}}, text)
        assert message.startswith("option connection_uri in [compute:c1] is 'qemu+tls://192.0.2.11/system?")
        assert "no_verify lets anybody answer in the place of the host. Take no_verify out" in message

    @pytest.mark.parametrize(
        "uri",
        [
            "qemu+ssh://root@c1/system", "qemu+libssh2://c1/system", "qemu+unix:///system?socket=/run/l", "qemu:///system",
            "qemu:///session", "qemu://c1/system", "qemu+tls://c1/system?no_verify=0", "test:///default",
        ],
    )  # fmt: skip
    def test_all_others_stay(self, folder: Folder, uri: str) -> None:
        (compute,) = folder.load(more=COMPUTE.replace("qemu+tls://192.0.2.11/system", uri)).computes
        assert compute.connection_uri == uri

    def test_one_whose_host_is_no_address(self, folder: Folder) -> None:
        message = folder.refusal(more=COMPUTE.replace("192.0.2.11/system", "[::1/system"))
        assert "which is no libvirt URI: Invalid IPv6 URL." in message


class TestChanges:
    def test_options_are_named_with_their_groups(self, folder: Folder) -> None:
        old = folder.load()
        new = folder.load(
            {
                "DEFAULT": {"debug": "true"}, "vnc": {"enabled": "false"}, "libvirt": {"call_timeout": "7"},
                "metrics": {"port": "0"},
            },
            COMPUTE,
        )  # fmt: skip
        assert config.changes(old, old) == []
        assert config.changes(old, new) == [
            "[DEFAULT] debug", "[libvirt] call_timeout", "[metrics] port", "[vnc] enabled",
        ]  # fmt: skip

    def test_every_field_is_an_options(self, folder: Folder) -> None:
        settings = folder.load()
        names = [field.name for field in fields(Settings) if field.name not in ("computes", "auth_schemes")]
        nothing: dict[str, Any] = dict.fromkeys(names)
        everything_else = replace(settings, **nothing)
        assert len(set(config.changes(settings, everything_else))) == sum(
            getattr(settings, name) is not None for name in names
        )


class TestFilesAndFolders:
    def test_the_last_file_wins_and_files_of_folders_come_after_in_the_order_of_their_names(
        self, folder: Folder
    ) -> None:
        first = folder.file(
            {"consoleauth": {"token_ttl": "1"}, "proxy": {"max_sessions": "1"}, "vnc": {"enabled": "0"}}
        )
        second = folder.plain("[proxy]\nmax_sessions = 2\n[consoleauth]\ntoken_ttl = 2\n", "second.conf")
        conf_d = folder.path / "conf.d"
        conf_d.mkdir()
        (conf_d / "20-b.conf").write_text("[consoleauth]\ntoken_ttl = 4\n")
        (conf_d / "10-a.conf").write_text("[consoleauth]\ntoken_ttl = 3\n")
        (conf_d / "30-c.conf.off").write_text("[consoleauth]\ntoken_ttl = 5\n")
        settings = config.load([first, second], [conf_d])
        assert (settings.token_ttl, settings.max_sessions, settings.vnc_enabled) == (4, 2, False)

    def test_a_compute_may_have_a_file_of_its_own(self, folder: Folder) -> None:
        conf_d = folder.path / "conf.d"
        conf_d.mkdir()
        for name in ("c2", "c1"):
            (conf_d / f"{name}.conf").write_text(COMPUTE.replace("c1", name))
        assert [compute.name for compute in config.load([folder.file()], [conf_d]).computes] == ["c1", "c2"]

    def test_the_error_names_the_file_whose_value_counts(self, folder: Folder) -> None:
        good, bad = (
            folder.file({"consoleauth": {"token_ttl": "60"}}),
            folder.plain("[consoleauth]\ntoken_ttl=x", "b.conf"),
        )
        with pytest.raises(ConfigError, match=rf"^{re.escape(str(bad))}: option token_ttl in \[consoleauth\]"):
            config.load([good, bad])

    def test_a_file_that_is_not_there(self, tmp_path: Path) -> None:
        with pytest.raises(ConfigError, match=r"none\.conf: there is no such configuration file.*config sample"):
            config.load([tmp_path / "none.conf"])

    def test_a_folder_that_is_not_there(self, folder: Folder) -> None:
        with pytest.raises(ConfigError, match=r"none\.d: there is no such folder .*--config-dir"):
            config.load([folder.file()], [folder.path / "none.d"])

    @pytest.mark.parametrize("text", [b"\xff\xfe", b"no section = 1\n", b"[vnc\n", b"[vnc]\nnonsense\n"])
    def test_a_file_that_is_no_configuration(self, tmp_path: Path, text: bytes) -> None:
        path = tmp_path / "bad.conf"
        path.write_bytes(text)
        with pytest.raises(ConfigError, match=rf"^{re.escape(str(path))}: "):
            config.load([path])


class TestUnknown:
    def test_a_section_with_a_suggestion(self, folder: Folder) -> None:
        message = folder.refusal(more="[consoleaut]\ntoken_ttl = 1\n")
        assert message.startswith("section [consoleaut] is unknown. Did you mean [consoleauth]?")
        assert "[compute:NAME]" in message

    def test_an_option_with_a_suggestion(self, folder: Folder) -> None:
        message = folder.refusal({"consoleauth": {"token_tll": "60"}})
        assert message.startswith("option token_tll in [consoleauth] is unknown. Did you mean token_ttl?")

    def test_an_option_of_another_section(self, folder: Folder) -> None:
        assert "It belongs into [consoleauth]." in folder.refusal({"vnc": {"token_ttl": "60"}})

    def test_an_option_of_a_compute(self, folder: Folder) -> None:
        message = folder.refusal(more=COMPUTE + "conection_uri = x\n")
        assert message.startswith("option conection_uri in [compute:c1] is unknown. Did you mean connection_uri?")


class TestWrong:
    @pytest.mark.parametrize(
        ("section", "option", "value", "right"),
        [
            ("DEFAULT", "my_ip", "not an address", "a host name or an IP address"),
            ("DEFAULT", "ssl_only", "perhaps", "true or false"),
            ("vnc", "enabled", "2", "true or false"),
            ("vnc", "novncproxy_port", "0", "a whole number from 1 to 65535"),
            ("vnc", "novncproxy_port", "65536", "a whole number from 1 to 65535"),
            ("vnc", "novncproxy_port", "http", "a whole number from 1 to 65535"),
            ("vnc", "novncproxy_base_url", "ftp://c.example/", "a URL such as https://"),
            ("vnc", "novncproxy_base_url", "http://[::1", "a URL such as https://"),
            ("consoleauth", "token_ttl", "0", "a whole number of 1 or more"),
            ("consoleauth", "token_ttl", "10m", "a whole number of 1 or more"),
            ("consoleauth", "token_ttl", "", "a whole number of 1 or more"),
            ("api", "auth_strategy", "noauth2", "http_basic or keystone"),
            ("proxy", "ping_interval", "soon", "a number of 0.1 or more"),
            ("libvirt", "call_timeout", "0", "a number of 0.1 or more"),
            ("DEFAULT", "state_path", "", "It has to be text: Folder of the store"),
            ("vnc", "novncproxy_host", "$no_such_option", "no_such_option"),
        ],
    )
    def test_a_value(self, folder: Folder, section: str, option: str, value: str, right: str) -> None:
        message = folder.refusal({section: {option: value}})
        assert message.startswith(f"option {option} in [{section}] ")
        assert right in message

    @pytest.mark.parametrize("url", ["https://c.example/vnc.html?a=b", "https://c.example/#here"])
    def test_a_base_url_with_a_query(self, folder: Folder, url: str) -> None:
        assert "no ?query and no #fragment" in folder.refusal({"vnc": {"novncproxy_base_url": url}})

    @pytest.mark.parametrize(
        "origin", ["https://", "a/b", "host:port", "http://[::1", ":80", "https://a.example/page", "ftp://a"]
    )
    def test_an_origin(self, folder: Folder, origin: str) -> None:
        message = folder.refusal({"console": {"allowed_origins": f"good.example,{origin}"}})
        assert message.startswith("option allowed_origins in [console] ")
        assert "host, host:port or scheme://host:port" in message

    def test_tls_only_without_tls(self, folder: Folder) -> None:
        message = folder.refusal({"DEFAULT": {"ssl_only": "true"}})
        assert message.startswith("option ssl_only in [DEFAULT] is true and cert is not set")

    @pytest.mark.parametrize(
        ("section", "option", "hint"),
        [
            ("consoleauth", "token_key_file", "porthole keys add "),
            ("audit", "key_file", "porthole keys add "),
            ("api", "http_basic_auth_user_file", "porthole user add "),
            ("api", "http_basic_auth_role_file", "porthole user add "),
            ("DEFAULT", "cert", ""),
            ("DEFAULT", "key", ""),
            ("DEFAULT", "web", ""),
            ("DEFAULT", "novnc_path", "@novnc/novnc"),
        ],
    )
    def test_a_file_that_is_missing(self, folder: Folder, section: str, option: str, hint: str) -> None:
        missing = folder.path / "missing"
        message = folder.refusal({section: {option: str(missing)}})
        assert message.startswith(f"option {option} in [{section}] is {missing}, ")
        assert hint in message

    @pytest.mark.parametrize("uri", ["192.0.2.11", "qemu+tls:/system", "Qemu://x", "://x", "qemu+a+b://x"])
    def test_a_libvirt_uri(self, folder: Folder, uri: str) -> None:
        message = folder.refusal(more=COMPUTE.replace("qemu+tls://192.0.2.11/system", uri))
        assert message.startswith(f"option connection_uri in [compute:c1] is {uri!r}")
        assert "qemu+tls://c1/system" in message

    @pytest.mark.parametrize("option", ["connection_uri", "server_proxyclient_address"])
    def test_half_a_compute(self, folder: Folder, option: str) -> None:
        lines = [line for line in COMPUTE.splitlines() if not line.startswith(option)]
        assert folder.refusal(more="\n".join(lines)).startswith(f"option {option} in [compute:c1] is not set.")

    def test_tls_without_authorities_and_what_takes_vnc_without_tls(self, folder: Folder) -> None:
        message = folder.refusal(more=NEITHER)
        assert message.startswith("option vencrypt_ca_certs in [vnc] is not set, and auth_schemes of [compute:c1] is ")
        assert "auth_schemes = none, in [vnc] for all computes or in [compute:c1]" in message
        permissive = NEITHER + "auth_schemes = vencrypt,none\n"
        assert "is vencrypt,none." in folder.refusal({"vnc": {"auth_schemes": "none"}}, permissive)

    @pytest.mark.parametrize(
        ("value", "words"),
        [("", "is empty."), ("none,none", "names a scheme twice."), ("tls", "is not valid: Valid values are")],
    )
    def test_schemes(self, folder: Folder, value: str, words: str) -> None:
        for message in (
            folder.refusal({"vnc": {"auth_schemes": value}}),
            folder.refusal(more=NEITHER + f"auth_schemes = {value}\n").replace("compute:c1", "vnc"),
        ):
            assert message.startswith(f"option auth_schemes in [vnc] {words}")
            assert "one or more of vencrypt, vnc, none" in message

    def test_a_key_to_no_certificate(self, folder: Folder) -> None:
        message = folder.refusal({"vnc": {"vencrypt_client_key": str(folder.path / "key.pem")}})
        assert message.startswith("option vencrypt_client_key in [vnc] is set and vencrypt_client_cert is not")

    @pytest.mark.parametrize("name", ["", "a b", "-a", "a/b", "a" * 255])
    def test_the_name_of_a_compute(self, folder: Folder, name: str) -> None:
        assert "as a host name has" in folder.refusal(more=COMPUTE.replace("c1", name))


class TestSample:
    def test_it_loads_back_with_every_value_as_the_default(self, folder: Folder) -> None:
        needed = {option: value for values in folder.needed.values() for option, value in values.items()}
        lines = []
        for line in config.sample().partition("#[compute:NAME]")[0].splitlines():
            option, equals, value = line.removeprefix("#").partition(" = ")
            is_option = line.startswith("#") and not line.startswith("# ") and equals
            # Options without a default stay commented.
            lines.append(f"{option} = {needed.get(option, value)}" if is_option and value else line)
        path = folder.plain("\n".join(lines), "sample.conf")
        shown, plain = config.load([path]), folder.load()
        for field in fields(Settings):
            assert getattr(shown, field.name) == getattr(plain, field.name), field.name

    def test_as_it_is_only_the_files_are_missing(self, folder: Folder) -> None:
        path = folder.plain(config.sample(), "sample.conf")
        with pytest.raises(ConfigError, match=r"there is no such file|is missing"):
            config.load([path])

    def test_its_compute_is_one(self, folder: Folder) -> None:
        text = config.sample().partition("#[compute:NAME]")[2]
        options = re.findall(r"^#(\w+ = .+)$", text, re.MULTILINE)
        authorities = {"vnc": {"vencrypt_ca_certs": str(folder.path / "cert.pem")}}
        (compute,) = folder.load(authorities, "[compute:NAME]\n" + "\n".join(options)).computes
        assert compute == ComputeSettings(
            "NAME", "qemu+tls://NAME/system", "192.0.2.11", (AuthScheme.VENCRYPT,), "NAME", "default"
        )

    def test_every_option_has_its_help(self) -> None:
        for options in (*GROUPS.values(), COMPUTE_OPTS):
            for option in options:
                assert option.help
                assert f"#{option.name} =" in config.sample()


class TestSessionsAndLimits:
    def test_a_token_is_used_once_and_nothing_is_limited_but_passwords(self, folder: Folder) -> None:
        settings = folder.load()
        assert (settings.token_uses, settings.resume_ttl) == (1, 60)
        assert (settings.idle_timeout, settings.session_timeout, settings.trusted_proxies) == (0, 0, ())
        assert (settings.sessions_per_user, settings.sessions_per_instance, settings.sessions_per_address) == (0, 0, 0)
        assert settings.shares_per_user == 100
        assert (settings.api_requests_per_user, settings.api_requests_per_address) == (0, 0)
        assert (settings.failed_sign_ins, settings.lockout_time) == (10, 900)

    def test_trusted_proxies_are_addresses_and_networks(self, folder: Folder) -> None:
        settings = folder.load({"proxy": {"trusted_proxies": "10.0.0.5, fd00::/8,192.0.2.0/24"}})
        assert list(map(str, settings.trusted_proxies)) == ["10.0.0.5/32", "fd00::/8", "192.0.2.0/24"]

    @pytest.mark.parametrize("wrong", ["proxy.example.org", "10.0.0.5/24", "10.0.0.0/33", "*"])
    def test_a_proxy_that_is_no_address_is_told(self, folder: Folder, wrong: str) -> None:
        message = folder.refusal({"proxy": {"trusted_proxies": wrong}})
        assert message == (
            f"option trusted_proxies in [proxy] has {wrong!r}; an entry is an address or a network, 10.0.0.5 or "
            "10.0.0.0/24."
        )

    @pytest.mark.parametrize(("name", "wrong"), [("token_uses", "-1"), ("resume_ttl", "3601"), ("idle_timeout", "x")])
    def test_a_number_out_of_range_is_told(self, folder: Folder, name: str, wrong: str) -> None:
        assert folder.refusal({"consoleauth": {name: wrong}}).startswith(f"option {name} in [consoleauth] is not valid")


class TestFrameAncestors:
    @pytest.mark.parametrize(
        ("written", "read"),
        [
            (None, ("'self'",)),
            ("'self', https://Dashboard.example.org", ("'self'", "https://dashboard.example.org")),
            ("self,none.example.org", ("'self'", "none.example.org")),
            ("https:", ("https:",)),
            ("*.example.org:8443,dashboard:*", ("*.example.org:8443", "dashboard:*")),
            ("http://[2001:db8::1]:8080", ("http://[2001:db8::1]:8080",)),
            ("none", ("'none'",)),
            ("", ("'none'",)),
        ],
    )
    def test_what_it_takes(self, folder: Folder, written: str | None, read: tuple[str, ...]) -> None:
        options = {} if written is None else {"console": {"frame_ancestors": written}}
        assert folder.load(options).frame_ancestors == read

    @pytest.mark.parametrize(
        "written",
        [
            "https://a.example; script-src *",
            "https://a.example/path",
            "https://a.example b.example",
            "'self', 'unsafe-inline'",
            "javascript:",
            "https://a.example:99999",
            "https://user@a.example",
            "https://*",
            "*",
            "https://a.example?x",
            "a.example\n  b.example",
            "höst.example",
        ],
    )
    def test_what_would_be_another_header_or_none_is_refused(self, folder: Folder, written: str) -> None:
        message = folder.refusal({"console": {"frame_ancestors": written}})
        assert message.startswith("option frame_ancestors in [console] has ")
        assert "an entry is 'self', 'none', scheme://host" in message

    def test_none_stands_alone_and_a_header_has_an_end(self, folder: Folder) -> None:
        assert "'none' stands alone" in folder.refusal({"console": {"frame_ancestors": "none,self"}})
        many = ",".join(f"host{number}.example.org" for number in range(1000))
        assert "longer than 4096" in folder.refusal({"console": {"frame_ancestors": many}})


class TestKnownClients:
    def test_addresses_networks_and_sockets(self, folder: Folder) -> None:
        known = folder.load({"vnc": {"known_clients": "10.0.0.5, fd00::/64,unix"}}).known_clients
        assert [str(entry) for entry in known] == ["10.0.0.5/32", "fd00::/64", "unix"]

    def test_anything_else_is_refused(self, folder: Folder) -> None:
        assert "has 'proxy.example'; an entry is" in folder.refusal({"vnc": {"known_clients": "proxy.example"}})


class TestTokenAuthority:
    NOVA: ClassVar[dict[str, str]] = {"auth_url": "http://keystone.test:5000/v3", "username": "porthole"}

    def options(self, authority: str = "porthole,nova", **more: str) -> dict[str, dict[str, str]]:
        return {"consoleauth": {"token_authority": authority}, "nova": {**self.NOVA, **more}}

    def test_ours_alone_by_default_and_nothing_is_needed_for_it(self, folder: Folder) -> None:
        settings = folder.load()
        assert settings.token_authority == (TokenAuthority.PORTHOLE,)
        assert (settings.nova_password, settings.nova_compute_networks) == ("", ())

    @pytest.mark.parametrize("authority", ["nova", "porthole,nova", "nova,porthole,nova"])
    def test_novas_with_credentials(self, folder: Folder, authority: str) -> None:
        settings = folder.load(self.options(authority, password="s3cret", compute_networks="10.0.0.0/24, fd00::/64"))
        assert set(settings.token_authority) == set(map(TokenAuthority, authority.split(",")))
        assert len(settings.token_authority) == len(set(settings.token_authority))
        assert settings.nova_password == "s3cret"
        assert "s3cret" not in repr(settings)
        assert list(map(str, settings.nova_compute_networks)) == ["10.0.0.0/24", "fd00::/64"]
        assert (settings.nova_project_name, settings.nova_valid_interfaces) == ("service", ("internal", "public"))

    def test_the_password_may_be_in_a_file_of_its_own(self, folder: Folder) -> None:
        file = folder.plain("s3cret with spaces \n", "nova.password")
        assert folder.load(self.options(password_file=str(file))).nova_password == "s3cret with spaces "

    @pytest.mark.parametrize(
        ("more", "words"),
        [
            ({"username": ""}, "option username in [nova] is not set, and token_authority in [consoleauth] has nova."),
            ({"auth_url": ""}, "option auth_url in [nova]"),
            ({}, "option password in [nova] and password_file are both missing"),
            (
                {"password": "x", "compute_networks": "10.0.0.1/24"},
                "option compute_networks in [nova] has '10.0.0.1/24'",
            ),
            ({"password": "x", "valid_interfaces": "private"}, "option valid_interfaces in [nova] is not valid"),
            ({"password": "x", "endpoint_override": "controller"}, "option endpoint_override in [nova] is not valid"),
            ({"password": "x", "timeout": "0"}, "option timeout in [nova] is not valid"),
        ],
    )
    def test_what_is_missing_or_wrong_is_told(self, folder: Folder, more: dict[str, str], words: str) -> None:
        assert folder.refusal(self.options(**more)).startswith(words)

    def test_one_password_in_one_place(self, folder: Folder) -> None:
        file = folder.plain("s3cret\nmore\n", "nova.password")
        assert "are both set" in folder.refusal(self.options(password="x", password_file=str(file)))
        said = folder.refusal(self.options(password_file=str(file)))
        assert "has to hold one line" in said
        assert "s3cret" not in said

    @pytest.mark.parametrize("wrong", ["", "keystone", "porthole nova"])
    def test_another_authority_is_none(self, folder: Folder, wrong: str) -> None:
        assert "option token_authority in [consoleauth]" in folder.refusal(self.options(wrong, password="x"))


class TestKeystone:
    """``[api] auth_strategy = keystone`` and what it needs."""

    @staticmethod
    def options(**more: str) -> dict[str, dict[str, str]]:
        own = {
            "auth_url": "https://k.example.org:5000/v3",
            "username": "u",
            "password": "pw",
            "project_name": "service",
        }
        return {"api": {"auth_strategy": "keystone"}, "keystone_authtoken": {**own, **more}}

    def test_the_group_is_read_and_the_rest_has_keystones_defaults(self, folder: Folder) -> None:
        settings = folder.load(self.options())
        keystone = settings.keystone
        assert keystone is not None
        assert (keystone.username, keystone.password, keystone.project_name) == ("u", "pw", "service")
        assert (keystone.user_domain_name, keystone.interface, keystone.cafile) == ("Default", "internal", None)
        assert (keystone.http_connect_timeout, keystone.token_cache_time) == (10.0, 60)
        assert keystone.www_authenticate_uri == keystone.auth_url
        assert "pw" not in repr(settings)

    @pytest.mark.parametrize(
        ("given", "used"),
        [
            ("https://k.example.org", "https://k.example.org/v3"),
            ("https://k.example.org/identity/", "https://k.example.org/identity/v3"),
            ("https://k.example.org/v3/", "https://k.example.org/v3"),
            ("http://[2001:db8::1]:5000", "http://[2001:db8::1]:5000/v3"),
        ],
    )
    def test_an_address_without_a_version_gets_it(self, folder: Folder, given: str, used: str) -> None:
        keystone = folder.load(self.options(auth_url=given)).keystone
        assert keystone is not None
        assert keystone.auth_url == used

    def test_the_files_of_http_basic_are_not_needed_and_nobody_owns_what_names_no_owner(self, folder: Folder) -> None:
        for name in ("htpasswd", "roles"):
            (folder.path / name).unlink()
        (compute,) = folder.load(self.options(), COMPUTE).computes
        assert compute.owner_project == ""
        (compute,) = folder.load(self.options(), COMPUTE + "owner_project = 5b1e\n").computes
        assert compute.owner_project == "5b1e"

    def test_with_http_basic_it_is_not_looked_at(self, folder: Folder) -> None:
        assert folder.load({"keystone_authtoken": {"auth_url": "https://k.example.org"}}).keystone is None

    @pytest.mark.parametrize("missing", ["auth_url", "username", "password", "project_name"])
    def test_what_is_missing_is_named(self, folder: Folder, missing: str) -> None:
        options = self.options()
        del options["keystone_authtoken"][missing]
        assert folder.refusal(options).startswith(f"option {missing} in [keystone_authtoken] is not set. ")

    def test_the_password_may_be_in_a_file(self, folder: Folder) -> None:
        (folder.path / "password").write_text("from a file \nand a second line\n")
        options = self.options(password_file=str(folder.path / "password"))
        assert "is set, and password is too" in folder.refusal(options)
        del options["keystone_authtoken"]["password"]
        keystone = folder.load(options).keystone
        assert keystone is not None
        assert keystone.password == "from a file "

    @pytest.mark.parametrize(("content", "said"), [(b"\n", "first line is empty"), (b"\xff\n", "not UTF-8 text")])
    def test_a_file_without_a_password_is_refused(self, folder: Folder, content: bytes, said: str) -> None:
        (folder.path / "password").write_bytes(content)
        options = self.options(password_file=str(folder.path / "password"))
        del options["keystone_authtoken"]["password"]
        assert said in folder.refusal(options)

    @pytest.mark.parametrize(
        ("option", "value", "said"),
        [
            ("auth_url", "ftp://k.example.org", "It has to be a URL"),
            ("auth_type", "token", "password or v3password"),
            ("interface", "private", "internal or public or admin"),
            ("http_connect_timeout", "0", "a number from 0.1 to 60"),
            ("token_cache_time", "301", "a whole number from 0 to 300"),
            ("memcached_servers", "m1:11211", "is unknown"),
        ],
    )
    def test_what_is_wrong_is_told(self, folder: Folder, option: str, value: str, said: str) -> None:
        assert said in folder.refusal(self.options(**{option: value}))

    def test_authorities_that_are_none_are_refused_at_the_start(self, folder: Folder) -> None:
        (folder.path / "ca.pem").write_text("not a certificate\n")
        assert "no certificate in PEM" in folder.refusal(self.options(cafile=str(folder.path / "ca.pem")))

    def test_a_reload_names_what_has_changed_and_not_how(self, folder: Folder) -> None:
        old, new = folder.load(self.options()), folder.load(self.options(password="another", interface="public"))
        assert config.changes(old, new) == ["[keystone_authtoken] interface", "[keystone_authtoken] password"]
        basic = folder.load()
        assert "[api] auth_strategy" in config.changes(basic, old)
        assert "[keystone_authtoken] username" in config.changes(basic, old)
