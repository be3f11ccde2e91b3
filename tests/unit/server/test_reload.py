"""How one set of workers follows another: each step, with a master that forks nothing."""

from __future__ import annotations

import os
import signal
import time
from dataclasses import fields, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import structlog

from porthole.config import ConfigError, Settings, contents, kept
from porthole.server import sets
from porthole.server.board import Board, Drain, Slot
from porthole.server.reload import Reloads
from porthole.server.sets import MAX_DRAINING, State, WorkerSet


def made_up(**values: Any) -> Settings:
    """A configuration of which only some values matter."""
    nothing: dict[str, Any] = dict.fromkeys(field.name for field in fields(Settings))
    return Settings(
        **{
            **nothing,
            "workers": 2,
            "libvirt_call_timeout": 1.0,
            "graceful_shutdown_timeout": 60,
            "computes": (),
            **values,
        }
    )


class Worker:
    def __init__(self, slot: Slot, those: WorkerSet) -> None:
        self.slot = slot
        self.those = those


class Master:
    """One whose workers are only slots."""

    def __init__(self, settings: Settings) -> None:
        self.board = Board(100)
        self.wanted: Settings = settings
        self.app = SimpleNamespace(reread=lambda: self.wanted, check=self.check)
        self.trouble = ""
        self.workers: list[Worker] = []
        self.woken: list[tuple[int, signal.Signals]] = []
        self.reloads = Reloads(self)  # type: ignore[arg-type]
        self.reloads.start(settings)
        self.run()

    def check(self, _settings: Settings) -> None:
        if self.trouble:
            raise ConfigError(self.trouble)

    def workers_of(self, those: WorkerSet) -> list[Worker]:
        return [worker for worker in self.workers if worker.those is those]

    def keep_up(self, those: WorkerSet) -> None:
        for _ in range(those.size - len(self.workers_of(those))):
            self.workers.append(Worker(self.board.take_slot(those.number), those))

    def drain(self, those: WorkerSet, how: int, seconds: float) -> None:
        those.state = State.DRAINING
        for worker in self.workers_of(those):
            worker.slot.drain, worker.slot.deadline = how, int(time.monotonic() + seconds)

    def end(self, those: WorkerSet) -> None:
        those.state = State.ENDING

    def wake(self, those: WorkerSet, number: signal.Signals = signal.SIGUSR2) -> None:
        self.woken.append((those.number, number))

    # --- what workers do

    def run(self) -> None:
        """Start what should be there, let it become ready, and let those that may take clients do so."""
        for _ in range(3):
            self.reloads.go_on()
            for worker in self.workers:
                worker.slot.ready = 1
                serves = not worker.slot.drain and self.board.serving == worker.slot.set_number
                worker.slot.accepts = int(serves)
                worker.slot.reloads = worker.slot.reloads_wanted

    def gone(self, those: WorkerSet) -> None:
        for worker in self.workers_of(those):
            worker.slot.clear()
            self.workers.remove(worker)

    def change(self, **values: Any) -> None:
        self.wanted = replace(self.wanted, **values)
        self.reloads.wanted()


@pytest.fixture
def master() -> Master:
    return Master(made_up())


class TestTakingOver:
    def test_the_list_of_computes_is_taken_by_the_workers_that_run(self, master: Master) -> None:
        before = master.reloads.serving
        master.change(computes=("c1",))
        assert master.woken == [(1, signal.SIGHUP)]
        over = [master.reloads.is_over]
        master.run()
        over.append(master.reloads.is_over)
        assert over == [False, True]
        assert master.reloads.serving is before
        assert len(before.settings.computes) == 1, "for those that are started later"

    def test_anything_else_is_taken_by_new_ones_which_wait_until_the_old_ones_have_stopped(
        self, master: Master
    ) -> None:
        old = master.reloads.serving
        master.change(token_ttl=7)
        new = master.reloads.starting
        assert new is not None
        assert new.settings.token_ttl == 7
        master.reloads.go_on()
        for worker in master.workers_of(new):
            worker.slot.ready = 1
        master.reloads.go_on()
        assert all(worker.slot.drain == Drain.FOR_THE_NEXT_SET for worker in master.workers_of(old))
        turns = []
        for worker in master.workers_of(old):
            master.reloads.go_on()
            turns.append(master.board.serving)
            worker.slot.accepts = 0
        master.reloads.go_on()
        turns.append(master.board.serving)
        assert turns == [old.number, old.number, new.number], "not while an old one still takes clients"
        assert master.reloads.serving is new
        master.run()
        assert master.reloads.is_over

    def test_an_old_one_that_hangs_is_not_waited_for(self, master: Master) -> None:
        master.change(token_ttl=7)
        new = master.reloads.starting
        assert new is not None
        master.reloads.go_on()
        for worker in master.workers_of(new):
            worker.slot.ready = 1
        master.reloads.go_on()
        new.hand_over_by = time.monotonic()
        master.reloads.go_on()
        assert master.reloads.serving is new

    @pytest.mark.parametrize("option", ["token_key_file", "vencrypt_ca_certs", "nova_cafile", "keystone.cafile"])
    def test_files_that_are_read_at_the_start_count_as_well(self, tmp_path: Path, option: str) -> None:
        file = tmp_path / "file"
        file.write_text("one")
        group, _, name = option.rpartition(".")
        master = Master(made_up(**({group: SimpleNamespace(**{name: file})} if group else {name: file})))
        master.reloads.wanted()
        assert master.reloads.starting is None
        file.write_text("another")
        master.reloads.wanted()
        assert master.reloads.starting is not None

    def test_what_a_running_service_keeps_is_named_and_the_rest_is_taken(self, master: Master) -> None:
        with structlog.testing.capture_logs() as lines:
            master.change(metrics_port=1, token_ttl=7)
        (warning,) = [line for line in lines if line["log_level"] == "warning"]
        assert warning["options"] == ["[metrics] port"]
        assert master.reloads.starting is not None
        assert master.reloads.starting.settings.metrics_port is None

    def test_with_its_port_it_keeps_the_address_that_has_the_port_in_it(self) -> None:
        old = made_up(novncproxy_port=1, novncproxy_base_url="http://a:1/")
        settings, options = kept(old, replace(old, novncproxy_port=2, novncproxy_base_url="http://a:2/"))
        assert settings == old
        assert options == ["[vnc] novncproxy_base_url", "[vnc] novncproxy_port"]

    def test_a_file_that_cannot_be_read_is_as_an_empty_one(self, tmp_path: Path) -> None:
        assert contents(made_up(token_key_file=tmp_path / "none")) == {tmp_path / "none": ""}

    def test_it_is_said_when_nobody_takes_clients_for_a_moment(self, master: Master) -> None:
        said = [master.reloads.is_handing_over]
        master.change(token_ttl=7)
        said.append(master.reloads.is_handing_over)
        new = master.reloads.starting
        assert new is not None
        master.reloads.go_on()
        for worker in master.workers_of(new):
            worker.slot.ready = 1
        master.reloads.go_on()
        said.append(master.reloads.is_handing_over)
        new.hand_over_by = time.monotonic()
        master.reloads.go_on()
        said.append(master.reloads.is_handing_over)
        master.run()
        said.append(master.reloads.is_handing_over)
        assert said == [False, False, True, True, False]


class TestMistakes:
    def test_a_file_that_is_wrong_changes_nothing(self, master: Master) -> None:
        master.trouble = "the key file is wrong"
        with structlog.testing.capture_logs() as lines:
            master.change(token_ttl=7)
        assert lines[0]["why"] == "the key file is wrong"
        assert master.reloads.starting is None
        assert master.reloads.is_over

    def test_new_ones_that_are_not_ready_in_time_are_given_up(self, master: Master) -> None:
        old = master.reloads.serving
        master.change(token_ttl=7)
        new = master.reloads.starting
        assert new is not None
        master.reloads.go_on()
        new.give_up_at = time.monotonic()
        master.reloads.go_on()
        assert new.state is State.ENDING
        assert master.reloads.serving is old
        assert all(not worker.slot.drain for worker in master.workers_of(old))
        assert master.reloads.is_over

    def test_a_newer_reload_takes_the_place_of_one_that_is_not_over(self, master: Master) -> None:
        master.change(token_ttl=7)
        first = master.reloads.starting
        master.change(token_ttl=8)
        assert first is not None
        assert first.state is State.ENDING
        master.run()
        assert master.reloads.serving.settings.token_ttl == 8

    def test_back_to_what_was_is_a_change_too(self, master: Master) -> None:
        master.change(token_ttl=7)
        master.change(token_ttl=None)
        master.run()
        assert master.reloads.serving.settings.token_ttl is None


class TestBounds:
    def test_so_many_sets_drain_and_of_one_more_the_oldest_ends(self, master: Master) -> None:
        earlier = []
        for number in range(MAX_DRAINING):
            earlier.append(master.reloads.serving)
            master.change(token_ttl=number + 1)
            master.run()
        assert [those.state for those in earlier] == [State.DRAINING] * MAX_DRAINING
        earlier.append(master.reloads.serving)
        with structlog.testing.capture_logs() as lines:
            master.change(token_ttl=1000)
            master.run()
        assert [those.state for those in earlier] == [State.ENDING] + [State.DRAINING] * MAX_DRAINING
        assert [line["set"] for line in lines if "too many reloads" in line["event"]] == [1]

    def test_those_that_have_ended_do_not_count(self, master: Master) -> None:
        for number in range(3 * MAX_DRAINING):
            before = master.reloads.serving
            master.change(token_ttl=number + 1)
            master.run()
            assert before.state is State.DRAINING
            master.gone(before)
        master.run()
        assert len(master.board.slots()) == 2

    def test_it_is_refused_while_too_many_workers_have_not_ended(self) -> None:
        master = Master(made_up(workers=30))
        master.change(token_ttl=1)
        master.run()
        with structlog.testing.capture_logs() as lines:
            master.change(token_ttl=2)
        assert [line["event"] for line in lines] == [
            "not reloaded: too many workers of earlier reloads have not ended yet"
        ]
        assert master.reloads.starting is None

    def test_a_worker_that_cannot_start_is_tried_again_later_and_later(self) -> None:
        those = WorkerSet(1, made_up(), State.SERVING, 0.0)
        pauses = []
        for _ in range(8):
            those.put_off(100.0)
            pauses.append(those.next_try - 100.0)
        assert pauses == [1, 2, 4, 8, 16, 30, 30, 30]


class TestNumber:
    def test_one_for_each_processor_that_may_be_used(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(os, "sched_getaffinity", lambda _pid: {3, 5, 7})
        assert WorkerSet(1, made_up(workers=0), State.SERVING, 0.0).size == 3
        assert WorkerSet(1, made_up(workers=2), State.SERVING, 0.0).size == 2
        monkeypatch.setattr(os, "sched_getaffinity", lambda _pid: set(range(1000)))
        assert WorkerSet(1, made_up(workers=0), State.SERVING, 0.0).size == sets.MAX_WORKERS

    def test_a_sandbox_may_not_let_it_look(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def refuse(_pid: int) -> set[int]:
            raise PermissionError

        monkeypatch.setattr(os, "sched_getaffinity", refuse)
        monkeypatch.setattr(os, "cpu_count", lambda: 6)
        assert sets.processors() == 6
