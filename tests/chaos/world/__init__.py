"""The world of a run: brokers as processes in network namespaces, on disks of their own, with clocks that can be wrong."""
