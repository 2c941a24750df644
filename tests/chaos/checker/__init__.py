"""Finds what Kafka promises and a history breaks. Pure: a history in, findings out."""

from .groups import ANOMALIES as _GROUPS
from .history import Finding, History
from .polls import ANOMALIES as _POLLS
from .sends import ANOMALIES as _SENDS

ANOMALIES = {**_SENDS, **_POLLS, **_GROUPS}

__all__ = ["ANOMALIES", "Finding", "History", "check"]


def check(history):
    """All findings, by anomaly."""
    return [Finding(name, text) for name, find in ANOMALIES.items() for text in find(history)]
