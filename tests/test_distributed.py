"""One model on several processes: two ranks on this machine, over gloo."""

import contextlib
import dataclasses
import io
import pickle
import time
import warnings
from datetime import timedelta
from functools import partial
from unittest import mock

import numpy as np
import pytest
import torch
from conftest import QUICK, initialized, make_waves, random_tensor
from numpy.testing import assert_allclose, assert_array_equal
from torch import distributed, multiprocessing

from skmemto import AnomalyTransformerDetector, MEMTODetector, _distributed
from skmemto._nn.anomaly_transformer import AnomalyTransformerNetwork
from skmemto._nn.memto import MEMTONetwork
from skmemto._training import Trainer, _fill_gradients
from skmemto._windows import WindowBlock
from skmemto.exceptions import ShortHistoryWarning

N_RANKS = 2
SECONDS = 120  # until all is taken to hang
SMALL = {**QUICK, "d_model": 8, "stride": 8, "device": "cpu", "random_state": 0}
MEMTO = partial(MEMTODetector, **{**SMALL, "n_memory_items": 4})
# Without noise a fit on two ranks is the same as on one, but for rounding. Batches of 5
# make parts of 3 and 2.
SAME_AS_ON_ONE = {
    "memto": partial(MEMTO, noise=0.0, batch_size=5),
    "anomaly transformer": partial(
        AnomalyTransformerDetector, **{**SMALL, "noise": 0.0, "batch_size": 5}
    ),
    "missing values": partial(MEMTO, noise=0.0, batch_size=5),
    "learning on": partial(MEMTO, noise=0.0, batch_size=5),
    "more ranks than windows": partial(MEMTO, noise=0.0, batch_size=1, stride=16),
    "early stopping": partial(
        MEMTO,
        noise=0.0, batch_size=7, early_stopping=True, validation_fraction=0.3,
        max_iter=5, n_iter_no_change=1, tol=0.3,
    ),
}  # fmt: skip
NETWORKS = [MEMTONetwork, AnomalyTransformerNetwork]
FITS = {
    **SAME_AS_ON_ONE,
    "noise": partial(MEMTO, noise=0.5, dropout=0.1, batch_size=8),
    "the same window with noise": partial(MEMTO, noise=0.5, batch_size=1, stride=16),
    "bfloat16": partial(MEMTO, precision="bfloat16"),
}


def fit(name, X):
    """Fit one of FITS; the values of one channel are missing from a tenth of X."""
    if name == "missing values":
        X = X.copy()
        X[: len(X) // 10, 0] = np.nan
    detector = FITS[name]().fit(X)
    return detector.partial_fit(2 * X) if name == "learning on" else detector


class StopAfterOne:
    """Stops each phase after its first epoch."""

    def setup(self, estimator, context):
        pass

    def teardown(self, estimator, context):
        pass

    def on_fit_task_begin(self, estimator, context):
        pass

    def on_fit_task_end(self, estimator, context):
        return context.task_name.startswith("epoch")


def gradients():
    """Gradients of one batch of five windows, and the memory after it."""
    windows = random_tensor(5, 8, 2, seed=0)
    windows[0, 1:] = torch.nan  # on one rank only
    part, weight = _distributed.shard(np.arange(5))
    result = {}
    for network_class in NETWORKS:
        network = initialized(network_class, d_model=8)
        network.loss(windows[part]).backward()
        _fill_gradients(network)
        _distributed.sum_gradients(network.parameters(), weight)
        result[network_class.__name__] = [
            *(p.grad for p in network.parameters()),
            *network.buffers(),
        ]
    return result


class Level(torch.nn.Module):
    """Predicts one number everywhere; what it counts is different on each rank."""

    def __init__(self, rank):
        super().__init__()
        self.level = torch.nn.Parameter(torch.tensor(float(rank)))
        self.register_buffer("count", torch.tensor(10.0 * rank))
        self.rank, self.seen = rank, []

    def loss(self, windows, generator):
        self.seen.append(windows[:, 0].tolist())
        if self.training:
            self.count += 1 + self.rank
        return (windows - self.level).square().mean()


class SaysNothing:
    def begin_epoch(self, epoch): ...
    def end_epoch(self, losses, state):
        return False


def run_trainer(rank):
    """Train where the ranks disagree at first; tell what became of it."""
    network = Level(rank)
    trainer = Trainer(
        network,
        lambda starts, length: torch.from_numpy(starts[:, None] / 10.0).float(),
        [WindowBlock(1, np.arange(8))],
        [],
        batch_size=4, max_iter=1, tol=0.0, n_iter_no_change=9, device="cpu",
        precision="float32", rng=np.random.RandomState(rank),
        generator=torch.Generator(),
    )  # fmt: skip
    trainer.run(0.1, SaysNothing())
    parts, network.seen = network.seen, []
    network.level.data += rank  # something that one rank did alone
    trainer.run(0.1, SaysNothing())
    return {
        "parts": parts, "level": network.level.item(),
        "count": network.count.item(), "drawn": trainer.rng.randint(10**6),
    }  # fmt: skip


def seen_by_a_rank(rank, X):
    """All that the tests want to know of one rank."""
    seen = {name: fit(name, X) for name in FITS}
    seen["trainer"] = run_trainer(rank)
    not_asked = AssertionError("k-means is for the first rank")
    with mock.patch("skmemto._memto.place_items", side_effect=not_asked) as kmeans:
        if rank == 0:
            kmeans.side_effect = lambda items, queries, rng: torch.ones_like(items)
        seen["k-means"] = MEMTO(learning_rate=1e-9, max_iter=1).fit(X)
        seen["n_kmeans"] = kmeans.call_count
    with mock.patch.object(_distributed, "broadcast"):  # the steps themselves agree
        seen["no seed"] = AnomalyTransformerDetector(
            **{**SMALL, "random_state": None}
        ).fit(X)
    seen["gradients"] = gradients()

    logits, values = torch.randn(2, 3, 7), torch.randn(2, 7, 5)  # of both ranks
    _distributed.broadcast((logits, values))
    seen["softmax"] = _distributed.softmax_average(logits[rank], values[rank])
    seen["softmax over all"] = torch.cat(tuple(logits), 1).softmax(1) @ torch.cat(
        tuple(values)
    )

    detector = MEMTO(max_iter=3, verbose=1)
    if rank == 1:
        seen["noise"].predict(X)  # scoring waits for nobody
        detector.set_callbacks(StopAfterOne())
    with contextlib.redirect_stdout(io.StringIO()) as out:
        detector.fit(X)
    seen["n_iter_"], seen["out"] = detector.n_iter_, out.getvalue()

    with pytest.raises(ValueError, match="same X and groups") as error:
        MEMTO().fit(X[rank:])
    seen["error"] = str(error.value)
    return seen


def run_rank(rank, folder):
    warnings.simplefilter("error")
    warnings.simplefilter("ignore", ShortHistoryWarning)
    torch.set_num_threads(1)
    distributed.init_process_group(
        "gloo",
        init_method=f"file://{folder}/store",
        rank=rank,
        world_size=N_RANKS,
        timeout=timedelta(seconds=SECONDS),
    )
    seen = seen_by_a_rank(rank, make_waves())
    (folder / f"{rank}.pickle").write_bytes(pickle.dumps(seen))
    distributed.destroy_process_group()


@pytest.fixture(scope="module")
def ranks(tmp_path_factory):
    """What each rank saw; they are started once for all tests."""
    folder = tmp_path_factory.mktemp("ranks")
    context = multiprocessing.spawn(run_rank, (folder,), N_RANKS, join=False)
    deadline = time.monotonic() + SECONDS
    try:
        while not context.join(timeout=1):
            assert time.monotonic() < deadline, "the ranks wait for each other"
    finally:
        for process in context.processes:
            process.kill()
    return [
        pickle.loads((folder / f"{rank}.pickle").read_bytes())
        for rank in range(N_RANKS)
    ]


def leaves(name, value):
    """The arrays and numbers that a value is made of, by name."""
    if dataclasses.is_dataclass(value):
        value = vars(value)
    elif hasattr(value, "_asdict"):
        value = value._asdict()
    if not isinstance(value, dict):
        return {name: value}
    parts = (leaves(f"{name}.{key}", part) for key, part in value.items())
    return {key: part for part in parts for key, part in part.items()}


OTHERS = {"model_", "scaler_", "device_", "normal_", "reservoir_", "settings_"}


def numbers(detector):
    """Everything that a fit found out, by name."""
    return {
        **{name: t.numpy() for name, t in detector.model_.state_dict().items()},
        **vars(detector.scaler_),
        **leaves("normal_", detector.normal_),
        **leaves("reservoir_", detector.reservoir_),
        **{
            name: value
            for name, value in vars(detector).items()
            if name.endswith("_") and name not in OTHERS and value is not None
        },
    }


@pytest.mark.parametrize("name", [*FITS, "no seed", "k-means"])
def test_all_ranks_end_with_the_same_model(name, ranks):
    first, second = (numbers(seen[name]) for seen in ranks)
    assert first.keys() == second.keys()
    for key in first:
        assert_array_equal(first[key], second[key], strict=True, err_msg=key)


@pytest.mark.parametrize("name", SAME_AS_ON_ONE)
def test_it_is_the_model_of_one_process(name, ranks, waves):
    alone, together = fit(name, waves), ranks[0][name]
    assert_allclose(together.loss_curve_, alone.loss_curve_, rtol=1e-4)
    assert_allclose(together.score_samples(waves), alone.score_samples(waves), 0.01)
    if "early" in name:
        validation = alone.validation_loss_curve_
        assert_allclose(together.validation_loss_curve_, validation, rtol=1e-3)
    if isinstance(alone, MEMTODetector):
        assert_allclose(together.memory_items_, alone.memory_items_, atol=0.01)


def test_the_gradients_are_those_of_one_process(ranks):
    # Compared before Adam, which makes much of a rounding error near zero.
    for name, alone in gradients().items():
        for seen in ranks:
            for together, gradient in zip(seen["gradients"][name], alone, strict=True):
                torch.testing.assert_close(together, gradient, rtol=1e-4, atol=1e-6)


def test_kmeans_runs_on_the_first_rank_only(ranks):
    assert [seen["n_kmeans"] for seen in ranks] == [1, 0]
    # What it found, here ones, the others go on from: on any rank with other items the
    # updates would tell them apart.
    for seen in ranks:
        assert np.ptp(seen["k-means"].memory_items_, axis=0).max() == 0


def test_each_phase_begins_and_ends_with_the_state_of_the_first_rank(ranks):
    first, second = (seen["trainer"] for seen in ranks)
    # Two batches of four, of which each rank sees two: all eight windows together. Then
    # each looks at a batch, to see what is left after the last step.
    parts = first["parts"][:-1], second["parts"][:-1]
    together = [a + b for a, b in zip(*parts, strict=True)]
    assert [len(batch) for batch in together] == [4, 4]
    assert_allclose(np.sort(np.concatenate(together)), np.arange(8) / 10, rtol=1e-6)
    assert 0 < first["level"] == second["level"] < 0.5  # begun at 0, not at 1
    assert first["count"] == second["count"] == 4  # of the first in all four steps
    assert first["drawn"] == second["drawn"]


def test_early_stopping_stops_early(ranks):
    assert ranks[0]["early stopping"].n_iter_ < 2 * 5


def test_each_rank_draws_noise_of_its_own(ranks, waves):
    name = "the same window with noise"
    alone = FITS[name]().fit(waves)
    assert ranks[0][name].loss_curve_ != pytest.approx(alone.loss_curve_, rel=1e-3)


def test_the_softmax_runs_over_the_tokens_of_all_ranks(ranks):
    for seen in ranks:
        torch.testing.assert_close(seen["softmax"], seen["softmax over all"])


def test_a_callback_of_one_rank_stops_all(ranks):
    assert [seen["n_iter_"] for seen in ranks] == [2, 2]


def test_the_first_rank_alone_prints(ranks):
    assert ranks[0]["out"].count("epoch 1/3: loss") == 2
    assert ranks[1]["out"] == ""


def test_a_shard_for_each_rank_is_an_error_on_all(ranks):
    for seen in ranks:
        assert "shapes [(400, 3), (399, 3)]" in seen["error"]


def test_a_group_of_one_changes_nothing(tmp_path, waves):
    def fit():
        return numbers(MEMTO(dropout=0.1).fit(waves))

    expected = fit()
    distributed.init_process_group(
        "gloo", init_method=f"file://{tmp_path}/store", rank=0, world_size=1
    )
    try:
        actual = fit()
    finally:
        distributed.destroy_process_group()
    for key in expected:
        assert_array_equal(actual[key], expected[key], err_msg=key)


def test_batches_are_shared_out(monkeypatch):
    batch = np.array([5, 3, 8, 1, 9])
    whole, weight = _distributed.shard(batch)
    assert_array_equal(whole, batch)
    assert weight == 1
    parts = []
    for rank in range(3):
        monkeypatch.setattr(_distributed, "world_size", lambda: 3)
        monkeypatch.setattr(_distributed, "rank", lambda rank=rank: rank)
        parts.append(_distributed.shard(batch))
        assert_array_equal(_distributed.shard(batch[:2])[0], batch[:2])
    assert [list(part) for part, _ in parts] == [[5, 1], [3, 9], [8]]
    assert sum(weight for _, weight in parts) == pytest.approx(1)


def test_alone_everything_stays_as_it_is():
    assert (_distributed.world_size(), _distributed.rank()) == (1, 0)
    x, rng = torch.tensor([1.0, 2.0]), np.random.RandomState(0)
    assert _distributed.sum_over_ranks(x).tolist() == [1, 2]
    assert (_distributed.any_rank(True), _distributed.any_rank(False)) == (True, False)
    parameter = torch.nn.Parameter(x.clone())
    parameter.grad = torch.ones(2)
    _distributed.sum_gradients([parameter], 0.5)
    assert parameter.grad.tolist() == [1, 1]
    _distributed.broadcast([x])
    assert x.tolist() == [1, 2]
    assert _distributed.from_first_rank(rng) is rng
    assert _distributed.agree(np.ones((3, 1)), np.array([[0, 3]]), rng) is rng
    average = _distributed.softmax_average(torch.zeros(3, 2), torch.eye(2))
    assert average.tolist() == [[0.5, 0.5]] * 3
