"""The source as a process, spoken with directly and through a relay that changes what goes through it."""

from __future__ import annotations

import subprocess
import sys
import zlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from bench.loads import messages, recording
from bench.loads.link import Door, Link, LinkError
from bench.loads.recording import RecordingError
from bench.peers.base import PeerFailed, free_port
from bench.rows.echo import echo_once
from bench.rows.streams import verify
from tests.service.tap import tap

UPDATES = [b"first", b"the second", bytes(100_000)]
CHECKOUT = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="module", params=[[], ["--crowd"]], ids=["a process each", "crowd"])
def port(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """Where a source listens."""
    folder = tmp_path_factory.mktemp("source")
    recording.save(folder / "recording", UPDATES)
    port = free_port()
    process = subprocess.Popen(
        [
            sys.executable, "-m", "bench.loads.source", "--port", str(port), "--reports", str(folder),
            "--recording", str(folder / "recording"), *request.param,
        ],
        cwd=CHECKOUT, stdout=subprocess.PIPE,
    )  # fmt: skip
    assert process.stdout
    assert process.stdout.readline() == b"listening\n"
    yield port
    process.kill()
    process.communicate()


@pytest.fixture
def link(port: int) -> Iterator[Link]:
    """A session without a relay."""
    with Link(Door(port, None)) as link:
        yield link


def test_a_key_comes_back(link: Link) -> None:
    assert all(echo_once(link, number) > 0 for number in (1, 2, 0xFFFFFFFF))


def test_keys_that_come_in_pieces_come_back(link: Link) -> None:
    for byte in messages.key_event(7):
        link.send(bytes([byte]))

    assert link.read(8) == messages.key_event(7)


def test_an_upload_is_reported_with_its_checksum(link: Link) -> None:
    text = b"some text" * 50_000
    link.send(messages.cut_text(text) + messages.cut_text(b"more") + messages.report())

    assert messages.REPORT.unpack(link.read(messages.REPORT.size)) == (len(text) + 4, zlib.crc32(text + b"more"))


def test_the_recording_is_played_update_by_update_and_begins_again(link: Link) -> None:
    for update in [*UPDATES, UPDATES[0]]:
        link.send(messages.next_update())
        assert link.read(len(update)) == update


def test_a_recording_that_is_cut_is_no_recording(tmp_path: Path) -> None:
    recording.save(tmp_path / "it", UPDATES)
    (tmp_path / "it").write_bytes((tmp_path / "it").read_bytes()[:-1])

    with pytest.raises(RecordingError, match="ends within an update"):
        recording.load(tmp_path / "it")


def test_a_door_that_is_refused_is_told(port: int) -> None:
    with pytest.raises(LinkError, match="closed the connection instead of answering"):
        Link(Door(port, "/"))


@pytest.mark.parametrize("port", [[]], ids=["a process each"], indirect=True)
class TestAStream:
    """Of a source with a process for each session, as it is measured."""

    def test_arrives_as_it_was_sent(self, port: int) -> None:
        with Link(Door(port, None)) as link:
            verify(link, messages.LARGEST_WRITE)
            verify(link, 1536)

    def test_that_was_changed_on_its_way_is_noticed(self, port: int) -> None:
        seen = 0

        def change(piece: bytes) -> bytes:
            nonlocal seen
            seen += len(piece)
            if seen < 1_000_000 or seen - len(piece) >= 1_000_000:
                return piece
            return bytes([piece[0] ^ 1]) + piece[1:]

        listen = ("127.0.0.1", free_port())
        with (
            tap(listen, ("127.0.0.1", port), change),
            Link(Door(listen[1], None)) as link,
            pytest.raises(PeerFailed, match="differs from what was sent"),
        ):
            verify(link, messages.LARGEST_WRITE)
