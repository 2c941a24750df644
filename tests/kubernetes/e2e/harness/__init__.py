"""A Kubernetes to test on: kubectl, the chart, clusters and topics, and load that keeps a ledger."""
