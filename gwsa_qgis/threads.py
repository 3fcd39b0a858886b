"""Work in threads, whose results are taken in order."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


def map_ordered(function: Callable[[Item], Result], items: Iterable[Item], threads: int = 1) -> Iterator[Result]:
    """Run `function` on items in threads and give the results in their order.

    At most ``threads + 1`` items are begun and not yet taken, so that memory stays bounded where results are taken
    slowly. When the caller stops early, or an item fails, no further one is begun, and those that run are waited for.
    """
    if threads <= 1:
        yield from map(function, items)
        return
    waiting: deque = deque()
    pool = ThreadPoolExecutor(threads)
    try:
        for item in items:
            waiting.append(pool.submit(function, item))
            if len(waiting) > threads:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def read_ahead(function: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[Result]:
    """Results of a function, in order; the next one is made in a thread while the caller works on the last."""
    pool = ThreadPoolExecutor(1)
    try:
        waiting = None
        for item in items:
            following = pool.submit(function, item)
            if waiting is not None:
                yield waiting.result()
            waiting = following
        if waiting is not None:
            yield waiting.result()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
