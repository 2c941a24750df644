"""A ledger of what was sent and what was acknowledged, and the proof that a log still has it.

Every record says who sent it and its number, so that loss, duplicates and disorder can be told apart:
`acknowledged <= stored` (nothing lost), each number at most once when the producer is idempotent, numbers of one
sender ascending within a partition.
"""

from .producer import LedgerProducer
from .verify import Verdict, read_partition, verify

__all__ = ["LedgerProducer", "Verdict", "read_partition", "verify"]
