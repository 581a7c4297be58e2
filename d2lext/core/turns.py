"""Whose turn it is with what several threads of a process use: a model, random numbers."""

import contextlib
import os
import threading
from collections.abc import Iterator
from typing import Any

_users: dict[int, list[tuple[int, bool]]] = {}  # by id: the thread, whether it shares
_changed = threading.Condition()


@contextlib.contextmanager
def turn(thing: Any, shared: bool = False) -> Iterator[None]:
    """Within, no other thread has a turn with `thing`, unless all of them share it.

    Otherwise it waits for them. A thread may have a turn within its own.
    """
    thread = threading.get_ident()
    with _changed:
        _changed.wait_for(lambda: not _others(thing, thread, shared))
        _users.setdefault(id(thing), []).append((thread, shared))
    try:
        yield
    finally:
        with _changed:
            users = _users[id(thing)]
            users.remove((thread, shared))
            if not users:
                del _users[id(thing)]
            _changed.notify_all()


def is_taken(thing: Any) -> bool:
    """Whether another thread has a turn with `thing` that it does not share."""
    with _changed:
        return _others(thing, threading.get_ident(), shared=True)


def _others(thing: Any, thread: int, shared: bool) -> bool:
    users = _users.get(id(thing), ())
    return any(user != thread and not (shared and shares) for user, shares in users)


def _forget_other_threads() -> None:
    """In a forked process the thread that forked is alone."""
    global _changed
    _changed = threading.Condition()
    for key, users in list(_users.items()):
        _users[key] = [user for user in users if user[0] == threading.get_ident()]


if hasattr(os, "register_at_fork"):  # not on Windows, which has no fork
    os.register_at_fork(after_in_child=_forget_other_threads)
