"""The pages of step 6: the list of instances, the console page, noVNC and the assets they load.

Everything here is a file, served as it is; what the pages show, they fetch from the
HTTP API. Own pages have no inline script or style, and their Content-Security-Policy
allows none. The pages refer to everything by relative addresses, so that they also
work below a prefix of a reverse proxy.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Sequence
from pathlib import Path

from flask import Blueprint, Response, abort, send_file
from werkzeug.security import safe_join

from porthole.web.framing import OWN, Framing

PAGE_CSP = "; ".join(
    [
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' data: blob:",  # noVNC: cursors and JPEG rectangles are data: URLs; a screenshot is a blob
        "connect-src 'self'",  # CSP 3: 'self' of a page over http(s) covers ws(s) of the same host and port
        "base-uri 'none'",
        "form-action 'self'",
    ]
)
"""Content-Security-Policy of Porthole's own pages, but for frame-ancestors."""

PERMISSIONS_POLICY = (
    "fullscreen=(self), clipboard-read=(self), clipboard-write=(self), "
    "camera=(), microphone=(), geolocation=(), payment=(), usb=(), serial=(), midi=()"
)

ALWAYS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}
"""Headers of every answer of this blueprint."""

MIME_TYPES = {
    ".css": "text/css",
    ".gif": "image/gif",
    ".html": "text/html",
    ".ico": "image/x-icon",
    ".js": "text/javascript",
    ".json": "application/json",
    ".mjs": "text/javascript",
    ".mp3": "audio/mpeg",
    ".oga": "audio/ogg",
    ".png": "image/png",
    ".svg": "image/svg+xml",
    ".ttf": "font/ttf",
    ".txt": "text/plain",
    ".wasm": "application/wasm",
    ".woff": "font/woff",
    ".woff2": "font/woff2",
}
"""By file suffix. Python's own table depends on the machine's /etc/mime.types, and a browser refuses a module
with a wrong type."""

NOVNC_FOLDERS = ("core", "vendor")
"""What is served of the npm package: the modules, not its documentation."""

STOCK_PAGES = ("vnc.html", "vnc_lite.html")
STOCK_FOLDERS = ("app", "core", "vendor", "utils")
"""What is served of a stock noVNC, at the addresses its pages expect."""

YEAR = 365 * 24 * 3600

_HERE = Path(__file__).resolve().parent
_INLINE_SCRIPT = re.compile(rb"<script(?![^>]*\ssrc\s*=)[^>]*>(.*?)</script>", re.DOTALL | re.IGNORECASE)
_VERSIONED = re.compile(r"v-[\w.+-]+/")


def create_blueprint(
    novnc_path: Path, stock_web: Path | None, static_version: str, frame_ancestors: Sequence[str] = ("'self'",),
    sign_in: str = "http_basic",
) -> Blueprint:  # fmt: skip
    """Make the blueprint of all pages and files.

    :param novnc_path: folder of the unpacked npm package ``@novnc/novnc`` 1.7 (it has ``core/rfb.js``)
    :param stock_web: folder of a stock noVNC whose own pages are to be offered too, or None
    :param static_version: the release; part of the address under which assets may be cached for good
    :param frame_ancestors: ``[console] frame_ancestors``, checked: whose pages may show a console page
    :param sign_in: ``[api] auth_strategy``; with ``keystone`` the page asks for a project too
    """
    framing = Framing(frame_ancestors)
    pages = Blueprint("web", __name__)
    static = _Tree(_HERE / "static", static_version)
    novnc = _Tree(novnc_path, _package_version(novnc_path), NOVNC_FOLDERS)
    addresses = {"@static@": f"static/{static.segment}", "@novnc@": f"novnc/{novnc.segment}", "@sign-in@": sign_in}
    index_html = _own_page("index.html", addresses)
    console_html = _own_page("console.html", addresses)

    @pages.after_request
    def add_headers(response: Response) -> Response:
        response.headers.update(ALWAYS)
        response.headers.update((framing if response.mimetype != "text/html" else OWN).file_headers())
        return response

    @pages.get("/")
    def index() -> Response:
        return _page(index_html, PAGE_CSP, OWN)

    @pages.get("/vnc_auto.html")
    def console() -> Response:
        return _page(console_html, PAGE_CSP, framing)

    @pages.get("/<any(vnc, vnc_lite):name>.html")
    def nova_console(name: str) -> Response:
        """The other two addresses that Nova's base URLs use: the stock page, where there is one."""
        stock = _stock_page(stock_web, f"{name}.html", framing)
        return _page(console_html, PAGE_CSP, framing) if stock is None else stock

    @pages.get("/static/<path:path>")
    def asset(path: str) -> Response:
        return static.send(path)

    @pages.get("/novnc/<path:path>")
    def novnc_file(path: str) -> Response:
        return novnc.send(path)

    @pages.get("/favicon.ico")
    def favicon() -> Response:
        return static.send("img/porthole.svg")

    @pages.get("/robots.txt")
    def robots() -> Response:
        return static.send("robots.txt")

    if stock_web is not None:
        stock = _Tree(stock_web, "stock", STOCK_FOLDERS)

        @pages.get(f"/<any({', '.join(STOCK_FOLDERS)}):folder>/<path:path>")
        def stock_file(folder: str, path: str) -> Response:
            return stock.send(f"{folder}/{path}")

    return pages


class _Tree:
    """Files below one folder, cached for good under an address that carries their version.

    :ivar segment: the first part of such an address; it changes when any file changes
    """

    def __init__(self, root: Path, version: str, folders: tuple[str, ...] | None = None) -> None:
        self._root = root.resolve()
        self._folders = folders
        self.segment = f"v-{re.sub(r'[^A-Za-z0-9.+-]', '-', version)}-{self._digest()}"

    def send(self, path: str) -> Response:
        """The file at ``path`` (with or without a version), or 404."""
        versioned = _VERSIONED.match(path)
        if versioned is not None:
            path = path[versioned.end() :]
        # A page of another release may still be open: its addresses are answered too, but not to be kept.
        keep = versioned is not None and versioned.group() == f"{self.segment}/"
        parts = path.split("/")
        if any(part.startswith(".") for part in parts) or (self._folders and parts[0] not in self._folders):
            abort(404)
        found = safe_join(str(self._root), path)
        if found is None or not Path(found).is_file():
            abort(404)
        return _file(Path(found), max_age=YEAR if keep else None)

    def _digest(self) -> str:
        digest = hashlib.sha256()
        for top in (self._root / folder for folder in self._folders) if self._folders else [self._root]:
            for file in sorted(p for p in top.rglob("*") if p.is_file()):
                digest.update(str(file.relative_to(self._root)).encode() + b"\0")
                digest.update(hashlib.sha256(file.read_bytes()).digest())
        return digest.hexdigest()[:12]


def _file(path: Path, max_age: int | None) -> Response:
    """A file with ETag and Last-Modified; without ``max_age`` the browser asks anew each time (304 when unchanged)."""
    mime_type = MIME_TYPES.get(path.suffix.lower(), "application/octet-stream")
    response = send_file(path, mimetype=mime_type, conditional=True, max_age=max_age)
    if max_age is not None:
        response.cache_control.immutable = True
    return response


def _own_page(name: str, addresses: dict[str, str]) -> bytes:
    html = (_HERE / "pages" / name).read_text(encoding="utf-8")
    for mark, address in addresses.items():
        html = html.replace(mark, address)
    return html.encode()


def _page(html: bytes, csp: str, framing: Framing) -> Response:
    """An HTML page. Its address may carry a token, so it is never stored."""
    response = Response(html, mimetype="text/html")
    response.headers["Content-Security-Policy"] = f"{csp}; {framing.directive}"
    response.headers.update(framing.page_headers())
    response.headers["Permissions-Policy"] = PERMISSIONS_POLICY
    response.headers["Cache-Control"] = "no-store"
    return response


def _stock_page(stock_web: Path | None, name: str, framing: Framing) -> Response | None:
    """The stock page as it is, or None when there is none. ``name`` is one of :data:`STOCK_PAGES`."""
    if stock_web is None or name not in STOCK_PAGES:
        return None
    try:
        html = (stock_web / name).read_bytes()
    except OSError:
        return None
    return _page(html, stock_csp(html), framing)


def stock_csp(html: bytes) -> str:
    """Content-Security-Policy of a stock noVNC page: inline scripts by their hash, inline styles, fonts and sounds."""
    # The browser hashes what its parser made of the script: with LF for CRLF.
    scripts = [script.replace(b"\r\n", b"\n") for script in _INLINE_SCRIPT.findall(html)]
    hashes = [f"'sha256-{_sha256_base64(script)}'" for script in scripts if script.strip()]
    return "; ".join(
        [
            "default-src 'none'",
            " ".join(["script-src 'self'", *hashes]),
            "style-src 'self' 'unsafe-inline'",
            "img-src 'self' data: blob:",
            "font-src 'self'",
            "media-src 'self'",
            "connect-src 'self'",
            "base-uri 'none'",
            "form-action 'self'",
        ]
    )


def _sha256_base64(data: bytes) -> str:
    return base64.b64encode(hashlib.sha256(data).digest()).decode()


def _package_version(novnc_path: Path) -> str:
    """The version in the npm package's ``package.json``, for the address its files are cached under."""
    try:
        package = json.loads((novnc_path / "package.json").read_text(encoding="utf-8"))
        return str(package["version"])
    except (OSError, ValueError, KeyError, TypeError):
        return "unknown"
