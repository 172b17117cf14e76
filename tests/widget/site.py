"""Websites of others, as small as can be: pages with the snippet, on an origin of their own."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
ARTICLES = """
<h1>Northwind Lamps</h1>
<nav><a href="/">Home</a> <a href="/orders">Orders</a></nav>
<main>
  <p>Lamps for every room, made to last. Free delivery within three days.</p>
  <button id="buy" class="primary">Buy now</button>
  <form><label>E-mail <input id="email" name="email"></label></form>
  <div style="height: 1600px"></div>
  <button id="reset-password">Reset password</button>
</main>
"""
STYLE = "body{font:16px/1.5 Georgia,serif;margin:0;padding:24px;color:#333;background:#fdfcf8}"
PAGE = """<!doctype html><html lang="{lang}"><head><meta charset="utf-8"><title>Northwind</title>
<meta name="viewport" content="width=device-width, initial-scale=1"><link rel="icon" href="data:,">
{head}</head><body>{body}<script src="{script}"></script><script{own}</script></body></html>"""


class Site:
    """A website on 127.0.0.1; `page` says what the next visit of a path gets."""

    def __init__(self) -> None:
        self.pages: dict[str, tuple[str, bytes, dict[str, str]]] = {}
        self.requests: list[str] = []
        self.asked: dict[str, Callable[[], Any]] = {}
        site = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                site.requests.append(self.path)
                path = self.path.partition("?")[0]
                if path in site.asked:
                    kind, body, headers = "application/json", json.dumps(site.asked[path]()).encode(), {}
                elif path in site.pages:
                    kind, body, headers = site.pages[path]
                else:
                    self.send_error(404)
                    return
                self.send_response(200)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(body)))
                self.send_header("Cache-Control", "no-store")
                for name, value in headers.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *args: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.base = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()

    def stop(self) -> None:
        self.server.shutdown()
        self.server.server_close()

    def page(
        self,
        path: str,
        *,
        halo: str,
        config: dict[str, Any],
        body: str = ARTICLES,
        script: str = "",
        head: str = f"<style>{STYLE}</style>",
        lang: str = "en",
        headers: dict[str, str] | None = None,
    ) -> str:
        """Puts a page with the snippet there, and returns its address.

        `script` is put in front of the snippet; what it assigns to `extra` goes into the configuration. With
        `headers`, the page's own script is a file, as a page with a strict policy has it.
        """
        own = f"var extra = {{}};\n{script}\nHaloAgents.init(Object.assign({json.dumps(config)}, extra));"
        inline = f">{own}"
        if headers:
            self.pages[f"{path}.js"] = ("text/javascript", own.encode(), {})
            inline = f' src="{path}.js">'
        text = PAGE.format(lang=lang, head=head, body=body, script=f"{halo}/widget.js", own=inline)
        self.pages[path] = ("text/html; charset=utf-8", text.encode(), headers or {})
        return self.base + path

    def file(self, path: str, source: Path) -> None:
        self.pages[path] = ("text/javascript", source.read_bytes(), {})
