#!/usr/bin/env python3
"""Writes the Grafana dashboards of the chart: charts/dashboards.py [--check]

A dashboard is a list of rows, a row a list of panels: title, unit, and queries with their legends. With --check nothing is
written; it fails if a file would change.
"""

import json
import sys
from pathlib import Path

FOLDER = Path(__file__).parent / "ottla" / "files" / "dashboards"
OF = 'namespace="$namespace", cluster="$cluster"'


def rate(metric, labels="", by="broker"):
    """Per second, summed."""
    return f"sum by ({by}) (rate({metric}{{{OF}{labels}}}[$__rate_interval]))"


def total(metric):
    """Summed over the cluster's brokers."""
    return f"sum({metric}{{{OF}}})"


def quantile(share, api):
    """Of the whole time of requests."""
    buckets = f'rate(ottla_request_duration_seconds_bucket{{{OF}, api="{api}", stage="total"}}[$__rate_interval])'
    return f"histogram_quantile({share}, sum by (le) ({buckets}))"


CLUSTER = [
    ("How it is", [
        ("stat", "Brokers", "none", [(total("ottla_active_brokers"), "working"), (total("ottla_fenced_brokers"), "away")]),
        ("stat", "Partitions without leader", "none", [(total("ottla_offline_partitions"), "")]),
        ("stat", "Partitions under min ISR", "none", [(total("ottla_under_min_isr_partitions"), "")]),
        ("stat", "Partitions under-replicated", "none", [(total("ottla_under_replicated_partitions"), "")]),
        ("stat", "Topics, partitions", "none", [(total("ottla_topics"), "topics"), (total("ottla_partitions"), "partitions")]),
    ]),
    ("Traffic", [
        ("graph", "Records in", "ops", [(rate("ottla_topic_messages_in_total"), "broker {{broker}}")]),
        ("graph", "Bytes in", "Bps", [(rate("ottla_topic_bytes_in_total"), "broker {{broker}}")]),
        ("graph", "Bytes out", "Bps", [(rate("ottla_topic_bytes_out_total"), "broker {{broker}}")]),
        ("graph", "Topics by bytes in", "Bps", [(f"topk(10, {rate('ottla_topic_bytes_in_total', by='topic')})", "{{topic}}")]),
        ("graph", "Replication in", "Bps", [(rate("ottla_topic_replication_bytes_in_total"), "broker {{broker}}")]),
        ("graph", "Requests", "ops", [(rate("ottla_requests_total", by="api"), "{{api}}")]),
    ]),
    ("Latency and errors", [
        ("graph", "Produce", "s", [(quantile(share, "Produce"), f"p{share * 100:g}") for share in (0.5, 0.99, 0.999)]),
        ("graph", "Fetch", "s", [(quantile(share, "Fetch"), f"p{share * 100:g}") for share in (0.5, 0.99, 0.999)]),
        ("graph", "Errors", "ops", [(rate("ottla_request_errors_total", by="api, error"), "{{api}} {{error}}")]),
    ]),
    ("Replicas", [
        ("graph", "Leaders", "none", [(f"ottla_leader_partitions{{{OF}}}", "broker {{broker}}")]),
        ("graph", "Replicas", "none", [(f"ottla_replica_partitions{{{OF}}}", "broker {{broker}}")]),
        ("graph", "Under-replicated, by leader", "none", [(f"ottla_under_replicated_partitions{{{OF}}}", "broker {{broker}}")]),
    ]),
    ("Brokers", [
        ("graph", "Memory", "bytes", [(f"process_resident_memory_bytes{{{OF}}}", "broker {{broker}}")]),
        ("graph", "CPU", "percentunit", [(rate("process_cpu_seconds_total"), "broker {{broker}}")]),
        ("graph", "Disk left", "percentunit",
         [(f"ottla_data_dir_free_bytes{{{OF}}} / ottla_data_dir_total_bytes{{{OF}}}", "broker {{broker}} {{dir}}")]),
        ("graph", "Connections", "none", [(f"sum by (broker) (ottla_connections{{{OF}}})", "broker {{broker}}")]),
        ("graph", "Memory left for requests", "bytes", [(f"ottla_request_memory_available_bytes{{{OF}}}", "broker {{broker}}")]),
        ("graph", "Open files", "none", [(f"process_open_fds{{{OF}}}", "broker {{broker}}")]),
    ]),
]

NS = 'namespace="$namespace"'
OPERATOR = [
    ("How it is", [
        ("stat", "Operators at work", "none", [(f"sum(ottla_operator_leader{{{NS}}})", "")]),
        ("stat", "Clusters", "none", [(f"sum by (state) (ottla_operator_clusters{{{NS}}})", "{{state}}")]),
        ("stat", "Topics", "none", [(f"sum by (state) (ottla_operator_topics{{{NS}}})", "{{state}}")]),
    ]),
    ("Work", [
        ("graph", "One look at a resource, p99", "s",
         [(f"histogram_quantile(0.99, sum by (kind, le) (rate(ottla_operator_reconcile_seconds_bucket{{{NS}}}[$__rate_interval])))",
           "{{kind}}")]),
        ("graph", "Looks that failed", "ops",
         [(f"sum by (kind, reason) (rate(ottla_operator_reconcile_errors_total{{{NS}}}[$__rate_interval]))", "{{kind}} {{reason}}")]),
        ("graph", "From a changed spec to its being true, p99", "s",
         [(f"histogram_quantile(0.99, sum by (kind, le) (rate(ottla_operator_spec_to_applied_seconds_bucket{{{NS}}}[1h])))", "{{kind}}")]),
    ]),
    ("Restarts and moves", [
        ("graph", "Why a roll waits", "none", [("ottla_operator_roll_waiting", "{{cluster}}: {{reason}}")]),
        ("graph", "Brokers still to restart", "none", [("ottla_operator_roll_remaining_brokers", "{{cluster}}")]),
        ("graph", "Partitions left on brokers that leave", "none", [("ottla_operator_drain_remaining_partitions", "{{cluster}}")]),
        ("graph", "Restarts by the operator", "none", [("increase(ottla_operator_restarts_total[1h])", "{{cluster}}")]),
        ("graph", "Since a partition was last unsafe", "s", [("ottla_operator_seconds_since_isr_unsafe", "{{cluster}}")]),
    ]),
]

CLUSTER_VARIABLES = [("namespace", "label_values(ottla_active_controller, namespace)"),
                     ("cluster", 'label_values(ottla_active_controller{namespace="$namespace"}, cluster)')]
OPERATOR_VARIABLES = [("namespace", "label_values(ottla_operator_leader, namespace)")]
DATASOURCE = {"type": "prometheus", "uid": "${datasource}"}


def panel(number, place, kind, title, unit, queries):
    """A panel at a place (x, y, width, height)."""
    x, y, width, height = place
    targets = [{"datasource": DATASOURCE, "expr": expression, "legendFormat": legend or title, "refId": chr(65 + index)}
               for index, (expression, legend) in enumerate(queries)]
    item = {"id": number, "type": "stat" if kind == "stat" else "timeseries", "title": title, "datasource": DATASOURCE,
            "gridPos": {"x": x, "y": y, "w": width, "h": height}, "targets": targets,
            "fieldConfig": {"defaults": {"unit": unit, "min": 0}, "overrides": []}}
    if kind == "stat":
        item["options"] = {"reduceOptions": {"calcs": ["lastNotNull"]}, "textMode": "auto"}
    return item


def dashboard(uid, title, rows, variables):
    """All rows, one below the other."""
    panels, y = [], 0
    for row_title, row in rows:
        panels.append({"id": len(panels) + 1, "type": "row", "title": row_title, "collapsed": False, "panels": [],
                       "gridPos": {"x": 0, "y": y, "w": 24, "h": 1}})
        y += 1
        across = len(row) if row[0][0] == "stat" else 3
        height = 4 if row[0][0] == "stat" else 8
        for index, (kind, panel_title, unit, queries) in enumerate(row):
            width = 24 // across
            place = (index % across * width, y + index // across * height, width, height)
            panels.append(panel(len(panels) + 1, place, kind, panel_title, unit, queries))
        y += (len(row) + across - 1) // across * height
    source = {"name": "datasource", "type": "datasource", "query": "prometheus", "label": "Prometheus"}
    chosen = [{"name": name, "type": "query", "datasource": DATASOURCE, "query": {"query": query, "refId": name},
               "refresh": 2, "sort": 1} for name, query in variables]
    return {"uid": uid, "title": title, "tags": ["ottla"], "schemaVersion": 39, "version": 1, "editable": True,
            "refresh": "30s", "time": {"from": "now-1h", "to": "now"}, "templating": {"list": [source, *chosen]}, "panels": panels}


def main():
    """Writes or checks all files."""
    files = {"cluster.json": dashboard("ottla-cluster", "Ottla / Cluster", CLUSTER, CLUSTER_VARIABLES),
             "operator.json": dashboard("ottla-operator", "Ottla / Operator", OPERATOR, OPERATOR_VARIABLES)}
    stale = False
    for name, content in files.items():
        text = json.dumps(content, indent=1) + "\n"
        if "--check" not in sys.argv:
            FOLDER.mkdir(parents=True, exist_ok=True)
            (FOLDER / name).write_text(text)
        elif (FOLDER / name).read_text() != text:
            print(f"{name} is not what charts/dashboards.py writes")
            stale = True
    sys.exit(stale)


if __name__ == "__main__":
    main()
