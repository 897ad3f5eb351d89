"""Where jobs are to run, as a command line says it."""

import argparse
from dataclasses import dataclass
from typing import Literal

EngineName = Literal["local", "slurm", "ray"]
ENGINES: tuple[EngineName, ...] = ("local", "slurm", "ray")


class Detached(Exception):  # noqa: N818  # it is no error
    """Jobs are submitted and nobody waits for them; the message says what to do later."""


@dataclass(frozen=True, kw_only=True)
class EngineRequest:
    """An engine and what it is told.

    Attributes:
        settings: (name, value) of what `--engine-set` says, each name once.
        detach: submit and return; the same command later collects.
    """

    name: EngineName = "local"
    settings: tuple[tuple[str, str], ...] = ()
    detach: bool = False

    @property
    def local(self) -> bool:
        return self.name == "local"


@dataclass(frozen=True, kw_only=True)
class JobSize:
    """What each job takes.

    Attributes:
        devices: processes of a machine that work together, each on a GPU where there are any.
        num_nodes: machines.
    """

    devices: int = 1
    num_nodes: int = 1


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """`--engine`, `--engine-set` and `--detach`."""
    add = parser.add_argument
    add("--engine", choices=ENGINES, default="local", help="what runs the work: processes here, "
        "jobs of SLURM, or tasks of Ray (default: local)")  # fmt: skip
    add("--engine-set", type=settings, action="append", default=[], metavar="NAME=VALUE,...",
        help="what the engine is told, as partition=gpu,time=02:00:00; may be "
        "repeated")  # fmt: skip
    add("--detach", action="store_true", help="submit and return; the same command later "
        "collects")  # fmt: skip


def settings(text: str) -> tuple[tuple[str, str], ...]:
    """`NAME=VALUE` with commas between; a comma within a value is written twice.

    Raises:
        argparse.ArgumentTypeError: a part that is none.
    """
    found = []
    for part in text.replace(",,", "\0").split(","):
        name, equals, value = part.replace("\0", ",").strip().partition("=")
        if not (equals and name.strip() and value.strip()):
            raise argparse.ArgumentTypeError(
                f"is {part.strip()!r}: give NAME=VALUE with commas between, as "
                "partition=gpu,time=02:00:00"
            )
        found.append((name.strip(), value.strip()))
    return tuple(found)


def request_of(args: argparse.Namespace) -> EngineRequest:
    """What the arguments of `add_arguments` ask for; of a name given twice the last counts.

    Raises:
        ValueError: settings, or to detach, where nothing takes them.
    """
    said = dict(pair for pairs in args.engine_set for pair in pairs)
    if args.engine == "local" and (said or args.detach):
        what = "--detach" if args.detach else "--engine-set"
        raise ValueError(f"{what} is for jobs of a cluster: name it with --engine slurm or ray")
    return EngineRequest(name=args.engine, settings=tuple(said.items()), detach=args.detach)
