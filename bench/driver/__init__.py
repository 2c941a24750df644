"""Benchmarks side by side: the same work for each system, alternating, with the broker's cost from /proc."""
