"""Shapes in annotations: ``Float[Tensor, "B L F"]`` is a tensor of B x L x F numbers.

The letters: B windows, L steps, F features, D = d_model, H heads, M memory items, T
tokens (all steps of all windows of a batch). The tests check them at every call, by
jaxtyping; where that is not installed the annotation is a plain tensor.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jaxtyping import Bool, Float
else:
    try:
        from jaxtyping import Bool, Float
    except ImportError:

        class Float:
            """Stands in for the type of jaxtyping."""

            def __class_getitem__(cls, item: tuple[Any, str]) -> Any:
                return item[0]

        Bool = Float

__all__ = ["Bool", "Float"]
