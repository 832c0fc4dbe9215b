"""A closed loop of HTTP clients, in a process of its own: python -m bench.closed_loop URL CLIENTS SECONDS < REQUEST."""

from __future__ import annotations

import http.client
import json
import sys
import threading
import time
from typing import Any
from urllib.parse import urlsplit


def run(url: str, clients: int, seconds: float, headers: dict[str, str], body: str) -> dict[str, Any]:
    """`clients` threads post again as soon as they are answered; latencies in seconds, by status."""
    parts = urlsplit(url)
    start = threading.Barrier(clients)
    latencies: list[tuple[int, float]] = []

    def client() -> None:
        connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=60)
        start.wait()
        ends = time.perf_counter() + seconds
        mine = []
        while (begun := time.perf_counter()) < ends:
            connection.request("POST", parts.path, body, headers)
            answer = connection.getresponse()
            answer.read()
            mine.append((answer.status, time.perf_counter() - begun))
        latencies.extend(mine)

    threads = [threading.Thread(target=client) for _ in range(clients)]
    begun = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return {"seconds": time.perf_counter() - begun, "latencies": latencies}


if __name__ == "__main__":
    asked = json.load(sys.stdin)
    json.dump(run(sys.argv[1], int(sys.argv[2]), float(sys.argv[3]), asked["headers"], asked["body"]), sys.stdout)
