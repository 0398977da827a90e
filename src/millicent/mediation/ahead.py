"""Work in the background while its results are used: stages of a pipeline on several cores, a few chunks at a time."""

import threading
from collections.abc import Generator, Iterator
from queue import Empty, Full, Queue
from typing import TypeVar

Result = TypeVar("Result")
_POLL_SECONDS = 0.05


class _End:
    """Marks the end of an iterator, with what ended it."""

    def __init__(self, error: BaseException | None) -> None:
        self.error = error


def ahead(results: Iterator[Result], *, depth: int) -> Generator[Result, None, None]:
    """The same results, computed in a thread of their own, at most `depth` of them ahead of the caller.

    An exception comes out where the result would have. When the caller stops early, so does the thread.
    """
    waiting: Queue[Result | _End] = Queue(maxsize=depth)
    stopped = threading.Event()

    def give(result: Result | _End) -> None:
        while not stopped.is_set():
            try:
                waiting.put(result, timeout=_POLL_SECONDS)
            except Full:
                continue
            return

    def work() -> None:
        error: BaseException | None = None
        try:
            for result in results:
                give(result)
                if stopped.is_set():
                    return
        except BaseException as raised:
            error = raised
        give(_End(error))

    worker = threading.Thread(target=work, name="ahead", daemon=True)
    worker.start()
    try:
        while True:
            try:
                result = waiting.get(timeout=_POLL_SECONDS)
            except Empty:
                continue
            if isinstance(result, _End):
                if result.error is not None:
                    raise result.error
                return
            yield result
    finally:
        stopped.set()
        worker.join()
