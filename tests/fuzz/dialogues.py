"""Valid dialogues, of which inputs are made. The first byte of each says how it is fed (see ``targets``)."""

from __future__ import annotations

import struct
from random import Random

from porthole.proxy.frames import Opcode
from tests.fuzz.client import MORE_BUTTONS, random_message, set_encodings
from tests.unit.proxy.wire import client_frame

_OK, _FAILED = struct.pack("!I", 0), struct.pack("!I", 1)
_NONE, _VNC_AUTH, _VENCRYPT = 1, 2, 19
_X509_NONE, _X509_VNC = 260, 261
_CONTROL = (Opcode.PING, Opcode.PONG)


def client_messages(random: Random) -> bytes:
    """Some messages of a client after ClientInit."""
    sent = [random_message(random) for _ in range(random.randrange(12))]
    if random.randrange(2):
        sent.insert(0, set_encodings(0, MORE_BUTTONS))
    return random.randbytes(1) + b"".join(message.data for message in sent)


def server(random: Random) -> bytes:
    """A VNC server's side of an opening, up to its SecurityResult."""
    version = random.choice((b"RFB 003.003\n", b"RFB 003.007\n", b"RFB 003.008\n"))
    kind = random.choice((_NONE, _VNC_AUTH, _VENCRYPT))
    if version.startswith(b"RFB 003.003"):
        offer = struct.pack("!I", random.choice((kind, 0)))
    else:
        others = random.choices(range(256), k=random.randrange(4))
        types = [kind, *others]
        offer = bytes([len(types), *types]) if random.randrange(8) else b"\0"
    after = _vencrypt(random) if kind == _VENCRYPT else random.randbytes(random.choice((0, 16)))
    return random.randbytes(1) + version + offer + after + _result(random)


def _vencrypt(random: Random) -> bytes:
    subtypes = [random.choice((_X509_NONE, _X509_VNC)), *random.choices(range(256, 266), k=random.randrange(4))]
    offer = bytes([len(subtypes)]) + struct.pack(f"!{len(subtypes)}I", *subtypes)
    return b"\0\2" + b"\0" + offer + b"\1" + random.randbytes(random.choice((0, 16)))


def _result(random: Random) -> bytes:
    reason = random.randbytes(random.randrange(40))
    return random.choice(
        (_OK, _FAILED + struct.pack("!I", len(reason)) + reason, struct.pack("!I", len(reason)) + reason)
    )


def frames(random: Random) -> bytes:
    """Some frames of a browser, fragmented ones among them, perhaps with a Close at the end."""
    data = bytearray(random.randbytes(1))
    is_fragment = False
    for _ in range(random.randrange(8)):
        if not random.randrange(4):
            data += client_frame(random.choice(_CONTROL), random.randbytes(random.randrange(126)))
            continue
        opcode = Opcode.CONTINUATION if is_fragment else Opcode.BINARY
        is_fragment = not random.randrange(3)
        payload = random.randbytes(random.choice((0, 1, 8, 125, 126, 300)))
        data += client_frame(opcode, payload, fin=not is_fragment, key=random.randbytes(4))
    if not random.randrange(3):
        data += client_frame(Opcode.CLOSE, struct.pack("!H", random.choice((1000, 1001, 3000, 4999))) + b"bye")
    return bytes(data)
