"""Public objects are documented as numpydoc wants it, and completely."""

import inspect
import re
from pathlib import Path

import pytest
from conftest import DETECTORS
from numpydoc.docscrape import ClassDoc
from numpydoc.validate import validate

import skmemto
from skmemto import callbacks, datasets, exceptions, metrics, plotting

# Codes of numpydoc.validate that scikit-learn leaves out as well: sections it does
# not use everywhere (extended summary, see also, returns in properties) and matters
# of blank lines and full stops.
IGNORED = {"ES01", "EX01", "SA01", "SA04", "GL01", "GL08", "RT02", "YD01", "PR06"}

ROOT = Path(__file__).parents[1]
MODULES = [skmemto, callbacks, datasets, exceptions, metrics, plotting]


def documented(module):
    """Public functions and classes; not ready-made objects, not plain records."""
    for name in module.__all__:
        thing = getattr(module, name)
        is_record = hasattr(thing, "_fields")
        if inspect.isfunction(thing) or (inspect.isclass(thing) and not is_record):
            yield f"{module.__name__}.{name}", thing


def public_names():
    for module in MODULES:
        for path, thing in documented(module):
            yield path
            for method, value in inspect.getmembers(thing, inspect.isroutine):
                ours = (getattr(value, "__module__", "") or "").startswith("skmemto")
                if inspect.isclass(thing) and ours and not method.startswith("_"):
                    yield f"{path}.{method}"


@pytest.mark.parametrize("name", list(public_names()))
def test_numpydoc(name):
    errors = [e for e in validate(name)["errors"] if e[0] not in IGNORED]
    assert not errors


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.__name__)
def test_every_class_and_function_has_an_example(module):
    for name, thing in documented(module):
        assert ">>>" in inspect.getdoc(thing), name


def test_metrics_are_listed_in_order_and_scorers_named():
    assert sorted(metrics.__all__) == list(metrics.__all__)
    for name in metrics.__all__:
        member = getattr(metrics, name)
        if name.endswith("_scorer") and not name.startswith("make"):
            assert f"``{name}``" in metrics.make_anomaly_scorer.__doc__
        elif not hasattr(member, "_fields"):
            assert ">>>" in member.__doc__


# What the detectors share they describe in the same words, but for these.
OF_ITS_OWN = {
    "temperature", "max_iter", "learning_rate", "early_stopping", "n_iter_no_change",
    "random_state", "n_iter_", "loss_curve_",
}  # fmt: skip


def test_detectors_document_alike_what_they_share():
    first, second = (
        {
            entry.name: (entry.type, entry.desc)
            for section in ("Parameters", "Attributes")
            for entry in ClassDoc(detector)[section]
        }
        for detector in DETECTORS
    )
    shared = (first.keys() & second.keys()) - OF_ITS_OWN
    assert len(shared) > 25
    for name in shared:
        assert first[name] == second[name], name


@pytest.mark.parametrize("kind", [*DETECTORS, skmemto.PerGroupDetector])
def test_the_html_of_an_estimator_links_to_its_page(kind):
    estimator = kind(DETECTORS[0]()) if kind not in DETECTORS else kind()
    page = f"generated/skmemto.{kind.__name__}.html"
    assert estimator._get_doc_link().endswith(page)
    assert page in estimator._repr_html_()


def test_what_is_said_to_keep_a_promise_is_there():
    page = (ROOT / "docs" / "user_guide" / "promises.md").read_text()
    named = set(re.findall(r"`(test_\w+\.py)`", page))
    assert len(named) > 15 and named <= {
        path.name for path in (ROOT / "tests").glob("*.py")
    }
