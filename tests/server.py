"""A web server on this machine that behaves as badly as servers do."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import quote, unquote


class Server(ThreadingHTTPServer):
    """Serves `files` by path, and remembers what it was asked for."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.files: dict[str, bytes] = {}
        self.ranges = True
        self.breaks: list[int] = []  # of the next answers: bytes after which the connection ends
        self.answers: list[int] = []  # of the next requests: the status, with nothing else
        self.asked: list[tuple[str, str | None]] = []
        self.sent = 0  # bytes
        self.halfway: Callable[[], bool] = lambda: True  # in each answer: whether the rest is sent

    def url(self, name: str = "") -> str:
        return f"http://127.0.0.1:{self.server_port}/{quote(name)}"


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        name, wanted = unquote(self.path[1:]), self.headers.get("Range")
        self.server.asked.append((name, wanted))
        status = _next(self.server.answers) or (404 if name not in self.server.files else None)
        if status:
            self.send_error(status)
            return
        content, start = self.server.files[name], 0
        if wanted and self.server.ranges:
            start = int(wanted.removeprefix("bytes=").rstrip("-"))
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(content) - start))
        self.end_headers()
        count = _next(self.server.breaks)
        body = content[start:][:count]
        self.server.sent += len(body)
        self.wfile.write(body[: len(body) // 2])
        if self.server.halfway():
            self.wfile.write(body[len(body) // 2 :])

    def log_message(self, format: str, *args: object) -> None:
        """Nothing: what is asked for is in `asked`."""


def _next(values: list[int]) -> int | None:
    try:
        return values.pop(0)
    except IndexError:  # several threads take from it
        return None


@contextmanager
def serving() -> Iterator[Server]:
    with Server() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()
