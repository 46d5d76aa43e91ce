"""The test server of the provider kit, as text for `python -c`: it runs where a provider puts it, with nothing installed."""

from __future__ import annotations

SERVER = """
import http.server, os, socket, sys, time
version, behaviour = sys.argv[1:3]
class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def answer(self, status, text):
        body = text.encode()
        self.send_response(status)
        self.send_header("content-length", str(len(body)))
        self.send_header("x-mlplan-model-version", version)
        self.end_headers()
        self.wfile.write(body)
    def do_GET(self):
        self.answer(503 if behaviour == "never" else 200, "ready")
    def do_POST(self):
        self.rfile.read(int(self.headers.get("content-length", 0)))
        if behaviour == "slow":
            time.sleep(0.15)
        self.answer(500 if behaviour == "errors" else 200, version)
    def log_message(self, *words):
        pass
class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 512
    def server_bind(self):
        self.server_name, self.server_port = "localhost", 0
    def server_activate(self):
        pass
if behaviour == "fails":
    sys.exit("it cannot start")
server = Server(("127.0.0.1", 0), Handler, bind_and_activate=False)
server.socket.close()
handle = os.environ.get("MLPLAN_LISTEN_FD")
if handle:
    server.socket = socket.socket(fileno=int(handle))
else:
    server.socket = socket.create_server(("0.0.0.0", int(os.environ["MLPLAN_PORT"])))
print("serving", version, flush=True)
server.serve_forever()
"""
"""A server in the standard library alone: argv version, behaviour ("ok", "slow", "errors", "never", "fails")."""
