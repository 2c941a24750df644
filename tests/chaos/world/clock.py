"""Wall clocks that are wrong, by a small library that is preloaded into the brokers."""

import struct
import subprocess
from pathlib import Path


def build(folder):
    """Compiles the library; returns its path, or nothing where that does not work."""
    library = Path(folder) / "clock.so"
    source = Path(__file__).with_name("clock.c")
    command = ["cc", "-shared", "-fPIC", "-O2", "-Wall", "-Wextra", "-Werror", "-o", str(library), str(source)]
    return library if subprocess.run(command, check=False).returncode == 0 else None


class Clock:
    """The wall clock of one broker."""

    def __init__(self, library, path):
        self.library, self.path = library, Path(path)
        self.set(0.0)

    @property
    def works(self):
        """Whether it can be set."""
        return self.library is not None

    def set(self, seconds):
        """Sets how far the clock is off; a running broker sees it at once."""
        with open(self.path, "r+b" if self.path.exists() else "w+b") as file:
            file.write(struct.pack("<q", int(seconds * 1e9)))

    def environment(self):
        """What the broker needs in its environment."""
        return {"LD_PRELOAD": str(self.library), "CHAOS_CLOCK": str(self.path)} if self.works else {}
