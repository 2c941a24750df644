"""Where a client notes what it did and saw."""

import json
import threading
import time


class Journal:
    """One file, many threads. Times are seconds since the epoch by the clients' clock, which nobody sets."""

    def __init__(self, path):
        self.file = open(path, "w", encoding="utf-8")
        self.lock = threading.Lock()

    def note(self, client, op, **fields):
        """Notes an event."""
        line = json.dumps({"t": round(time.time(), 4), "client": client, "op": op, **fields}, separators=(",", ":"))
        with self.lock:
            self.file.write(line + "\n")

    def close(self):
        """Writes all of it."""
        with self.lock:
            self.file.close()
