"""MEMTODetector: parameters, documentation and the three phases."""

from numbers import Integral, Real
from typing import Any, ClassVar, Literal, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import _fit_context
from sklearn.utils._param_validation import Interval
from sklearn.utils.validation import check_is_fitted

from skmemto import _distributed
from skmemto._explaining import ExplainingDetector
from skmemto._memory_items import place_items, sample_queries
from skmemto._nn.memto import MemoryReading, MEMTOConfig, MEMTONetwork
from skmemto._reporting import FitReporter
from skmemto._training import EpochReporter, Trainer


class MEMTODetector(ExplainingDetector):
    """Memory-guided Transformer for anomalies in multivariate time series.

    A Transformer encodes windows of the series, a small memory holds prototypes of
    what normal windows look like, and a weak decoder reconstructs the input from
    both. What is normal is reconstructed well and lies near a memory item; what is
    not stands out by its reconstruction error (input-space deviation, ISD) and by
    its distance to the memory (latent-space deviation, LSD) [1]_.

    Rows are time steps, columns are channels. Every row gets a score, also the
    first and the last of a series and those of a series shorter than the window.

    Parameters
    ----------
    window_size : int or "auto", default="auto"
        Number of consecutive rows that the network sees at once. "auto" takes the
        smaller of 50 and a twentieth of the rows (at least 1). A window longer than
        the longest series to train on is clipped to it, with a warning.
    stride : int or "auto", default="auto"
        Number of rows between the starts of two training windows. "auto" makes
        about 1000 windows, as long as they overlap.
    n_memory_items : int, default=10
        Number of prototypes in the memory.
    d_model : int, default=64
        Width of the network.
    n_heads : int, default=4
        Number of attention heads; must divide `d_model`.
    n_layers : int, default=2
        Number of encoder layers.
    dim_feedforward : int, default=None
        Width of the hidden layer in each encoder layer; None means twice `d_model`.
    dropout : float, default=0.0
        Share of activations dropped in training, in [0, 1).
    noise : float, default=0.5
        Standard deviation of the Gaussian noise, in scaled units, that is added to
        the training windows, while the target of the reconstruction stays clean.
        0 is the paper's training.
    temperature : float, default=0.1
        Temperature of the softmax in the memory and in criterion "softmax".
    entropy_weight : float, default=0.01
        Weight of the entropy of the memory's attention in the loss.
    criterion : {"calibrated", "softmax", "isd", "lsd"}, default="calibrated"
        How deviations become a score. "calibrated": how rare the row is on normal data
        (see Notes). "softmax": the paper's, the softmax over each window of the LSD
        divided by `temperature`, times the ISD; it puts a peak into every window, which
        suits the evaluation by point adjustment and little else. "isd" and "lsd": one
        deviation alone.
    score_stride : int or "auto", default="auto"
        Number of rows between the starts of two windows when scoring; what
        overlapping windows say of a row is averaged. "auto" takes half the window,
        and for "softmax" the whole one. More than `window_size_` is taken as that,
        so that no row is left out.
    smoothing : int or "auto", default="auto"
        Span s, in rows, of the average over time. Its weights fall exponentially to
        both sides: a row k steps away weighs ``((s - 1) / (s + 1)) ** k``, as in
        pandas. 1 means none. "auto" takes two fifths of the window for "calibrated" and
        1 otherwise.
    lookahead : int or "auto", default="auto"
        How many later rows may count in what is said of a row. "auto": all, for
        recordings. A number is for live data: each row has a window of its own, which
        ends at most half as many rows after it, the averages over time take in at most
        the rest, and calibration and threshold are those of scores made in the same
        way. With 0 all rows are judged by what came before them, and the scores of a
        series do not change as rows are added to it. Scoring then takes about
        `window_size_` / 2 times as long, and `score_stride` is not used. "softmax"
        knows only "auto".
    rebase : int, "auto" or None, default="auto"
        Span, in rows, over which a lasting change of a channel is taken in as its new
        normal, so that alarms for it end: with "calibrated", `decision_function`,
        `predict` and `events` measure a channel by its level in the rows before, where
        that is above all that the training data have shown. "auto" is 30 windows; but
        at a window of 1 it is None, which never does: alarms last as long as the
        change. `score_samples` is free of it.
    reservoir_size : int, default=10_000
        Number of the rows learned from that stay in the model, for `partial_fit` to
        learn again beside new ones, which take their place: the fewer, the sooner old
        rows are forgotten. With 0 the new rows alone say what is normal.
    standardize : bool, default=True
        Whether to scale each channel to zero mean and unit variance first. The
        network then sees values up to 30 standard deviations; the ISD is that of
        the value itself.
    max_iter : int, default=3
        Largest number of epochs of each of the two training phases. Long training
        teaches the network to copy its input, anomalies included.
    batch_size : int or "auto", default="auto"
        Number of windows in a training step. "auto" takes 32, and fewer (4 at least)
        where that would make less than 32 steps of an epoch.
    learning_rate : float, default=0.001
        Step size of Adam in the first phase; the last phase takes half of it, as
        the paper does.
    early_stopping : bool, default=False
        Whether to hold out the end of each series, end a phase when the loss there
        no longer improves, and keep the best weights and memory items.
    validation_fraction : float, default=0.1
        Share of each series held out when `early_stopping` is True. Where that is
        less than a window, the loss there is that of shorter windows.
    n_iter_no_change : int, default=10
        Number of epochs in a row without improvement after which a phase ends. With
        no more epochs than that (`max_iter`, as by default) no phase ends early, and
        early stopping does no more than keep the best epoch.
    tol : float, default=1e-4
        Smallest decrease of the loss that counts as improvement.
    contamination : float or "auto", default="auto"
        Share of the training rows, of those with values, to be labelled as anomalies,
        in (0, 0.5]. "auto": with "calibrated", rows that are rarer than three in a
        thousand normal ones (a score below -2.5; of 300 training rows or fewer, the
        rarest); otherwise it extrapolates the tail of the training scores to a risk of
        0.001 (peaks over threshold [2]_). Another share also moves the limits of the
        calibrated score, so that only what is odd close by becomes an alarm (Notes).
    device : str, default="auto"
        Torch device, such as "cpu" or "cuda:1". "auto" takes CUDA or MPS where there
        is one.
    precision : {"float32", "bfloat16"}, default="float32"
        Precision of matrix products.
    random_state : int, RandomState instance or None, default=None
        Determines initialisation, the order of windows, noise, dropout and k-means.
    verbose : int or bool, default=0
        Whether to print the loss of each epoch.

    Attributes
    ----------
    model_ : torch.nn.Module
        The trained network.
    memory_items_ : ndarray of shape (n_memory_items, d_model)
        The prototypes.
    scaler_ : ChannelScaler
        The scaler of the channels, with `mean_`, `scale_` and `inverse_transform`.
    error_scale_ : ndarray of shape (n_features,)
        Mean plus standard deviation of the ISD of each channel on the training data
        (at least 1e-4 of the largest of them); NaN for a channel without values.
    error_limit_ : ndarray of shape (n_features,)
        Largest ISD of each channel on the training data, at least `error_scale_`, and
        for a channel that never deviated as many times that as for the channel with
        most; NaN for a channel without values.
    range_factor_ : ndarray of shape (n_features,)
        How many times the range seen in training each channel may come to span: more
        than 1 where the history is short, or slow.
    offset_ : float
        Threshold: rows whose `score_samples` is below it are labelled as anomalies.
    window_size_ : int
        The window size used.
    n_iter_ : int
        Number of epochs run, both phases together.
    loss_curve_ : list of float
        Mean training loss of each epoch.
    validation_loss_curve_ : list of float or None
        Mean loss on the held-out rows after each epoch; None without early stopping.
    device_ : str
        The device used.
    n_features_in_ : int
        Number of channels seen in `fit`.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the channels, when `X` has names that are all strings.

    See Also
    --------
    sklearn.ensemble.IsolationForest : Looks at each row alone; much faster.

    Notes
    -----
    A score of -s of criterion "calibrated" says that about one in ``10 ** s`` normal
    rows scores as low. The ISD of each channel is divided by `error_scale_` and
    `range_factor_`, and counts in full up to `error_limit_`, beyond by its logarithm.
    Rows are looked at in three scopes: the power mean of order 4 over the channels,
    averaged over `smoothing` rows; the worst channel of the row by itself, which has to
    be a decade rarer and counts up to an alarm, 2.5 or what `contamination` makes it,
    and hardly beyond; and over twenty times as many rows as `smoothing` how rare the
    LSD is, or the mean of that and the power mean's where it is larger, which counts up
    to a decade below an alarm and never to within half of one, so that it tells rows
    apart and raises none. How rare each is follows from the training data, stretched by
    how few of its rows are independent, and extrapolated by a generalised Pareto
    distribution [2]_. Averages are taken as larger by 80 / n of n rows, since those
    learned from are reconstructed better than others. Rows at the ends of a series, and
    of series shorter than the window, are measured by how well rows with as little
    context are reconstructed. A channel that always moves and then repeats its value
    four times or more is stuck: those rows are as rare as one in all training rows.

    Absurd values, far from all others of their channel, are missing where normal data
    are learned from (with an ``AbsurdValueWarning``), and are never shown to the
    network: their own deviation tells. Where rows to learn from are few there is a
    ``ShortHistoryWarning``; where data have moved on, a ``DataDriftWarning``.

    Missing values (NaN) are interpolated within a window, and the network is told
    which they were; losses, deviations and scores count what was observed. A row
    without any value cannot be judged, and is labelled an anomaly: a source of data
    that went silent is news. A channel without any value in training is left out.

    Departures from the paper: the gate of the memory is trained (the paper's equations
    say so, the authors' code stops its gradient); the memory is saved and restored with
    the weights; the memory item nearest to a query is the nearest by distance (in the
    authors' code by inner product); `temperature` holds for the memory and for the
    criterion; the training windows carry `noise`; absurd values are hidden from the
    network, and unless ``standardize=False`` it sees at most 30 standard deviations; a
    channel that is constant in training is reconstructed as that constant; the default
    criterion is not the paper's; the defaults of width, depth, window and length of
    training are smaller. The paper's own setting is ``window_size=100, stride=100,
    d_model=512, n_heads=8, n_layers=3, dim_feedforward=512, noise=0.0,
    criterion="softmax", learning_rate=1e-4, batch_size=256, max_iter=100,
    early_stopping=True, validation_fraction=0.2``.

    In a process group of ``torch.distributed`` with several processes `fit` is
    collective: all call it with the same data and parameters, each computes its part
    of every batch of `batch_size` windows, and all end with the same model. Each of
    them scores all training rows, though, to set the threshold.

    References
    ----------
    .. [1] J. Song, K. Kim, J. Oh and S. Cho, "MEMTO: Memory-guided Transformer for
           Multivariate Time Series Anomaly Detection", NeurIPS 2023,
           arXiv:2312.02530.
    .. [2] A. Siffer, P.-A. Fouque, A. Termier and C. Largouet, "Anomaly Detection in
           Streams with Extreme Value Theory", KDD 2017.

    Examples
    --------
    >>> import numpy as np
    >>> from skmemto import MEMTODetector
    >>> t = np.arange(1000)
    >>> X = np.column_stack([np.sin(t / 5), np.cos(t / 8)])
    >>> detector = MEMTODetector(random_state=0).fit(X[:600])
    >>> X_new = X[600:].copy()
    >>> X_new[200:205] += 2
    >>> labels = detector.predict(X_new)
    >>> bool((labels[200:205] == -1).all())
    True
    """

    model_: MEMTONetwork
    _network_class = MEMTONetwork
    _n_fit_tasks: ClassVar[int] = 3
    _parameter_constraints: ClassVar[dict] = {
        **ExplainingDetector._parameter_constraints,
        "n_memory_items": [Interval(Integral, 1, None, closed="left")],
        "entropy_weight": [Interval(Real, 0, None, closed="left")],
    }

    def __init__(
        self,
        *,
        window_size: int | Literal["auto"] = "auto",
        stride: int | Literal["auto"] = "auto",
        n_memory_items: int = 10,
        d_model: int = 64,
        n_heads: int = 4,
        n_layers: int = 2,
        dim_feedforward: int | None = None,
        dropout: float = 0.0,
        noise: float = 0.5,
        temperature: float = 0.1,
        entropy_weight: float = 0.01,
        criterion: Literal["calibrated", "softmax", "isd", "lsd"] = "calibrated",
        score_stride: int | Literal["auto"] = "auto",
        smoothing: int | Literal["auto"] = "auto",
        lookahead: int | Literal["auto"] = "auto",
        rebase: int | Literal["auto"] | None = "auto",
        reservoir_size: int = 10_000,
        standardize: bool = True,
        max_iter: int = 3,
        batch_size: int | Literal["auto"] = "auto",
        learning_rate: float = 1e-3,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        n_iter_no_change: int = 10,
        tol: float = 1e-4,
        contamination: float | Literal["auto"] = "auto",
        device: str = "auto",
        precision: Literal["float32", "bfloat16"] = "float32",
        random_state: int | np.random.RandomState | None = None,
        verbose: int | bool = 0,
    ):
        self.window_size = window_size
        self.stride = stride
        self.n_memory_items = n_memory_items
        self.d_model = d_model
        self.n_heads = n_heads
        self.n_layers = n_layers
        self.dim_feedforward = dim_feedforward
        self.dropout = dropout
        self.noise = noise
        self.temperature = temperature
        self.entropy_weight = entropy_weight
        self.criterion = criterion
        self.score_stride = score_stride
        self.smoothing = smoothing
        self.lookahead = lookahead
        self.rebase = rebase
        self.reservoir_size = reservoir_size
        self.standardize = standardize
        self.max_iter = max_iter
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.n_iter_no_change = n_iter_no_change
        self.tol = tol
        self.contamination = contamination
        self.device = device
        self.precision = precision
        self.random_state = random_state
        self.verbose = verbose

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(
        self, X: ArrayLike, y: Any = None, *, groups: ArrayLike | None = None
    ) -> Self:
        """Learn what is normal.

        The network is trained to reconstruct windows, its memory is set to the centres
        of their clusters in latent space, and both are trained on (section 3.3 of the
        paper).

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows in time order, taken as mostly normal. NaN is a missing value. An
            array of float32 or float64, such as a read-only ``numpy.memmap``, is not
            copied.
        y : Ignored
            Not used, present for API consistency by convention.
        groups : array-like of shape (n_samples,), default=None
            Equal values in one contiguous run of rows make one series (a machine,
            a channel, a recording). Windows never cross the border of a series.
            By default all rows are one series.

        Returns
        -------
        self : object
            The fitted estimator. A fit that fails or is interrupted leaves it as
            it was.

        Raises
        ------
        ValueError
            If `X` or `groups` is malformed, values are too large to be
            standardized, or training diverges.
        """
        return self._fit_draft(X, y, groups)

    @property
    def memory_items_(self) -> NDArray[np.float32]:
        """Memory items after fit, (n_memory_items, d_model)."""
        check_is_fitted(self)
        return self.model_.memory.items.cpu().numpy().copy()

    @property
    def memory_prototypes_(self) -> NDArray[np.float64]:
        """What the decoder makes of each memory item, (n_memory_items, n_features).

        In the units of the training data: rows that the model holds to be normal.
        """
        check_is_fitted(self)
        decoded = self.model_.decode_items().cpu().double().numpy()
        decoded[:, self.scaler_.constant_] = 0.0
        return self.scaler_.inverse_transform(decoded)

    def memory_attention(
        self, X: ArrayLike, *, groups: ArrayLike | None = None
    ) -> NDArray[np.float64]:
        """Compute how much each row reads of each memory item, eq. 4 of the paper.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows in time order.
        groups : array-like of shape (n_samples,), default=None
            Equal values in one contiguous run of rows make one series.

        Returns
        -------
        attention : ndarray of shape (n_samples, n_memory_items)
            Weights that sum to 1 in each row, averaged over the windows that hold it.
        """
        check_is_fitted(self)
        X, series = self._validate(X, groups)
        attention = np.empty((len(X), len(self.model_.memory.items)))
        reading = MemoryReading(self.model_)
        for part in self._reconstructor().of_network(reading, X, series):
            attention[part.rows] = part.reconstruction
        return attention

    def _network_config(self) -> MEMTOConfig:
        return MEMTOConfig(
            n_features=self.n_features_in_,
            n_memory_items=self.n_memory_items,
            d_model=self.d_model,
            n_heads=self.n_heads,
            n_layers=self.n_layers,
            dim_feedforward=self.dim_feedforward or 2 * self.d_model,
            dropout=self.dropout,
            noise=self.noise,
            temperature=self.temperature,
            entropy_weight=self.entropy_weight,
        )

    def _temperature(self) -> float:
        return self.model_.config.temperature  # which is that of the memory as well

    def _train(self, trainer: Trainer, reporter: FitReporter) -> None:
        """Pre-train, put the memory where the queries are, train on (section 3.3)."""
        with reporter.phase("pre-training") as phase:
            trainer.run(self.learning_rate, phase)
        with reporter.step("k-means"):
            # On several threads k-means is not the same bit for bit; the next run
            # gives all ranks what the first has found.
            if _distributed.rank() == 0 and not trainer.is_ahead:
                self._place_items(trainer)
        super()._train(trainer, reporter)

    def _train_on(self, trainer: Trainer, reporter: EpochReporter) -> None:
        """Run the last phase; the paper halves the rate there (1e-4, then 5e-5)."""
        trainer.run(self.learning_rate / 2, reporter)

    def _place_items(self, trainer: Trainer) -> None:
        """Set the memory items to the centres of clusters of training queries."""
        memory = self.model_.memory
        queries = sample_queries(
            self.model_.encoder,
            trainer.get_windows,
            trainer.train_blocks,
            batch_size=trainer.batch_size,
            rng=trainer.rng,
        )
        memory.set_items(place_items(memory.items, queries, trainer.rng))
