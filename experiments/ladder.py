"""The lecture in one picture: at which resolution, and how wide, networks look at an image.

`python -m experiments.ladder --models hrnet,unet,deeplabv3p` draws the classification ancestors
and the named networks; `--data camvid --data-root CamVid` measures how much of a data set's labels
a grid of each stride keeps (`scoring.stride_ceiling`). Nothing is trained.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from experiments.trials import command_line as ask
from experiments.trials.network_name import check_network


def _parser() -> argparse.ArgumentParser:
    parser = ask.Parser(
        prog="python -m experiments.ladder",
        description="Draw networks' resolutions; measure what a grid keeps of labels.",
    )
    add = parser.add_argument
    add("--models", type=ask.names, default=(), metavar="MODELS", help="networks to draw with "
        "their options, as hrnet,unet:width=9")  # fmt: skip
    add("--size", type=ask.size, default="512x512", help="height x width that they see (default: "
        "512x512)")  # fmt: skip
    add("--output", type=ask.path, default=Path("ladder"), help="writes .svg and .png (default: "
        "ladder)")  # fmt: skip
    add("--data", type=ask.words, help="data set whose stride ceiling to measure, with its "
        "options, as camvid")  # fmt: skip
    add("--split", type=ask.words, default="test", help="(default: test)")
    add("--data-root", type=ask.path, help="folder that holds the data set")
    add("--ceiling", type=ask.path, help="writes .json and .png (default: ceiling-DATA-SPLIT)")
    add("--workers", type=ask.whole(1, ask.MOST_PROCESSES), metavar="N", help="processes that "
        "measure (default: one a core)")  # fmt: skip
    return parser


def main(argv: list[str] | None = None) -> int:
    """0 with the files written, 2 for a request that cannot be served."""
    args = _parser().parse_args(argv)
    try:
        if not args.models and not args.data:
            raise ValueError("nothing to show: name networks with --models or data with --data")
        for model in args.models:
            check_network(model)
        written = _serve(args.models, args.size, args)
    except (OSError, ValueError) as error:
        ask.complain(error)
        return 2
    ask.say("wrote " + ", ".join(map(str, written)))
    return 0


def _serve(models: Sequence[str], size: tuple[int, int], args: argparse.Namespace) -> list[Path]:
    # torch, SciPy and OpenCV take seconds to import, which --help and a wrong request are spared.
    from datamodules import open_data
    from experiments.costs.ladder_figure import draw
    from experiments.costs.layer_trace import trace_ancestors, trace_model
    from experiments.reporting.console import PlainConsole
    from experiments.reporting.plots import save_figure
    from experiments.reporting.readme_figures import write_ceiling
    from experiments.reporting.score_tables import ceiling_table
    from experiments.scoring.stride_ceiling import measure
    from experiments.trials.trial import slug

    written: list[Path] = []
    # What takes seconds comes first, so that what is wrong is said before minutes of work.
    if models:
        figure = draw(trace_ancestors(), {model: trace_model(model, size) for model in models})
        stem = args.output
        stem = stem.with_suffix("") if stem.suffix in (".png", ".svg") else stem
        written = [stem.with_name(f"{stem.name}.{kind}") for kind in ("svg", "png")]
        for path in written:
            save_figure(figure, path)
    if args.data:
        data = open_data(args.data, args.split, args.data_root)
        record = measure(data, args.workers).record(args.data, args.split, data)
        PlainConsole().print(ceiling_table(record))
        stem = args.ceiling or Path(f"ceiling-{slug(args.data)}-{args.split}")
        written += write_ceiling(record, stem)
    return written


if __name__ == "__main__":
    sys.exit(main())
