"""The ablation, on small made-up data."""

import json
from itertools import pairwise

import numpy as np
import pytest
import torch
from conftest import QUICK, make_waves
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.metrics import average_precision_score

from skmemto import MEMTODetector, _memto
from skmemto._nn.memory import GatedMemory

N, EVENT = 200, slice(100, 120)
CLASSES = ["WithoutMemory", "RandomItems", "FrozenGate", "FixedItems"]


@pytest.fixture
def ablation(load, monkeypatch):
    """The script, with quick models under protocol "entity"."""
    script = load("ablation")
    monkeypatch.setitem(script.PROTOCOLS, "entity", QUICK)
    return script


@pytest.fixture
def folder(tmp_path):
    """The set "toy": a and b with one event each, and one without."""
    series = [make_waves(N, seed=seed) for seed in range(6)]
    labels = np.zeros((3, N), dtype=np.uint8)
    labels[:2, EVENT] = 1
    for test, label in zip(series[3:], labels, strict=True):
        test[label == 1, 1] += 5 * test[:, 1].std()
    np.savez(
        tmp_path / "toy.npz",
        train=np.concatenate(series[:3]).astype(np.float32),
        test=np.concatenate(series[3:]).astype(np.float32),
        labels=labels.ravel(),
        names=np.array(["a", "b", "calm"]),
        train_lengths=np.array([N] * 3),
        test_lengths=np.array([N] * 3),
    )
    return tmp_path


def run(script, folder, *options, sets=("toy",)):
    """Exit status and the stored report."""
    argv = ["--data", str(folder), "--sets", *sets, "--out", str(folder / "out")]
    status = script.main([*argv, *options])
    return status, json.loads((folder / "out.json").read_text())


@pytest.fixture
def fit(ablation, waves):
    """Fit a class of the script, or MEMTODetector, quickly."""

    def fit_quickly(name):
        return getattr(ablation, name)(**QUICK, random_state=0).fit(waves)

    return fit_quickly


def items_of(monkeypatch, detector_class, X):
    """Items as drawn, after phase 1, after k-means, and in the end."""
    seen = []
    initialize = GatedMemory.initialize
    place = detector_class._initialize_memory

    def spy_initialize(self, generator):
        initialize(self, generator)
        seen.append(self.items.clone())

    def spy_place(self, trainer):
        seen.append(self.model_.memory.items.clone())
        place(self, trainer)
        seen.append(self.model_.memory.items.clone())

    monkeypatch.setattr(GatedMemory, "initialize", spy_initialize)
    monkeypatch.setattr(detector_class, "_initialize_memory", spy_place)
    detector = detector_class(**QUICK, random_state=0).fit(X)
    return [*seen, detector.model_.memory.items]


def moves(items):
    return [not torch.equal(a, b) for a, b in pairwise(items)]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("MEMTODetector", [True, True, True]),
        ("FrozenGate", [True, True, True]),
        ("FixedItems", [False, True, False]),
        ("RandomItems", [True, False, True]),
    ],
)
def test_where_the_items_move(ablation, waves, monkeypatch, name, expected):
    assert moves(items_of(monkeypatch, getattr(ablation, name), waves)) == expected


def test_random_items_need_no_kmeans(fit, monkeypatch):
    def forbidden(*args, **kwargs):
        raise AssertionError

    monkeypatch.setattr(_memto, "KMeans", forbidden)
    fit("RandomItems")


def gradients(ablation, name):
    """Names of the parameters that a step of training gives a gradient."""
    detector = getattr(ablation, name)(**QUICK)
    detector.n_features_in_ = 3
    network = detector._network_class(detector._network_config()).train()
    generator = torch.Generator().manual_seed(0)
    network.initialize(generator)
    network.loss(torch.randn(2, 16, 3, generator=generator), generator).backward()
    return {
        name
        for name, parameter in network.named_parameters()
        if parameter.grad is not None and parameter.grad.any()
    }


@pytest.mark.parametrize("name", ["FrozenGate", "FixedItems", "WithoutMemory"])
def test_only_the_gate_goes_untrained(ablation, name):
    gate = {"memory.gate_item.weight", "memory.gate_content.weight"}
    reference = gradients(ablation, "MEMTODetector")
    assert gate < reference
    assert gradients(ablation, name) == reference - gate


def test_decoder_without_memory_sees_queries_only(fit, waves):
    for name, same in [("WithoutMemory", True), ("MEMTODetector", False)]:
        detector = fit(name)
        before = detector.deviations(waves)
        detector.model_.memory.set_items(detector.model_.memory.items + 1)
        after = detector.deviations(waves)
        assert np.array_equal(before.input, after.input) == same
        assert not np.allclose(before.latent, after.latent)


def test_without_memory_there_is_no_entropy(ablation, waves):
    losses = [
        ablation.WithoutMemory(**QUICK, random_state=0, entropy_weight=weight)
        .fit(waves)
        .loss_curve_
        for weight in (0.0, 10.0)
    ]
    assert losses[0] == losses[1]


@pytest.mark.parametrize("name", CLASSES)
def test_parts_start_from_the_same_weights(ablation, name):
    def start(detector_class):
        detector = detector_class(**QUICK)
        detector.n_features_in_ = 3
        network = detector._network_class(detector._network_config())
        network.initialize(torch.Generator().manual_seed(0))
        return network.state_dict()

    reference, part = start(MEMTODetector), start(getattr(ablation, name))
    assert reference.keys() == part.keys()
    for key, value in reference.items():
        assert torch.equal(value, part[key]), key


def test_every_variant_changes_one_thing(ablation, load, monkeypatch):
    monkeypatch.setitem(ablation.PROTOCOLS, "entity", {})
    pooled = ablation.detectors(None, "msl", "paper")
    single = ablation.detectors(None, "asd", "entity")
    assert set(ablation.VARIANTS) - set(pooled) == {"noise=0", "temperature=0.0125"}
    assert set(ablation.VARIANTS) - set(single) == {
        "noise=0.5",
        "temperature=0.1",
        "d_model=512",
    }
    assert "d_model=512" in ablation.detectors(["d_model=512"], "smd", "entity")
    for made in (pooled, single):
        reference = made["reference"].get_params()
        for name, detector in made.items():
            changed = {k for k, v in detector.get_params().items() if v != reference[k]}
            key = name.partition("=")[0]
            expected = {"d_model": {"d_model", "n_heads"}}.get(key, {key})
            assert changed == (expected if "=" in name else set())
            assert (type(detector) is MEMTODetector) == (
                "=" in name or name == "reference"
            )


def test_entity_protocol_end_to_end(ablation, folder, capsys):
    variants = ["reference", "no-memory", "n_memory_items=5"]
    status, report = run(ablation, folder, "--variants", *variants, "--seeds", "0", "1")
    assert status == 0
    records = report["results"]
    assert [(r["variant"], r["seed"]) for r in records] == [
        (variant, seed) for variant in variants for seed in (0, 1)
    ]
    for record in records:
        assert [e["entity"] for e in record["entities"]] == ["a", "b"]
        assert record["random_ap"] == pytest.approx(0.1)
        for figure in ablation.FIGURES:
            assert np.isfinite(record[figure])
        mean = np.mean([e["ap_isd"] for e in record["entities"]])
        assert record["ap_isd"] == pytest.approx(mean)
    assert records[0]["auroc_calibrated"] > 0.9
    table = (folder / "out.md").read_text()
    assert table in capsys.readouterr().out
    assert "### toy, protocol entity, AP of random scores 10.0 %" in table
    assert "| n_memory_items=5 |" in table
    assert " ± " in table


def test_figures_are_those_of_the_criterion_itself(ablation, folder):
    entity = ablation.load("toy", folder, "entity")[0]
    detector = ablation.build("reference", "entity").set_params(random_state=0)
    figures = ablation.accuracy(detector.fit(entity.train), entity)
    for criterion in ablation.CRITERIA:
        detector = ablation.build("reference", "entity")
        detector.set_params(random_state=0, criterion=criterion).fit(entity.train)
        scores = -detector.score_samples(entity.test)
        expected = average_precision_score(entity.labels, scores)
        assert_allclose(figures[f"ap_{criterion}"], expected)


def test_paper_protocol_gives_the_figures_of_paper(ablation, load, folder, monkeypatch):
    paper = load("paper")
    quick = {"max_iter": 1, "d_model": 16, "n_layers": 1}
    parameters = paper.PROTOCOL | paper.SIZES["memto"]["default"] | quick
    theirs = paper.evaluate("toy", folder, MEMTODetector(**parameters), seed=0)
    monkeypatch.setitem(
        ablation.PROTOCOLS, "paper", ablation.PROTOCOLS["paper"] | quick
    )
    options = ["--protocol", "paper", "--variants", "reference"]
    _, report = run(ablation, folder, *options)
    (ours,) = report["results"]
    assert ours["protocol"] == "paper"
    assert [e["entity"] for e in ours["entities"]] == ["pooled"]
    for figure in ("pa_f1", "random_pa_f1"):
        assert ours[figure] == theirs[figure]
    assert ours["auroc_softmax"] == theirs["auroc"]
    assert ours["ap_softmax"] == theirs["average_precision"]


def test_no_event_spans_two_entities(ablation):
    parts = [np.array([0, 1]), np.array([1, 0])]
    assert_array_equal(ablation.in_a_row(parts), [0, 1, 0, 1, 0])
    assert_array_equal(ablation.in_a_row(parts[:1]), [0, 1])


def test_one_failing_variant_costs_only_itself(ablation, folder, monkeypatch):
    def fail(self, trainer):
        raise RuntimeError("no items")

    monkeypatch.setattr(ablation.RandomItems, "_initialize_memory", fail)
    variants = ["random-items", "fixed-items"]
    status, report = run(ablation, folder, "--variants", *variants)
    assert status == 1
    failed, whole = report["results"]
    assert failed["error"] == "RuntimeError: no items"
    assert "pa_f1" in whole
    assert "| random-items | failed (1) |" in (folder / "out.md").read_text()


def test_missing_set_stops_before_any_fit(ablation, folder, monkeypatch):
    monkeypatch.setattr(ablation, "evaluate", None)
    with pytest.raises(SystemExit, match=r"looked for .*nosuch\.npz"):
        run(ablation, folder, sets=("toy", "nosuch"))
    assert not (folder / "out.json").exists()
