"""RFB (RFC 6143): the opening of a connection (7.1), and what a client says after it (7.5).

All of it is sans I/O: bytes in, bytes out, and nothing of sockets.

The proxy ends the security handshake on both sides. It is a client of the VNC
server, before the browser has its 101, and a server for the browser, after it.
From ClientInit on (7.3.1), nobody here looks at what the VNC server says. What the browser
says is read in two kinds of sessions, view-only ones and those that end when nobody uses
them; in all others it is passed on unseen::

    conversation      who is to speak next; what every side below is made of
    server            with the VNC server
    browser           with the browser
    none              one security type a module: what comes after it was chosen
    vncauth
    vencrypt
    password          a guest's VNC password, and how it answers a challenge
    des               the cipher that this takes
    policy            which of them a compute may use, and in which order
    wire              the numbers of the protocol
    reading           what several of these read
    errors            why a conversation ends early
    client_messages   after ClientInit: which of the browser's messages go on, and which are somebody's doing
    client_encodings  what of its encodings a view-only session keeps
    client_wire       the lengths of its messages
"""
