"""Compare segmentation networks: same recipe, same batches, same protocol, cost beside accuracy.

`python -m experiments.compare --models hrnet,deeplabv3p,unet`

Every network and seed is a trial in a process of its own. What has finished is kept and skipped;
what was stopped goes on from its last checkpoint when the same command is given again.
"""

import argparse
from pathlib import Path

DEFAULT_MODELS = "hrnet,deeplabv3p,unet"


def parser() -> argparse.ArgumentParser:
    p = argparse.ArgumentParser(
        prog="python -m experiments.compare",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    p.add_argument(
        "--models",
        default=DEFAULT_MODELS,
        help="names with commas between, options after colons: unet:width=9 (default: %(default)s)",
    )
    p.add_argument("--recipe", default="demo", help="name or file.py:function (default: demo)")
    p.add_argument(
        "--set",
        action="append",
        default=[],
        dest="changes",
        metavar="FIELD=VALUE",
        help="change one field of the recipe, as lr=0.02; may be repeated",
    )
    p.add_argument("--data", help="another data set, as camvid or streets:height=192:width=256")
    p.add_argument("--data-root", type=Path, metavar="DIR", help="folder that holds the data set")
    p.add_argument("--seeds", default="0", help="as 0,1,2; a trial for each (default: 0)")
    p.add_argument("--devices", type=int, default=1, help="processes a trial (default: 1)")
    p.add_argument("--num-nodes", type=int, default=1, help="machines a trial (default: 1)")
    p.add_argument("--jobs", type=int, default=1, help="trials at a time (default: 1)")
    p.add_argument("--workers", type=int, help="reading processes of a trial; speed only")
    p.add_argument("--out", type=Path, default=Path("runs"), metavar="DIR", help="(default: runs)")
    p.add_argument(
        "--wandb",
        choices=("online", "offline", "off"),
        help="default: online with an account, else offline",
    )
    p.add_argument(
        "--rerun",
        choices=("stale", "all"),
        help="do finished trials again: those made by other code or another recipe, or all",
    )
    p.add_argument(
        "--dry-run", action="store_true", help="print the plan and its cost, run nothing"
    )
    p.add_argument("--list", action="store_true", help="print models, recipes and data sets")
    return p
