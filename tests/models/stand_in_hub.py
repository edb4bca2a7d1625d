"""A stand-in for the Hugging Face hub on loopback: reading files, creating repositories, uploads and commits."""

import base64
import hashlib
import http.server
import json
import socket
import threading
from urllib.parse import unquote, urlsplit

NAME = "owner/cabg"
COMMIT, OLD_COMMIT = "c0ffee" * 6 + "c0ff", "0" * 40
TOKEN = "hf_secretsecretsecret"


class Hub(http.server.ThreadingHTTPServer):
    """Serves repositories {name: {revision: {file: content}}}; each commit is also a revision under its own hash."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.repositories: dict[str, dict[str, dict[str, bytes]]] = {}
        self.gated: set[str] = set()
        self.broken = False
        self.sent: list[str] = []  # files whose content was requested
        self.private: dict[str, bool] = {}
        self.stored: dict[str, bytes] = {}  # large files by their hash
        self.asked: list[tuple[str, str]] = []  # method and path of each request
        self.headers: list[str] = []  # of each request
        self.failures: dict[str, object] = {}  # part of a path → a status, "hang" or "cut"
        self.ended = threading.Event()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class Handler(http.server.BaseHTTPRequestHandler):
    server: Hub

    def log_message(self, *arguments: object) -> None:
        pass

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        if self.fails():
            return
        path = unquote(urlsplit(self.path).path).strip("/").split("/")
        if self.server.broken:
            self.answer(b"", 503)
        elif path[:2] == ["api", "models"] and len(path) > 3:
            self.answer_api(
                "/".join(path[2:4]), path[4] if len(path) > 4 else "revision", path[5] if len(path) > 5 else "main"
            )
        elif len(path) > 4 and path[2] == "resolve":
            self.answer_file("/".join(path[:2]), path[3], "/".join(path[4:]))
        else:
            self.answer(b"", 404)

    def do_PUT(self) -> None:
        self.do_POST()

    def do_POST(self) -> None:
        content = self.body()
        path = unquote(urlsplit(self.path).path).strip("/")
        if self.fails():
            return
        if path == "api/repos/create":
            wanted = json.loads(content)
            name = f"{wanted['organization']}/{wanted['name']}"
            self.server.repositories[name] = {"main": {}}
            self.server.private[name] = wanted.get("private") or wanted.get("visibility") == "private"
            self.answer(json.dumps({"url": f"{self.server.url}/{name}"}).encode())
        elif path == "api/validate-yaml":
            self.answer(json.dumps({"errors": [], "warnings": []}).encode())
        elif "/preupload/" in path:
            files = json.loads(content)["files"]
            modes = {
                file["path"]: "lfs" if file["path"].endswith((".onnx", ".safetensors")) else "regular" for file in files
            }
            found = [{"path": name, "uploadMode": mode, "shouldIgnore": False} for name, mode in modes.items()]
            self.answer(json.dumps({"files": found}).encode())
        elif path.endswith("/info/lfs/objects/batch"):
            objects = json.loads(content)["objects"]
            for one in objects:
                if one["oid"] not in self.server.stored:
                    one["actions"] = {"upload": {"href": f"{self.server.url}/store/{one['oid']}"}}
            self.answer(json.dumps({"transfer": "basic", "objects": objects}).encode())
        elif path.startswith("store/"):
            self.server.stored[path.removeprefix("store/")] = content
            self.answer(b"")
        elif "/commit/" in path:
            self.commit("/".join(path.split("/")[2:4]), [json.loads(line) for line in content.splitlines()])
        elif path.startswith("cas/"):
            frame = {"type": "result", "result": 1} if path.endswith("shards") else {"was_inserted": True}
            self.answer(json.dumps(frame).encode() + b"\n")
        else:
            self.answer(b"", 404)

    def body(self) -> bytes:
        if self.headers.get("Transfer-Encoding") != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length", 0)))
        parts = []
        while size := int(self.rfile.readline(), 16):
            parts.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(parts)

    def commit(self, name: str, lines: list[dict]) -> None:
        files = dict(self.server.repositories[name].get("main", {}))
        for line in lines:
            if line["key"] == "file":
                files[line["value"]["path"]] = base64.b64decode(line["value"]["content"])
            elif line["key"] == "lfsFile":
                files[line["value"]["path"]] = self.server.stored.get(line["value"]["oid"], b"")
        self.server.repositories[name] |= {"main": files, COMMIT: files}
        address = f"{self.server.url}/{name}/commit/{COMMIT}"
        self.answer(json.dumps({"commitUrl": address, "commitOid": COMMIT}).encode())

    def fails(self) -> bool:
        """Note the request, and fail as the test wants it."""
        self.server.asked.append((self.command, self.path))
        self.server.headers.append(str(self.headers))
        failure = next((how for part, how in self.server.failures.items() if part in self.path), None)
        if failure == "hang":
            self.server.ended.wait(20)
        if failure in ("hang", "cut"):
            self.close_connection = True
            self.connection.shutdown(socket.SHUT_RDWR)
        elif isinstance(failure, int):
            self.answer(json.dumps({"error": f"no {self.headers.get('Authorization')}"}).encode(), failure)
        return failure is not None

    def answer_api(self, name: str, what: str, revision: str) -> None:
        if what == "xet-write-token":
            where = {"casUrl": f"{self.server.url}/cas", "exp": 4_000_000_000, "accessToken": "short"}
            names = ("X-Xet-Cas-Url", "X-Xet-Token-Expiration", "X-Xet-Access-Token")
            headers = dict(zip(names, map(str, where.values()), strict=True))
            self.answer(json.dumps(where).encode(), 200, headers)
        elif name not in self.server.repositories:
            # The hub gives the same response for a private repository and a missing one.
            self.answer(b"", 401, {"X-Error-Code": "RepoNotFound", "X-Error-Message": "Repository not found"})
        elif revision not in self.server.repositories[name]:
            self.answer(b"", 404, {"X-Error-Code": "RevisionNotFound"})
        elif what == "tree":
            files = self.server.repositories[name][revision]
            self.answer(json.dumps([entry(path, content) for path, content in files.items()]).encode())
        else:
            commit = revision if len(revision) == 40 else {"main": COMMIT}.get(revision, OLD_COMMIT)
            names = [{"rfilename": path} for path in self.server.repositories[name][revision]]
            facts = {"id": name, "sha": commit, "siblings": names, "private": self.server.private.get(name, False)}
            self.answer(json.dumps(facts).encode())

    def answer_file(self, name: str, revision: str, path: str) -> None:
        content = self.server.repositories[name][revision][path]
        if name in self.server.gated:
            self.answer(b"", 403, {"X-Error-Code": "GatedRepo"})
            return
        if self.command == "GET":
            self.server.sent.append(path)
        etag = f'"{hashlib.sha256(content).hexdigest()}"'
        self.answer(content, 200, {"ETag": etag, "X-Repo-Commit": revision})

    def answer(self, content: bytes, status: int = 200, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)


def entry(path: str, content: bytes) -> dict[str, object]:
    oid = hashlib.sha256(content).hexdigest()
    large = {"lfs": {"oid": oid, "size": len(content), "pointerSize": 133}} if path.endswith(".safetensors") else {}
    return {"type": "file", "path": path, "size": len(content), "oid": oid[:40], **large}
