"""Answers that send a download elsewhere: followed on the web, never to a file of this machine."""

import hashlib
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

import datamodules.http_download
from datamodules.dataset import Download
from datamodules.download import fetch
from datamodules.labels import DataError

CONTENT = b"what was published"


@contextmanager
def redirecting(target: str) -> Iterator[str]:
    """The address of a server that sends every request but that for /real to a target."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if self.path != "/real":
                self.send_response(302)
                self.send_header("Location", target)
                self.end_headers()
                return
            self.send_response(200)
            self.send_header("Content-Length", str(len(CONTENT)))
            self.end_headers()
            self.wfile.write(CONTENT)

        def log_message(self, format: str, *args: object) -> None:
            """Nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/file.bin"
        server.shutdown()
        thread.join()


def _file(url: str) -> Download:
    return Download(url, "a.bin", len(CONTENT), f"sha256:{hashlib.sha256(CONTENT).hexdigest()}")


def test_a_redirection_is_followed(tmp_path: Path) -> None:
    with redirecting("/real") as url:
        fetch([_file(url)], tmp_path)
    assert (tmp_path / "a.bin").read_bytes() == CONTENT


@pytest.mark.parametrize("scheme", ["file://", "data:,", "gopher://"])
def test_a_redirection_to_a_file_here_is_not(
    tmp_path: Path, scheme: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(datamodules.http_download, "RETRY_WAITS", (0.01,))
    (tmp_path / "here.bin").write_bytes(CONTENT)
    with (
        redirecting(f"{scheme}{tmp_path}/here.bin") as url,
        pytest.raises(DataError, match=r"file\.bin"),
    ):
        fetch([_file(url)], tmp_path / "root")
    assert not (tmp_path / "root/a.bin").exists()
