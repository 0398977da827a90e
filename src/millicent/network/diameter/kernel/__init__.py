"""Loops over whole batches of Diameter messages: bytes to columns, answers to bytes."""
