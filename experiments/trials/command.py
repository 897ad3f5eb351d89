"""What a command that starts trials is to the system."""

from collections.abc import Iterator
from contextlib import contextmanager

from experiments.trials.launch import take_place
from experiments.trials.signals import Stopped, say_stopped, stopped_by_signals
from experiments.trials.temporary_files import own_temporary_files


@contextmanager
def process_of_trials(num_nodes: int) -> Iterator[None]:
    """One process of each machine, with temporary files of its own, that ends when it is asked to.

    Raises:
        SystemExit: a signal has stopped it; its trials have ended.
        ValueError: as `take_place`.
    """
    with stopped_by_signals():
        try:
            take_place(None, num_nodes)
            with own_temporary_files():
                yield
        except Stopped as stopped:
            say_stopped("nothing is lost: the same command goes on from here")
            raise SystemExit(stopped.status) from None
