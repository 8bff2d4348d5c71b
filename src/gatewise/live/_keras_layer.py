"""What every holder of a Keras layer has: its variables by name, sums, and regularizers on some of a variable's elements.

Keras 3 asks ``variable.regularizer`` when it collects a model's losses; tf.keras 2 asks the functions given to
``layer.add_loss``.  Both belong to the object and not to its config: a model that is saved and loaded is without them.
Sources: keras/src/layers/layer.py, _get_regularization_losses (3.15); keras/engine/base_layer.py, add_loss and losses (2.15).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from ._keras_run import is_old
from ._keras_variables import KerasWeight
from ._weight import Holder
from .keras import package

if TYPE_CHECKING:
    from ..tensors import Array


class KerasLayer(Holder):
    """A layer or cell of Keras, of Keras's own or of the user's."""

    _weights: Mapping[str, KerasWeight]

    def __init__(self, path: str, layer: Any):
        self.keras = package(layer)
        self.version = str(self.keras.__version__)
        self.framework = "tf.keras" if is_old(self.keras) else "keras"
        self.path, self.subject = path, layer

    @property
    def weights(self) -> Mapping[str, KerasWeight]:
        return self._weights

    def total(self, value: Any) -> Any:
        if is_old(self.keras):
            import tensorflow as tf

            return tf.reduce_sum(value)
        return self.keras.ops.sum(value)

    def numpy(self, value: Any) -> Array:
        """As everywhere; a single bfloat16 of TensorFlow cannot be asked for an array, only for its number."""
        tensor = hasattr(value, "numpy") and not hasattr(value, "detach")
        return super().numpy(value.numpy() if tensor else value)

    def regularize(self, masks: Mapping[str, Array], l1: float, l2: float) -> None:
        """A regularizer that a variable has already stays, and is added.  Compile the model afterwards: what was compiled
        before trains on as before where the step is compiled (TensorFlow, jax)."""
        for name, mask in masks.items():
            weight = self.weights[name]
            penalty = Penalty(self.keras, mask, l1, l2)
            if is_old(self.keras):
                weight.owner.add_loss(_bound(penalty, weight.variable))
            else:
                weight.variable.regularizer = penalty.beside(weight.variable.regularizer)


def _bound(penalty: Penalty, variable: Any) -> Callable[[], Any]:
    return lambda: penalty(variable)


class Penalty:
    """A regularizer of Keras: l1·Σ|w| + l2·Σw² of the elements where ``mask`` is true, and what ``other`` adds."""

    def __init__(self, keras: Any, mask: Array, l1: float, l2: float, other: Callable[[Any], Any] | None = None):
        self.keras, self.mask, self.l1, self.l2, self.other = keras, mask, float(l1), float(l2), other

    def beside(self, other: Callable[[Any], Any] | None) -> Penalty:
        return Penalty(self.keras, self.mask, self.l1, self.l2, other)

    def __call__(self, variable: Any) -> Any:
        if is_old(self.keras):
            import tensorflow as ops

            add = ops.reduce_sum
            value = ops.convert_to_tensor(variable)
        else:
            ops = self.keras.ops
            add = ops.sum
            value = ops.convert_to_tensor(variable)
        chosen = ops.where(self.mask, value, ops.zeros_like(value))
        penalty = self.l1 * add(ops.abs(chosen)) + self.l2 * add(ops.square(chosen))
        return penalty if self.other is None else self.other(variable) + penalty
