"""The work of a trial with Lightning: it trains, predicts, scores and measures."""

from experiments.training.hardware import (
    cluster_environment,
    environment_now,
    reading_processes,
    warn_emulated,
)
from experiments.training.loggers import Dashboard
from experiments.training.notes import noting
from experiments.training.preparation import prepare
from experiments.training.requested_trial import RequestedTrial
from experiments.training.trainer import build_trainer, fit, predict
from experiments.training.trial_result import Scored, score_and_measure
from experiments.trials.result_types import Timing, TrialIdentity


def train_and_score(ours: RequestedTrial, identity: TrialIdentity) -> Scored | None:
    """The whole work of a trial; None on ranks other than 0, which keep nothing.

    Raises:
        NonFiniteLossError: training left the numbers.
        ValueError: a batch that cannot be, weights that are not there, or a file that cannot be
            read.
    """
    trial, resources = ours.trial, ours.resources
    ranks = resources.devices * resources.num_nodes
    workers = resources.workers
    if workers is None:
        workers = reading_processes(resources.devices)
    prepared = prepare(
        trial, identity, resources.data_root, ours.report, ranks=ranks, workers=workers
    )
    if prepared.init.report:
        print(f"initial weights: {prepared.init.report}")
    rule = isinstance(trial.recipe.class_weights, str)
    weights = prepared.module.objective.losses.class_weights if rule else None
    if weights is not None:
        shown = ", ".join(f"{weight:.4g}" for weight in weights)
        print(f"class weights by {trial.recipe.class_weights}: {shown}")
    warn_emulated(trial.recipe.precision)
    notes = noting(trial)
    dashboard = Dashboard.of_trial(
        trial.folder, identity, prepared.splits.val, resources.wandb, resources.group
    )
    trainer = build_trainer(
        trial,
        identity,
        devices=resources.devices,
        num_nodes=resources.num_nodes,
        cluster=cluster_environment(),
        loggers=[notes.history, dashboard],
        callbacks=[*notes.callbacks, dashboard.panel],
    )
    fit(trainer, prepared)
    predict(trainer, prepared)
    if trainer.global_rank > 0:
        return None
    environment = environment_now(identity.environment, trainer.world_size)
    if trial.recipe.crop_on == "auto":
        where = "workers" if prepared.data.crops is None else "device"
        environment = environment.model_copy(update={"crop_on": where})
    result = identity.unscored(trial.result_path, ours.scored_data).model_copy(
        update={
            "init": prepared.init,
            "class_weights": weights,
            "timing": Timing(train_seconds=round(notes.clock.seconds, 1), steps=trial.recipe.steps),
            "environment": environment,
            "curve": notes.history.curve(),
        }
    )
    network, test = prepared.module.model, prepared.splits.test
    scored = score_and_measure(result, network, trial.recipe.precision, test)
    dashboard.close(scored.result)
    return scored
