"""A Hugging Face hub on 127.0.0.1, with the few endpoints that a download needs."""

import base64
import hashlib
import json
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from urllib.parse import unquote, urlsplit

__all__ = ["COMMIT", "FakeHub"]

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@dataclass
class FakeHub:
    """Serves repositories (id -> file name -> content) at `url` while it is entered.

    What is committed joins `repositories`, where `token` is the one that was given.

    `gated` repositories show their file list and refuse the files; downloads of files in `broken`
    give status 400, which clients do not try again. `fetched` lists the files whose content was
    sent, in order; `paths` all that was asked for, and `agents` who asked, as they put it.
    """

    repositories: dict[str, dict[str, bytes]]
    gated: frozenset[str] = frozenset()
    broken: frozenset[str] = frozenset()
    fetched: list[str] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)
    agents: set[str] = field(default_factory=set)
    url: str = ""
    token: str = "may-write"
    messages: list[str] = field(default_factory=list)
    """Of the commits."""

    def __enter__(self) -> "FakeHub":
        hub = self

        class Handler(_Handler):
            state = hub

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class _Handler(BaseHTTPRequestHandler):
    state: FakeHub
    protocol_version = "HTTP/1.1"

    def do_HEAD(self) -> None:
        self._answer(send_body=False)

    def do_GET(self) -> None:
        self._answer(send_body=True)

    def do_POST(self) -> None:
        """What an upload asks: a repository, how files are to come, and a commit of them all."""
        body = self.rfile.read(int(self.headers["Content-Length"]))
        parts = [unquote(part) for part in urlsplit(self.path).path.strip("/").split("/")]
        if self.headers.get("Authorization") != f"Bearer {self.state.token}":
            return self._refuse(401, "Unauthorized", send_body=True)
        if parts == ["api", "repos", "create"]:
            asked = json.loads(body)
            name = f"{asked.get('organization') or 'someone'}/{asked['name']}"
            self.state.repositories.setdefault(name, {})
            return self._send_json({"url": f"{self.state.url}/{name}", "id": name})
        if parts == ["api", "validate-yaml"]:
            return self._send_json({"errors": [], "warnings": []})
        name, action = "/".join(parts[2:4]), parts[4]
        if action == "preupload":
            files = [{"path": each["path"]} for each in json.loads(body)["files"]]
            how = {"uploadMode": "regular", "shouldIgnore": False, "oid": None}
            return self._send_json({"files": [each | how for each in files]})
        for line in map(json.loads, body.splitlines()):
            value = line["value"]
            if line["key"] == "header":
                self.state.messages.append(value["summary"])
            elif line["key"] == "file":
                content = base64.b64decode(value["content"])
                self.state.repositories[name][value["path"]] = content
        url = f"{self.state.url}/{name}/commit/{COMMIT}"
        return self._send_json({"commitUrl": url, "commitOid": COMMIT, "success": True})

    def _send_json(self, content: object) -> None:
        kind = {"Content-Type": "application/json"}
        self._send(200, json.dumps(content).encode(), kind, send_body=True)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""

    def _answer(self, *, send_body: bool) -> None:
        self.state.paths.append(self.path)
        self.state.agents.add(self.headers.get("User-Agent", ""))
        parts = [unquote(part) for part in urlsplit(self.path).path.strip("/").split("/")]
        if parts[:2] == ["api", "models"] and len(parts) >= 4:
            self._answer_api("/".join(parts[2:4]), parts[4:], send_body=send_body)
        elif len(parts) >= 5 and parts[2] == "resolve":
            self._answer_file(
                "/".join(parts[:2]), parts[3], "/".join(parts[4:]), send_body=send_body
            )
        else:
            self._send(404, b"", {}, send_body=send_body)

    def _answer_api(self, repo: str, rest: list[str], *, send_body: bool) -> None:
        files = self.state.repositories.get(repo)
        if files is None:
            return self._refuse(401, "RepoNotFound", send_body=send_body)
        if len(rest) > 1 and rest[1] not in ("main", COMMIT):
            return self._refuse(404, "RevisionNotFound", send_body=send_body)
        if rest[:1] == ["tree"]:
            content: object = [
                {"type": "file", "path": name, "size": len(data), "oid": _etag(data)}
                for name, data in files.items()
            ]
        else:
            siblings = [{"rfilename": name} for name in files]
            content = {"id": repo, "modelId": repo, "sha": COMMIT, "siblings": siblings}
        kind = {"Content-Type": "application/json"}
        return self._send(200, json.dumps(content).encode(), kind, send_body=send_body)

    def _answer_file(self, repo: str, revision: str, name: str, *, send_body: bool) -> None:
        data = self.state.repositories.get(repo, {}).get(name)
        if repo in self.state.gated:
            return self._refuse(403, "GatedRepo", send_body=send_body)
        if data is None or revision not in ("main", COMMIT):
            return self._refuse(404, "EntryNotFound", send_body=send_body)
        if name in self.state.broken and send_body:
            return self._refuse(400, "Broken", send_body=send_body)
        if send_body:
            self.state.fetched.append(name)
        headers = {"ETag": f'"{_etag(data)}"', "X-Repo-Commit": COMMIT}
        return self._send(200, data, headers, send_body=send_body)

    def _refuse(self, status: int, code: str, *, send_body: bool) -> None:
        headers = {"X-Error-Code": code, "X-Error-Message": code}
        self._send(status, b"{}", headers, send_body=send_body)

    def _send(
        self, status: int, body: bytes, headers: Mapping[str, str], *, send_body: bool
    ) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if send_body:
            self.wfile.write(body)


def _etag(data: bytes) -> str:
    return hashlib.sha1(data).hexdigest()
