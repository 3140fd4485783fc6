"""The house stands as it was planned: imports point one way, files stay small."""

import ast
from pathlib import Path

import pytest

import skmemto

ROOT = Path(skmemto.__file__).parent
# Layers, lowest first. A module may import from lower layers only; within a layer
# only what is listed below.
LAYERS = [
    [
        "_series", "_scaling", "_windows", "_criteria", "_thresholds", "_device",
        "_distributed", "_auto", "_labels", "_metrics_labels", "_metrics_affiliation",
        "_metrics_events", "_metrics_range", "metrics", "datasets",
    ],
    ["_nn.layers", "_nn.memory", "_nn.memto", "_nn.anomaly_transformer", "_nn.saving"],
    ["_training", "_inference", "_reporting"],
    ["_scores"],
    ["_base"],
    ["_memto", "_anomaly_transformer"],
    ["_per_group"],
    ["__init__"],
    ["plotting"],
    ["__main__"],
]  # fmt: skip
WITHIN_A_LAYER = {
    "_scaling": {"_series"},
    "_windows": {"_series"},
    "_criteria": {"_scaling"},
    "_auto": {"_series"},
    "_metrics_affiliation": {"_metrics_labels"},
    "_metrics_events": {"_metrics_labels"},
    "_metrics_range": {"_metrics_labels"},
    "metrics": {
        "_metrics_labels", "_metrics_affiliation", "_metrics_events", "_metrics_range",
    },
    "_nn.memto": {"_nn.layers", "_nn.memory"},
    "_nn.anomaly_transformer": {"_nn.layers"},
    "_nn.saving": {"_nn.layers"},
    "_reporting": {"_training"},
}  # fmt: skip
NO_SKLEARN = LAYERS[1]


def module_name(path):
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts)


MODULES = {
    module_name(path): path
    for path in sorted(ROOT.rglob("*.py"))
    if path != ROOT / "_nn" / "__init__.py"
}
LAYER_OF = {name: i for i, layer in enumerate(LAYERS) for name in layer}


def imported(path):
    """Names of all modules that a file imports, the package's own without prefix."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name.removeprefix("skmemto.")
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path.name}: relative import"
            if node.module == "skmemto":
                for alias in node.names:
                    yield alias.name if alias.name in LAYER_OF else "__init__"
            else:
                yield node.module.removeprefix("skmemto.")


def test_every_module_has_a_layer():
    assert set(MODULES) == set(LAYER_OF)


@pytest.mark.parametrize("name", MODULES)
def test_imports_point_downward(name):
    for other in set(imported(MODULES[name])) & set(LAYER_OF):
        allowed = LAYER_OF[other] < LAYER_OF[name] or other in WITHIN_A_LAYER.get(
            name, set()
        )
        assert allowed, f"{name} must not import {other}"


@pytest.mark.parametrize("name", NO_SKLEARN)
def test_networks_know_nothing_of_sklearn(name):
    assert not any(module.startswith("sklearn") for module in imported(MODULES[name]))


def test_training_knows_no_network():
    for name in ("_training", "_inference"):
        assert not any(other.startswith("_nn") for other in imported(MODULES[name]))


@pytest.mark.parametrize("name", MODULES)
def test_files_stay_readable(name):
    assert len(MODULES[name].read_text().splitlines()) <= 430
