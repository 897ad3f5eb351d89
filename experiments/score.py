"""Scores from label maps: the one place where reported accuracy is computed, without torch.

`python -m experiments.score PREDICTIONS --data camvid --split test` scores folders of anybody's
predictions; `--again RESULTS` those that finished trials have kept.
"""

import argparse
import sys
import tempfile
from pathlib import Path

from experiments.comparison.scoring_request import ScoringRequest
from experiments.engines.request import Detached, add_arguments
from experiments.engines.request import request_of as engine_of
from experiments.trials import command_line as ask
from experiments.trials.temporary_files import own_temporary_files


def _parser() -> argparse.ArgumentParser:
    parser = ask.Parser(
        prog="python -m experiments.score",
        description="Score folders of predicted label maps, from whatever made them.",
    )
    add = parser.add_argument
    add("folders", type=ask.path, nargs="*", metavar="DIR", help="PNGs (grey or palette) or .npy "
        "arrays of ids, one an image, whose names begin with the image's id")  # fmt: skip
    add("--data", type=ask.words, help="data set with its options, as camvid")
    add("--split", type=ask.words, default="test", help="(default: test)")
    add("--data-root", type=ask.path, help="folder that holds the data set")
    add("--ids", choices=("train", "label"), help="what the values are: class ids from 0, or the "
        "ids of the data set's own label files (default: told from the values)")  # fmt: skip
    add("--name", type=ask.title, action="append", help="what to call a DIR in tables; one for "
        "each, in order (default: the folder's name)")  # fmt: skip
    add("--add", type=ask.path, metavar="RESULTS", help="show them with a comparison, as "
        "runs/demo")  # fmt: skip
    add("--output", type=ask.folder, metavar="RESULTS", help="keep results there, with a "
        "report.html")  # fmt: skip
    add("--again", type=ask.path, metavar="RESULTS", help="instead score the kept predictions of "
        "these finished trials once more and renew their results")  # fmt: skip
    add("--audit", action="store_true", help="also show what mIoU would be by wrong definitions")
    add("--allow-mixed", action="store_true", help="show results of other data, recipes or "
        "protocols in tables of their own")  # fmt: skip
    add("--jobs", type=ask.whole(1, ask.MOST_PROCESSES), metavar="N",
        help="processes (default: one a core)")  # fmt: skip
    add_arguments(parser)
    add("--parts", type=ask.whole(1), metavar="N", help="how many parts the images are split into "
        "for an engine (default: one for a thousand images, and 256 at most)")  # fmt: skip
    add("--part", type=ask.part, metavar="K/N", help="count one part alone, as 2/16, and leave it "
        "in --counts, for a scheduler of your own")  # fmt: skip
    add("--counts", type=ask.folder, metavar="FOLDER", help="where parts "
        "are left; without --part: score what all have left there")  # fmt: skip
    add("--reading", choices=("train", "label", "colour"), help="of a --part: what the values of "
        "all files have turned out to be")  # fmt: skip
    return parser


def main(argv: list[str] | None = None) -> int:
    """0 with tables on the terminal, 2 for a request or predictions that cannot be scored, 130 if
    stopped."""
    args = _parser().parse_args(argv)
    # `--help` does without pydantic, rich and what else these bring.
    from experiments.comparison.data_parts import check_ahead
    from experiments.comparison.data_request import DataRequest
    from experiments.comparison.external_predictions import count_part, score_folders
    from experiments.comparison.rescoring import score_again
    from experiments.comparison.scored_presentation import show_scored
    from experiments.reporting.console import PlainConsole

    console = PlainConsole()
    try:
        request = request_of(args)
        request.check()
        with own_temporary_files(), tempfile.TemporaryDirectory() as scratch:
            if request.part:
                count_part(request, console)
                return 0
            if request.again:
                scored = score_again(request, console)
            else:
                if request.data and not request.engine.local:
                    check_ahead(
                        DataRequest(
                            spec=request.data,
                            root=request.data_root,
                            splits=(request.split,),
                            jobs=request.jobs,
                            engine=request.engine,
                            parts=request.parts,
                        )
                    )
                scored = score_folders(request, request.output or Path(scratch), console)
            show_scored(scored, request, console)
    except Detached as detached:
        ask.say(str(detached))
    except KeyboardInterrupt:
        print("\nstopped; no result is half written", file=sys.stderr)
        return 130
    except (ValueError, OSError) as error:
        ask.complain(error)
        return 2
    return 0


def request_of(args: argparse.Namespace) -> ScoringRequest:
    return ScoringRequest(
        folders=tuple(args.folders),
        data=args.data,
        split=args.split,
        data_root=args.data_root,
        ids=args.ids,
        names=tuple(args.name) if args.name else None,
        add=args.add,
        output=args.output,
        again=args.again,
        audit=args.audit,
        allow_mixed=args.allow_mixed,
        jobs=args.jobs,
        engine=engine_of(args),
        parts=args.parts,
        part=args.part,
        counts=args.counts,
        reading=args.reading,
    )


if __name__ == "__main__":
    sys.exit(main())
