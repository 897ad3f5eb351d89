"""Processes that multiprocessing starts end with the one that started them, however that ends."""

import multiprocessing
import multiprocessing.connection
import os
import threading

WAS_KILLED = (
    "one of the processes that read was killed, perhaps for want of memory: give fewer --jobs"
)


def end_with_parent() -> None:
    """Have this process end as soon as the one that asked for it is gone; to be called in it first.

    By itself it would wait for ever for work, with the memory that it takes. Looked at is the pipe
    that only the starter holds open, not its process id: that stays while nobody has asked how it
    ended, and behind a fork server it is not the parent's.
    """
    starter = multiprocessing.parent_process()
    if starter is None:
        return

    def watch() -> None:
        multiprocessing.connection.wait([starter.sentinel])
        os._exit(1)

    threading.Thread(target=watch, daemon=True, name="end-with-parent").start()
