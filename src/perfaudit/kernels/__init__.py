"""The few hot loops, compiled by numba: each has a slow plain reference that its tests compare it with."""

from collections.abc import Callable

#: Called once, before the first kernel of this process that is not in the cache is compiled; the command line says that it takes a while.
on_compile: Callable[[], None] | None = None
