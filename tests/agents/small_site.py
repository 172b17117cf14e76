"""A small website in a thread, whose pages a test changes while it is served."""

from __future__ import annotations

import threading
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

TEXT = "You can change this at any time in the settings of your account, under the heading that says so. "


@dataclass
class Reply:
    """What the site answers for one path."""

    body: str | bytes = ""
    status: int = 200
    headers: dict[str, str] = field(default_factory=lambda: {"Content-Type": "text/html; charset=utf-8"})


def page(title: str, *links: str, head: str = "", text: str = TEXT) -> Reply:
    """An ordinary page with a heading, a paragraph and links."""
    listed = "".join(f'<li><a href="{link}">to {link}</a></li>' for link in links)
    return Reply(
        f"<html><head><title>{title} | Site</title>{head}</head><body><nav><a href='/'>Home</a></nav><main>"
        f"<h1>{title}</h1><p>{title}. {text * 3}</p><h2>More about {title}</h2><p>{text * 3}</p><ul>{listed}</ul>"
        "</main><script>alert(1)</script></body></html>"
    )


@dataclass
class Site:
    """`pages` by path with query; `asked` are the paths in the order in which they were asked for.

    `marks` are the headers by which it tells a page's states apart, and `sent` the paths of bodies that it sent.
    """

    address: str
    pages: dict[str, Reply]
    asked: list[str] = field(default_factory=list)
    marks: tuple[str, ...] = ()
    sent: list[str] = field(default_factory=list)

    def marks_of(self, body: bytes) -> dict[str, str]:
        """The marks of a page that says this."""
        number = zlib.crc32(body)
        marks = {"ETag": f'W/"{number:x}"', "Last-Modified": formatdate(number, usegmt=True)}
        return {name: marks[name] for name in self.marks}


@contextmanager
def served(pages: dict[str, Reply]) -> Iterator[Site]:
    """The site, until the block ends; what it does not have is a 404."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            site.asked.append(self.path)
            reply = site.pages.get(self.path, Reply("gone", 404))
            body = reply.body.encode() if isinstance(reply.body, str) else reply.body
            marks = site.marks_of(body) if reply.status == 200 else {}
            conditions = {"ETag": "If-None-Match", "Last-Modified": "If-Modified-Since"}
            if marks and all(self.headers[conditions[name]] == value for name, value in marks.items()):
                reply, body = Reply("", 304, reply.headers), b""
            elif reply.status == 200:
                site.sent.append(self.path)
            self.send_response(reply.status)
            for name, value in {**reply.headers, **marks}.items():
                self.send_header(name, value)
            if reply.status != 304:
                self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args: object) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    site = Site(f"http://127.0.0.1:{server.server_port}", dict(pages))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield site
    finally:
        server.shutdown()
        server.server_close()
