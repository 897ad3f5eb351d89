"""Rebuild on Weights & Biases what a results folder holds: after offline work, a crash, a loss.

`python -m experiments.wandb_mirror runs/camvid-quick --data-root CamVid`

Every finished or failed trial becomes a run with its config, curves, scores and predictions, and
all of them together the comparison's run. What is there already stays; what is there in another
version is replaced, the new first and the old deleted after. W&B refuses the id of a deleted run
for seven days, so an id here ends in the hash of what it shows, behind the id of the trial or
comparison, which every version also says as `identity` in its config.
"""

import argparse
import sys

from experiments.trials import command_line as ask


def _parser() -> argparse.ArgumentParser:
    said = str(__doc__).partition("\n")[0]
    parser = ask.Parser(prog="python -m experiments.wandb_mirror", description=said)
    add = parser.add_argument
    add("folder", type=ask.path, help="results, as runs/camvid-quick")
    add("--data-root", type=ask.path, help="folder of the data set, for the photos")
    add("--mode", choices=("online", "offline"), help="(default: WANDB_MODE, else online with an "
        "account, else offline)")  # fmt: skip
    add("--out", type=ask.folder, help="where run files go (default: WANDB_DIR, else the results "
        "folder)")  # fmt: skip
    return parser


def main(argv: list[str] | None = None) -> int:
    """0 when all is mirrored, 1 when W&B failed, 2 for arguments that name nothing."""
    args = _parser().parse_args(argv)
    # `--help` does without pydantic, rich and what else these bring.
    from experiments.comparison.wandb_folder import versions
    from experiments.comparison.wandb_sync import Account, send, write
    from experiments.reporting.console import PlainConsole
    from experiments.training import wandb_run
    from experiments.training.wandb_settings import asked_mode, files_folder
    from experiments.trials.results import read_results

    console = PlainConsole(soft_wrap=True)
    folder = args.out or files_folder(args.folder)
    account = wandb_run.has_account()
    try:
        mode = asked_mode(args.mode)
        if mode == "off":
            raise ValueError("W&B is off by WANDB_MODE or WANDB_DISABLED: give --mode, or unset it")
        if mode == "online" and not account:
            raise ValueError("W&B has no account here: `wandb login`, or use --mode offline")
        made, reason = versions(read_results(args.folder), args.data_root)
    except (ValueError, OSError) as error:
        ask.complain(error)
        return 2
    if reason:
        console.print(f"no photos: {reason}")
    online = account and mode != "offline"
    try:
        server = Account() if online else None
        for version in made:
            new = send(version, folder, server) if server else write(version, folder)[1]
            console.print(f"{version.init.name}: {'written' if new else 'there already'}")
    except Exception as error:  # whatever W&B raises; what it has stays, and is not sent again
        ask.complain(f"W&B failed: {error}")
        return 1
    if not online:
        console.print(f"to send them: wandb sync {folder}/wandb/offline-run-*")
    return 0


if __name__ == "__main__":
    sys.exit(main())
