"""How a process that computes bills begins. Imports no table: Django must be open before the first one is."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager

import django


def begin_worker() -> None:
    """Open Django, then keep the collector from walking over everything that was imported, batch after batch."""
    django.setup()
    gc.freeze()


@contextmanager
def collector_at_rest() -> Iterator[None]:
    """Look for no cycles while a batch is made or issued: of its hundred thousand values none points back."""
    was_at_work = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_at_work:
            gc.enable()
