"""Whose pages may show the console page in a frame, as headers say it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

SELF = "'self'"
NONE = "'none'"


class Framing:
    """The headers of one setting.

    A frame that is sandboxed without ``allow-same-origin`` has no origin. It loads even its own scripts as another
    site's, so where other sites are named, scripts and styles, which are no secret, are for everybody.

    :param ancestors: sources of CSP 3's frame-ancestors (7.7.3), checked
    """

    def __init__(self, ancestors: Sequence[str] = (SELF,)) -> None:
        self._ancestors = tuple(ancestors)

    @property
    def others(self) -> bool:
        """Whether pages of other sites may."""
        return any(source not in (SELF, NONE) for source in self._ancestors)

    @property
    def directive(self) -> str:
        """A directive of the Content-Security-Policy."""
        return f"frame-ancestors {' '.join(self._ancestors)}"

    def page_headers(self) -> Mapping[str, str]:
        """Of a console page: X-Frame-Options, for browsers without CSP 2; it can name no other site, so then none."""
        if self.others:
            return {}
        return {"X-Frame-Options": "DENY" if self._ancestors == (NONE,) else "SAMEORIGIN"}

    def file_headers(self) -> Mapping[str, str]:
        """Of scripts, styles and pictures."""
        if self.others:
            return {"Cross-Origin-Resource-Policy": "cross-origin", "Access-Control-Allow-Origin": "*"}
        return {"Cross-Origin-Resource-Policy": "same-origin"}


OWN = Framing()
"""Of pages that only the service's own may frame: those with a sign-in."""
