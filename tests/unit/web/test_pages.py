"""The pages' routes: what is served, with which headers, and what is not served."""

from __future__ import annotations

import base64
import hashlib
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient

from porthole.web import pages

OWN_PAGES = ["/", "/vnc_auto.html", "/vnc.html", "/vnc_lite.html"]
INLINE = "\n      import RFB from './core/rfb.js';\n"
STOCK_LITE = (
    f'<!DOCTYPE html><style>body {{}}</style><script type="module">{INLINE}</script><script src="a.js"></script>'
)


@pytest.fixture
def novnc(tmp_path: Path) -> Path:
    """A folder laid out like the npm package."""
    root = tmp_path / "novnc"
    (root / "core" / "input").mkdir(parents=True)
    (root / "vendor").mkdir()
    (root / "docs").mkdir()
    (root / "core" / "rfb.js").write_text("export default class RFB {}")
    (root / "core" / "input" / "keysym.js").write_text("export default {}")
    (root / "core" / ".hidden.js").write_text("")
    (root / "vendor" / "README").write_text("")
    (root / "docs" / "API.md").write_text("")
    (root / "package.json").write_text('{"name": "@novnc/novnc", "version": "1.7.0"}')
    (tmp_path / "secret.txt").write_text("not to be served")
    return root


@pytest.fixture
def stock(tmp_path: Path) -> Path:
    """A folder laid out like Debian's package novnc, links included."""
    root = tmp_path / "stock"
    elsewhere = tmp_path / "share"
    (root / "app" / "styles").mkdir(parents=True)
    (root / "core").mkdir()
    (root / "include").mkdir()
    elsewhere.mkdir()
    (elsewhere / "pako.js").write_text("linked")
    (root / "vendor").symlink_to(elsewhere)
    (root / "vnc_lite.html").write_text(STOCK_LITE)
    (root / "vnc_auto.html").write_text("stock")
    (root / "app" / "ui.js").write_text("stock ui")
    (root / "app" / "styles" / "Orbitron700.woff").write_bytes(b"woff")
    (root / "include" / "old.js").write_text("")
    return root


def client_of(novnc: Path, stock: Path | None = None, ancestors: tuple[str, ...] = ("'self'",)) -> FlaskClient:
    app = Flask("pages", static_folder=None)
    app.register_blueprint(pages.create_blueprint(novnc, stock, "0.1.0", ancestors))
    return app.test_client()


@pytest.fixture
def client(novnc: Path) -> FlaskClient:
    return client_of(novnc)


# ---- Own pages -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", OWN_PAGES)
def test_an_own_page_allows_exactly_this(client: FlaskClient, path: str) -> None:
    response = client.get(path)
    assert response.status_code == 200
    assert response.headers["Content-Type"] == "text/html; charset=utf-8"
    assert set(response.headers["Content-Security-Policy"].split("; ")) == {
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' data: blob:",
        "connect-src 'self'",
        "frame-ancestors 'self'",
        "base-uri 'none'",
        "form-action 'self'",
    }
    assert response.headers["X-Content-Type-Options"] == "nosniff"
    assert response.headers["Referrer-Policy"] == "no-referrer"
    assert response.headers["Cross-Origin-Resource-Policy"] == "same-origin"
    assert "fullscreen=(self)" in response.headers["Permissions-Policy"]
    assert "camera=()" in response.headers["Permissions-Policy"]


@pytest.mark.parametrize("path", OWN_PAGES)
def test_a_page_whose_address_may_carry_a_token_is_not_stored(client: FlaskClient, path: str) -> None:
    response = client.get(path, query_string={"path": "?token=xyz"})
    assert response.headers["Cache-Control"] == "no-store"
    assert "ETag" not in response.headers
    assert b"xyz" not in response.data


@pytest.mark.parametrize("path", [*OWN_PAGES, "/robots.txt", "/favicon.ico", "/novnc/core/rfb.js"])
def test_head_answers_as_get_without_a_body(client: FlaskClient, path: str) -> None:
    get, head = client.get(path), client.head(path)
    assert (head.status_code, head.data) == (200, b"")
    assert head.headers["Content-Length"] == str(len(get.data))
    assert head.headers["Content-Type"] == get.headers["Content-Type"]


@pytest.mark.parametrize("path", OWN_PAGES)
def test_pages_are_only_read(client: FlaskClient, path: str) -> None:
    assert client.post(path).status_code == 405


def test_without_a_stock_novnc_all_of_novas_addresses_are_the_console_page(client: FlaskClient) -> None:
    console = client.get("/vnc_auto.html").data
    assert client.get("/vnc.html").data == console
    assert client.get("/vnc_lite.html").data == console
    assert client.get("/").data != console


class _References(HTMLParser):
    """Collects what a page loads, and anything inline that the policy would stop."""

    def __init__(self) -> None:
        super().__init__()
        self.addresses: list[str] = []
        self.inline: list[str] = []
        self._script = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        self.addresses += [values[name] or "" for name in ("src", "href") if name in values]
        self.inline += [f"{tag} {name}" for name in values if name == "style" or name.startswith("on")]
        if tag == "style" or (tag == "script" and "src" not in values):
            self.inline.append(tag)


@pytest.mark.parametrize("path", ["/", "/vnc_auto.html"])
def test_pages_have_nothing_inline_and_everything_they_refer_to_is_served(client: FlaskClient, path: str) -> None:
    references = _References()
    references.feed(client.get(path).text)
    assert references.inline == []
    files = [address for address in references.addresses if not address.startswith("#") and address != "./"]
    assert files
    for address in files:
        # Relative, so that it also holds below a prefix; no host of anybody else.
        assert re.match(r"(static|novnc)/v-", address), address
        assert client.get(f"/{address}").status_code == 200, address


def test_every_module_imports_only_modules_that_exist(client: FlaskClient) -> None:
    scripts = Path(pages.__file__).parent / "static" / "js"
    for script in scripts.glob("*.js"):
        for imported in re.findall(r"from '([^']+)'", script.read_text(encoding="utf-8")):
            assert imported.startswith("./"), (script.name, imported)
            assert (scripts / imported).is_file(), (script.name, imported)


def test_robots_are_sent_away(client: FlaskClient) -> None:
    response = client.get("/robots.txt")
    assert response.headers["Content-Type"] == "text/plain; charset=utf-8"
    assert "Disallow: /" in response.text


def test_the_icon_is_served_where_browsers_look_for_it(client: FlaskClient) -> None:
    assert client.get("/favicon.ico").headers["Content-Type"].startswith("image/svg+xml")


# ---- Assets and noVNC ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "content_type"),
    [
        ("/static/js/console.js", "text/javascript; charset=utf-8"),
        ("/static/css/base.css", "text/css; charset=utf-8"),
        ("/static/img/porthole.svg", "image/svg+xml"),
        ("/novnc/core/rfb.js", "text/javascript; charset=utf-8"),
        ("/novnc/core/input/keysym.js", "text/javascript; charset=utf-8"),
        ("/novnc/vendor/README", "application/octet-stream"),
    ],
)
def test_files_have_the_right_type(client: FlaskClient, path: str, content_type: str) -> None:
    response = client.get(path)
    assert response.status_code == 200
    assert response.headers["Content-Type"].removesuffix("; charset=utf-8") == content_type.removesuffix(
        "; charset=utf-8"
    )
    assert response.headers["X-Content-Type-Options"] == "nosniff"


def test_a_file_under_its_version_is_kept_for_good(client: FlaskClient) -> None:
    versioned = re.search(r'src="(static/v-0\.1\.0-[0-9a-f]+/js/console\.js)"', client.get("/vnc_auto.html").text)
    assert versioned
    cache = client.get(f"/{versioned.group(1)}").cache_control
    assert (cache.max_age, cache.immutable, cache.no_cache) == (pages.YEAR, True, None)


def test_novncs_version_is_in_its_address(client: FlaskClient) -> None:
    assert re.search(r'data-novnc="novnc/v-1\.7\.0-[0-9a-f]+/"', client.get("/vnc_auto.html").text)


@pytest.mark.parametrize("path", ["/static/js/console.js", "/static/v-0.0.9-abc/js/console.js", "/novnc/core/rfb.js"])
def test_a_file_under_no_or_another_version_is_asked_for_anew(client: FlaskClient, path: str) -> None:
    first = client.get(path)
    assert first.status_code == 200
    assert first.cache_control.no_cache
    assert first.cache_control.max_age is None
    assert "Last-Modified" in first.headers
    second = client.get(path, headers={"If-None-Match": first.headers["ETag"]})
    assert (second.status_code, second.data) == (304, b"")


def test_the_version_changes_with_the_files(novnc: Path) -> None:
    before = client_of(novnc).get("/vnc_auto.html").text
    (novnc / "core" / "rfb.js").write_text("export default class RFB { /* patched */ }")
    after = client_of(novnc).get("/vnc_auto.html").text
    assert before != after


def test_a_novnc_without_package_json_is_served_too(novnc: Path) -> None:
    (novnc / "package.json").unlink()
    assert 'data-novnc="novnc/v-unknown-' in client_of(novnc).get("/vnc_auto.html").text


@pytest.mark.parametrize(
    "path",
    [
        "/novnc/../secret.txt",
        "/novnc/core/../../secret.txt",
        "/novnc/core/%2e%2e/%2e%2e/secret.txt",
        "/novnc/core/..%2f..%2fsecret.txt",
        "/novnc/core//etc/passwd",
        "/novnc//etc/passwd",
        "/novnc/%2fetc/passwd",
        "/novnc/v-1.7.0-x/../../secret.txt",
        "/novnc/v-1.7.0-x//etc/passwd",
        "/novnc/core/.hidden.js",
        "/novnc/core/rfb.js%00.css",
        "/novnc/core",
        "/novnc/core/",
        "/novnc/docs/API.md",
        "/novnc/package.json",
        "/static/../pages.py",
        "/static/%2e%2e/pages.py",
        "/static/js/..%2f..%2fpages.py",
        "/static/..%5cpages.py",
        "/static/js",
        "/static/missing.js",
        "/app/ui.js",
        "/core/rfb.js",
        "/pages/index.html",
    ],
)
def test_nothing_else_is_served(client: FlaskClient, path: str) -> None:
    # 308: Werkzeug joins double slashes; what it redirects to is asked for too.
    assert client.get(path, follow_redirects=True).status_code == 404


# ---- A stock noVNC -------------------------------------------------------------------------------------------------


def test_stock_pages_are_served_as_they_are(novnc: Path, stock: Path) -> None:
    assert client_of(novnc, stock).get("/vnc_lite.html").text == STOCK_LITE


def test_a_page_that_the_stock_novnc_lacks_is_ours(novnc: Path, stock: Path) -> None:
    client = client_of(novnc, stock)
    assert client.get("/vnc.html").data == client.get("/vnc_auto.html").data
    assert client.get("/vnc_auto.html").text != "stock"


def test_a_stock_page_may_run_its_own_inline_script_and_no_other(novnc: Path, stock: Path) -> None:
    response = client_of(novnc, stock).get("/vnc_lite.html")
    digest = base64.b64encode(hashlib.sha256(INLINE.encode()).digest()).decode()
    assert set(response.headers["Content-Security-Policy"].split("; ")) == {
        "default-src 'none'",
        f"script-src 'self' 'sha256-{digest}'",
        "style-src 'self' 'unsafe-inline'",
        "img-src 'self' data: blob:",
        "font-src 'self'",
        "media-src 'self'",
        "connect-src 'self'",
        "frame-ancestors 'self'",
        "base-uri 'none'",
        "form-action 'self'",
    }
    assert response.headers["Cache-Control"] == "no-store"
    assert response.headers["Referrer-Policy"] == "no-referrer"


def test_the_hash_is_of_what_the_browser_sees_of_a_script_with_crlf() -> None:
    lf, crlf = b"<script>\na()\n</script>", b"<script>\r\na()\r\n</script>"
    assert pages.stock_csp(crlf) == pages.stock_csp(lf)


@pytest.mark.parametrize(
    ("path", "content_type"),
    [
        ("/app/ui.js", "text/javascript"),
        ("/app/styles/Orbitron700.woff", "font/woff"),
        ("/vendor/pako.js", "text/javascript"),
    ],
)
def test_stock_files_are_served_at_the_addresses_their_pages_expect(
    novnc: Path, stock: Path, path: str, content_type: str
) -> None:
    response = client_of(novnc, stock).get(path)
    assert (response.status_code, response.mimetype) == (200, content_type)


@pytest.mark.parametrize(
    "path", ["/include/old.js", "/app/../include/old.js", "/app/%2e%2e/%2e%2e/secret.txt", "/app//etc/passwd", "/app/"]
)
def test_nothing_else_of_the_stock_folder_is_served(novnc: Path, stock: Path, path: str) -> None:
    assert client_of(novnc, stock).get(path, follow_redirects=True).status_code == 404


# ---- Frames --------------------------------------------------------------------------------------------------------

DASHBOARD = ("'self'", "https://dashboard.example.org")


def directive_of(client: FlaskClient, path: str) -> str:
    (found,) = [part for part in client.get(path).headers["Content-Security-Policy"].split("; ") if "frame-" in part]
    return found


@pytest.mark.parametrize("path", ["/vnc_auto.html", "/vnc.html", "/vnc_lite.html"])
def test_who_is_named_may_show_a_console_page_in_a_frame(novnc: Path, stock: Path, path: str) -> None:
    client = client_of(novnc, stock, DASHBOARD)
    assert directive_of(client, path) == "frame-ancestors 'self' https://dashboard.example.org"
    assert "X-Frame-Options" not in client.get(path).headers, "it cannot name others, and would be the stricter one"


@pytest.mark.parametrize(("ancestors", "option"), [(("'self'",), "SAMEORIGIN"), (("'none'",), "DENY")])
def test_browsers_without_csp_2_are_told_the_same(novnc: Path, ancestors: tuple[str, ...], option: str) -> None:
    client = client_of(novnc, None, ancestors)
    assert directive_of(client, "/vnc_auto.html") == f"frame-ancestors {ancestors[0]}"
    assert client.get("/vnc_auto.html").headers["X-Frame-Options"] == option


def test_the_page_with_the_sign_in_is_for_no_other_sites_frame(novnc: Path) -> None:
    client = client_of(novnc, None, DASHBOARD)
    assert directive_of(client, "/") == "frame-ancestors 'self'"
    assert client.get("/").headers["X-Frame-Options"] == "SAMEORIGIN"
    assert client.get("/").headers["Cross-Origin-Resource-Policy"] == "same-origin"


@pytest.mark.parametrize(("ancestors", "allowed"), [(DASHBOARD, "*"), (("'self'",), None), (("'none'",), None)])
def test_a_frame_without_an_origin_may_load_scripts_where_other_sites_are_named(
    novnc: Path, ancestors: tuple[str, ...], allowed: str | None
) -> None:
    headers = client_of(novnc, None, ancestors).get("/static/js/console.js").headers
    assert headers.get("Access-Control-Allow-Origin") == allowed
    assert headers["Cross-Origin-Resource-Policy"] == ("cross-origin" if allowed else "same-origin")


def test_the_sign_in_asks_for_a_project_where_keystone_knows_the_users(novnc: Path) -> None:
    for strategy in ("http_basic", "keystone"):
        app = Flask("test")
        app.register_blueprint(pages.create_blueprint(novnc, None, "0.1.0", sign_in=strategy))
        page = app.test_client().get("/").get_data(as_text=True)
        assert f'data-sign-in="{strategy}"' in page
        # Not there until the script has looked: nobody is asked for what does not count.
        assert '<div id="scope" class="scope" hidden>' in page
