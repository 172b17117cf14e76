"""The load of bench/load.py, in a process of its own: a plan as JSON on standard input, what came of it on output.

A plan names `ports` (taken in turn), `path`, `headers`, the `body` with `@` for a turn's number, and how the turns
come: `clients` that each say the next thing when the last is answered, until `turns` were said; or `rate` a second for
`seconds`, whoever is still waiting. `first` is a pattern that the first streamed text matches; without it answers are
read whole. Times are in seconds.
"""

from __future__ import annotations

import asyncio
import json
import re
import resource
import sys
import time
from asyncio import StreamReader, StreamWriter
from collections import Counter
from typing import Any

GIVE_UP_SECONDS = 90.0
Connection = tuple[StreamReader, StreamWriter]


class Load:
    """One plan being carried out."""

    def __init__(self, plan: dict[str, Any]) -> None:
        self.plan = plan
        self.headers = "".join(f"{name}: {value}\r\n" for name, value in plan["headers"].items())
        self.first = re.compile(plan["first"].encode()) if plan.get("first") else None
        self.said = 0
        self.idle: dict[int, list[Connection]] = {port: [] for port in plan["ports"]}
        self.statuses: Counter[str] = Counter()
        self.times: list[float] = []
        self.first_times: list[float] = []
        self.turn_ids: set[bytes] = set()
        self.in_flight = self.most_in_flight = 0

    async def run(self) -> dict[str, Any]:
        began = time.perf_counter()
        if "rate" in self.plan:
            await self.arrive(float(self.plan["rate"]), float(self.plan["seconds"]))
        else:
            await asyncio.gather(*(self.talk() for _ in range(self.plan["clients"])))
        return {
            "seconds": time.perf_counter() - began,
            "statuses": dict(self.statuses),
            "times": sorted(self.times),
            "first_times": sorted(self.first_times),
            "distinct": len(self.turn_ids),
            "most_in_flight": self.most_in_flight,
            "cpu": sum(resource.getrusage(resource.RUSAGE_SELF)[:2]),
        }

    async def talk(self) -> None:
        while self.said < self.plan["turns"]:
            await self.say()

    async def arrive(self, rate: float, seconds: float) -> None:
        began = time.perf_counter()
        turns = []
        for number in range(round(rate * seconds)):
            await asyncio.sleep(max(0.0, began + number / rate - time.perf_counter()))
            turns.append(asyncio.create_task(self.say()))
        await asyncio.gather(*turns)

    async def say(self) -> None:
        self.said += 1
        number = self.said
        port = self.plan["ports"][number % len(self.plan["ports"])]
        self.in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        began = time.perf_counter()
        try:
            async with asyncio.timeout(GIVE_UP_SECONDS):
                status = await self.exchange(port, number, began)
        except (OSError, asyncio.IncompleteReadError, TimeoutError) as error:
            status = type(error).__name__
        self.in_flight -= 1
        self.statuses[status] += 1
        if status == "200":
            self.times.append(time.perf_counter() - began)

    async def exchange(self, port: int, number: int, began: float) -> str:
        kept = self.idle[port]
        reader, writer = connection = kept.pop() if kept else await asyncio.open_connection("127.0.0.1", port)
        body = self.plan["body"].replace("@", str(number))
        writer.write(
            f"POST {self.plan['path']} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
            f"{self.headers}Content-Length: {len(body)}\r\n\r\n{body}".encode()
        )
        head = await reader.readuntil(b"\r\n\r\n")
        lines = head.lower().split(b"\r\n")
        answer = b""
        if b"transfer-encoding: chunked" in lines:
            matched = False
            while (size := int(await reader.readuntil(b"\r\n"), 16)) > 0:
                answer += (await reader.readexactly(size + 2))[:-2]
                if self.first and not matched and self.first.search(answer):
                    matched = True
                    self.first_times.append(time.perf_counter() - began)
            await reader.readexactly(2)
        else:
            length = next((int(line[15:]) for line in lines if line.startswith(b"content-length:")), None)
            answer = await (reader.read() if length is None else reader.readexactly(length))
        if b"connection: close" in lines:
            writer.close()
        else:
            kept.append(connection)
        self.turn_ids.update(re.findall(rb'"turn_id": ?"([^"]+)"', answer))
        return head.split(b" ", 2)[1].decode()


if __name__ == "__main__":
    print(json.dumps(asyncio.run(Load(json.load(sys.stdin)).run())))
