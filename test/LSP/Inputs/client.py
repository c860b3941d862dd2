"""A client of the Language Server Protocol over pipes, as an editor is one."""

import json
import pathlib
import subprocess


class Client:
    def __init__(self, server, environment=None):
        self.process = subprocess.Popen([server], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment)
        self.number = 0
        self.notifications = []
        self.texts = {}

    def send(self, message):
        body = json.dumps({"jsonrpc": "2.0", **message}).encode()
        self.process.stdin.write(b"Content-Length: %d\r\n\r\n" % len(body) + body)
        self.process.stdin.flush()

    def receive(self):
        length = None
        while (line := self.process.stdout.readline().strip()):
            name, value = line.split(b":")
            if name.lower() == b"content-length":
                length = int(value)
        if length is None:
            raise SystemExit(f"the server ended with {self.process.wait()}")
        return json.loads(self.process.stdout.read(length))

    def request(self, method, params=None):
        self.number += 1
        self.send({"id": self.number, "method": method, "params": params or {}})
        while True:
            message = self.receive()
            if message.get("id") == self.number:
                if "error" in message:
                    return {"error": message["error"]}
                return message["result"]
            self.notifications.append(message)

    def notify(self, method, params=None):
        self.send({"method": method, "params": params or {}})

    def initialize(self, **options):
        result = self.request("initialize", {"processId": None, "rootUri": None, "capabilities": {},
                                             "initializationOptions": options})
        self.notify("initialized")
        return result

    @staticmethod
    def uri(path):
        return pathlib.Path(path).resolve().as_uri()

    def open(self, path, text=None):
        text = pathlib.Path(path).read_text(encoding="utf-8") if text is None else text
        self.texts[path] = text
        self.notify("textDocument/didOpen", {"textDocument": {
            "uri": self.uri(path), "languageId": "clade-spec", "version": 1, "text": text}})

    def change(self, path, text, version=2):
        self.texts[path] = text
        self.notify("textDocument/didChange", {"textDocument": {"uri": self.uri(path), "version": version},
                                               "contentChanges": [{"text": text}]})

    def place(self, path, marked, skip=0):
        """The place of '|' in a piece of the text, whose other characters must stand there."""
        front, back = marked.split("|")
        at = -1
        for _ in range(skip + 1):
            at = self.texts[path].index(front + back, at + 1)
        before = self.texts[path][: at + len(front)]
        line = before.count("\n")
        column = len(before[before.rfind("\n") + 1 :].encode("utf-16-le")) // 2
        return {"textDocument": {"uri": self.uri(path)}, "position": {"line": line, "character": column}}

    def ask(self, what, path, marked, skip=0):
        return self.request(f"textDocument/{what}", self.place(path, marked, skip))

    def diagnostics(self, path):
        """Those published last; a request waits until all is done that was sent before."""
        self.request("textDocument/documentSymbol", {"textDocument": {"uri": self.uri(path)}})
        found = [m["params"] for m in self.notifications
                 if m.get("method") == "textDocument/publishDiagnostics" and m["params"]["uri"] == self.uri(path)]
        return found[-1]["diagnostics"] if found else None

    def stop(self):
        self.request("shutdown")
        self.notify("exit")
        self.process.stdin.close()
        return self.process.wait()
