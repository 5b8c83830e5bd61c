"""What a balancer sees of a kube-apiserver: TLS, /readyz, and an orderly end.

apiserver-double.py NAME ADDRESS PORT CERT KEY DELAY

On SIGTERM /readyz fails at once ("[-]shutdown failed") while all else is served on for DELAY seconds
(--shutdown-delay-duration); then the port is closed, every answer asks for its connection's end (as GOAWAY
does), and the process ends with the last one. SIGUSR1 breaks /readyz as a lost etcd does, SIGUSR2 mends it.
Answers to all other paths are NAME; /watch sends a line now and then until the end.
"""

import http.server
import signal
import ssl
import sys
import threading
import time

NAME, ADDRESS, PORT, CERT, KEY, DELAY = sys.argv[1:]
LINGER = 1.5
stopping, ending, broken = threading.Event(), threading.Event(), threading.Event()


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def answer(self, status, body):
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        if ending.is_set():
            self.send_header("Connection", "close")
            self.close_connection = True
        self.end_headers()
        self.wfile.write(body.encode())

    def readyz(self):
        failed = [name for name, event in (("etcd", broken), ("shutdown", stopping)) if event.is_set()]
        if failed:
            lines = "".join(f"[-]{name} failed: reason withheld\n" for name in failed)
            self.answer(500, f"[+]ping ok\n{lines}readyz check failed\n")
        else:
            self.answer(200, "ok")

    def watch(self):
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        while not ending.wait(0.1):
            self.wfile.write(b"5\r\nnews\n\r\n")
        self.wfile.write(b"0\r\n\r\n")
        self.close_connection = True

    def do_GET(self):
        if self.path == "/readyz":
            self.readyz()
        elif self.path == "/watch":
            self.watch()
        else:
            self.answer(200, NAME)


class Server(http.server.ThreadingHTTPServer):
    request_queue_size = 128
    daemon_threads = True

    def handle_error(self, *_):
        pass  # a check that hangs up


def end(server):
    stopping.set()
    time.sleep(float(DELAY))
    ending.set()
    server.shutdown()
    server.socket.close()


server = Server((ADDRESS, int(PORT)), Handler)
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(CERT, KEY)
server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=end, args=[server]).start())
signal.signal(signal.SIGUSR1, lambda *_: broken.set())
signal.signal(signal.SIGUSR2, lambda *_: broken.clear())
print("serving", flush=True)
server.serve_forever(poll_interval=0.1)
time.sleep(LINGER)  # connections that are in use learn that they are to end
