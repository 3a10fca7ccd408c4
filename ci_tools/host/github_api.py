"""The little of GitHub's REST interface that a comment on a pull request needs, over the standard library."""

import json
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.client import HTTPException, HTTPResponse
from typing import Any

from ci_tools.errors import DecodeError, UsageError

_TIMEOUT_S = 30.0
_ANSWER_BYTES = 20_000_000
_PAGES = 20
_REDIRECTS = frozenset({301, 302, 303, 307, 308})


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """Redirects are followed by hand: the standard library would take the token along to the storage behind."""

    def redirect_request(self, *_: object, **__: object) -> None:
        return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Artifact:
    """One uploaded artifact; with "re-run failed jobs" several of one name may be there, the highest ID is the newest."""

    id: int
    name: str
    size: int


@dataclass(frozen=True, slots=True, kw_only=True)
class GitHubApi:
    """A repository seen through its interface. ``token`` is never part of a message."""

    repository: str
    token: str = field(repr=False)
    url: str = "https://api.github.com"

    def pull_requests_with_head(self, sha: str) -> tuple[int, ...]:
        """Numbers of the open pull requests of this repository whose head is exactly this commit, whatever a run claims."""
        found = self._pages(f"/repos/{self.repository}/commits/{urllib.parse.quote(sha, safe='')}/pulls")
        return tuple(
            int(one["number"])
            for one in found
            if one.get("state") == "open" and one["head"]["sha"] == sha and one["base"]["repo"]["full_name"] == self.repository
        )

    def artifacts_of(self, run_id: str) -> tuple[Artifact, ...]:
        """The newest artifact of each name of a run."""
        path = f"/repos/{self.repository}/actions/runs/{urllib.parse.quote(run_id, safe='')}/artifacts"
        newest: dict[str, Artifact] = {}
        for one in self._pages(path, key="artifacts"):
            if not one.get("expired"):
                artifact = Artifact(id=int(one["id"]), name=str(one["name"]), size=int(one["size_in_bytes"]))
                newest[artifact.name] = max(artifact, newest.get(artifact.name, artifact), key=lambda each: each.id)
        return tuple(newest.values())

    def download(self, artifact: Artifact, *, limit_bytes: int) -> bytes:
        """The zip of an artifact; DecodeError when it is larger than the limit, whatever was said of it."""
        return self._send("GET", f"/repos/{self.repository}/actions/artifacts/{artifact.id}/zip", limit_bytes=limit_bytes)

    def comments_of(self, number: int) -> tuple[tuple[int, str, str], ...]:
        """ID, author and body of each comment of a pull request."""
        found = self._pages(f"/repos/{self.repository}/issues/{number}/comments")
        return tuple((int(one["id"]), str((one.get("user") or {}).get("login", "")), str(one.get("body") or "")) for one in found)

    def write_comment(self, number: int, body: str, *, replacing: int | None = None) -> None:
        """A new comment on a pull request, or a new body for the comment with the ID ``replacing``."""
        if replacing is None:
            self._send("POST", f"/repos/{self.repository}/issues/{number}/comments", {"body": body})
        else:
            self._send("PATCH", f"/repos/{self.repository}/issues/comments/{replacing}", {"body": body})

    def _pages(self, path: str, *, key: str = "") -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        for page in range(1, _PAGES + 1):
            answer = json.loads(self._send("GET", f"{path}?per_page=100&page={page}"))
            items = answer[key] if key else answer
            found += items
            if len(items) < 100:  # noqa: PLR2004 - a page that is not full is the last
                break
        return found

    def _send(self, method: str, path: str, data: Mapping[str, str] | None = None, *, limit_bytes: int = _ANSWER_BYTES) -> bytes:
        headers = {
            "Accept": "application/vnd.github+json",
            "Authorization": f"Bearer {self.token}",
            "X-GitHub-Api-Version": "2022-11-28",
            "User-Agent": "ci-tools",
        }
        body = None if data is None else json.dumps(data).encode()
        try:
            return self._fetch(urllib.request.Request(self.url + path, method=method, headers=headers, data=body), limit_bytes)  # noqa: S310 - our own address
        except urllib.error.HTTPError as error:
            with error:
                if error.code in _REDIRECTS and method == "GET":
                    return self._follow(error.headers.get("Location", ""), path, limit_bytes)
                what = f"GitHub answered {error.code} {error.reason} to {method} {path}"
            hint = "the job needs actions: read and pull-requests: write, and a token of this repository"
            raise UsageError(what, hint=hint) from error
        except (OSError, HTTPException) as error:
            raise UsageError(f"GitHub did not answer to {method} {path}: {error}", hint="run the job again") from error

    def _follow(self, location: str, path: str, limit_bytes: int) -> bytes:
        """One step to where the bytes lie, without the token; over https, as far as GitHub itself was asked so."""
        if urllib.parse.urlsplit(location).scheme != urllib.parse.urlsplit(self.url).scheme:
            raise DecodeError(f"GitHub sends {path} on to {location[:80]!r}", hint="expected an address of the same scheme")
        try:
            return self._fetch(urllib.request.Request(location, headers={"User-Agent": "ci-tools"}), limit_bytes)  # noqa: S310 - its scheme was compared
        except (OSError, HTTPException) as error:
            raise UsageError(f"the storage behind {path} did not answer: {error}", hint="run the job again") from error

    def _fetch(self, request: urllib.request.Request, limit_bytes: int) -> bytes:
        response: HTTPResponse
        with urllib.request.build_opener(_NoRedirect).open(request, timeout=_TIMEOUT_S) as response:
            data = response.read(limit_bytes + 1)
        if len(data) > limit_bytes:
            raise DecodeError(f"{request.selector} is larger than {limit_bytes} bytes", hint="a run leaves far less behind")
        return data
