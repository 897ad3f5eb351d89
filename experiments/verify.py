"""Whether the present code still gives kept results: their first steps are trained again.

  python -m experiments.verify runs/camvid-quick --data-root CamVid

Every finished trial below the folder is trained for its first steps only, and its
losses are compared with those that its result kept. What came out lies beside the
result: one that holds is no longer starred.
"""

import argparse
import sys

from experiments.trials import command_line as ask

FIRST_STEPS = 50


def parser() -> argparse.ArgumentParser:
    p = ask.Parser(
        prog="python -m experiments.verify",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    p.add_argument("results", type=ask.path, help="folder of a comparison's results, as runs/demo")
    add = p.add_argument
    add("--data-root", type=ask.path, metavar="DIR", help="folder that holds the data set")
    add("--steps", type=ask.whole(1), default=FIRST_STEPS, metavar="K", help="(default: 50)")
    return p


def main(argv: list[str] | None = None) -> int:
    """0 when every trial holds, 1 when one gives other losses, 2 for a wrong request, 130 if
    stopped."""
    args = parser().parse_args(argv)
    # `--help` does without them.
    from experiments.comparison.verifier import verify
    from experiments.trials.results import read_results

    holds, num_verified = True, 0
    try:
        for result, verification in verify(read_results(args.results), args.data_root, args.steps):
            ask.say(f"{result.label} seed {result.seed}: {verification}")
            holds &= verification.outcome != "different"
            num_verified += 1
        if not num_verified:
            raise ValueError(f"{args.results} has no finished trial: run a comparison first")
    except (ValueError, OSError) as error:
        ask.complain(error)
        return 2
    except KeyboardInterrupt:
        print("\nstopped; what was verified is kept", file=sys.stderr)
        return 130
    return int(not holds)


if __name__ == "__main__":
    sys.exit(main())
