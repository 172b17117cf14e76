"""The built widget: what it weighs, whether it is what the source makes, and how it is served."""

from __future__ import annotations

import gzip
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from django.test import Client

from tests.product import ROOT

DIST = ROOT / "widget" / "dist"
KIB = 1024
LOCALES = {"ar", "de", "en", "es", "fr", "pt"}


def weight(*files: Path) -> int:
    return sum(len(gzip.compress(file.read_bytes(), 9)) for file in files)


def core() -> Path:
    (found,) = DIST.glob("halo-*.js")
    return found


def test_the_loader_weighs_3_kb_and_all_that_a_page_loads_20_kb() -> None:
    loader = DIST / "widget.js"
    locales = [file for file in DIST.glob("*-*.js") if file != core()]

    assert {file.name.partition("-")[0] for file in locales} == LOCALES
    assert weight(loader) <= 3 * KIB
    for locale in locales:
        assert weight(loader, core(), locale) <= 20 * KIB, locale.name


def test_nothing_of_it_is_left_to_markup_or_made_by_evaluating_text() -> None:
    for file in DIST.glob("*.js"):
        found = re.search(
            r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function", file.read_text()
        )
        assert found is None, (file.name, found)


def test_no_file_is_longer_than_files_are_here() -> None:
    for file in (ROOT / "widget" / "src").rglob("*.ts"):
        assert len(file.read_text().splitlines()) <= 400, file.name


@pytest.mark.skipif(
    shutil.which("node") is None or not (ROOT / "widget" / "node_modules").exists(),
    reason="needs Node and `npm ci` in widget/",
)
def test_what_is_served_is_what_the_source_makes() -> None:
    done = subprocess.run(["node", "build.mjs", "--check"], cwd=ROOT / "widget", capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_the_loader_is_asked_for_again_and_names_a_file_that_is_kept_for_ever(client: Client) -> None:
    loader = client.get("/widget.js")
    (named,) = re.findall(r"halo-[0-9a-f]{12}\.js", loader.content.decode())
    rest = client.get(f"/widget/{named}")

    assert loader.status_code == rest.status_code == 200
    assert loader["Cache-Control"] == "public, max-age=300"
    assert rest["Cache-Control"] == "public, max-age=31536000, immutable"
    for response in (loader, rest):
        assert response["Content-Type"] == "text/javascript; charset=utf-8"
        assert response["Access-Control-Allow-Origin"] == "*"
        assert response["Cross-Origin-Resource-Policy"] == "cross-origin"
        assert response["X-Content-Type-Options"] == "nosniff"
        assert not response.cookies
    assert rest.content == core().read_bytes()


def test_whoever_has_it_is_told_so_and_whoever_can_unpack_gets_it_packed(client: Client) -> None:
    plain = client.get("/widget.js")
    packed = client.get("/widget.js", headers={"Accept-Encoding": "br, gzip"})
    refusing = client.get("/widget.js", headers={"Accept-Encoding": "gzip;q=0"})

    assert packed["Content-Encoding"] == "gzip" and gzip.decompress(packed.content) == plain.content
    assert "Content-Encoding" not in plain and "Content-Encoding" not in refusing
    assert plain["Vary"] == packed["Vary"] == "Accept-Encoding"
    again = client.get("/widget.js", headers={"Accept-Encoding": "gzip", "If-None-Match": packed["ETag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert again["Access-Control-Allow-Origin"] == "*"


def test_a_loader_of_another_version_gets_todays_file_and_keeps_it_not(client: Client) -> None:
    older = client.get("/widget/halo-0123456789ab.js")

    assert older.status_code == 200 and older.content == core().read_bytes()
    assert older["Cache-Control"] == "no-store"


@pytest.mark.parametrize("name", ["widget.js", "..%2Fpackage.json", "none-0123456789ab.js", "halo-.js", "package.json"])
def test_nothing_else_is_served_from_there(client: Client, name: str) -> None:
    assert client.get(f"/widget/{name}").status_code == 404


def test_it_is_only_read(client: Client) -> None:
    assert client.post("/widget.js").status_code == 405
    assert client.head("/widget.js").status_code == 200
