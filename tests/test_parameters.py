"""What the shared parameters may be, and what is said of others."""

import pytest

from skmemto._parameters import SharedParameters

BAD_PARAMETERS = [
    {"window_size": 0}, {"stride": 0}, {"criterion": "other"}, {"temperature": 0},
    {"contamination": 0.6}, {"contamination": 0.0}, {"noise": -1}, {"dropout": 1.0},
    {"max_iter": 0}, {"device": 3}, {"precision": "float16"}, {"d_model": 1.5},
    {"smoothing": "long"}, {"score_stride": -1}, {"validation_fraction": 1.0},
    {"n_heads": 0}, {"n_layers": 0}, {"dim_feedforward": 0}, {"standardize": "no"},
    {"batch_size": "all"}, {"learning_rate": 0}, {"early_stopping": None},
    {"n_iter_no_change": 0}, {"tol": -1}, {"random_state": "0"}, {"verbose": -1},
    {"rebase": 1}, {"lookahead": -1}, {"reservoir_size": -1},
]  # fmt: skip


@pytest.mark.parametrize("parameters", BAD_PARAMETERS, ids=str)
def test_bad_parameters(make_detector, waves, parameters):
    (name,) = parameters
    with pytest.raises(ValueError, match=f"The '{name}' parameter of"):
        make_detector(**parameters).fit(waves)


def test_each_parameter_is_declared_and_tried(make_detector):
    shared = SharedParameters._parameter_constraints.keys()
    assert SharedParameters.__annotations__.keys() == shared | {
        "_parameter_constraints"
    }
    assert {name for parameters in BAD_PARAMETERS for name in parameters} == shared
    parameters = make_detector().get_params().keys()
    assert make_detector.func._parameter_constraints.keys() == parameters > shared


def test_heads_must_divide_the_width(make_detector, waves):
    with pytest.raises(ValueError, match=r"'n_heads'.* divide d_model=16\. Got 3"):
        make_detector(n_heads=3).fit(waves)


def test_unknown_device(make_detector, waves):
    with pytest.raises(ValueError, match="'warp9' cannot be used"):
        make_detector(device="warp9").fit(waves)


@pytest.mark.parametrize("sizes", [{"d_model": 4 * 10**9}, {"d_model": 10**30}])
def test_a_network_that_is_too_large_is_named(make_detector, waves, sizes):
    with pytest.raises(ValueError, match="no memory for a network of these sizes"):
        make_detector(**sizes, n_heads=1).fit(waves)
