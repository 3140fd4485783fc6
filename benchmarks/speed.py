"""How fast: beside a plain matrix product, beside simple detectors, by stride.

Everything compared is run in turn, several times over: on a busy machine a time alone
means nothing, a ratio within one run does. Part 1 shows medians over the turns, shares
being ratios within each turn; in parts 2 and 3 the shortest time counts.

1. A training step and scoring (reconstruction and latent deviation of one batch) of
   MEMTO's network, as GFLOP/s beside a plain float32 matrix product of the same
   number of rows: of width 512, and of the network's own width, repeated until it has
   as many operations as the scoring, since processors are faster for moments. Counted
   are, for each step of a window, 2 (layers (4 d^2 + 2 d ff + 2 L d) + 2 F d), and
   three times that for training; norms, memory, the decoder's hidden layer and the
   optimizer are work that takes time and does not count. Also the operations of one
   encoder layer in scoring, each alone, again and again on the same data: with torch's
   kernels a layer cannot be faster than their sum.
2. Seconds to fit and to score, beside the baselines of `accuracy.py`, on equal data.
3. Rows per second that the fitted default scores, by stride.

    python benchmarks/speed.py
    python benchmarks/speed.py --rows 5000 --repeats 3 --out speed-quick
"""

import argparse
import shlex
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from _report import environment, markdown_table, save
from accuracy import DETECTORS
from sklearn.base import clone
from torch.nn import functional

from skmemto import MEMTODetector
from skmemto._device import autocast
from skmemto._nn.layers import build_empty
from skmemto._nn.memto import MEMTOConfig, MEMTONetwork
from skmemto.datasets import make_anomalous_series

N_FEATURES = 55
WINDOW = 100
N_WINDOWS = 32
# Width: heads and feed-forward; the default's, and the paper's.
SIZES = {64: (4, 256), 512: (8, 512)}
WIDTH = 512
COMPARED = ("MEMTODetector", "IsolationForest", "1-NN", "KMeans40")
PRECISIONS = ("float32", "bfloat16")
STRIDES = {"window": WINDOW, "window / 2": WINDOW // 2, "window / 4": WINDOW // 4}


def in_turn(runs: dict[str, Callable[[], Any]], repeats: int) -> dict[str, np.ndarray]:
    """Seconds of each in every turn, after one to warm up."""
    for run in runs.values():
        run()
    times: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(repeats):
        for name, run in runs.items():
            start = time.perf_counter()
            run()
            times[name].append(time.perf_counter() - start)
    return {name: np.array(values) for name, values in times.items()}


def shortest(runs: dict[str, Callable[[], Any]], repeats: int) -> dict[str, float]:
    """Seconds of each, the least of several runs in turn."""
    return {name: min(values) for name, values in in_turn(runs, repeats).items()}


def layer_flop_per_step(d: int, feedforward: int) -> int:
    """Floating point operations of one encoder layer for one step, forward."""
    return 2 * (4 * d**2 + 2 * d * feedforward + 2 * WINDOW * d)


def flop_per_step(d: int, feedforward: int, n_layers: int = 3) -> int:
    """Floating point operations of one step of a window, forward."""
    return n_layers * layer_flop_per_step(d, feedforward) + 4 * N_FEATURES * d


def make_network(d: int) -> MEMTONetwork:
    n_heads, feedforward = SIZES[d]
    config = MEMTOConfig(
        n_features=N_FEATURES,
        n_memory_items=10,
        d_model=d,
        n_heads=n_heads,
        n_layers=3,
        dim_feedforward=feedforward,
        dropout=0.0,
        noise=0.0,
        temperature=0.1,
        entropy_weight=0.01,
    )
    network = build_empty(lambda: MEMTONetwork(config))
    network.initialize(torch.Generator().manual_seed(0))
    return network


class Products:
    """Plain matrix products, as many as come near to some number of operations."""

    def __init__(self, width: int, width_out: int, flop: float):
        generator = torch.Generator().manual_seed(0)
        self.a = torch.randn(N_WINDOWS * WINDOW, width, generator=generator)
        self.b = torch.randn(width, width_out, generator=generator)
        flop_of_one = 2 * len(self.a) * width * width_out
        self.times = max(1, round(flop / flop_of_one))
        self.flop = self.times * flop_of_one

    def __call__(self) -> None:
        for _ in range(self.times):
            self.a @ self.b


def network_runs(d: int, precision: str) -> dict[str, Callable[[], Any]]:
    network = make_network(d)
    generator = torch.Generator().manual_seed(0)
    windows = torch.randn(N_WINDOWS, WINDOW, N_FEATURES, generator=generator)
    optimizer = torch.optim.Adam(network.parameters(), fused=True)

    def score() -> None:
        network.eval()
        with torch.inference_mode(), autocast("cpu", precision):
            network(windows)

    def train() -> None:
        network.train()
        optimizer.zero_grad()
        with autocast("cpu", precision):
            loss = network.loss(windows)
        loss.backward()
        optimizer.step()

    return {f"train {precision}": train, f"score {precision}": score}


def layer_runs(d: int) -> dict[str, Callable[[], Any]]:
    """Make what one encoder layer does in scoring, operation by operation."""
    layer = make_network(d).encoder.layers[0]
    generator = torch.Generator().manual_seed(0)
    shape = (N_WINDOWS, WINDOW, d)
    x, y = (torch.randn(shape, generator=generator) for _ in range(2))
    hidden = torch.randn(*shape[:2], SIZES[d][1], generator=generator)
    q, k, v = layer.attention.split(x)

    def linear_maps() -> None:
        for each in (layer.attention.qkv, layer.attention.out, layer.linear1):
            each(x)
        layer.linear2(hidden)

    def attention() -> None:
        mixed = functional.scaled_dot_product_attention(q, k, v)
        mixed.transpose(1, 2).flatten(2)

    return {
        "4 linear maps": linear_maps,
        "attention": attention,
        "2 norms": lambda: (layer.norm1(x), layer.norm2(x)),
        "GELU": lambda: functional.gelu(hidden),
        "2 sums": lambda: (x + y, x + y),
    }


def layer_arithmetic(d: int, repeats: int) -> dict[str, Any]:
    """Seconds of each operation of a layer, and the share of the product's rate."""
    flop = N_WINDOWS * WINDOW * layer_flop_per_step(d, SIZES[d][1])
    products = Products(WIDTH, WIDTH, flop)
    with torch.inference_mode():
        seconds = in_turn({"product": products, **layer_runs(d)}, repeats)
    product_rates = products.flop / seconds.pop("product")
    total = sum(seconds.values())
    return {
        "d_model": d,
        "seconds": {name: np.median(values) for name, values in seconds.items()},
        "all": np.median(total),
        "share": np.median(flop / total / product_rates),
    }


def arithmetic(d: int, repeats: int) -> dict[str, Any]:
    """GFLOP/s of the network of width `d`, and of matrix products."""
    feedforward = SIZES[d][1]
    score_flop = N_WINDOWS * WINDOW * flop_per_step(d, feedforward)
    runs: dict[str, Callable[[], Any]] = {}
    flop: dict[str, float] = {}
    for name, widths in (
        ("product", (WIDTH, WIDTH)),
        ("own product", (d, feedforward)),
    ):
        runs[name] = Products(*widths, score_flop)
        flop[name] = runs[name].flop
    for precision in PRECISIONS:
        runs |= network_runs(d, precision)
        flop[f"score {precision}"] = score_flop
        flop[f"train {precision}"] = 3 * score_flop
    seconds = in_turn(runs, repeats)
    rates = {name: flop[name] / seconds[name] / 1e9 for name in runs}
    return {
        "d_model": d,
        "gflops": {name: np.median(values) for name, values in rates.items()},
        "shares": {
            name: [np.median(values / rates[of]) for of in ("product", "own product")]
            for name, values in rates.items()
        },
    }


def compare(n_rows: int, repeats: int) -> list[dict[str, Any]]:
    """Seconds of fit and score of each detector on the same rows."""
    data = make_anomalous_series(
        n_train=n_rows,
        n_test=n_rows,
        n_features=N_FEATURES,
        n_events=1,
        random_state=0,
    )
    detectors = {name: DETECTORS[name](0) for name in COMPARED}
    fits = {n: lambda d=d: clone(d).fit(data.X_train) for n, d in detectors.items()}
    fit_seconds = shortest(fits, repeats)
    fitted = {name: fit() for name, fit in fits.items()}
    scores = {n: lambda d=d: d.score_samples(data.X_test) for n, d in fitted.items()}
    score_seconds = shortest(scores, repeats)
    return [
        {"detector": name, "fit": fit_seconds[name], "score": score_seconds[name]}
        for name in detectors
    ]


def throughput(n_rows: int, repeats: int) -> list[dict[str, Any]]:
    """Rows a second that a model with windows of 100 scores, by stride."""
    X = np.random.default_rng(0).standard_normal((n_rows, N_FEATURES))
    X = X.astype(np.float32)
    few = X[: max(n_rows // 20, WINDOW)]
    model = MEMTODetector(window_size=WINDOW, max_iter=1, random_state=0).fit(few)

    def score(stride: int, rows: np.ndarray) -> Callable[[], Any]:
        return lambda: model.set_params(score_stride=stride).score_samples(rows)

    runs = {name: score(stride, X) for name, stride in STRIDES.items()}
    seconds = shortest(runs, repeats)
    rates = {name: n_rows / seconds[name] for name in seconds}
    rates["1"] = len(few) / shortest({"1": score(1, few)}, 1)["1"]
    return [{"stride": name, "rows_per_second": rate} for name, rate in rates.items()]


def network_table(report: dict[str, Any]) -> str:
    rows = [
        [
            str(result["d_model"]),
            name,
            f"{rate:.0f}",
            *(f"{100 * share:.0f}" for share in result["shares"][name]),
        ]
        for result in report["arithmetic"]
        for name, rate in result["gflops"].items()
    ]
    header = ["d_model", "", "GFLOP/s", "% of the product", "% of its own product"]
    return markdown_table(header, rows)


def layer_table(report: dict[str, Any]) -> str:
    rows = [
        [
            str(result["d_model"]),
            *(f"{1e3 * s:.2f}" for s in (*result["seconds"].values(), result["all"])),
            f"{100 * result['share']:.0f}",
        ]
        for result in report["layers"]
    ]
    parts = [f"{name} ms" for name in report["layers"][0]["seconds"]]
    header = ["layer of d_model", *parts, "all ms", "% of the product"]
    return markdown_table(header, rows)


def detector_table(report: dict[str, Any]) -> str:
    ours = report["detectors"][0]
    rows = [
        [
            r["detector"],
            *(f"{r[k]:.2f}" for k in ("fit", "score")),
            *(f"{ours[k] / r[k]:.1f}" for k in ("fit", "score")),
        ]
        for r in report["detectors"]
    ]
    header = ["detector", "fit s", "score s", "MEMTO / it, fit", "MEMTO / it, score"]
    return markdown_table(header, rows)


def markdown(report: dict[str, Any]) -> str:
    rows = [[r["stride"], f"{r['rows_per_second']:,.0f}"] for r in report["throughput"]]
    return "\n\n".join(
        [
            network_table(report),
            layer_table(report),
            detector_table(report),
            markdown_table(["stride", "rows a second"], rows),
            f"- {report['threads']} threads, {report['rows']} rows of {N_FEATURES}\n"
            f"- Command: `{report['command']}`\n",
        ]
    )


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rows", type=int, default=58_000)
    parser.add_argument("--repeats", type=int, default=25)
    parser.add_argument("--out", default="speed")
    args = parser.parse_args(argv)
    arguments = sys.argv[1:] if argv is None else argv
    report = {
        "command": shlex.join(["python", "benchmarks/speed.py", *arguments]),
        "environment": environment(),
        "threads": torch.get_num_threads(),
        "rows": args.rows,
        "arithmetic": [arithmetic(d, args.repeats) for d in SIZES],
        "layers": [layer_arithmetic(d, args.repeats) for d in SIZES],
        "detectors": compare(args.rows, min(args.repeats, 3)),
        "throughput": throughput(args.rows, min(args.repeats, 3)),
    }
    text = markdown(report)
    save(report, text, args.out)
    print(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
