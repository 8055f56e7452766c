"""Read a trace (JSON lines) while the pile still writes it."""

import json


class Tail:
    """Follows a trace file; `read()` returns the events whose lines are complete by now."""

    def __init__(self, path):
        self.path = path
        self.file = None
        self.rest = b""

    def read(self):
        """New events as a list of dicts; a file that does not exist yet has none."""
        if self.file is None:
            try:
                self.file = open(self.path, "rb")
            except FileNotFoundError:
                return []
        *lines, self.rest = (self.rest + self.file.read()).split(b"\n")
        return [json.loads(line) for line in lines if line]

    def close(self):
        """Let the file go."""
        if self.file is not None:
            self.file.close()


def load(path):
    """All events of a finished trace."""
    tail = Tail(path)
    try:
        return tail.read()
    finally:
        tail.close()
