"""Waiting for what comes true later, with a limit."""

import time


def eventually(condition, timeout=60.0, pause=0.25, what=None):
    """Waits until `condition()` is true and returns its value; failed asserts and missing things count as not yet."""
    end = time.monotonic() + timeout
    while True:
        error = None
        try:
            value = condition()
            if value:
                return value
        except (AssertionError, OSError, LookupError, ValueError, TypeError) as caught:
            error = caught
        if time.monotonic() >= end:
            raise AssertionError(f"{what or 'it'}: not true within {timeout} s ({error})") from error
        time.sleep(pause)
