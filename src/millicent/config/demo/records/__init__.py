"""Records as the network of the demo writes them: true formats, one seed, dirt included, and the truth about it."""

from millicent.config.demo.records.month import Manifest, WrittenFile, write_month

__all__ = ["Manifest", "WrittenFile", "write_month"]
