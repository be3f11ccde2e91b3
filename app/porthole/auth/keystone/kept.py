"""The token of Keystone that stands behind a sign-in: sealed in the store, with a key that is in the cookie alone.

Neither a copy of the store nor a cookie is enough to have the token, and the workers of a service share it.
"""

from __future__ import annotations

import hashlib
from typing import Protocol

from cryptography.fernet import Fernet, InvalidToken


class Store(Protocol):
    """:class:`porthole.state.kept.KeptTokens`, or another one with the same methods."""

    def put(self, name: str, sealed: bytes, expires: int) -> None:
        """Keep something until this Unix time."""

    def get(self, name: str) -> bytes | None:
        """What is kept, None when there is nothing."""

    def drop(self, name: str) -> None:
        """Forget it."""


class Kept:
    """Tokens by the keys that open them.

    :param store: where they are
    """

    def __init__(self, store: Store) -> None:
        self._store = store

    def put(self, token: str, expires: int) -> str:
        """Keep a token until this Unix time; returns the key, 44 characters."""
        key = Fernet.generate_key()
        self._store.put(_name(key), Fernet(key).encrypt(token.encode()), expires)
        return key.decode("ascii")

    def get(self, key: str) -> str | None:
        """The token that a key opens; None when there is none, or none any more."""
        secret = key.encode()
        sealed = self._store.get(_name(secret))
        if sealed is None:
            return None
        try:
            return Fernet(secret).decrypt(sealed).decode()
        except (InvalidToken, ValueError):
            return None

    def drop(self, key: str) -> None:
        """Forget a token."""
        self._store.drop(_name(key.encode()))


def _name(key: bytes) -> str:
    """Says nothing about the key."""
    return hashlib.sha256(b"porthole.kept:" + key).hexdigest()
