"""A renewed certificate: taken when it is whole and good, and else not, with a word and a figure."""

from __future__ import annotations

import datetime
import shutil
import time
from pathlib import Path

import gevent
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.x509.oid import ExtendedKeyUsageOID
from structlog.testing import capture_logs

from porthole.metrics import Metrics
from porthole.server.certificate import Certificate, Loaded, Refused, load
from tests.certificates import Authority, make_certificate

EXPIRES = "porthole_certificate_expires_timestamp_seconds"
RELOADS = "porthole_certificate_reloads_total"
DAY = 86_400
Files = tuple[Path, Path]


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def old(authority: Authority) -> Files:
    return authority.issue("old", "consoles.example.org", good_for=datetime.timedelta(days=3))


@pytest.fixture(scope="module")
def new(authority: Authority) -> Files:
    return authority.issue("new", "consoles.example.org", good_for=datetime.timedelta(days=9))


class World:
    """The files of a service that has the old pair."""

    def __init__(self, folder: Path, pair: Files) -> None:
        self.cert, self.key = folder / "tls.crt", folder / "tls.key"
        self.metrics = Metrics()
        self.taken: list[Loaded] = []
        self.put(pair)
        self.certificate = Certificate(self.cert, self.key, self.metrics, self.taken.append)
        self.first = self.certificate.start()

    def put(self, pair: Files) -> None:
        for source, file in zip(pair, (self.cert, self.key), strict=True):
            shutil.copy(source, file)

    def figure(self, name: str, **labels: str) -> float | None:
        return self.metrics.registry.get_sample_value(name, labels)

    def days(self) -> int:
        return round(((self.figure(EXPIRES) or 0) - time.time()) / DAY)


@pytest.fixture
def world(tmp_path: Path, old: Files) -> World:
    return World(tmp_path, old)


def test_without_tls_there_is_no_such_figure() -> None:
    assert EXPIRES.encode() not in Metrics().exposition()


def test_a_renewed_pair_is_taken_when_it_has_stayed_as_it_is_for_two_looks(world: World, new: Files) -> None:
    assert world.days() == 3
    world.certificate.look()
    assert not world.taken, "nothing has changed"
    world.put(new)
    world.certificate.look()
    assert not world.taken, "somebody may still be writing"
    with capture_logs() as logs:
        world.certificate.look()
        world.certificate.look()
    assert len(world.taken) == 1
    assert world.days() == 9
    assert [line["event"] for line in logs] == ["certificate taken over"]
    assert (world.figure(RELOADS, result="taken"), world.figure(RELOADS, result="refused")) == (1, 0)


def test_whoever_asks_for_it_has_it_looked_at_at_once(world: World, new: Files) -> None:
    world.put(new)
    world.certificate.look(now=True)
    assert world.days() == 9


def test_it_is_followed_by_itself(world: World, new: Files, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("porthole.server.certificate.SETTLE", 0.01)
    following = gevent.spawn(world.certificate.follow, 0.01)
    world.put(new)
    with gevent.Timeout(30):
        while not world.taken:
            gevent.sleep(0.01)
    following.kill()
    assert world.days() == 9


class TestRefusals:
    @pytest.fixture(params=["one-of-two", "half", "cut-chain", "expired", "for-clients", "nonsense", "gone", "locked"])
    def bad(self, request: pytest.FixtureRequest, world: World, authority: Authority, new: Files) -> str:
        """Files that are no good, and words of why."""
        words = {
            "one-of-two": "key values mismatch", "half": "no PEM in it", "cut-chain": "bad end line",
            "expired": "certificate has expired", "for-clients": "purpose", "nonsense": "no PEM in it",
            "gone": "no such file", "locked": "has a password",
        }  # fmt: skip
        match request.param:
            case "one-of-two":
                shutil.copy(new[0], world.cert)
            case "half":
                world.put(new)
                world.cert.write_bytes(new[0].read_bytes()[:400])
            case "cut-chain":
                world.put(new)
                world.cert.write_bytes(new[0].read_bytes() + authority.certificate.read_bytes()[:400])
            case "expired":
                world.put(authority.issue("expired", "c.example", good_for=datetime.timedelta(days=-1)))
            case "for-clients":
                world.put(authority.issue("client", usage=ExtendedKeyUsageOID.CLIENT_AUTH))
            case "nonsense":
                world.cert.write_text("nonsense")
            case "gone":
                world.key.unlink()
            case "locked":
                world.put(new)
                key = serialization.load_pem_private_key(new[1].read_bytes(), None)
                world.key.write_bytes(
                    key.private_bytes(
                        serialization.Encoding.PEM,
                        serialization.PrivateFormat.PKCS8,
                        serialization.BestAvailableEncryption(b"secret"),
                    )
                )
        return words[request.param]

    def test_what_is_no_good_is_not_taken_and_the_old_one_goes_on(self, world: World, bad: str, new: Files) -> None:
        with capture_logs() as logs:
            for _ in range(4):
                world.certificate.look()
        assert not world.taken
        assert world.days() == 3
        (line,) = logs
        assert (line["event"], line["log_level"]) == ("certificate not taken over", "error")
        assert bad.lower() in line["why"].lower()
        assert world.figure(RELOADS, result="refused") == 1
        world.put(new)
        world.certificate.look()
        world.certificate.look()
        assert world.days() == 9, "and a good one is taken after it"

    def test_files_that_change_while_they_are_read_are_not_taken(
        self, world: World, new: Files, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        seen = iter([(1,), (2,)])
        monkeypatch.setattr("porthole.server.certificate.identity", lambda *_: next(seen))
        with pytest.raises(Refused, match="being written"):
            load(world.cert, world.key)


class TestStart:
    def test_an_expired_one_is_better_than_none_and_says_so(self, tmp_path: Path, authority: Authority) -> None:
        with capture_logs() as logs:
            world = World(tmp_path, authority.issue("late", "c.example", good_for=datetime.timedelta(days=-1)))
        assert world.figure(EXPIRES) == 0
        assert [line["event"] for line in logs] == ["the certificate is not good now"]

    def test_a_self_signed_one_is_told_from_others(self, tmp_path: Path, world: World) -> None:
        (tmp_path / "own").mkdir()
        assert load(*make_certificate(tmp_path / "own", "c.example")).self_signed
        assert not world.first.self_signed
