"""Disks of one's own, small enough to be filled. They need root."""

import contextlib
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest


@contextlib.contextmanager
def small_disk(mebibytes):
    """A tmpfs of its own size."""
    folder = tempfile.mkdtemp(prefix="ottla-small-")
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={mebibytes}m", "tmpfs", folder], check=False, capture_output=True
    )
    if done.returncode != 0:
        shutil.rmtree(folder)
        pytest.skip("mounting is not allowed here")
    try:
        yield Path(folder)
    finally:
        subprocess.run(["umount", "-l", folder], check=False)
        shutil.rmtree(folder, ignore_errors=True)


def fill(folder):
    """Takes all the room that is left; returns the file that has it."""
    ballast = Path(folder) / "ballast"
    # Without a buffer: what it could not write it would try once more when it is closed.
    with open(ballast, "wb", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(b"\0" * 65536)
    return ballast
