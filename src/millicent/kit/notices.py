"""What the machinery below would like a person to know while they wait. The doors decide how to show it."""

from collections.abc import Callable

# Called with the name of a kernel when its compilation begins; an entry must be quick and must not raise.
on_kernel_compiling: list[Callable[[str], None]] = []
