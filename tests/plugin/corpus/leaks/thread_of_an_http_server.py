"""http server thread.

kind: thread
outcome: error
besides: connection
"""

import http.server
import threading

KEPT = []


def test_offender():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), http.server.BaseHTTPRequestHandler)
    threading.Thread(target=server.serve_forever, daemon=True).start()  # made here


def test_innocent():
    """An innocent neighbour."""
