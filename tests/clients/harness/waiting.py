"""Waiting for what comes true later, with a limit."""

import time


def eventually(condition, timeout=15.0, pause=0.05):
    """Waits until `condition()` is true and returns its value; exceptions of asserts count as not yet."""
    end = time.monotonic() + timeout
    while True:
        try:
            value = condition()
            if value:
                return value
            error = None
        except (AssertionError, OSError, LookupError) as caught:
            error = caught
        if time.monotonic() >= end:
            raise AssertionError(f"not true within {timeout} s") from error
        time.sleep(pause)
