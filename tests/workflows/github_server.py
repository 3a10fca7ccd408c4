"""A GitHub on this machine: the parts of its REST interface that a comment needs, and a storage behind, on real sockets."""

import io
import json
import re
import threading
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar
from urllib.parse import parse_qs, urlsplit

REPOSITORY = "acme/widgets"
TOKEN = "ghs_not_a_real_token"  # noqa: S105 - this server's own


@dataclass(slots=True)
class State:
    """What the server knows and what was asked of it. ``pulls`` maps numbers to heads."""

    pulls: dict[int, str] = field(default_factory=dict)
    artifacts: list[tuple[int, str, bytes]] = field(default_factory=list)
    comments: dict[int, list[dict[str, Any]]] = field(default_factory=dict)
    requests: list[tuple[str, str, str]] = field(default_factory=list)
    refuses: int = 0
    claimed_size: int | None = None


class GitHubServer(ThreadingHTTPServer):
    """Serves a state until it is closed; ``url`` is what GITHUB_API_URL would be."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.state = State()
        threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    @property
    def url(self) -> str:
        """Address of the interface."""
        return f"http://127.0.0.1:{self.server_address[1]}"


def zipped(files: Mapping[str, bytes]) -> bytes:
    """A zip as an artifact is downloaded, with names as they are."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            info = zipfile.ZipInfo("x")
            info.filename = name
            info.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(info, content)
    return stream.getvalue()


class _Handler(BaseHTTPRequestHandler):
    server: GitHubServer
    protocol_version = "HTTP/1.1"
    routes: ClassVar[dict[str, str]] = {
        "pulls": rf"GET /repos/{REPOSITORY}/commits/(\w+)/pulls",
        "artifacts": rf"GET /repos/{REPOSITORY}/actions/runs/(\d+)/artifacts",
        "archive": rf"GET /repos/{REPOSITORY}/actions/artifacts/(\d+)/zip",
        "storage": r"GET /storage/(\d+)",
        "comments": rf"GET /repos/{REPOSITORY}/issues/(\d+)/comments",
        "create": rf"POST /repos/{REPOSITORY}/issues/(\d+)/comments",
        "replace": rf"PATCH /repos/{REPOSITORY}/issues/comments/(\d+)",
    }

    def do_GET(self) -> None:
        """Answer any of the routes."""
        parts = urlsplit(self.path)
        token = self.headers.get("Authorization", "")
        body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
        state = self.server.state
        state.requests.append((self.command, parts.path, token))
        for name, pattern in self.routes.items():
            if match := re.fullmatch(pattern, f"{self.command} {parts.path}"):
                if state.refuses:
                    self._answer(state.refuses, {"message": "no"})
                elif name != "storage" and token != f"Bearer {TOKEN}":
                    self._answer(401, {"message": "Bad credentials"})
                else:
                    page = int(parse_qs(parts.query).get("page", ["1"])[0])
                    getattr(self, f"_{name}")(match[1], page, json.loads(body or b"null"))
                return
        self._answer(404, {"message": "Not Found"})

    do_POST = do_GET  # noqa: N815 - the standard library calls them so
    do_PATCH = do_GET  # noqa: N815 - as above

    def log_message(self, *_: object) -> None:
        """Say nothing: the requests are kept in the state."""

    def _pulls(self, sha: str, page: int, _: object) -> None:
        del sha  # GitHub lists every pull request that holds the commit; which has it as its head is the caller's question
        base = {"repo": {"full_name": REPOSITORY}}
        found = [
            {"number": number, "state": "open", "head": {"sha": head}, "base": base}
            for number, head in self.server.state.pulls.items()
        ]
        self._answer(200, found[(page - 1) * 100 : page * 100])

    def _artifacts(self, _run: str, page: int, _: object) -> None:
        state = self.server.state
        found = [
            {
                "id": id_,
                "name": name,
                "size_in_bytes": len(data) if state.claimed_size is None else state.claimed_size,
                "expired": False,
            }
            for id_, name, data in state.artifacts
        ]
        self._answer(200, {"total_count": len(found), "artifacts": found[(page - 1) * 100 : page * 100]})

    def _archive(self, id_: str, _page: int, _: object) -> None:
        self.send_response(302)
        self.send_header("Location", f"{self.server.url}/storage/{id_}")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def _storage(self, id_: str, _page: int, _: object) -> None:
        data = next(data for known, _, data in self.server.state.artifacts if known == int(id_))
        self._answer(200, data)

    def _comments(self, number: str, page: int, _: object) -> None:
        self._answer(200, self.server.state.comments.get(int(number), [])[(page - 1) * 100 : page * 100])

    def _create(self, number: str, _page: int, data: dict[str, str]) -> None:
        comments = self.server.state.comments.setdefault(int(number), [])
        comments.append({"id": 1000 + len(comments), "user": {"login": "github-actions[bot]"}, "body": data["body"]})
        self._answer(201, comments[-1])

    def _replace(self, id_: str, _page: int, data: dict[str, str]) -> None:
        (found,) = (one for comments in self.server.state.comments.values() for one in comments if one["id"] == int(id_))
        found["body"] = data["body"]
        self._answer(200, found)

    def _answer(self, code: int, data: object) -> None:
        body = data if isinstance(data, bytes) else json.dumps(data).encode()
        self.send_response(code)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
