"""The ablation, on small made-up data."""

from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
import torch
from conftest import QUICK
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.metrics import average_precision_score
from toy import run, toy_entity, write_toy

from skmemto import MEMTODetector, _memory_items
from skmemto._nn.memory import GatedMemory

CLASSES = ["no-memory", "random-items", "frozen-gate", "fixed-items"]
HOOK = "_place_items"


@pytest.fixture
def ablation(load, monkeypatch):
    """The script, with quick models under protocol "entity"."""
    script = load("ablation")
    monkeypatch.setitem(script.PROTOCOLS, "entity", QUICK)
    return script


@pytest.fixture
def folder(tmp_path):
    return write_toy(tmp_path)


@pytest.fixture
def make(ablation):
    """A quick detector of a variant."""

    def make_quick(variant, **parameters):
        return ablation.PARTS[variant](**{**QUICK, "random_state": 0, **parameters})

    return make_quick


def network_of(detector):
    detector.n_features_in_ = 3
    network = detector._network_class(detector._network_config())
    network.initialize(torch.Generator().manual_seed(0))
    return network


def items_of(monkeypatch, detector, X):
    """Items as drawn, after phase 1, after k-means, and in the end."""
    seen = []
    initialize, place = GatedMemory.initialize, getattr(type(detector), HOOK)

    def spy_initialize(self, generator):
        initialize(self, generator)
        seen.append(self.items.clone())

    def spy_place(self, trainer):
        seen.append(self.model_.memory.items.clone())
        place(self, trainer)
        seen.append(self.model_.memory.items.clone())

    monkeypatch.setattr(GatedMemory, "initialize", spy_initialize)
    monkeypatch.setattr(type(detector), HOOK, spy_place)
    last = detector.fit(X).model_.memory.items
    return [*seen, last]


@pytest.mark.parametrize(
    ("variant", "expected"),
    [
        ("reference", [True, True, True]),
        ("frozen-gate", [True, True, True]),
        ("fixed-items", [False, True, False]),
        ("random-items", [True, False, True]),
    ],
)
def test_where_the_items_move(make, waves, monkeypatch, variant, expected):
    items = items_of(monkeypatch, make(variant), waves)
    assert [not torch.equal(a, b) for a, b in pairwise(items)] == expected


def test_random_items_need_no_kmeans(make, waves, monkeypatch):
    def forbidden(*args, **kwargs):
        raise AssertionError

    monkeypatch.setattr(_memory_items, "KMeans", forbidden)
    make("random-items").fit(waves)


def gradients(detector):
    """Names of the parameters that a step of training gives a gradient."""
    network = network_of(detector).train()
    generator = torch.Generator().manual_seed(0)
    network.loss(torch.randn(2, 16, 3, generator=generator), generator).backward()
    return {
        name
        for name, parameter in network.named_parameters()
        if parameter.grad is not None and parameter.grad.any()
    }


@pytest.mark.parametrize("variant", ["frozen-gate", "fixed-items", "no-memory"])
def test_only_the_gate_goes_untrained(make, variant):
    gate = {"memory.gate_item.weight", "memory.gate_content.weight"}
    reference = gradients(make("reference"))
    assert gate < reference
    assert gradients(make(variant)) == reference - gate


@pytest.mark.parametrize(
    ("variant", "same"), [("no-memory", True), ("reference", False)]
)
def test_decoder_without_memory_sees_queries_only(make, waves, variant, same):
    detector = make(variant).fit(waves)
    before = detector.deviations(waves)
    detector.model_.memory.set_items(detector.model_.memory.items + 1)
    after = detector.deviations(waves)
    assert np.array_equal(before.input, after.input) == same
    assert not np.allclose(before.latent, after.latent)


def test_without_memory_there_is_no_entropy(make, waves):
    first, second = (
        make("no-memory", entropy_weight=weight).fit(waves).loss_curve_
        for weight in (0.0, 10.0)
    )
    assert first == second


@pytest.mark.parametrize("variant", CLASSES)
def test_parts_start_from_the_same_weights(make, variant):
    reference, part = (
        network_of(make(name)).state_dict() for name in ("reference", variant)
    )
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
    widths = {"d_model", "n_heads"}
    for made, wider in ((pooled, widths | {"dim_feedforward"}), (single, widths)):
        reference = made["reference"].get_params()
        for name, detector in made.items():
            changed = {k for k, v in detector.get_params().items() if v != reference[k]}
            key = name.partition("=")[0]
            expected = {"d_model": wider}.get(key, {key})
            assert changed == (expected if "=" in name else set())
            assert (type(detector) is MEMTODetector) == (
                "=" in name or name == "reference"
            )


def test_entity_protocol_end_to_end(ablation, folder, capsys):
    variants = ["reference", "no-memory", "n_memory_items=5"]
    options = ["--variants", *variants, "--seeds", "0", "1"]
    status, records = run(ablation, folder, *options)
    assert status == 0
    records = pd.DataFrame(records)
    models, whole = records.dropna(subset="entity"), records.dropna(subset="pa_f1")
    keys = ["variant", "seed"]
    pairs = [[variant, seed] for variant in variants for seed in (0, 1)]
    assert whole[keys].to_numpy().tolist() == pairs
    assert models.groupby(keys)["entity"].agg(list).tolist() == [["a", "b"]] * 6
    assert (whole["random_ap"] == 0.2).all()
    assert whole[["pa_f1", "random_pa_f1"]].notna().all(axis=None)
    assert models[["auroc_isd", "ap_lsd", "fit_seconds"]].notna().all(axis=None)
    assert models[models["variant"] == "reference"]["auroc_calibrated"].min() > 0.9
    table = capsys.readouterr().out
    assert "### toy, protocol entity, AP of random scores 20.0 %" in table
    assert "| n_memory_items=5 |" in table
    assert " ± " in table


def test_figures_are_those_of_the_criterion_itself(ablation, make, load):
    entity = load("_data").Entity("a", *toy_entity(0))
    figures = ablation.accuracy(make("reference").fit(entity.train), entity)
    for criterion in ablation.CRITERIA:
        detector = make("reference", criterion=criterion).fit(entity.train)
        scores = -detector.score_samples(entity.test)
        expected = average_precision_score(entity.labels, scores)
        assert_allclose(figures[f"ap_{criterion}"], expected)


def test_paper_protocol_gives_the_figures_of_paper(ablation, load, folder, monkeypatch):
    quick = {"max_iter": 1, "d_model": 16, "n_layers": 1}
    paper = load("paper")
    monkeypatch.setattr(paper, "OTHER_PERCENT", 10.0)
    for name, protocol in (
        ("paper", ablation.PROTOCOLS),
        ("default", paper.SIZES["memto"]),
    ):
        monkeypatch.setitem(protocol, name, protocol[name] | quick)
    _, (theirs,) = run(paper, folder)
    options = ["--protocol", "paper", "--variants", "reference"]
    _, (pooled, ours) = run(ablation, folder, *options)
    assert ours["protocol"] == "paper"
    assert pooled["entity"] == "pooled"
    for figure in ("pa_f1", "random_pa_f1"):
        assert ours[figure] == theirs[figure]
    assert pooled["auroc_softmax"] == theirs["auroc"]
    assert pooled["ap_softmax"] == theirs["average_precision"]


def test_no_event_spans_two_entities(ablation):
    parts = [np.array([0, 1]), np.array([1, 0])]
    assert_array_equal(ablation.in_a_row(parts), [0, 1, 0, 1, 0])
    assert_array_equal(ablation.in_a_row(parts[:1]), [0, 1])


def test_one_failing_variant_costs_only_itself(ablation, folder, monkeypatch, capsys):
    class Failing(MEMTODetector):
        def score_samples(self, X):
            raise RuntimeError("no scores")

    monkeypatch.setitem(ablation.PARTS, "random-items", Failing)
    options = ["--variants", "random-items", "fixed-items"]
    status, (failed, *whole) = run(ablation, folder, *options)
    assert status == 1
    assert failed["error"] == "RuntimeError: no scores"
    assert [r.get("entity") for r in whole] == ["a", "b", None]
    assert "| random-items | failed (1) |" in capsys.readouterr().out
