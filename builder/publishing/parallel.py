"""Runs one function on many tasks, with a process per core."""

import multiprocessing
import signal
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

from d2lext.core.machine import processor

Result = TypeVar("Result")


def side_by_side(
    function: Callable[..., Result], tasks: Iterable[tuple]
) -> Iterator[Result]:
    """Yield `function(*task)` for each task, in order.

    An exception or an interrupt in this process ends the others.
    """
    tasks = list(tasks)
    count = min(len(tasks), processor.num_cores())
    if count < 2:
        yield from (function(*task) for task in tasks)
        return
    # Spawned, because a fork copies locks; Ctrl-C ends them without tracebacks.
    context = multiprocessing.get_context("spawn")
    default = (signal.SIGINT, signal.SIG_DFL)
    with context.Pool(count, signal.signal, default) as pool:
        results = [pool.apply_async(function, task) for task in tasks]
        for result in results:
            yield result.get()
