"""The picture in the browser is the guest's."""

from __future__ import annotations

from collections.abc import Callable

from PIL import Image, ImageChops

from tests.browser.console import Console
from tests.hosts import ComputeHost, Guest
from tests.hosts.screen import COUNTER, SIZE, cells, colours, is_up, screendump
from tests.service import Appliance

Hosts = tuple[ComputeHost, ComputeHost]
Eventually = Callable[[Callable[[], object]], None]

BANNER = (0, 0, 70, 1)
PROMPT = (0, 1, 80, 2)
"""The second row, with the blinking cursor in it."""


def same(one: Image.Image, other: Image.Image) -> bool:
    """Whether two pictures have the same pixels."""
    return one.size == other.size and ImageChops.difference(one, other).getbbox() is None


def test_the_picture_in_the_browser_is_the_guests(console: Console, guest: Guest, eventually: Eventually) -> None:
    # QEMU's own screendump goes through libvirt: nothing on its way is on the picture's way to the browser.
    eventually(lambda: console.picture().size == SIZE == screendump(guest).size)
    eventually(lambda: same(cells(console.picture(), *BANNER), cells(screendump(guest), *BANNER)))
    banner = colours(cells(console.picture(), *BANNER))
    assert {colour for _, colour in banner} == {(0, 0, 0), (168, 168, 168)}, "grey text on black"
    # Everything else too, where nothing moves.
    below = (0, 2, 80, 25)
    assert same(cells(console.picture(), *below), cells(screendump(guest), *below))


def test_the_picture_moves_as_the_guests_does(console: Console, eventually: Eventually) -> None:
    eventually(lambda: console.picture().size == SIZE)
    seen = set()

    def counts() -> bool:
        seen.add(cells(console.picture(), *COUNTER).tobytes())
        return len(seen) >= 5

    eventually(counts)


def test_what_is_typed_is_seen(console: Console, guest: Guest, eventually: Eventually) -> None:
    typed = (2, 1, 8, 2)
    eventually(lambda: cells(console.picture(), *typed).getbbox() is not None)
    for key in "abcdef":
        console.check_that_keys_arrive(guest, key)
    eventually(lambda: same(cells(console.picture(), *typed), cells(screendump(guest), *typed)))
    assert cells(console.picture(), *typed).getbbox() is not None


def test_two_consoles_side_by_side_show_each_its_own_guest(
    console: Console, guest: Guest, hosts: Hosts, appliance: Appliance, eventually: Eventually
) -> None:
    other = hosts[1].start_guest("web-2")
    assert other.port == guest.port, "the same port on another compute, so a mix-up would show"
    eventually(lambda: is_up(other))
    second = Console(console.page.context.new_page())
    second.open(appliance.console_url(other.uuid))
    second.wait_for("connected")
    for key in "xyz":
        second.check_that_keys_arrive(other, key)
    typed = (2, 1, 5, 2)
    eventually(lambda: same(cells(second.picture(), *typed), cells(screendump(other), *typed)))
    console.page.bring_to_front()
    eventually(lambda: same(cells(console.picture(), 3, 1, 80, 2), cells(screendump(guest), 3, 1, 80, 2)))
    assert cells(console.picture(), 3, 1, 80, 2).getbbox() is None
    assert guest.serial_text() == ""
