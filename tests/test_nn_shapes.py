"""Shapes in annotations: the tests check them at every call, others need not."""

import importlib
import inspect
import pkgutil
import subprocess
import sys
from typing import get_args

import jaxtyping
import pytest
import torch
from conftest import TINY, initialized
from torch import Tensor

from skmemto import _nn
from skmemto._nn.anomaly_transformer import AnomalyAttention
from skmemto._nn.layers import (
    Encoder,
    EncoderLayer,
    SelfAttention,
    TokenEmbedding,
    dropout,
    fill_missing,
    reconstruction_error,
)
from skmemto._nn.memory import GatedMemory
from skmemto._nn.memto import Decoder

MODULES = [
    importlib.import_module(module.name)
    for module in pkgutil.iter_modules(_nn.__path__, f"{_nn.__name__}.")
]


def functions_of(module):
    """Functions and methods that stand in a module's file."""
    for thing in vars(module).values():
        if getattr(thing, "__module__", None) == module.__name__:
            for member in vars(thing).values() if inspect.isclass(thing) else [thing]:
                code = getattr(inspect.unwrap(member), "__code__", None)
                if code is not None and code.co_filename == module.__file__:
                    yield member


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.__name__)
def test_all_functions_are_checked(module):
    assert type(module.__loader__).__module__.startswith("jaxtyping")
    for function in functions_of(module):
        assert hasattr(function, "__wrapped__"), function.__qualname__


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.__name__)
def test_all_tensors_have_a_shape(module):
    for function in functions_of(module):
        for annotation in inspect.get_annotations(inspect.unwrap(function)).values():
            assert Tensor not in (annotation, *get_args(annotation)), (
                function.__qualname__
            )


def test_functions_are_found():
    names = {function.__qualname__ for m in MODULES for function in functions_of(m)}
    assert names >= {"dropout", "Encoder.forward", "MEMTONetwork.loss", "pack"}


def zeros(*shape):
    return torch.zeros(shape)


# Batch, steps, features, width: all different.
WRONG = {
    "no batch": lambda: SelfAttention(6, 3)(zeros(4, 6)),
    "one more axis": lambda: TokenEmbedding(3, 6)(zeros(1, 2, 4, 3)),
    "no float": lambda: EncoderLayer(6, 3, 5, 0.0)(zeros(2, 4, 6).long()),
    "no array": lambda: Encoder(3, 6, 3, 1, 5, 0.0)([[[0.0] * 3] * 4] * 2),
    "another length": lambda: reconstruction_error(zeros(2, 4, 3), zeros(2, 5, 3)),
    "another mask": lambda: fill_missing(zeros(2, 4, 3), zeros(2, 1, 3).bool()),
    "a mask of floats": lambda: fill_missing(zeros(2, 4, 3), zeros(2, 4, 3)),
    "tokens that would broadcast": lambda: EncoderLayer(6, 3, 5, 0.0).feed_forward(
        zeros(2, 4, 6), zeros(1, 1, 6)
    ),
    "another number of items": lambda: Decoder(6, 3)(
        zeros(2, 4, 6), zeros(2, 4, 5), zeros(1, 6)
    ),
    "windows for tokens": lambda: GatedMemory(5, 6, 0.1).update(zeros(2, 4, 6)),
    "items of another width": lambda: GatedMemory(5, 6, 0.1).attend(
        zeros(2, 4, 6), zeros(5, 1)
    ),
    "a lone window": lambda: AnomalyAttention(6, 3).associate(zeros(4, 6)),
    **{
        network_class.__name__: lambda network_class=network_class: initialized(
            network_class
        ).loss(zeros(4, 2))
        for network_class in TINY
    },
}


@pytest.mark.parametrize("call", WRONG.values(), ids=WRONG)
def test_a_wrong_shape_is_an_error(call):
    with pytest.raises(
        jaxtyping.TypeCheckError, match="checking the parameters of skmemto"
    ):
        call()


def test_a_wrong_shape_of_the_result_is_an_error():
    attention = SelfAttention(6, 3)
    attention.out = torch.nn.Linear(6, 5)
    with pytest.raises(jaxtyping.TypeCheckError, match="checking the return value"):
        attention(zeros(2, 4, 6))


def test_any_shape_is_any_shape():
    assert dropout(zeros(2, 3, 4, 5), 0.5, None).shape == (2, 3, 4, 5)
    assert dropout(zeros(), 0.5, None).shape == ()


WITHOUT = """
import sys
sys.modules["jaxtyping"] = None  # importing it raises ImportError
import numpy as np
import torch
from skmemto import MEMTODetector
from skmemto._nn.layers import Encoder, SelfAttention, fill_missing
from skmemto._nn.memory import GatedMemory

for method in (Encoder.forward, SelfAttention.forward, GatedMemory.update):
    assert method.__annotations__["return"] is torch.Tensor, method
assert Encoder.forward.__annotations__["x"] is torch.Tensor
assert SelfAttention.split.__annotations__["return"] == tuple[(torch.Tensor,) * 3]
assert fill_missing.__annotations__["missing"] is torch.Tensor
X = np.random.RandomState(0).normal(size=(60, 2))
detector = MEMTODetector(
    max_iter=1, d_model=8, n_layers=1, stride=20, window_size=10, contamination=0.1
)
print(detector.fit(X).score_samples(X).shape)
"""


def test_without_jaxtyping_annotations_are_plain_tensors():
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", WITHOUT],
        capture_output=True, text=True, check=False, cwd=_nn.__path__[0] + "/../..",
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "(60,)\n"


def test_with_jaxtyping_annotations_tell_the_shape():
    annotation = inspect.get_annotations(SelfAttention.forward)["x"]
    assert annotation is not Tensor
    assert annotation.dim_str == "B L D"
