"""A TCP proxy that adds a round trip: loopback has none, and without one a hundred queries in a row look cheap.

``python proxy.py --listen PORT --to PORT --delay 0.00025`` (seconds, each way). A thread a direction, because the timers of an
event loop are no finer than a millisecond. It is run as a file of its own: nothing of the lab is imported.
"""

from __future__ import annotations

import argparse
import contextlib
import socket
import threading
import time


def pump(source: socket.socket, target: socket.socket, delay: float) -> None:
    """Carries bytes one way until one side closes."""
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            time.sleep(delay)
            target.sendall(data)
    for end in (source, target):
        with contextlib.suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)


def serve(listen: int, to: int, delay: float) -> None:
    """Accepts for ever."""
    with socket.create_server(("127.0.0.1", listen), backlog=512) as door:
        while True:
            client, _ = door.accept()
            try:
                server = socket.create_connection(("127.0.0.1", to), timeout=5)
            except OSError:
                client.close()
                continue
            server.settimeout(None)
            for end in (client, server):
                end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            threads = [threading.Thread(target=pump, args=pair, daemon=True) for pair in ((client, server, delay), (server, client, delay))]
            threading.Thread(target=_close, args=(threads, client, server), daemon=True).start()
            for thread in threads:
                thread.start()


def _close(threads: list[threading.Thread], *ends: socket.socket) -> None:
    for thread in threads:
        with contextlib.suppress(RuntimeError):
            while thread.ident is None:
                time.sleep(0.001)
            thread.join()
    for end in ends:
        end.close()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--listen", type=int, required=True)
    parser.add_argument("--to", type=int, required=True)
    parser.add_argument("--delay", type=float, default=0.00025, help="seconds, each way")
    arguments = parser.parse_args()
    serve(arguments.listen, arguments.to, arguments.delay)
