"""An exponential average of a network's weights, which is what predicts."""

import lightning as L
from lightning.pytorch.callbacks import WeightAveraging
from torch.optim.swa_utils import get_ema_multi_avg_fn


class WeightAverage(WeightAveraging):
    """Lightning's, of all parameters and batch-norm statistics, after every step.

    A state has the average as its `state_dict`, and the weights that training goes on from as
    `current_model_state`.

    Args:
        decay: of the average, which starts as the weights after the first step (Tarvainen and
            Valpola, arXiv 1703.01780, section 2).
    """

    def __init__(self, decay: float) -> None:
        super().__init__(multi_avg_fn=get_ema_multi_avg_fn(decay))  # type: ignore[no-untyped-call]

    def on_fit_end(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        """Also where a trial goes on from its last step, after which Lightning trains nothing and
        so never comes to the end of a training."""
        self._copy_average_to_current(module)
