"""A reference: an asynchronous proxy before a model that stores nothing, `python bench/bare_proxy.py MODEL_PORT`.

Prints its port. What a turn costs beyond what this costs is what the product does with it.
"""

from __future__ import annotations

import asyncio
import sys
from asyncio import StreamReader, StreamWriter

Upstream = tuple[StreamReader, StreamWriter]


async def read_head(reader: StreamReader) -> tuple[bytes, int, bool]:
    """The head of a message, the length of its body, and whether that comes in chunks."""
    head = await reader.readuntil(b"\r\n\r\n")
    lines = head.lower().split(b"\r\n")
    length = next((int(line[15:]) for line in lines if line.startswith(b"content-length:")), 0)
    return head, length, b"transfer-encoding: chunked" in lines


class Proxy:
    """Passes bodies on, over connections that it keeps."""

    def __init__(self, model_port: int) -> None:
        self.model_port = model_port
        self.idle: list[Upstream] = []

    async def serve(self, reader: StreamReader, writer: StreamWriter) -> None:
        try:
            while True:
                _, length, _ = await read_head(reader)
                await self.pass_on(await reader.readexactly(length), writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    async def pass_on(self, body: bytes, client: StreamWriter) -> None:
        upstream = self.idle.pop() if self.idle else await asyncio.open_connection("127.0.0.1", self.model_port)
        reader, writer = upstream
        writer.write(
            b"POST /v1/chat/completions HTTP/1.1\r\nHost: model\r\nContent-Type: application/json\r\n"
            b"Content-Length: %d\r\n\r\n%b" % (len(body), body)
        )
        head, length, chunked = await read_head(reader)
        client.write(head)
        if chunked:
            while (line := await reader.readuntil(b"\r\n")) != b"0\r\n":
                client.write(line + await reader.readexactly(int(line, 16) + 2))
            client.write(line + await reader.readexactly(2))
        else:
            client.write(await reader.readexactly(length))
        self.idle.append(upstream)


async def main() -> None:
    proxy = Proxy(int(sys.argv[1]))
    server = await asyncio.start_server(proxy.serve, "127.0.0.1", 0, backlog=4096)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
