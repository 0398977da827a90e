"""Everything that computes a bill from facts: pure functions over values, no store, no clock.

A *service cycle* is one bill cycle seen as the time that charges are for. The bill of a cycle is always the same sum:
what should have been charged for each service cycle by now, less what earlier bills charged for it.
"""
