"""A guest's screen as QEMU itself sees it: without VNC, through libvirt's ``virDomainScreenshot``."""

from __future__ import annotations

import io

from PIL import Image

from .compute import Guest

CELL = (9, 16)
"""A character of the 80 by 25 text screen, in pixels: width and height."""

SIZE = (80 * CELL[0], 25 * CELL[1])
COUNTER = (70, 0, 74, 1)
"""Where the guest counts, as :func:`cells` takes it."""

_GREEN = (0, 168, 0)


def screendump(guest: Guest) -> Image.Image:
    """The screen now."""
    stream = guest.host.conn.newStream()
    guest.domain.screenshot(stream, 0)
    data = bytearray()
    stream.recvAll(lambda _stream, chunk, _opaque: data.extend(chunk), None)
    stream.finish()
    with Image.open(io.BytesIO(data)) as image:
        return image.convert("RGB")


def is_up(guest: Guest) -> bool:
    """Whether the guest has booted: it has shown its banner and its counter, and takes keys."""
    image = screendump(guest)
    return image.size == SIZE and _GREEN in {colour for _, colour in colours(cells(image, *COUNTER))}


def cells(image: Image.Image, left: int, top: int, right: int, bottom: int) -> Image.Image:
    """A part of a text screen, in columns and rows; right and bottom are not in it any more."""
    width, height = CELL
    return image.crop((left * width, top * height, right * width, bottom * height))


def colours(image: Image.Image) -> list[tuple[int, tuple[int, int, int]]]:
    """How many pixels of which colour."""
    found = image.getcolors(1 << 24)
    assert found is not None
    return [(count, (int(c[0]), int(c[1]), int(c[2]))) for count, c in found if isinstance(c, tuple)]
