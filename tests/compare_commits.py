"""Shows whether a change that is not meant to change a number has changed none.

  python -m tests.compare_commits 5bd1a07 . --only losses,tables

Runs the same commands in a checkout of each commit and compares what they print and write. It
relies on the commands as typed and on their files alone, as modules differ between commits. What a
commit gave is kept in --out and not made again; `.` is the working tree, and always made again.
"""

import argparse
import csv
import html
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from difflib import SequenceMatcher
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from PIL import Image

from tests.commands import ROOT, SETTINGS

SHOWN = 20  # differences of a part

# A small network of every file of models/, and those whose options lead through other lines.
MODELS = (
    "hrnetv2_w18_small_v1,hrnetv2_w18:width=4,hrnetv1_w18:width=4,unet:width=4,resunet:width=4,"
    "resunet:width=4:stride=1,deeplabv3p:trunk=mobilenetv2_100,deeplabv3p:trunk=resnet18:width=8,"
    "deeplabv3p_os8:trunk=mobilenetv2_100,deeplabv3p_x65:width=4,deeplabv3:trunk=resnet18:width=8,"
    "dilated_resnet:trunk=resnet18:width=8,pspnet:trunk=resnet18d:width=8,segnet:width=4,"
    "unetpp:trunk=resnet18:width=8,deconvnet:width=4,dilatednet:width=4,deeplabv1:width=4,"
    "smp/fpn/resnet18"
)
FEW = "hrnetv2_w18_small_v1,unet:width=4,smp/fpn/resnet18"  # as many as fit 80 columns unfolded
SMOKE = "compare --recipe smoke --set steps=20 --wandb off --out OUT/losses --models"
TRIAL = "OUT/losses/smoke+steps=20/unet-width=4/seed0"
KEPT = "experiments/results/camvid-quick"
# OUT is the folder of a commit's outputs, DATA that of CamVid.
COMMANDS = {
    "losses": [f"{SMOKE} {MODELS}"],
    "tables": [f"{SMOKE} {FEW}"],  # of trials that are done: the tables alone are printed
    "evaluate": [
        f"evaluate {TRIAL} --protocol single --out OUT/evaluate/single",
        f"evaluate {TRIAL} --protocol scales=0.75,1:flip --out OUT/evaluate/many",
    ],
    "cost": ["cost --models all --out OUT/cost"],
    "evidence": [f"evidence {KEPT} --json OUT/evidence/evidence.json"],
    "report": [
        f"report {KEPT} --output OUT/report/report.html --latex OUT/report/table.tex "
        "--csv OUT/report/table.csv --figures OUT/report/figures --figure OUT/report/figure.png"
    ],
    "camvid": [
        "compare --recipe camvid-quick --set steps=6 --set precision=32-true --wandb off --set "
        "photometric=colour-jitter --out OUT/camvid --models unet:width=4 --data-root DATA",
        f"report {KEPT} --data-root DATA --output OUT/camvid/photos.html",
    ],
}
OF_TRIALS = "**/metrics.jsonl **/result.json **/per_image.npz **/*.png */position-prior.json"
FILES = {  # compared, each as its suffix says
    "losses": OF_TRIALS,
    "tables": "printed-0.txt",
    "evaluate": "**/*.png **/result.json printed-*.txt",
    "cost": "cost.json cost.csv printed-0.txt",
    "evidence": "evidence.json printed-0.txt",
    "report": "*.html *.tex *.csv *.png figures/*.svg figures/*.pdf printed-0.txt",
    "camvid": f"{OF_TRIALS} photos.html",
}
# Left out, as it differs between commits or between two runs of one: the hash of the code; what is
# measured, and the hash of a checkpoint, which holds seconds; the star that the main table gives to
# rows of other code, and its explanation; in report.html, one element a line, the tag of such rows,
# its explanation and the hash itself.
PLACES = re.compile(
    r"result\.json/(cost/(latency_ms|peak_memory)|timing/train_seconds|hashes/code|"
    r"checkpoint/sha256)|\.csv row \d+, (hash_code|path)$"
)
PRIOR = ("miou", "pixel_accuracy", "num_classes_counted", "iou", "groups")  # of an older prior
PRINTED = re.compile(
    r"\d+\.\d\s+GB\s+of\s+it\s+libraries|\n\* made by other code than is here now; .*"
)
PAGE = re.compile(
    r"^other code$|Other code: results made by other code than is here now\. ?|"
    r"(?<=^code\n)[0-9a-f]{12}(; [0-9a-f]{12})*$",
    re.MULTILINE,
)


def make(part: str, commit: str, out: Path, data: Path | None) -> list[str]:
    """Run the part's commands, unless this commit's outputs are there; why some failed."""
    folder, begun = out / part, time.monotonic()
    commands = [line.replace("DATA", str(data)) for line in COMMANDS[part]]
    stamp, now = folder / "stamp", "\n".join([commit, *commands])
    if commit != "." and stamp.is_file() and stamp.read_text() == now:
        return []
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    with checkout(commit) as tree:
        ends = [
            _run(line, tree, out, folder / f"printed-{i}.txt") for i, line in enumerate(commands)
        ]
    failed = [f"{out.name}: {end}" for end in ends if end]
    if not failed:
        stamp.write_text(now)
    print(f"{out.name} {part}: {time.monotonic() - begun:.0f} s", file=sys.stderr, flush=True)
    return failed


@contextmanager
def checkout(commit: str) -> Iterator[Path]:
    if commit == ".":
        yield ROOT
        return
    with TemporaryDirectory(prefix="compare-commits-") as folder:
        tree = Path(folder) / "tree"
        try:
            _git("worktree", "add", "--quiet", "--detach", str(tree), commit).check_returncode()
            yield tree
        finally:
            _git("worktree", "remove", "--force", str(tree))


def _git(*args: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(["git", *args], cwd=ROOT, capture_output=True, text=True)


def _run(command: str, tree: Path, out: Path, output: Path) -> str | None:
    """Why it failed. What it prints goes to `output`, with names in place of folders."""
    name, *words = command.split()
    cache = {"SEGMENTATION_LAB_CACHE": str(output.with_name("cache"))}
    errors = output.with_name(output.name.replace("printed", "errors"))
    with output.open("w") as printed, errors.open("w") as complaints:
        process = subprocess.Popen(
            [sys.executable, "-m", f"experiments.{name}"]
            + [word.replace("OUT", str(out)) for word in words],
            cwd=tree,
            env={**os.environ, **SETTINGS, "WANDB_MODE": "disabled", **cache},
            stdin=subprocess.DEVNULL,
            stdout=printed,
            stderr=complaints,
            start_new_session=True,  # so that a Ctrl-C ends it once, below
        )
        try:
            status = process.wait()
        finally:
            process.terminate()  # `compare` ends its trials then
            process.wait()
    text = output.read_text().replace(str(out), "OUT").replace(str(tree), "TREE")
    output.write_text(text)
    said = (errors.read_text().strip() or text.strip() or "nothing was printed").splitlines()
    return f"{command}: exit status {status}, {said[-1]}" if status else None


def values(folder: Path, pattern: str) -> dict[str, Any]:
    """What is compared of the files by place: arrays, lines, texts, numbers."""
    found = {
        f"{path.relative_to(folder)}{place}": value
        for path in sorted(folder.glob(pattern))
        for place, value in _content(path).items()
    }
    return {place: value for place, value in found.items() if not PLACES.search(place)}


def _content(path: Path) -> dict[str, Any]:
    if path.suffix == ".png":
        return {"": np.asarray(Image.open(path))}
    if path.suffix == ".npz":
        return {f" {name}": array for name, array in np.load(path).items()}
    text = path.read_text(errors="backslashreplace")  # PDF is no text
    if path.name in ("result.json", "position-prior.json"):
        return _leaves(_numbers(json.loads(text)))
    if path.suffix == ".json":
        return _leaves(json.loads(text))
    if path.suffix == ".jsonl":
        return _leaves(_curves([json.loads(line) for line in text.splitlines()]))
    if path.suffix == ".csv":
        rows = enumerate(csv.DictReader(text.splitlines()), 1)
        return {f" row {i}, {column}": cell for i, row in rows for column, cell in row.items()}
    return {"": {".html": _page, ".txt": _printed}.get(path.suffix, str.splitlines)(text)}


def _numbers(record: dict[str, Any]) -> dict[str, Any]:
    """What schemas of a result say alike: its numbers, and the hashes that its settings have."""
    metrics = record.get("metrics", {k: v for k, v in record.items() if k in PRIOR})
    variants = metrics.get("miou_variants", metrics.get("audit")) or None
    told = {k: v for k, v in metrics.items() if k not in ("miou_variants", "audit") and v}
    curve = {k: v for k, v in record.get("curve", {}).items() if k in ("train", "val") and v}
    parts = ("hashes", "confusion", "cost", "timing")
    kept: dict[str, Any] = {part: record[part] for part in parts if part in record}
    return {**kept, "metrics": told, "miou by other definitions": variants, "curve": curve or None}


def _curves(lines: list[dict[str, Any]]) -> dict[str, Any]:
    """Every point by its step, however many lines it takes; without what newer versions keep."""
    points: dict[str, dict[str, Any]] = {}
    for line in lines:
        told = {k: v for k, v in line.items() if k not in ("step", "train/first_loss")}
        if told:
            points.setdefault(str(line["step"]), {}).update(told)
    return points


def _leaves(value: Any, place: str = "") -> dict[str, Any]:
    if not isinstance(value, dict | list) or not value:
        return {place: value}
    items = value.items() if isinstance(value, dict) else enumerate(value)
    return {k: v for key, part in items for k, v in _leaves(part, f"{place}/{key}").items()}


def _page(page: str) -> list[str]:
    """The visible text, the numbers behind the charts (a script with attributes), and what shows
    under the pointer, sorts a table or is a picture."""
    page = re.sub(r"(?s)<(style|script)>.*?</\1>", "", page)
    text = re.sub(r"\s*\n\s*", "\n", re.sub(r"<[^>]*>", "\n", page))
    visible = [line for line in PAGE.sub("", text).splitlines() if line.strip()]
    behind = re.findall(r' (?:title|src|data-\w+)="([^"]*)"', page)
    return [html.unescape(line) for line in visible + behind]


def _printed(text: str) -> list[str]:
    """Lines, those of the main table without its three measured columns and its stars."""
    lines, columns = [], None
    for line in PRINTED.sub("", text).splitlines():
        if "lat ms  train s  mem GB" in line:
            columns = line.index("lat ms"), line.index("mem GB") + len("mem GB")
        elif not line.strip():
            columns = None  # the table ends
        if columns:
            kept = line[: columns[0]] + line[columns[1] :]
            line = " ".join(kept.rstrip("* ").split())
        lines.append(line)
    return lines


def differences(part: str, before: Path, after: Path) -> tuple[list[str], int]:
    """Each difference with its place, and how many numbers were compared."""
    found, compared = [], 0
    for pattern in FILES[part].split():
        ours, theirs = values(before / part, pattern), values(after / part, pattern)
        if not ours:
            found.append(f"{pattern}: no such file before")
        for place in dict.fromkeys([*ours, *theirs]):
            if place not in theirs or place not in ours:
                found.append(f"{place}: only {'before' if place in ours else 'after'}")
            else:
                found += [f"{place}{one}" for one in _differences(ours[place], theirs[place])]
            compared += _count(ours.get(place))
    return found, compared


def _differences(before: Any, after: Any) -> list[str]:
    """None where they are equal to the bit and of one type: 1 is not 1.0."""
    if isinstance(before, np.ndarray) and isinstance(after, np.ndarray):
        if (before.shape, before.dtype) != (after.shape, after.dtype):
            return [f": {before.shape} {before.dtype} before, {after.shape} {after.dtype} after"]
        places = [tuple(place) for place in np.argwhere(before != after).tolist()]
        return [
            f": {len(places)} differ, at {at} {before[at]} before, {after[at]} after"
            for at in places[:1]
        ]
    if isinstance(before, list) and isinstance(after, list):  # lines: a new one moves the others
        codes = SequenceMatcher(None, before, after, autojunk=False).get_opcodes()
        return [
            f" line {a + 1}{one}"
            for _, a, b, c, d in codes
            for one in _differences(" | ".join(before[a:b]), " | ".join(after[c:d]))
        ]
    ours, theirs = repr(before), repr(after)
    alike = len(os.path.commonprefix([ours, theirs]))  # noqa: RUF071 - texts, no paths
    shown = " before, ".join(text[max(0, alike - 30) : alike + 40] for text in (ours, theirs))
    return [f": {shown} after"] if ours != theirs else []


def _count(value: Any) -> int:
    if isinstance(value, np.ndarray):
        return value.size
    if isinstance(value, list):
        return sum(map(_count, value))
    if isinstance(value, str):
        return len(re.findall(r"(?<![\w.])\d", value))
    return int(value is not None)


def main(argv: list[str] | None = None) -> int:
    """0 when all is equal, 1 when not, 2 for a wrong request, 130 if stopped."""
    args = _parser().parse_args(argv)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        parts, commits = _parts(args), _commits(args)
    except ValueError as error:
        print(error, file=sys.stderr)
        return 2
    folders = {args.out.resolve() / half: commit for half, commit in commits.items()}
    data = args.data_root and args.data_root.resolve()
    try:
        return max([compare(part, folders, data) for part in parts])
    except KeyboardInterrupt:
        print("\nstopped; the parts that were finished are kept", file=sys.stderr)
        return 130


def compare(part: str, commits: Mapping[Path, str], data: Path | None) -> int:
    """Print whether the part is equal in both folders: 0 if it is, else 1."""
    failed = [reason for out in commits for reason in make(part, commits[out], out, data)]
    found, compared = differences(part, *commits)
    found = [*failed, *found]
    print(f"{part}: {f'{len(found)} differences' if found else 'equal'} ({compared} numbers)")
    print("".join(f"  {line}\n" for line in found[:SHOWN]), end="", flush=True)
    return int(bool(found))


def _parts(args: argparse.Namespace) -> list[str]:
    """Those asked for with the one that they use, in the order in which they can be made."""
    asked = set(args.only.split(",") if args.only else COMMANDS)
    if unknown := sorted(asked - COMMANDS.keys()):
        raise ValueError(f"--only names {unknown[0]!r}: choose from {','.join(COMMANDS)}")
    if args.data_root and not (args.data_root / "train.txt").is_file():
        raise ValueError(f"no train.txt in {args.data_root}: --data-root is CamVid's folder")
    if args.only and "camvid" in asked and not args.data_root:
        raise ValueError("camvid needs the folder of CamVid: give it with --data-root")
    if asked & {"tables", "evaluate"}:
        asked.add("losses")
    return [part for part in COMMANDS if part in asked and (part != "camvid" or args.data_root)]


def _commits(args: argparse.Namespace) -> dict[str, str]:
    """The hashes, by the name of the half's folder."""
    found = {"before": args.before, "after": args.after}
    for half, name in found.items():
        if half == "before" or name != ".":
            found[half] = _git("rev-parse", "--verify", f"{name}^{{commit}}").stdout.strip()
        if not found[half]:
            raise ValueError(f"no commit {name!r} here: give a hash or a branch")
    return found


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m tests.compare_commits",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("before", metavar="BEFORE", help="a commit")
    add("after", metavar="AFTER", help="a commit, or . for the working tree as it is")
    add("--only", metavar="PARTS", help=f"commas between (default: all of {','.join(COMMANDS)})")
    add("--out", type=Path, default=Path("runs/compare-commits"), metavar="DIR")
    add("--data-root", type=Path, metavar="DIR", help="of CamVid; without it camvid is left out")
    return parser


if __name__ == "__main__":
    sys.exit(main())
