"""Command lines that people and programs might give, right and wrong, from a seed."""

import random
from collections.abc import Sequence

SPEC = "streets:height=48:width=64:train=24:val=4:test=6"
FLAG = ""  # an option without a value

# Of each kind what is meant, and what is not.
COUNT = (
    ("1", "2", "3"),
    *(("0", "-1", "", " ", "1.5", "nan", "inf", "1e3", "0x10", "1_000", "१", "9" * 30, "2;3"),),
)
SEED = (("0", "7", str(2**64 - 1)), ("-1", str(2**64), "a", "", "0.5", "9" * 5000, "--1"))
SEEDS = (("0", "0,1"), ("0,0", "a,b", "0-3", "0..2", ",", "", "-1", f"0,{2**64}", "1,,2", "0;1"))
MARGIN = (("1", "0.5"), ("nan", "inf", "-1", "0", "100", "", "1%", "1e-999", "1,5"))
SIZE = (
    ("64x64", "48x64"),
    ("0x0", "64", "x", "", "64x", "-64x64", "32x32", "99999999x33", "64X64", "64x64x3", "1e3x64"),
)
NAMES = (
    ("unet:width=4", "unet:width=5", "unet:width=4,unet:width=5"),
    *(
        (
            *("", ",", "unt", "unet:", "unet:width", "unet:width=", "unet:width=0", "unet,unet"),
            *("unet:width=-3", "unet:width=9999999999", "smp/fpn", "smp/a/b", "../unet", "unet\0"),
            *("[/b]", "[red]unet", ":car:", "\x1b[31munet", "유넷", "u\u202enet", "unet:width=nan"),
            *("a" * 5000, "unet:width=4:width=5", "all", "hrnet:width=4"),
        ),
    ),
)
TEXT = (
    ("test", "val"),
    ("", " ", "[/b]", "../..", "a\0b", "\x1b]8;;x\x07", "길", "x" * 3000, "train~held", "\udcff"),
)
NAME = (
    ("theirs", "my net"),
    *(("", ".", "..", "../..", "/etc", "a\0b", "a\nb", "\x1b[2J", "x" * 300, "길" * 100, "=1+1"),),
)
DATA = (
    (SPEC,),
    *(
        (
            *("", "camvid", "folder", "cityscapes", "kamvid", "streets:height=0", "streets:x=1"),
            *("streets:height=a", "streets:", "streets:train=-1", "[/b]", "a\0b", "folder:x", "길"),
            *("streets:height=48:height=64", "coco", "voc2012", "ade20k", "\x1b[31m"),
        ),
    ),
)
RECIPE = (
    ("smoke",),
    ("", "dmo", "mine.py", "mine.py:f", ".py:", "a\0.py:f", "theirs.py:x", "[/b]", "smoke:x", "길"),
)
SETTING = (
    ("steps=3", "lr=0.02", "batch=2", "scale=0.5,1"),
    *(
        (
            *("", "=", "lr", "lr=", "lr=-1", "lr=x", "steps=0", "steps=1e3", "crop=1x1", "crop=48"),
            *("name=..", "seed=1", "class_weights=1,2", "precision=64", "batch=-4", "init=magic"),
            *("test_split=train", "flip=maybe", "micro_batch=99", "\x1b=1", "train_split=[/b]"),
            *("lr=" + "9" * 400, "data=x", "val_split=none", "scale=2,1", "photometric=[/b]"),
        ),
    ),
)
MATCH = (
    ("gmacs=0.1", "params=0.1"),
    ("", "gmacs", "gmacs=", "gmacs=0", "gmacs=nan", "gmacs=inf", "gmacs=-1", "speed=1", "=1"),
)
PROTOCOL = (
    ("single", "flip", "scales=0.5,1"),
    *(
        (
            *("", "flipp", "scales=", "scales=0", "scales=nan", "scales=inf", "window=1x1"),
            *("window=64", "stride=1x1", "gaussian", "scales=1,1", "flip=yes", "[/b]", "길"),
            *("scales=0.0001", "window=64x64:stride=0x0", "scales=1e9"),
        ),
    ),
)
THERE = (
    ("runs/smoke",),
    *(
        (
            *("", "nowhere", "weights.pt", ".", "theirs", "a\0b", "x" * 300, "x/" * 3000, "~"),
            *("\x1b[31m", "길", "[/b]", "runs/smoke/unet-width=4/seed0/result.json", "\udcff"),
        ),
    ),
)
FOLDER = (
    ("new", "new/deep"),
    (
        "",
        "weights.pt",
        "weights.pt/in",
        "a\0b",
        "x" * 300,
        "\x1b[31m",
        "길",
        "[/b] :car:",
        "/proc/no",
    ),
)
FILE = (
    ("new.out", "deep/new.out"),
    (
        "",
        "theirs",
        "weights.pt/in",
        "a\0b",
        "x" * 300,
        "\x1b.out",
        "길.csv",
        "[/b].out",
        "/proc/no",
    ),
)
PICTURE = (("new.png", "new.svg"), (*FILE[1], "new", "new.exe", "new.PNG."))
WEIGHTS = (("weights.pt",), (*THERE[1], "runs/smoke/unet-width=4/seed0", "theirs/nothing.png"))
CHOICES = {
    "--wandb": (("off",), ("on", "", "OFF")),
    "--rerun": (("failed", "stale", "all"), ("none", "")),
    "--mode": (("offline",), ("online", "off", "")),
    "--target": (("checkpoints", "seeds"), ("models", "")),
    "--ids": (("train",), ("label", "rgb", "")),
    "--precision": (("32-true",), ("16", "", "bf16")),
}
PARTS = (("1", "tests,trials", "3,2"), ("", "0", "4", "test", "1;2", ",", "[/b]", "길", "\x1b[31m"))
Kind = tuple[tuple[str, ...], tuple[str, ...]]
COUNTS = ("--devices", "--num-nodes", "--jobs", "--per-device", "--repeats", "--verify")

OPTIONS: dict[str, dict[str, Kind | str]] = {
    "compare": {
        "--models": NAMES, "--recipe": RECIPE, "--set": SETTING, "--data": DATA, "--at": SIZE,
        "--data-root": THERE, "--match": MATCH, "--seeds": SEEDS, "--tune": COUNT, "--out": FOLDER,
        "--wandb": CHOICES["--wandb"], "--rerun": CHOICES["--rerun"], "--allow-mixed": FLAG,
        "--dry-run": FLAG, "--list": FLAG, **dict.fromkeys(COUNTS, COUNT),
    },
    "run": {
        "--model": NAMES, "--recipe": RECIPE, "--set": SETTING, "--name": NAME, "--data": DATA,
        "--data-root": THERE, "--seed": SEED, "--repeat": COUNT, "--workers": COUNT,
        "--out": FOLDER, "--wandb": CHOICES["--wandb"], "--group": TEXT,
    },
    "evaluate": {
        "": WEIGHTS, "--model": NAMES, "--protocol": PROTOCOL, "--data": DATA, "--split": TEXT,
        "--data-root": THERE, "--precision": CHOICES["--precision"], "--out": FOLDER,
        "--add": THERE,
    },
    "score": {
        "": (("theirs",), THERE[1]), "--data": DATA, "--split": TEXT, "--data-root": THERE,
        "--ids": CHOICES["--ids"], "--name": NAME, "--add": THERE, "--output": FOLDER,
        "--again": THERE, "--audit": FLAG, "--allow-mixed": FLAG, "--jobs": COUNT,
    },
    "evidence": {
        "": THERE, "--block": COUNT, "--margin": MARGIN, "--target": CHOICES["--target"],
        "--json": FILE,
    },
    "report": {
        "": THERE, "--data-root": THERE, "--output": FILE, "--latex": FILE, "--figures": FOLDER,
        "--csv": FILE, "--figure": PICTURE, "--publish": FOLDER, "--readme": FILE,
        "--allow-mixed": FLAG,
    },
    "cost": {
        "--models": NAMES, "--size": SIZE, "--classes": COUNT, "--out": FOLDER, "--measure": FLAG,
        "--batch": COUNT, "--precision": CHOICES["--precision"], "--threads": COUNT,
        "--match": MATCH, "--again": THERE,
    },
    "ladder": {
        "--models": NAMES, "--size": SIZE, "--output": FILE, "--data": DATA, "--split": TEXT,
        "--data-root": THERE, "--ceiling": FILE, "--workers": COUNT,
    },
    "data": {
        "": DATA, "--data-root": THERE, "--split": TEXT, "--jobs": COUNT, "--again": FLAG,
    },
    "reading": {"--images": COUNT, "--crops": COUNT, "--rounds": COUNT, "--output": FILE},
    "verify": {"": THERE, "--data-root": THERE, "--steps": COUNT},
    "wandb_mirror": {
        "": THERE, "--data-root": THERE, "--mode": CHOICES["--mode"], "--out": FOLDER,
    },
    "gpu": {
        "--parts": PARTS, "--minutes": COUNT, "--models": NAMES, "--recipe": RECIPE,
        "--data-root": THERE, "--seeds": SEEDS, "--per-device": COUNT, "--out": FOLDER,
        "--render": FLAG,
    },
}  # fmt: skip
BASE = {  # without which the line would ask for hours or for nothing
    "compare": {"--models": "unet:width=4", "--recipe": "smoke", "--wandb": "off"},
    "run": {"--model": "unet:width=4", "--recipe": "smoke", "--wandb": "off"},
    "evaluate": {"": "weights.pt", "--model": "unet:width=4", "--data": SPEC},
    "score": {"": "theirs", "--data": SPEC, "--jobs": "1"},
    "evidence": {"": "runs/smoke"},
    "report": {"": "runs/smoke"},
    "cost": {"--models": "unet:width=4", "--size": "64x64"},
    "ladder": {"--models": "unet:width=4", "--size": "64x64"},
    "data": {"": SPEC},
    "verify": {"": "runs/smoke"},
    "wandb_mirror": {"": "runs/smoke"},
}
STRAY = ("--help", "--nonsense", "-x", "extra", "--", "\x1b[31m", "--set=", "[/b]")


def command_lines(number: int, seed: int = 0) -> list[tuple[str, list[str]]]:
    """Commands in turn, each with some options, of whose values every second is not meant."""
    rng = random.Random(seed)
    names = list(OPTIONS)
    return [(names[i % len(names)], _line(names[i % len(names)], rng)) for i in range(number)]


def _line(command: str, rng: random.Random) -> list[str]:
    options = OPTIONS[command]
    chosen = dict(BASE.get(command, {}))
    for name in rng.sample(list(options), min(len(options), rng.choice((0, 1, 1, 2, 2, 3)))):
        kind = options[name]
        chosen[name] = FLAG if isinstance(kind, str) else _value(kind, rng)
    parts = [["check"]] if command == "data" else []
    for name, value in chosen.items():
        if name == "":
            parts.append([value])
        else:
            parts.append([name] if options[name] == FLAG else [name, value])
    if rng.random() < 0.04:
        parts.append([rng.choice(STRAY)])
    return [text for part in parts for text in part]


def _value(kind: Sequence[Sequence[str]], rng: random.Random) -> str:
    meant, other = kind
    return rng.choice(meant if rng.random() < 0.4 else other)
