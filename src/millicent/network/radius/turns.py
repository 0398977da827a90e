"""Which of several workers acts on what all of them hear."""

import fcntl
import os
from pathlib import Path


class Turn:
    """Held by one process of a machine at a time, for as long as it lives: the kernel lets go of it with the process.

    Asked anew at every occasion, so that another worker has it as soon as the one that had it is gone.
    """

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)

    def is_ours(self) -> bool:
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def close(self) -> None:
        """Leave it to another."""
        os.close(self._file)
