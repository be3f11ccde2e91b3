"""What a VNC client sends after ClientInit (RFC 6143 7.5), sans I/O: bytes in, and what of them goes to the VNC server.

In a full session every byte goes on at once; the messages are only counted, for idleness. In a view-only session only
those go on that ask for the picture: SetPixelFormat, FramebufferUpdateRequest, and SetEncodings as
:mod:`~porthole.proxy.rfb.client_encodings` leaves it. All others are read and dropped: a stock noVNC sends them.

What goes on is whole messages whose lengths client, VNC server and this parser read in the same way. So whatever a
client puts into messages that are dropped, and wherever it cuts them, it cannot make the VNC server see one of them.
"""

from __future__ import annotations

from enum import StrEnum

from porthole.proxy.rfb.client_encodings import Encoding, listed, picture_only
from porthole.proxy.rfb.client_wire import (
    FIXED,
    MAX_ENCODINGS_LENGTH,
    MAX_HEAD,
    ClientMessage,
    ClientMessageError,
    Message,
    check_bounds,
    pointer_event,
    single,
    variable,
)

__all__ = ["ClientMessageError", "ClientMessages", "Mode"]

# Plain numbers, for they are compared for each message.
_POINTER_EVENT = int(ClientMessage.POINTER_EVENT)
_SET_ENCODINGS = int(ClientMessage.SET_ENCODINGS)
_UPDATE_REQUEST = int(ClientMessage.FRAMEBUFFER_UPDATE_REQUEST)
_ASKS_FOR_THE_PICTURE = frozenset(
    map(int, (ClientMessage.SET_PIXEL_FORMAT, ClientMessage.SET_ENCODINGS, ClientMessage.FRAMEBUFFER_UPDATE_REQUEST))
)


class Mode(StrEnum):
    """What a session may do: everything, or only look."""

    FULL = "full"
    VIEW = "view"


class ClientMessages:
    """The messages of one client, from the byte after ClientInit on.

    Held are at most :data:`~porthole.proxy.rfb.client_wire.MAX_ENCODINGS_LENGTH` bytes, the begin of one message;
    what is dropped is skipped as it comes.

    :ivar inputs: messages so far that a person's doing causes: key and pointer events of each kind, and clipboards
        (of the extended ones those that announce or bring text). One counts as soon as its type is sure.
    :ivar requests: FramebufferUpdateRequests so far
    :ivar request: the last of them, whole; b"" when it came in pieces that were passed on as they came
    """

    __slots__ = (
        "_begun", "_has_more_buttons", "_is_over", "_is_view", "_refusal", "_skip", "inputs", "request", "requests",
    )  # fmt: skip

    def __init__(self, mode: Mode) -> None:
        """Begin right after ClientInit.

        :param mode: what the session may do, to its end
        """
        self.inputs = self.requests = 0
        self.request = b""
        self._is_view = mode is Mode.VIEW
        self._begun = b""  # the begin of a message whose length is not sure yet, or that is wanted whole
        self._skip = 0  # bytes still to come of a message that nobody wants to see
        self._has_more_buttons = False  # whether the client has offered ExtendedMouseButtons
        self._is_over = False  # where messages begin is not known any more
        self._refusal = ""  # why, for VIEW

    @property
    def is_between(self) -> bool:
        """Whether what was passed on so far is whole messages, as it always is for VIEW."""
        return not self._is_over and (self._is_view or not (self._skip or self._begun))

    def feed(self, data: bytes | memoryview) -> bytes:
        """Take what the client sent.

        FULL never fails: from a message on that is not understood, everything is passed on unread, and every
        further call with data counts as one input.

        :param data: any number of bytes
        :returns: what may go to the VNC server; for FULL what was given, for VIEW whole messages, perhaps none
        :raises ClientMessageError: VIEW, and a message is not understood, or is longer than one may be. Nothing of
            this call nor of any later one is passed on; later ones raise it again
        """
        if not (self._skip or self._begun or self._is_over):
            # Between messages, as nearly always: what comes is nearly always one, and whole.
            message = single(data)
            if message is not None:
                self.inputs += message.is_input
                if message.kind == _UPDATE_REQUEST:
                    self.requests += 1
                    self.request = bytes(data)
                return b"" if self._is_view and message.kind not in _ASKS_FOR_THE_PICTURE else bytes(data)
        if self._is_view:
            return self._picture_requests(data)
        self._count(data)
        return bytes(data)

    def _picture_requests(self, data: bytes | memoryview) -> bytes:
        if self._is_over:
            raise ClientMessageError(self._refusal)
        try:
            wanted = self._read(data)
        except ClientMessageError as error:
            self._refusal = str(error)
            self._is_over = True
            raise
        return wanted[0] if len(wanted) == 1 else b"".join(wanted)

    def _count(self, data: bytes | memoryview) -> None:
        if self._is_over:
            self.inputs += bool(data)
            return
        try:
            self._read(data)
        except ClientMessageError:
            self._is_over = True
            self.inputs += 1

    def _read(self, data: bytes | memoryview) -> list[bytes]:
        """Read messages; returns those that are wanted whole, ready to be passed on.

        :raises ClientMessageError: see :meth:`feed`
        """
        if self._begun:
            data = b"".join((self._begun, data))
            self._begun = b""
        end = len(data)
        at = min(self._skip, end)
        self._skip -= at
        whole: list[bytes] = []
        while at < end:
            message = self._message(data, at)
            if message is None:
                self._begun = bytes(data[at:])
                break
            after = at + message.length
            if message.kind == _UPDATE_REQUEST and not (self._is_view and after > end):
                self.requests += 1
                self.request = bytes(data[at:after]) if after <= end else b""
            if self._is_wanted(message):
                if after > end:
                    self._begun = bytes(data[at:])
                    break
                whole.append(self._looked_at(message.kind, bytes(data[at:after])))
            elif after > end:
                self._skip = after - end
            self.inputs += message.is_input
            at = after
        return whole

    def _message(self, data: bytes | memoryview, at: int) -> Message | None:
        """The message that begins there; None while its length is not sure."""
        kind = data[at]
        if kind == _POINTER_EVENT and self._has_more_buttons:
            return pointer_event(bytes(data[at : at + MAX_HEAD]))
        message = FIXED.get(kind) or variable(bytes(data[at : at + MAX_HEAD]))
        if message is not None and self._is_view:
            check_bounds(message)
        return message

    def _is_wanted(self, message: Message) -> bool:
        """Whether a message has to be seen whole."""
        if self._is_view:
            return message.kind in _ASKS_FOR_THE_PICTURE
        return message.kind == _SET_ENCODINGS and message.length <= MAX_ENCODINGS_LENGTH

    def _looked_at(self, kind: int, message: bytes) -> bytes:
        """What is to be passed on in a message's place."""
        if kind != _SET_ENCODINGS:
            return message
        if self._is_view:
            return picture_only(message)
        if Encoding.EXTENDED_MOUSE_BUTTONS in listed(message):
            self._has_more_buttons = True
        return message
