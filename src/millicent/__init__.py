"""Millicent: convergent telecom billing. The folders are the road that money travels; see ARCHITECTURE.md."""

__version__ = "0.1.0"
