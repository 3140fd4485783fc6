"""Fits that were killed go on, and end as if they had never stopped."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import DETECTORS, QUICK, make_waves
from numpy.testing import assert_array_equal
from sklearn.base import clone
from sklearn.callback import ScoringMonitor

from skmemto import MEMTODetector
from skmemto import callbacks as checkpoints
from skmemto.callbacks import Checkpoint

X = make_waves()
GROUPS = np.repeat([0, 1], 200)
SETTINGS = {**QUICK, "max_iter": 3, "random_state": 0, "dropout": 0.1}


class Killed(Exception):  # noqa: N818
    """Stands for the end of a process, where a test needs no real one."""


class Kill:
    """Ends a fit when a task begins or ends, the n-th of that name."""

    def __init__(self, when, task, nth=1, kill=None):
        self.when, self.task, self.left, self.kill = when, task, nth, kill

    def setup(self, estimator, context): ...
    def teardown(self, estimator, context): ...

    def on_fit_task_begin(self, estimator, context):
        self.at("begin", context.task_name)

    def on_fit_task_end(self, estimator, context):
        self.at("end", context.task_name)

    def at(self, when, task):
        self.left -= (when, task) == (self.when, self.task)
        if self.left == 0:
            if self.kill is not None:
                os.kill(os.getpid(), self.kill)
            raise Killed


def assert_same(detector, other):
    state = other.model_.state_dict()
    for name, tensor in detector.model_.state_dict().items():
        assert torch.equal(tensor, state[name]), name
    assert detector.loss_curve_ == other.loss_curve_
    assert detector.validation_loss_curve_ == other.validation_loss_curve_
    assert detector.n_iter_ == other.n_iter_ and detector.offset_ == other.offset_
    assert_array_equal(detector.score_samples(X), other.score_samples(X))


@pytest.fixture
def path(tmp_path):
    return tmp_path / "a fit.checkpoint"


MOMENTS = [
    ("begin", "epoch 1", 1), ("end", "epoch 1", 1), ("begin", "epoch 3", 1),
    ("end", "epoch 3", 1), ("begin", "training", 1), ("end", "epoch 2", 2),
    ("begin", "epoch 3", 2), ("end", "training", 1),
]  # fmt: skip


@pytest.mark.parametrize("moment", MOMENTS, ids=str)
@pytest.mark.parametrize("cls", DETECTORS, ids=lambda cls: cls.__name__)
def test_a_fit_goes_on_where_it_was(cls, moment, path):
    with_best_epoch = MOMENTS.index(moment) % 2 == 0
    detector = cls(**SETTINGS, early_stopping=with_best_epoch)
    whole = clone(detector).fit(X, groups=GROUPS)
    kill = Kill(*moment)
    detector.set_callbacks(Checkpoint(path), kill)
    try:
        detector.fit(X, groups=GROUPS)
    except Killed:
        assert not hasattr(detector, "model_")
        later = clone(detector).set_callbacks(Checkpoint(path))
        assert_same(later.fit(X, groups=GROUPS), whole)
    else:  # of one phase there is no second epoch of that name
        assert kill.left > 0
        assert_same(detector, whole)
    assert os.listdir(path.parent) == []


SCRIPT = """
import os, sys, numpy as np
sys.path.insert(0, {tests!r})
from test_callbacks import Checkpoint, DETECTORS, Kill, SETTINGS, X
detector = DETECTORS[{i}](**SETTINGS).set_callbacks(Checkpoint({path!r}), {kill})
{before}
detector.fit(X)
np.savez({path!r} + ".npz", **{{n: t.numpy() for n, t in detector.model_.state_dict().items()}})
"""  # noqa: E501
# Between the file that is written aside and the one that is put in place.
BEFORE_IT_IS_IN_PLACE = """
n, replace = iter(range(9)), os.replace
os.replace = lambda *a: os.kill(os.getpid(), 9) if next(n) == 1 else replace(*a)
"""


@pytest.mark.skipif(os.name != "posix", reason="SIGKILL")
@pytest.mark.parametrize(
    "i", range(len(DETECTORS)), ids=lambda i: DETECTORS[i].__name__
)
def test_a_process_that_was_killed_goes_on(i, path):
    whole = DETECTORS[i](**SETTINGS).fit(X)
    kill = f"Kill('begin', 'epoch 3', 1, {int(signal.SIGKILL)})"
    never = "Kill('begin', 'never')"
    status = [
        subprocess.run(
            [sys.executable, "-c", SCRIPT.format(
                i=i, tests=str(Path(__file__).parent), path=str(path), **options
            )],
            env={**os.environ, "PYTHONWARNINGS": "ignore"},
            check=False,
        ).returncode
        for options in (
            {"kill": never, "before": BEFORE_IT_IS_IN_PLACE},
            {"kill": kill, "before": ""},
            {"kill": never, "before": ""},
        )
    ]  # fmt: skip
    assert status == [-signal.SIGKILL, -signal.SIGKILL, 0]
    assert not path.exists()
    with np.load(f"{path}.npz") as arrays:
        for name, tensor in whole.model_.state_dict().items():
            assert_array_equal(arrays[name], tensor.numpy(), err_msg=name)


def test_is_written_every_few_epochs(path):
    detector = MEMTODetector(**SETTINGS).set_callbacks(
        Checkpoint(path, every=4), Kill("begin", "epoch 3", 2)
    )
    with pytest.raises(Killed):
        detector.fit(X)
    fit = torch.load(path, weights_only=True)["fit"]
    state = checkpoints.read(str(path), fit)
    assert (state.phase, state.epoch, len(state.losses)) == (2, 1, 4)


def test_goes_with_other_callbacks(path):
    monitor = ScoringMonitor(scoring={"score": lambda est, X, y: est.score(X)})
    detector = MEMTODetector(**SETTINGS).set_callbacks(Checkpoint(path), monitor)
    assert_same(detector.fit(X), MEMTODetector(**SETTINGS).fit(X))


def test_of_another_fit_is_refused(path):
    detector = MEMTODetector(**SETTINGS)
    detector.set_callbacks(Checkpoint(path), Kill("begin", "epoch 3"))
    with pytest.raises(Killed):
        detector.fit(X)
    other = clone(detector).set_callbacks(Checkpoint(path))
    for changed, rows, groups in (
        ({"random_state": 1}, X, None),
        ({"learning_rate": 2e-3}, X, None),
        ({}, X[:-1], None),
        ({}, X, GROUPS),
    ):
        with pytest.raises(ValueError, match=r"a fit\.checkpoint is of another fit"):
            clone(other).set_params(**changed).fit(rows, groups=groups)
    other.set_params(verbose=1).fit(X)
    assert not path.exists()


def test_what_is_no_checkpoint_is_refused(path):
    detector = MEMTODetector(**SETTINGS).set_callbacks(Checkpoint(path))
    for content in (b"", b"anything", b"PK\x03\x04"):
        path.write_bytes(content)
        with pytest.raises(ValueError, match="holds no checkpoint that can be read"):
            detector.fit(X)
        assert path.read_bytes() == content
    torch.save({"training": {}}, path)
    with pytest.raises(ValueError, match=r"Remove it to fit from the beginning\.$"):
        detector.fit(X)


def test_a_damaged_one_is_refused(path):
    detector = MEMTODetector(**SETTINGS)
    detector.set_callbacks(Checkpoint(path), Kill("begin", "epoch 3"))
    with pytest.raises(Killed):
        detector.fit(X)
    plain = torch.load(path, weights_only=True)
    plain["training"]["network"]["decoder.out.bias"][0] += 1e-6
    torch.save(plain, path)
    with pytest.raises(ValueError, match="This saved checkpoint is damaged"):
        clone(detector).set_callbacks(Checkpoint(path)).fit(X)


def test_parameters_are_checked_before_anything_is_learned(path, monkeypatch):
    detector = MEMTODetector(**SETTINGS)
    with pytest.raises(ValueError, match="every == 0, must be >= 1"):
        detector.set_callbacks(Checkpoint(path, every=0)).fit(X)
    with pytest.raises(FileNotFoundError, match=r"There is no folder .*nowhere"):
        detector.set_callbacks(Checkpoint(path / "nowhere" / "x")).fit(X)
    monkeypatch.setattr(checkpoints, "world_size", lambda: 2)
    with pytest.raises(ValueError, match="the fit of one process, and there is"):
        detector.set_callbacks(Checkpoint(path)).fit(X)


def test_a_full_disk_leaves_the_one_before(path, monkeypatch):
    detector = MEMTODetector(**SETTINGS)
    detector.set_callbacks(Checkpoint(path), Kill("begin", "epoch 3"))
    with pytest.raises(Killed):
        detector.fit(X)
    before = path.read_bytes()

    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        clone(detector).set_callbacks(Checkpoint(path)).fit(X)
    assert path.read_bytes() == before
    assert os.listdir(path.parent) == [path.name]


# ---------------------------------------------------------------- at the end of a fit


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
@pytest.mark.parametrize("fitted", [False, True])
def test_a_callback_that_fails_at_the_very_end_leaves_the_old_model(
    make_detector, error, fitted
):
    class Fail(Kill):
        def at(self, when, task):
            if (when, task) == ("end", "fit"):
                raise error("at the end")

    detector = make_detector()
    if fitted:
        scores = detector.fit(X).score_samples(X)
    with pytest.raises(error, match="at the end"):
        detector.set_callbacks(Fail("", "")).fit(X[:, :2])
    assert hasattr(detector, "model_") == fitted
    assert not hasattr(detector, "_callback_fit_ctx")
    if fitted:
        assert_array_equal(detector.score_samples(X), scores)


def test_a_callback_that_fails_afterwards_leaves_a_whole_new_model(make_detector):
    class Fail(Kill):
        def teardown(self, estimator, context):
            raise RuntimeError("afterwards")

    detector = make_detector().fit(X[:, :2])
    with pytest.raises(RuntimeError, match="afterwards"):
        detector.set_callbacks(Fail("", "")).fit(X)
    expected = make_detector().fit(X).score_samples(X)
    assert_array_equal(detector.score_samples(X), expected)
