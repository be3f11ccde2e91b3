"""VNC clients that came past this service: what libvirt sees at the screens, compared with our own connections.

libvirt's events and our own bookkeeping come in any order, so a client is judged a moment after it was seen.
"""

from __future__ import annotations

import contextlib
import ipaddress
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

import gevent
import structlog
from gevent.event import Event as Signal

from porthole.audit import AuditUnavailable, Event, Recorder
from porthole.audit.entry import Result
from porthole.audit.recorder import Fields
from porthole.compute.model import GraphicsEvent, Phase
from porthole.config.settings import Network
from porthole.metrics import Metrics
from porthole.proxy.target import end_name, socket_end
from porthole.state.database import StoreUnavailable
from porthole.state.screens import ScreenTable

GRACE = 2.0
"""Seconds between an event of libvirt and its judgement; by then every process has recorded what it has dialled."""

GATHER = 0.25
"""Of that, seconds for which what was dialled is gathered, to be recorded together."""

KEEP_OWN = 60.0
"""Seconds for which a connection is known as ours although no session came of it."""

MAX_OWN = 20_000
"""Connections of ours that are remembered for that time."""

MAX_PENDING = 1000
"""Clients that wait for their judgement; further ones are only counted."""

MAX_TOLD = 1000
"""Strangers that are remembered, so that each is told of once."""

TRIES = 5
"""Times that the store is asked whose a client is; then only this process's memory counts."""

STOP_TIMEOUT = 2.0

log = structlog.get_logger("porthole.sessions")


@dataclass(slots=True)
class _Sighting:
    """A client that was seen.

    :ivar event: the one that says most
    :ivar end: its address and port; the path of its socket
    :ivar due: when it is judged, in the time of ``time.monotonic``
    """

    event: GraphicsEvent
    end: str
    due: float
    tries: int = 0

    @property
    def key(self) -> str:
        return f"{self.event.instance_id} {self.end}"


class Strangers:
    """Told of our own connections (:meth:`dialled`) and of libvirt's events (:meth:`seen`).

    :param table: what other processes of the service have dialled
    :param live: our own ends of the sessions of this process
    :param known: ``[vnc] known_clients``
    :param audit: where strangers are recorded
    :param grace: seconds between an event and its judgement
    """

    def __init__(
        self,
        table: ScreenTable,
        live: Callable[[], Iterable[str]],
        known: Sequence[Network | Literal["unix"]],
        audit: Recorder,
        metrics: Metrics,
        grace: float = GRACE,
    ) -> None:
        self._table = table
        self._live = live
        self._known = known
        self._audit = audit
        self._metrics = metrics
        self._grace = grace
        self._own: OrderedDict[str, float] = OrderedDict()
        self._unrecorded: deque[str] = deque(maxlen=MAX_PENDING)
        self._pending: OrderedDict[str, _Sighting] = OrderedDict()
        self._told: OrderedDict[str, Phase] = OrderedDict()
        self._passed_over = 0
        self._dialled = Signal()
        self._wake = Signal()
        self._greenlets: list[gevent.Greenlet[..., None]] = []

    def start(self) -> None:
        """Begin to judge."""
        self._greenlets = [gevent.spawn(self._forever, work) for work in (self._record_own, self._judge_due)]

    def stop(self) -> None:
        """Record and judge what waits, and no more."""
        gevent.killall(self._greenlets)
        # Other processes go on judging, and what was dialled a moment ago is still gathered.
        gevent.with_timeout(STOP_TIMEOUT, self._record_waiting, timeout_value=None)
        gevent.with_timeout(STOP_TIMEOUT, self._judge, list(self._pending.values()), timeout_value=None)

    # --- called on the hub, without blocking

    def dialled(self, local: str) -> None:
        """A connection to a VNC server was made; this is our own end of it."""
        if not local:
            return
        now = time.monotonic()
        self._own[local] = now
        self._own.move_to_end(local)
        while len(self._own) > MAX_OWN or next(iter(self._own.values())) < now - KEEP_OWN:
            self._own.popitem(last=False)
        self._unrecorded.append(local)
        self._dialled.set()

    def seen(self, event: GraphicsEvent) -> None:
        """libvirt saw a client at a screen."""
        end = socket_end(event.instance_id) if event.is_unix else end_name(event.client, event.service)
        sighting = _Sighting(event, end, time.monotonic() + self._grace)
        key = sighting.key
        if event.phase is Phase.DISCONNECT:
            self._told.pop(key, None)
            return
        if end in self._own or self._is_known(event) or self._told.get(key, -1) >= event.phase:
            return
        if key in self._pending:
            waiting = self._pending[key]
            waiting.event = event if event.phase > waiting.event.phase else waiting.event
        elif len(self._pending) >= MAX_PENDING:
            self._passed_over += 1
        else:
            self._pending[key] = sighting
        self._wake.set()

    def _is_known(self, event: GraphicsEvent) -> bool:
        if event.is_unix:
            return "unix" in self._known
        try:
            address = ipaddress.ip_address(event.client.partition("%")[0])
        except ValueError:
            return False
        mapped = getattr(address, "ipv4_mapped", None) or address
        return any(mapped in network for network in self._known if network != "unix")

    # --- greenlets

    def _forever(self, work: Callable[[], None]) -> None:
        while True:
            try:
                work()
            except Exception:
                log.exception("strangers were not looked for")
                gevent.sleep(self._grace)

    def _record_own(self) -> None:
        """Let other processes know what this one has dialled, all that waits at once."""
        self._dialled.wait()
        gevent.sleep(min(GATHER, self._grace / 2))
        self._dialled.clear()
        self._record_waiting()

    def _record_waiting(self) -> None:
        batch = [self._unrecorded.popleft() for _ in range(len(self._unrecorded))]
        if not batch:
            return
        # Should it fail, the worst of it is that another process takes one of them for a stranger.
        with contextlib.suppress(StoreUnavailable):
            self._table.dialled(batch)

    def _judge_due(self) -> None:
        self._wake.wait()
        self._wake.clear()
        while self._pending:
            first = next(iter(self._pending.values()))
            gevent.sleep(max(0.0, first.due - time.monotonic()))
            now = time.monotonic()
            self._judge([sighting for sighting in self._pending.values() if sighting.due <= now])
        if self._passed_over:
            log.warning("too many clients at screens to look at each", passed_over=self._passed_over)
            self._passed_over = 0

    def _judge(self, due: Sequence[_Sighting]) -> None:
        for sighting in due:
            # From now on it counts as told: what libvirt says of it meanwhile finds that.
            del self._pending[sighting.key]
            self._told[sighting.key] = sighting.event.phase
            while len(self._told) > MAX_TOLD:
                self._told.popitem(last=False)
        ours = set(self._live())
        asked = [sighting for sighting in due if sighting.end not in self._own and sighting.end not in ours]
        try:
            ours |= self._table.ours([sighting.end for sighting in asked]) if asked else set()
        except StoreUnavailable as error:
            asked = [sighting for sighting in asked if not self._put_off(sighting, error.why)]
        for sighting in due:
            if sighting.end in ours:
                self._told.pop(sighting.key, None)
        for sighting in asked:
            if sighting.end not in ours:
                self._tell(sighting)

    def _put_off(self, sighting: _Sighting, why: str) -> bool:
        """Whether it is judged later, because the store, which knows other processes' connections, does not answer."""
        sighting.tries += 1
        if sighting.tries >= TRIES:
            log.error("nobody can say whether another process of the service dialled this", end=sighting.end, why=why)
            return False
        self._told.pop(sighting.key, None)
        sighting.due = time.monotonic() + self._grace
        self._pending[sighting.key] = sighting
        return True

    def _tell(self, sighting: _Sighting) -> None:
        event = sighting.event
        let_in = event.phase is Phase.INITIALIZE
        try:
            if not self._table.tell(f"{sighting.key} {event.phase.name}"):
                return  # another process does
        except StoreUnavailable:
            pass  # rather twice than never
        what = "has the screen" if let_in else "connected"
        # Before the record: whoever reads that finds it counted.
        self._metrics.strangers.inc()
        log.warning(
            "stranger at a screen", client=sighting.end, instance=event.instance_id, compute=event.compute, what=what
        )
        fields: Fields = {
            "client": f"unix {event.client}".rstrip() if event.is_unix else event.client,
            "instance": event.instance_id,
            "compute": event.compute,
            "reason": what,
            "result": Result.SUCCESS if let_in else Result.FAILED,
            "details": {"client_port": event.service, "vnc_server": event.server, "auth": event.auth},
        }
        try:
            # Strangers can come as often as they like: as with refusals, each address has its lines.
            self._audit.refused(Event.STRANGER_ON_SCREEN, **fields)
        except AuditUnavailable:
            self._audit.happened(Event.STRANGER_ON_SCREEN, **fields)
