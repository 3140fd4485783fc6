"""Where the HTML representation of an estimator links to."""

from sklearn.base import BaseEstimator


class DocumentedEstimator(BaseEstimator):
    """Estimator with a page of its own in the reference."""

    _doc_link_module = "skmemto"
    _doc_link_template = (
        "https://skmemto.github.io/skmemto/generated/"
        "{estimator_module}.{estimator_name}.html"
    )
