"""The house stands as it was planned: imports point one way, files stay small."""

import ast
import sys
from numbers import Integral, Real
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from conftest import BENCHMARKS
from scipy.sparse import csr_array
from sklearn.base import BaseEstimator, _fit_context
from sklearn.callback import CallbackContext, CallbackSupportMixin
from sklearn.metrics import average_precision_score
from sklearn.metrics._scorer import _BaseScorer
from sklearn.utils import _safe_indexing
from sklearn.utils._optional_dependencies import check_matplotlib_support
from sklearn.utils._param_validation import (
    HasMethods,
    Interval,
    Options,
    StrOptions,
    validate_params,
)
from sklearn.utils.validation import _num_samples

import skmemto
from skmemto._scaling import ChannelScaler
from skmemto.metrics import roc_auc_scorer

ROOT, TESTS = Path(skmemto.__file__).parent, Path(__file__).parent
# Lowest first: a module imports from the layers below its own.
LAYERS = [
    # What stands alone.
    {"_series", "_device", "_distributed", "_lookahead", "_parameters", "exceptions"},
    {"_version"},
    {"_frames", "_links"},
    {"_tails", "_plants", "_nn", "_nn.shapes", "metrics._labels"},
    # What a score is made of, what networks are made of, metrics.
    {"_blockwise", "_context", "_levels", "_stuck", "datasets"},
    {"_following"},
    {"_nn.network", "_nn.layers", "_nn.memory", "_bounds", "_smoothing"},
    {"metrics._affiliation", "metrics._comparison", "metrics._events"},
    {"metrics._range", "_scaling", "_messages"},
    {"_saved", "_training_state"},
    {"_windows", "_history", "_auto", "_nn.memto", "_nn.anomaly_transformer"},
    {"metrics._scorers", "_rarity"},
    {"_thresholds"},
    # Networks and windows come together.
    {"_training", "_inference", "_reservoir", "metrics"},
    {"_reporting", "_deviations", "_memory_items"},
    {"_criteria", "_events"},
    {"_settings"},
    {"_scoring", "_running", "_running_events", "plotting._axes"},
    {"plotting._scores", "plotting._deviations"},
    {"plotting._memory", "plotting._losses"},
    {"plotting"},
    # Estimators.
    {"_model_state"},
    {"_base"},
    {"_updating", "_clones"},
    {"_explaining"},
    {"callbacks"},
    {"_memto", "_anomaly_transformer", "_per_group", "streaming"},
    {"__init__"},
    # The command line.
    {"_cli", "_cli.checks", "_cli.text_files"},
    {"_cli.times", "_cli.demo", "_cli.models"},
    {"_cli.columns"},
    {"_cli.tables"},
    {"_cli.outputs"},
    {"_cli.pictures"},
    {"_cli.report"},
    {"_cli.commands"},
    {"_cli.watch"},
    {"__main__"},
]
LAYER_OF = {name: i for i, layer in enumerate(LAYERS) for name in layer}
WITHOUT_TESTS_OF_THEIR_OWN = {
    "_cli": "holds a docstring only",
    "_cli.text_files": "test_cli_tables.py reads files of every form",
    "_cli.times": "the same",
    "_cli.columns": "the same",
    "_cli.pictures": "test_cli_report.py has them drawn",
    "_cli.checks": "test_main.py gives it what is wrong",
    "_saved": "test_model_state.py saves and opens",
    "_training_state": "test_callbacks.py goes on from each",
    "_version": "holds a number",
    "_cli.commands": "test_main.py runs each",
    "_cli.demo": "the same",
    "__init__": "holds names only",
    "_nn": "holds a docstring only",
    "metrics": "holds names only; test_docstrings goes through them",
    "_links": "test_docstrings.py follows each to its page",
    "plotting": "holds names only",
    "plotting._axes": "test_plotting_deviations.py has heat maps drawn",
    "exceptions": "holds classes only; test_base.py provokes each warning",
}
WITHOUT_A_MODULE = {
    "alarms": "what is flagged and what is not, all along the path",
    "architecture": "how the modules stand to each other",
    "common": "scikit-learn's own checks of the detectors",
    "docstrings": "of all that is public",
    "examples": "scripts beside the package",
    "live": "scores that do not change as rows come, all along the path",
    "extremes": "huge and constant values, all along the path",
    "memmap": "what is larger than memory, all along the path",
    "missing": "missing values, all along the path",
    "model_selection": "detectors in pipelines and searches",
    "odd_input": "whatever is put in, all along the path",
    "pieces": "scoring a long series in pieces",
    "plotting_events": "the picture's marks of events",
}


def name_of(path):
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(part for part in parts if part != "__init__") or "__init__"


MODULES = {name_of(path): path for path in sorted(ROOT.rglob("*.py"))}
TREES = {name: ast.parse(path.read_text()) for name, path in MODULES.items()}
each_module = pytest.mark.parametrize("name", MODULES)


def imported(name):
    """Names of all modules that a module imports, the package's own without prefix."""
    for node in ast.walk(TREES[name]):
        if isinstance(node, ast.Import):
            yield from (alias.name.removeprefix("skmemto.") for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{name}: relative import"
            for alias in node.names:
                full = f"{node.module}.{alias.name}".removeprefix("skmemto.")
                if full in MODULES:
                    yield full
                elif node.module == "skmemto":
                    yield "__init__"
                else:
                    yield node.module.removeprefix("skmemto.")


# ---------------------------------------------------------------- layers


def test_every_module_has_a_layer():
    assert set(MODULES) == set(LAYER_OF)
    assert len(LAYER_OF) == sum(map(len, LAYERS))


@each_module
def test_imports_point_downward(name):
    for other in set(imported(name)) & set(MODULES):
        assert LAYER_OF[other] < LAYER_OF[name], f"{name} must not import {other}"


@pytest.mark.parametrize("name", [name for name in MODULES if name.startswith("_nn")])
def test_networks_know_nothing_of_sklearn(name):
    ours = set(imported(name)) & set(MODULES)
    assert all(other.startswith("_nn") for other in ours - {"_distributed"})
    assert not any(other.startswith("sklearn") for other in imported(name))


def test_only_detectors_know_their_networks():
    seam = {"_nn.network"}
    for name in ("_training", "_deviations", "_base"):
        assert {other for other in imported(name) if other.startswith("_nn")} == seam
    for name, network in (("_memto", "memto"), ("_anomaly_transformer",) * 2):
        known = {other for other in imported(name) if other.startswith("_nn")}
        assert known == {f"_nn.{network.removeprefix('_')}"}


# ---------------------------------------------------------------- files


@pytest.mark.parametrize(
    "path", [*MODULES.values(), *TESTS.glob("*.py")], ids=lambda path: path.name
)
def test_files_stay_readable(path):
    assert len(path.read_text().splitlines()) <= 450


@each_module
def test_functions_stay_readable(name):
    for node in ast.walk(TREES[name]):
        if isinstance(node, ast.FunctionDef) and node.name != "__init__":
            body = node.body[ast.get_docstring(node) is not None :]
            if body:
                n_lines = body[-1].end_lineno - body[0].lineno + 1
                assert n_lines <= 40, f"{name}.{node.name}: {n_lines} lines"


def test_every_module_has_a_test_file():
    """Such as ``test_nn_layers.py`` for ``_nn.layers``."""
    assert set(WITHOUT_TESTS_OF_THEIR_OWN) <= set(MODULES)
    tested = {
        "_".join(part.strip("_") for part in name.split("."))
        for name in set(MODULES) - set(WITHOUT_TESTS_OF_THEIR_OWN)
    }
    files = {path.stem.removeprefix("test_") for path in TESTS.glob("test_*.py")}
    assert tested | set(WITHOUT_A_MODULE) <= files
    # Nothing is left of modules that are gone. Those of benchmarks/ are another matter.
    scripts = {path.stem for path in BENCHMARKS.glob("*.py")}
    others = {name for name in files - scripts if not name.startswith("benchmarks")}
    assert others <= tested | set(WITHOUT_A_MODULE)


# ---------------------------------------------------------------- scikit-learn

# What is private there and used here, and why nothing public will do.
VALIDATION = "sklearn.utils._param_validation"
PRIVATE = {
    "sklearn.base._fit_context": (
        "its developers' guide asks for it in every fit, under this name alone"
    ),
    "BaseEstimator._parameter_constraints": (
        "what that reads: parameters are validated as in any other estimator"
    ),
    f"{VALIDATION}.Interval": "constraints are written with it",
    f"{VALIDATION}.Options": "constraints are written with it",
    f"{VALIDATION}.StrOptions": "constraints are written with it",
    f"{VALIDATION}.HasMethods": "constraints are written with it",
    f"{VALIDATION}.validate_params": "the same for functions",
    "BaseEstimator._validate_params": "the same outside of fit",
    "CallbackSupportMixin._init_callback_context": (
        "documented, in spite of its name, as the way into callbacks"
    ),
    "sklearn.metrics._scorer._BaseScorer": (
        "make_scorer cannot turn a response, nor pass groups on to the detector"
    ),
    "sklearn.utils._safe_indexing": (
        "rows of arrays, frames of any library and sparse matrices alike"
    ),
    "sklearn.utils.validation._num_samples": "their number, likewise",
    "_HTMLDocumentationLinkMixin._doc_link_module": (
        "its documentation names it for what others build on it"
    ),
    "_HTMLDocumentationLinkMixin._doc_link_template": "likewise",
    "sklearn.utils._optional_dependencies.check_matplotlib_support": (
        "the same error as its own displays raise"
    ),
}
INHERITED = {
    f"{owner.__name__}.{name}"
    for ours in (skmemto.MEMTODetector, skmemto.PerGroupDetector, ChannelScaler)
    for owner in (*ours.__mro__, *type(roc_auc_scorer).__mro__)
    if owner.__module__.startswith("sklearn")
    for name in vars(owner)
    if name.startswith("_") and not name.startswith("__")
} | {"BaseEstimator._parameter_constraints"}


def private_names(tree):
    """Names with an underscore that a module takes from scikit-learn."""
    inherited = {name.split(".")[1]: name for name in INHERITED}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        else:
            names = [getattr(node, a, None) for a in ("attr", "id", "name")]
            yield from (inherited[name] for name in names if name in inherited)
            continue
        for name in names:
            if name.startswith("sklearn.") and "._" in name:
                yield name


def test_all_private_uses_of_sklearn_are_known():
    used = {name for tree in TREES.values() for name in private_names(tree)}
    assert used == set(PRIVATE)


def caller():
    """Name of the function that called what called this, past one wrapper."""
    return sys._getframe(3).f_code.co_name


def use_fit_context():
    class Estimator(BaseEstimator):
        _parameter_constraints = {"n": [Interval(Integral, 1, None, closed="left")]}  # noqa: RUF012

        def __init__(self, n=1):
            self.n = n

        @_fit_context(prefer_skip_nested_validation=True)
        def fit(self, X):
            return caller()

    # One wrapper: warnings that point to the caller of fit count on it.
    assert Estimator().fit(None) == "use_fit_context"
    with pytest.raises(ValueError, match=r"'n' parameter of Estimator .* \[1, inf\)"):
        Estimator(n=0).fit(None)
    with pytest.raises(TypeError, match=r"Estimator\.fit\(\) got an unexpected"):
        Estimator().fit(None, other=1)


def use_interval():
    for closed, inside in (
        ("both", [0, 1, 2]), ("left", [0, 1]), ("right", [1, 2]), ("neither", [1])
    ):  # fmt: skip
        interval = Interval(Real, 0, 2, closed=closed)
        assert [x for x in (-1, 0, 1, 2) if interval.is_satisfied_by(x)] == inside
    assert not Interval(Integral, 0, None, closed="left").is_satisfied_by(1.5)


def use_options():
    options = Options(Real, {0.0, 1.0})
    assert options.is_satisfied_by(1.0) and not options.is_satisfied_by(0.5)


def use_str_options():
    options = StrOptions({"auto"})
    assert options.is_satisfied_by("auto") and not options.is_satisfied_by("other")


def use_has_methods():
    methods = HasMethods("fit")
    assert methods.is_satisfied_by(ChannelScaler()) and not methods.is_satisfied_by(3)


def use_validate_params():
    @validate_params(
        {"k": [Interval(Real, 0, 1, closed="both"), None]},
        prefer_skip_nested_validation=True,
    )
    def function(k):
        return caller()

    assert function(k=0.5) == "use_validate_params"  # one wrapper
    with pytest.raises(ValueError, match=r"'k' parameter of .*function must be"):
        function(k=2)


def use_validate_params_of_estimator():
    class Estimator(BaseEstimator):
        _parameter_constraints = {"n": [Interval(Integral, 1, None, closed="left")]}  # noqa: RUF012

        def __init__(self, n=1):
            self.n = n

    assert Estimator()._validate_params() is None
    with pytest.raises(ValueError, match=r"'n' parameter of Estimator .* \[1, inf\)"):
        Estimator(n=0)._validate_params()


def use_init_callback_context():
    class Estimator(CallbackSupportMixin, BaseEstimator): ...

    class Callback:
        def setup(self, estimator, context): ...
        def teardown(self, estimator, context): ...
        def on_fit_task_begin(self, estimator, context):
            told.append(context.task_name)

        def on_fit_task_end(self, estimator, context, *, X, fitted_estimator):
            return (X, fitted_estimator.coef_) == (1, 2)

    told, estimator = [], Estimator().set_callbacks(Callback())
    context = estimator._init_callback_context(max_subtasks=1)
    assert isinstance(context, CallbackContext)
    data = {"estimator": estimator, "X": 1, "y": None}
    context.call_on_fit_task_begin(**data)
    task = context.subcontext(task_name="epoch", max_subtasks=0)
    assert task.call_on_fit_task_begin(**data) is task
    assert told == ["fit", "epoch"]
    end = {**data, "reconstruction_attributes": lambda: {"coef_": 2}}
    assert task.call_on_fit_task_end(**end) is True
    assert not task.call_on_fit_task_end(**{**end, "X": 0})


def use_base_scorer():
    class Scorer(_BaseScorer):
        def _score(self, method_caller, estimator, X, y_true, *, groups=None, **kw):
            found = method_caller(estimator, self._response_method, X)
            return found, y_true, groups, kw

    class Estimator(BaseEstimator):
        def score_samples(self, X):
            return X + 1

    scorer = Scorer(average_precision_score, -1, {"k": 2}, "score_samples")
    assert (scorer._score_func, scorer._sign) == (average_precision_score, -1)
    assert scorer._kwargs == {"k": 2}
    assert repr(scorer).startswith("make_scorer(average_precision_score, ")
    assert scorer(Estimator(), 1, 3) == (2, 3, None, {})
    assert callable(scorer.set_score_request)


def use_safe_indexing():
    X = np.arange(8).reshape(4, 2)
    for make in (np.asarray, pd.DataFrame, csr_array):
        part = _safe_indexing(make(X), slice(1, 3))
        assert type(part) is type(make(X))
        part = part.toarray() if make is csr_array else np.asarray(part)
        np.testing.assert_array_equal(part, X[1:3])


def use_num_samples():
    X = np.ones((4, 2))
    for make in (list, np.asarray, pd.DataFrame, csr_array):
        assert _num_samples(make(X)) == 4


def use_check_matplotlib_support():
    check_matplotlib_support("Display.plot")
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "matplotlib", None)
        with pytest.raises(ImportError, match=r"Display\.plot requires matplotlib"):
            check_matplotlib_support("Display.plot")


def use_doc_link():
    class Estimator(BaseEstimator):
        _doc_link_module = __name__.partition(".")[0]
        _doc_link_template = "https://x.y/{estimator_module}.{estimator_name}.html"

    assert Estimator()._get_doc_link().endswith(".Estimator.html")


USES = {
    "sklearn.base._fit_context": use_fit_context,
    "BaseEstimator._parameter_constraints": use_fit_context,
    f"{VALIDATION}.Interval": use_interval,
    f"{VALIDATION}.Options": use_options,
    f"{VALIDATION}.StrOptions": use_str_options,
    f"{VALIDATION}.HasMethods": use_has_methods,
    f"{VALIDATION}.validate_params": use_validate_params,
    "BaseEstimator._validate_params": use_validate_params_of_estimator,
    "CallbackSupportMixin._init_callback_context": use_init_callback_context,
    "sklearn.metrics._scorer._BaseScorer": use_base_scorer,
    "sklearn.utils._safe_indexing": use_safe_indexing,
    "sklearn.utils.validation._num_samples": use_num_samples,
    "sklearn.utils._optional_dependencies.check_matplotlib_support": (
        use_check_matplotlib_support
    ),
    "_HTMLDocumentationLinkMixin._doc_link_module": use_doc_link,
    "_HTMLDocumentationLinkMixin._doc_link_template": use_doc_link,
}


@pytest.mark.parametrize("name", PRIVATE)
def test_what_is_private_still_works_as_it_is_used(name):
    USES[name]()
