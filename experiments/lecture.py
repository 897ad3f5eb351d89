"""The lecture's claims, measured: what each rests on, its verdict, and the page that shows it."""

import argparse
import sys
from pathlib import Path

from experiments.trials import command_line as ask

KEPT = Path(__file__).parent / "results" / "lecture"

DESCRIPTION = """\
What the lecture says of HRNet, as nine claims with a measurement and a verdict.

  python -m experiments.lecture                            what is known so far
  python -m experiments.lecture --run --data-root CamVid   train what is missing
  ... --run --ignore-kept --data-root CamVid               repeat the study: days

Networks, quantities, margins and tests were registered before the first trial
ran, in experiments/claims/registration.py.
"""


def parser() -> argparse.ArgumentParser:
    p = ask.Parser(
        prog="python -m experiments.lecture",
        description=DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = p.add_argument
    add("--claims", type=ask.names, metavar="CLAIMS", help="commas between, as C1,C3 (default: "
        "all)")  # fmt: skip
    add("--run", action="store_true", help="run what has no result yet: hours; what was stopped "
        "goes on")  # fmt: skip
    add("--ignore-kept", action="store_true", help="as if no results were kept with the code: run "
        "and judge only what lies in --out")  # fmt: skip
    add("--data-root", type=ask.path, metavar="DIR", help="folder that holds CamVid")
    add("--jobs", type=ask.whole(1, ask.MOST_PROCESSES), default=1, metavar="N",
        help="trials at a time (default: 1)")  # fmt: skip
    add("--out", type=ask.folder, default=Path("runs"), metavar="DIR", help="where trials run, and "
        "lecture.html is written (default: runs)")  # fmt: skip
    add("--publish", type=ask.folder, metavar="DIR", help="also copy the study's results there, to "
        "be kept with the code")  # fmt: skip
    add("--readme", type=ask.file, metavar="FILE", nargs="+", default=(), help="also renew the "
        "verdicts' table in these files, in .ko.md in Korean")  # fmt: skip
    return p


def main(argv: list[str] | None = None) -> int:
    """0 with the verdicts, 1 when a trial failed, 2 for a wrong request, 130 if stopped."""
    args = parser().parse_args(argv)
    # `--help` does without pydantic, scipy and rich.
    from experiments.claims.assessment import assess, chosen, keep_prior
    from experiments.claims.measurements import (
        lacks_order,
        measure_fields,
        measure_order,
        measure_steps,
    )
    from experiments.claims.published_study import publish_study
    from experiments.claims.study import read_study, registered
    from experiments.claims.study_plan import describe, remaining, requests
    from experiments.comparison.comparison_runner import run_comparison
    from experiments.lecture_report.markdown_table import check_readme, renew_readme
    from experiments.lecture_report.page import write_page
    from experiments.lecture_report.verdict_table import print_verdicts
    from experiments.reporting.console import PlainConsole
    from experiments.trials.command import process_of_trials

    console = PlainConsole()
    try:
        if args.readme and args.claims:
            raise ValueError("--readme renews the table of all claims: leave --claims out")
        for readme in args.readme:
            check_readme(readme)
        claims, failed = chosen(args.claims), False
        folders = [args.out] if args.ignore_kept else [args.out, KEPT]
        wanted, study = registered(claims), read_study(folders, claims)
        console.print(describe(wanted, study))
        if args.run:
            with process_of_trials(1):
                left = remaining(wanted, study).trials
                if wanted and not left and not args.ignore_kept:
                    console.print("nothing is left to train; --ignore-kept trains all of it anew")
                planned = list(requests(left, args.out, args.data_root, args.jobs))
                if lacks_order(claims, folders):
                    console.print("C5: two orders of the same layers")
                    measure_order(args.out)
                if wanted and study.step_times is None:
                    console.print("seconds of a training step of each network, in turn")
                    measure_steps(args.out)
                    study = read_study(folders, claims)
                for request in (None, *planned):
                    if request is not None:
                        ended = run_comparison(request, console)
                        failed |= bool(ended.notes)
                        keep_prior(ended, args.data_root, console)
                        study = read_study(folders, claims)
                    for line in measure_fields(study, args.data_root, args.jobs):
                        console.print(line, soft_wrap=True)
        verdicts, page = assess(claims, study, folders), args.out / "lecture.html"
        print_verdicts(study, verdicts, console)
        write_page(page, study, verdicts)
        console.print(f"wrote {page}", soft_wrap=True)
        for readme in args.readme:
            renew_readme(readme, study, verdicts)
            console.print(f"renewed the table of {readme}", soft_wrap=True)
        if args.publish:
            num = publish_study(study, folders, args.publish)
            console.print(f"copied {num} trials to {args.publish}", soft_wrap=True)
        return int(failed)
    except (ValueError, OSError) as error:
        ask.complain(error)
        return 2


if __name__ == "__main__":
    sys.exit(main())
