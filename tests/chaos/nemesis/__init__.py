"""What does the damage: faults that begin and end, and the plan of a run, thrown from its seed."""

from .plan import KINDS, Step, plan

__all__ = ["KINDS", "Step", "plan"]
