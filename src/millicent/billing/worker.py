"""How a process that computes bills begins. Imports no table: Django must be open before the first one is."""

import gc

import django


def begin_worker() -> None:
    """Open Django, then keep the collector from walking over everything that was imported, batch after batch."""
    django.setup()
    gc.freeze()
