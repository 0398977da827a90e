"""Functions for workers: they must be importable by name."""

import os
import signal

from millicent.kit.errors import BadInput


def square(number: int) -> int:
    return number * number


def own_pid(_: int) -> int:
    return os.getpid()


def refuse_three(number: int) -> int:
    if number == 3:
        raise BadInput("three is refused", where="row 3", cure="Use four.", row=3)
    return number


def kill_itself_at_two(number: int) -> int:
    if number == 2:
        os.kill(os.getpid(), signal.SIGKILL)
    return number


def prepare() -> None:
    os.environ["PREPARED_FOR_TEST"] = "yes"


def is_prepared(_: int) -> str:
    return os.environ.get("PREPARED_FOR_TEST", "no")
