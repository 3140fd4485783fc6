"""A small HTTP service: sensors post rows and are told what they are.

    python examples/serve.py model.pkl --port 8000
    curl -d '{"rows": [[0.1, 2.5, null]]}' localhost:8000/pump-1

The answer has ``scores``, ``labels`` (-1: anomaly) and the ``events`` that the rows
belong to. The model is a pickled detector with ``lookahead=0``. It is shared by all
sensors and never changes, so nobody waits for it; each sensor has a stream of its own,
and its posts are taken in one after the other.
"""

import argparse
import json
import pickle
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np

from skmemto import StreamingDetector


class Sensors:
    """One stream for each sensor, by its name."""

    def __init__(self, detector: Any):
        self.detector = detector
        self.streams: dict[str, StreamingDetector] = {}
        self.locks: dict[str, Lock] = {}

    def update(self, name: str, rows: list[list[float | None]]) -> dict[str, Any]:
        """Take in the next rows of a sensor."""
        X = np.array(rows, dtype=float)  # null is NaN, a missing value
        with self.locks.setdefault(name, Lock()):
            if name not in self.streams:
                self.streams[name] = StreamingDetector(self.detector)
            update = self.streams[name].update(X)
            events = [event._asdict() for event in self.streams[name].events]
        return {
            "scores": update.scores.tolist(),
            "labels": update.labels.tolist(),
            "events": events,
        }


def make_server(model: Path, port: int) -> ThreadingHTTPServer:
    """Make the server; `serve_forever` runs it."""
    sensors = Sensors(pickle.loads(model.read_bytes()))

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            length = int(self.headers.get("Content-Length", 0))
            try:
                rows = json.loads(self.rfile.read(length))["rows"]
                status, answer = 200, sensors.update(self.path.strip("/"), rows)
            except (ValueError, TypeError, KeyError) as error:
                # The stream is as it was.
                status, answer = 400, {"error": f"{type(error).__name__}: {error}"}
            body = json.dumps(answer, default=str).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    return ThreadingHTTPServer(("127.0.0.1", port), Handler)


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("model", type=Path, help="trust it: a pickle can run anything")
    parser.add_argument("--port", type=int, default=8000)
    args = parser.parse_args(argv)
    with make_server(args.model, args.port) as server:
        server.serve_forever()
    return 0


if __name__ == "__main__":
    sys.exit(main())
