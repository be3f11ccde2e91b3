"""The opening of an RFB connection (RFC 6143 7.1), sans I/O: bytes in, bytes out, and nothing of sockets.

The proxy ends the security handshake on both sides. It is a client of the VNC
server, before the browser has its 101, and a server for the browser, after it.
From ClientInit on (7.3.1), nobody here looks at the bytes any more::

    conversation  who is to speak next; what every side below is made of
    server        with the VNC server
    browser       with the browser
    none          one security type a module: what comes after it was chosen
    vncauth
    vencrypt
    policy        which of them a compute may use, and in which order
    wire          the numbers of the protocol
    reading       what several of these read
    errors        why a conversation ends early
"""
