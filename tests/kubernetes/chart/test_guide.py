"""The guide tells of everything that the operator and the alerts say."""

import re
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[3]
GUIDE = (ROOT / "docs" / "guide.md").read_text()
CORE = ROOT / "operator" / "core" / "src"


def words(path, after=""):
    """The words that a source file says, by their spelling: "BrokerNotBack"."""
    text = (CORE / path).read_text()
    return set(re.findall(r'"([A-Z][a-z]+(?:[A-Z][a-z]+)*)"', text[text.index(after):].partition("#[cfg(test)]")[0]))


@pytest.mark.parametrize("path,after", [("status.rs", "fn ready("), ("plan/mod.rs", "fn word("), ("topics/status.rs", "fn word(")])
def test_every_reason_is_in_the_guide(path, after):
    found = words(path, after)
    assert len(found) > 10, "this test reads the sources rightly"
    assert sorted(word for word in found if f"`{word}`" not in GUIDE) == []


def test_every_alert_is_in_the_guide():
    groups = yaml.safe_load((ROOT / "charts" / "ottla" / "files" / "rules.yaml").read_text())["groups"]
    alerts = [rule["alert"] for group in groups for rule in group["rules"]]
    assert len(alerts) > 15
    assert [alert for alert in alerts if f"`{alert}`" not in GUIDE] == []
