"""Charging measured as it runs: the shard with its journal, its doors under load, and its return from kill -9."""
