"""Under which key wrong passwords of a user of Keystone are counted.

Keystone has its database compare names. MySQL's collations take names for one that differ in case, in accents, in
spaces at the end and in what nobody sees, some of them in more, and which collation it is cannot be known from here.
So whoever guesses has many spellings of a name, each of which would have a count of its own.
"""

from __future__ import annotations

import re
import unicodedata

from porthole.auth.authenticator import Login

DEFAULT_DOMAIN = "Default"
"""The name that ``keystone-manage bootstrap`` gives the domain that counts where none is named."""

_IGNORED = frozenset({"Mn", "Cc", "Cf"})
"""General categories of Unicode that a collation may pass over: marks on letters, and what nobody sees."""

_PLAIN = str.maketrans("ıłøđðħŧ", "iloddht")
"""Letters that some collations take for others, and that Unicode does not decompose."""


def user_key(login: Login) -> str:
    """The same for many spellings that Keystone's database may take for one user, and not for all.

    What does not count: case, compatibility forms (NFKD), marks on letters, a stroke through one of those in
    ``_PLAIN``, one s or several (ß is one or two), how many spaces there are, and those at the ends, and what nobody
    sees. Two users whose names differ in these alone share their count.
    """
    return f"{_folded(login.username)}\n{_folded(login.user_domain or DEFAULT_DOMAIN)}"


def _folded(name: str) -> str:
    """A name without what a collation may pass over. It has no control character, so none separates two of them."""
    decomposed = unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", name).casefold())
    seen = "".join(letter for letter in decomposed if unicodedata.category(letter) not in _IGNORED)
    return " ".join(re.sub("ss+", "s", seen.translate(_PLAIN)).split())
