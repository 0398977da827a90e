"""Lease, journal, snapshots and the position of each reader of the journal."""
