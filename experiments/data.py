"""Data sets before training: fetched, checked and looked at.

  python -m experiments.data fetch camvid --data-root CamVid
  python -m experiments.data check camvid --data-root CamVid
  python -m experiments.data show camvid --data-root CamVid

`check` reads every image and label once, and again only those that have changed
since; with --deep all of them, and decoded copies, to find bits that changed while
no time did. It exits with 0 for data to train on and 1 for data that are refused.
"""

import argparse
import importlib
import sys
from collections.abc import Callable
from pathlib import Path
from textwrap import indent

from datamodules import dataset_info, open_data
from datamodules.datasets.folder import draft_labels
from datamodules.download import fetch
from datamodules.image_files import check_root
from experiments.comparison.data_parts import check_here, full_report, report_of
from experiments.comparison.data_request import DataRequest
from experiments.comparison.decoded_copies import copies_are_whole, write_copies, write_part
from experiments.engines.request import Detached, add_arguments
from experiments.engines.request import request_of as engine_of
from experiments.reporting.check_tables import print_check_report, print_verdict
from experiments.reporting.contact_sheet import write_sheet
from experiments.reporting.progress_bar import shown_progress
from experiments.trials import command_line as ask


def main(argv: list[str] | None = None) -> int:
    """0 if done and sound, 1 for data that are refused, 2 for a wrong request, 130 if stopped."""
    args = parser().parse_args(argv)
    try:
        status: int = args.run(args)
        return status
    except Detached as detached:
        ask.say(str(detached))
        return 0
    except (ValueError, OSError) as error:
        ask.complain(error)
        return 2
    except MemoryError:
        ask.complain("this takes more memory than there is: free some, or ask for less")
        return 2
    except KeyboardInterrupt:
        print(f"\nstopped; {args.stopped}", file=sys.stderr)
        return 130


def parser() -> argparse.ArgumentParser:
    parser = ask.Parser(
        prog="python -m experiments.data",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def command(
        name: str,
        run: Callable[[argparse.Namespace], int],
        what: str,
        stopped: str,
        by_engine: bool = False,
    ) -> Callable[..., argparse.Action]:
        subparser = commands.add_parser(name, help=what, description=what)
        subparser.set_defaults(run=run, stopped=stopped)
        subparser.add_argument("name", type=ask.words, help="data set with its options, as camvid")
        subparser.add_argument("--data-root", type=ask.path, help="folder that holds the data set")
        if by_engine:
            add_arguments(subparser)
        return subparser.add_argument

    processes = ask.whole(1, ask.MOST_PROCESSES)
    what = "read all of it and say what is wrong"
    add = command("check", _check, what, "what was read is kept", by_engine=True)
    add(
        "--split",
        action="append",
        type=ask.words,
        help="only this one (repeatable; default: all that are there)",
    )
    add("--jobs", type=processes, help="processes that read (default: one a core)")
    add("--again", action="store_true", help="read also what has not changed")
    add("--deep", action="store_true", help="compare it with what is kept, and decoded copies too")
    _add_parts(add)
    add(
        "--checks",
        type=ask.folder,
        metavar="FOLDER",
        help="where parts are left; without --part: judge what all have left there",
    )
    add = command("show", _show, "draw images with their labels", "nothing was written")
    add("--split", type=ask.words, default="train", help="(default: train)")
    add("--num", type=ask.whole(1), default=12, help="how many images (default: 12)")
    add(
        "--output",
        type=ask.path,
        default=Path("sheet"),
        help="less .png and .html (default: sheet)",
    )
    stopped = "the same command goes on from here"
    add = command("cache", _cache, "write a decoded copy", stopped, by_engine=True)
    add(
        "--split",
        action="append",
        type=ask.words,
        help="only this one (repeatable; default: all that are there)",
    )
    add("--jobs", type=processes, help="processes that decode (default: one a core)")
    add("--rebuild", action="store_true", help="write anew what is stale or damaged")
    _add_parts(add)
    add("--lay-out", action="store_true", help="only make room, for parts by a scheduler of yours")
    what = "of a --part: where decoded copies lie"
    add("--copies", type=ask.folder, metavar="FOLDER", help=what)
    add = command("export", _export, "write predictions for its server", "nothing was written")
    add(
        "--predictions",
        type=ask.path,
        required=True,
        help="PNGs of class indices, as runs have them",
    )
    add("--split", type=ask.words, default="test", help="(default: test)")
    add("--output", type=ask.path, required=True, help="a new folder")
    add = command("labels", _labels, "draft labels.csv of your own folder", "nothing was written")
    add = command("fetch", _fetch, "download and check it", "the same command goes on from here")
    add("--mirror", type=_url, metavar="URL", help="download from a copy there")
    return parser


def _add_parts(add: Callable[..., argparse.Action]) -> None:
    add(
        "--parts",
        type=ask.whole(1),
        metavar="N",
        help="how many parts the images are split into for an engine (default: one for a thousand "
        "images, and 256 at most)",
    )
    add(
        "--part",
        type=ask.part,
        metavar="K/N",
        help="do one part alone, as 2/16, for a scheduler of your own",
    )


def _url(text: str) -> str:
    if not text.startswith(("http://", "https://")):
        raise argparse.ArgumentTypeError(f"is {text!r}: it has to begin with http:// or https://")
    return text


def _check(args: argparse.Namespace) -> int:
    request = _request(args)
    if request.part:
        ask.say(f"wrote {check_here(request)}")
        return 0
    with shown_progress("images") as progress:
        report = full_report(request, progress)
    print_check_report(report)
    copies = copies_are_whole(request, report) if request.deep and request.root else True
    return int(report.refused or not copies)


def _request(args: argparse.Namespace) -> DataRequest:
    """What `check` or `cache` is asked for.

    Raises:
        ValueError: what contradicts itself.
    """
    given = vars(args)
    request = DataRequest(
        spec=args.name,
        root=args.data_root,
        splits=args.split and tuple(args.split),
        jobs=args.jobs,
        engine=engine_of(args),
        parts=args.parts,
        part=args.part,
        **{name: given[name] for name in _OF_ONE if name in given},
    )
    request.check()
    return request


_OF_ONE = ("again", "deep", "checks", "rebuild", "copies", "lay_out")  # options of one of the two


def _show(args: argparse.Namespace) -> int:
    data = open_data(args.name, args.split, args.data_root)
    for path in write_sheet(data, f"{args.name}, {args.split}", args.num, args.output):
        ask.say(f"wrote {path}")
    return 0


def _cache(args: argparse.Namespace) -> int:
    request = _request(args)
    if request.part:
        ask.say(f"wrote part {args.part[0]} of {args.part[1]} of {write_part(request)}")
        return 0
    with shown_progress("images") as progress:
        report = report_of(request, progress)
    if report.refused:
        print_verdict(report)
        return 1
    return write_copies(request, report)


def _export(args: argparse.Namespace) -> int:
    ids = open_data(args.name, args.split, args.data_root).ids
    module = importlib.import_module(f"datamodules.datasets.{args.name.split(':')[0]}")
    write = getattr(module, "export", None)
    if write is None:
        raise ValueError(f"{args.name} has no evaluation server that takes files: name cityscapes")
    ask.say(f"wrote {write(args.predictions, ids, args.output)} predictions to {args.output}")
    return 0


def _labels(args: argparse.Namespace) -> int:
    dataset_info(args.name)  # which refuses a name that is none
    if args.name != "folder":
        raise ValueError(f"{args.name} has its own table of labels: name folder")
    path = draft_labels(check_root("folder", args.data_root, "name it with --data-root"))
    ask.say(f"wrote {path}: give the classes their names there")
    return 0


def _fetch(args: argparse.Namespace) -> int:
    info, root = dataset_info(args.name), args.data_root
    if info is None:
        ask.say(f"{args.name} is made, not read: there is nothing to fetch")
        return 0
    downloads = info.downloads()
    if not downloads:
        ask.say(f"{info.title} ({info.licence}) is not to be had without you: {info.steps}")
        ask.say(f"\nThe folder has to hold:\n{indent(info.tree.rstrip(), '  ')}")
        return 0
    root = check_root(args.name, root, "name the folder to put it into with --data-root")
    ask.say(f"{info.title}, licence: {info.licence}")
    with shown_progress("bytes") as progress:
        fetch(downloads, root, mirror=args.mirror, progress=progress)
    with shown_progress("images") as progress:
        report = report_of(DataRequest(spec=args.name, root=root), progress)
    print_verdict(report)
    return int(report.refused)


if __name__ == "__main__":
    sys.exit(main())
