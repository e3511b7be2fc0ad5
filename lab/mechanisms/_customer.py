"""Another customer of the partner: so many clients, each with a question after the other. Run as a file of its own; it only talks to loopback.

``python _customer.py PORT PATH CLIENTS SECONDS``
"""

from __future__ import annotations

import http.client
import json
import sys
import threading
import time

#: The customer's requests are not traced.
HEADERS = {"Content-Type": "application/json", "traceparent": "00-00000000000000000000000000000a11-0000000000000a11-00"}


def ask(port: int, path: str, first: int, until: float) -> None:
    """One client."""
    number = first
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    while time.monotonic() < until:
        number += 1
        try:
            connection.request("POST", path, json.dumps({"order": number, "item": number % 977, "purchase": number, "cents": 100 + number % 4001}), HEADERS)
            connection.getresponse().read()
        except (OSError, http.client.HTTPException):
            connection.close()
            time.sleep(0.2)


if __name__ == "__main__":
    port, path, clients, seconds = int(sys.argv[1]), sys.argv[2], int(sys.argv[3]), float(sys.argv[4])
    for i in range(clients):
        threading.Thread(target=ask, args=(port, path, 1_000_000 * (i + 1), time.monotonic() + seconds)).start()
