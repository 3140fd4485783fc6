"""The epoch loop, with a network of one number."""

import numpy as np
import pytest
import torch
from conftest import DETECTORS, QUICK, make_waves
from sklearn.exceptions import ConvergenceWarning
from torch import nn

from skmemto import AnomalyTransformerDetector
from skmemto._training import EpochLosses, StoppingMonitor, Trainer
from skmemto._windows import WindowBlock


class Constant(nn.Module):
    """Predicts one number everywhere; counts its training steps in a buffer."""

    def __init__(self):
        super().__init__()
        self.level = nn.Parameter(torch.zeros(()))
        self.register_buffer("n_steps", torch.zeros(()))
        self.generators = []

    def loss(self, windows, generator):
        self.generators.append(generator)
        if self.training:
            self.n_steps += 1
        return (windows - self.level).square().mean()


class Reporter:
    def __init__(self, stop_after=None):
        self.events, self.stop_after = [], stop_after

    def begin_epoch(self, epoch):
        self.events.append("begin")

    def end_epoch(self, losses, state):
        self.events.append(losses)
        return self.events.count("begin") == self.stop_after


def make_trainer(X=None, validation=None, **kwargs):
    X = np.ones(20, dtype=np.float32) if X is None else X
    batches = []

    def get_windows(starts, length):
        batches.append((sorted(starts), length))
        return torch.from_numpy(np.stack([X[s : s + length] for s in starts]))

    trainer = Trainer(
        Constant(),
        get_windows,
        train_blocks=[
            WindowBlock(4, np.arange(0, 12, 2)), WindowBlock(2, np.array([9]))
        ],
        validation_blocks=[] if validation is None else [validation],
        **{
            "batch_size": 4, "max_iter": 5, "tol": 1e-4, "n_iter_no_change": 10,
            "device": "cpu", "precision": "float32",
            "rng": np.random.RandomState(0), "generator": torch.Generator(), **kwargs,
        },
    )  # fmt: skip
    return trainer, batches


def test_an_epoch_sees_every_window_once():
    trainer, batches = make_trainer(max_iter=1)
    trainer.run(0.1, Reporter())
    *batches, _ = batches  # the last is a look at what is left after the last step
    assert len(batches) == 3
    seen = sorted((start, length) for starts, length in batches for start in starts)
    assert seen == [(0, 4), (2, 4), (4, 4), (6, 4), (8, 4), (9, 2), (10, 4)]
    assert trainer.network.n_steps == 3
    assert not trainer.network.training


def test_it_learns_and_reports():
    trainer, _ = make_trainer(max_iter=30)
    reporter = Reporter()
    trainer.run(0.1, reporter)
    assert trainer.network.level.item() == pytest.approx(1.0, abs=0.1)
    assert reporter.events[0] == "begin"
    assert reporter.events[1::2] == trainer.losses
    assert trainer.losses[-1].train < 0.1 < trainer.losses[0].train
    assert trainer.losses[0].validation is None


def test_the_loss_is_the_mean_over_windows():
    X = np.zeros(20, dtype=np.float32)
    X[9:11] = 1.0
    trainer, _ = make_trainer(X, max_iter=1, batch_size=3)
    trainer.run(1e-12, Reporter())
    # windows 0 .. 10 hold 0, 0, 0, 1, 2, 2, 1 ones in the starts 0 2 4 6 8 10 | 9
    expected = (0 + 0 + 0 + 1 / 4 + 2 / 4 + 1 / 4 + 2 / 2) / 7
    assert trainer.losses[0].train == pytest.approx(expected, abs=1e-6)


def test_validation_draws_no_randomness_and_the_best_epoch_is_kept():
    X = np.ones(20, dtype=np.float32)
    X[12:] = 0.5  # training towards 1 passes 0.5 and moves on
    trainer, _ = make_trainer(X, WindowBlock(4, np.array([14])), max_iter=40)
    trainer.run(0.05, Reporter())
    validation = [losses.validation for losses in trainer.losses]
    best = int(np.argmin(validation))
    assert 0 < best < len(validation) - 1
    assert (0.5 - trainer.network.level.item()) ** 2 == pytest.approx(min(validation))
    assert trainer.network.n_steps == 3 * (best + 1)  # buffers go with the weights
    with_generator = [g is not None for g in trainer.network.generators]
    epochs = [True, True, True, False] * len(validation)
    assert with_generator == [*epochs, False]  # and the look after the last step


def test_what_a_batch_has_no_use_for_has_gradient_zero():
    class Sometimes(Constant):
        """Has a parameter for the short windows."""

        def __init__(self, mentions_it):
            super().__init__()
            self.short = nn.Parameter(torch.zeros(()))
            self.mentions_it = mentions_it

        def loss(self, windows, generator):
            loss = super().loss(windows, generator)
            if windows.shape[1] == 2:
                return loss + (self.short - 1).square()
            return loss + 0 * self.short if self.mentions_it else loss

    ends = []
    for mentions_it in (False, True):
        trainer, _ = make_trainer(max_iter=4)
        trainer.network = Sometimes(mentions_it)
        trainer.run(0.1, Reporter())
        ends.append([p.item() for p in trainer.network.parameters()])
    assert ends[0] == ends[1]
    assert ends[0][1] > 0.5  # with the momentum of 12 steps, not the push of 4


def test_patience():
    trainer, _ = make_trainer(max_iter=50, n_iter_no_change=3, tol=10.0)
    trainer.run(0.1, Reporter())
    assert len(trainer.losses) == 4


def test_the_reporter_can_stop_it():
    trainer, _ = make_trainer(max_iter=50)
    trainer.run(0.1, Reporter(stop_after=2))
    assert len(trainer.losses) == 2


def test_divergence():
    trainer, _ = make_trainer(np.full(20, np.nan, dtype=np.float32))
    with pytest.raises(
        ValueError, match=r"loss of epoch 1 is nan\. Lower learning_rate"
    ):
        trainer.run(0.1, Reporter())


def test_stopping_monitor():
    monitor = StoppingMonitor(tol=0.1, n_iter_no_change=2)
    assert monitor.update(1.0)
    assert monitor.update(0.5)
    assert monitor.update(0.45)  # the best, but no improvement by tol
    assert not monitor.should_stop
    assert not monitor.update(0.46)
    assert monitor.should_stop
    assert monitor.best_loss == 0.45


def test_monitored_loss():
    assert EpochLosses(1.0, None).monitored == 1.0
    assert EpochLosses(1.0, 2.0).monitored == 2.0


@pytest.mark.parametrize("kind", DETECTORS)
def test_a_last_step_that_goes_astray_is_seen(kind):
    """The loss of an epoch is that before its last step."""
    settings = {**QUICK, "learning_rate": 1e6, "max_iter": 1, "batch_size": 1000}
    with pytest.raises(ValueError, match="Training diverged: after the last step of"):
        kind(**settings, random_state=0).fit(make_waves())


def test_a_loss_far_above_that_of_the_beginning_is_warned_of():
    detector = AnomalyTransformerDetector(
        **{**QUICK, "learning_rate": 100.0, "max_iter": 3}, random_state=0
    )
    with pytest.warns(ConvergenceWarning, match="Training did not converge: the loss"):
        detector.fit(make_waves())
