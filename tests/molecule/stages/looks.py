"""What a client without TLS is offered by a guest's VNC server, looked at from another host."""

from __future__ import annotations

from tests.molecule import guests
from tests.molecule.cloud import Host

# nova-novncproxy's part with security type None (RFC 6143 7.1 and 7.3): up to the name of the screen.
_LOOK = """\
import socket, struct, sys
def read(count):
    got = b""
    while len(got) < count:
        more = connection.recv(count - len(got))
        if not more:
            sys.exit("closed")
        got += more
    return got
try:
    connection = socket.create_connection((sys.argv[1], int(sys.argv[2])), 2)
except OSError:
    print("shut")
    sys.exit()
connection.settimeout(5)
read(12); connection.sendall(b"RFB 003.008\\n")
types = list(read(read(1)[0]))
if 1 not in types:
    print("security types", *types)
    sys.exit()
connection.sendall(b"\\x01"); read(4); connection.sendall(b"\\x01"); read(20)
print("sees", read(struct.unpack("!I", read(4))[0]).decode())
"""


def without_tls(source: Host, compute: Host, guest: str) -> str:
    """``shut``, ``security types N ...`` without None among them, or ``sees NAME-OF-THE-SCREEN``."""
    _, port = guests.vnc(compute, guest)
    return source.python(_LOOK, compute.v4, str(port))
