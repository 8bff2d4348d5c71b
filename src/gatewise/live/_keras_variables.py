"""Keras's variables as weights: where their numbers lie on each backend, and what can be done to them there.

On torch's CPU and on numpy the array is the variable's own memory.  On jax and TensorFlow it is a copy, and ``assign`` writes.
Sources: keras/src/backend/{common/variables,torch/core,numpy/core,jax/core,tensorflow/core}.py, keras/engine/base_layer.py of 2.15.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from ..errors import UsageError
from ._weight import Weight

if TYPE_CHECKING:
    from ..tensors import Array


class KerasWeight(Weight):
    """``variable``, which the layer ``owner`` holds.  As it is here: on jax, and any backend not named below."""

    def __init__(self, owner: Any, variable: Any, name: str):
        self.owner, self.variable, self.name = owner, variable, name
        dtype = self.native().dtype  # on jax without x64 another one than the variable's own word
        self.dtype = str(getattr(dtype, "name", dtype)).removeprefix("torch.")
        self.shape = tuple(int(size) for size in variable.shape)

    def array(self) -> Array:
        import numpy as np

        return np.asarray(self.variable.value)

    def native(self) -> Any:
        return self.variable.value

    def assign(self, array: Array) -> None:
        self.variable.assign(array)

    def parameters(self) -> list[Any]:
        return [self.variable]

    @property
    def frozen(self) -> bool:
        return not self.variable.trainable

    def freeze(self, frozen: bool = True) -> None:
        """Compile the model afterwards, also one that was compiled before: measured with Keras 3.15, that one trains on as
        before on TensorFlow and is refused by ``fit`` on jax; on torch it is frozen at once."""
        self.variable.trainable = not frozen


class NumpyWeight(KerasWeight):
    @property
    def shared(self) -> bool:  # type: ignore[override]
        return bool(self.variable.value.flags.writeable)

    def assign(self, array: Array) -> None:
        if array is not self.variable.value:  # else it was changed in place
            self.variable.assign(array)


class TorchWeight(KerasWeight):
    @property
    def shared(self) -> bool:  # type: ignore[override]
        from ._torch_weight import in_reach

        return in_reach(self.variable.value)

    def array(self) -> Array:
        from ._torch_weight import as_numpy

        return as_numpy(self.variable.value)

    def assign(self, array: Array) -> None:
        from ._torch_weight import as_tensor, changed

        if self.shared:
            changed(self.variable.value)
        else:
            self.variable.assign(as_tensor(array, self.variable.value))


class TensorFlowWeight(KerasWeight):
    """A variable of Keras 3 on TensorFlow."""

    def array(self) -> Array:
        import tensorflow as tf

        if not tf.executing_eagerly():
            raise UsageError(
                f"{self.name} has no numbers here: TensorFlow is not executing eagerly.",
                next="Read and write outside tf.function; within it gw.select(…) gives tensors.",
            )
        array: Array = self._tf_variable().numpy()
        return array

    def _tf_variable(self) -> Any:
        return self.variable.value

    def native_cut(self, cut: Callable[[Any], Any]) -> Any:
        return cut(Turnable(self.native())).tensor


class Keras2Weight(TensorFlowWeight):
    """A variable of tf.keras 2, which is TensorFlow's own."""

    def _tf_variable(self) -> Any:
        return self.variable

    def native(self) -> Any:
        return self.variable

    @property
    def frozen(self) -> bool:
        return not any(each is self.variable for each in self.owner.trainable_weights)

    def freeze(self, frozen: bool = True) -> None:
        raise UsageError(
            f"{self.name} cannot be {'frozen' if frozen else 'trained'} by itself: tf.keras 2 freezes whole layers.",
            next=f"Set layer.trainable = {not frozen} and compile the model again, or use a mask on the gradients.",
        )


class Turnable:
    """A TensorFlow tensor with numpy's words for cutting, which it lacks.  ``tensor`` is what was cut, with its gradients."""

    def __init__(self, tensor: Any):
        self.tensor = tensor

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(int(size) for size in self.tensor.shape)

    @property
    def T(self) -> Turnable:  # noqa: N802  (numpy's word)
        return self.transpose(range(len(self.shape))[::-1])

    def __getitem__(self, index: Any) -> Turnable:
        return Turnable(self.tensor[index])

    def reshape(self, shape: int | Sequence[int]) -> Turnable:
        import tensorflow as tf

        return Turnable(tf.reshape(self.tensor, [shape] if isinstance(shape, int) else list(shape)))

    def transpose(self, order: Sequence[int]) -> Turnable:
        import tensorflow as tf

        return Turnable(tf.transpose(self.tensor, list(order)))


WEIGHTS: dict[str, type[KerasWeight]] = {"torch": TorchWeight, "numpy": NumpyWeight, "tensorflow": TensorFlowWeight}


def weight_of(keras: Any, owner: Any, variable: Any, name: str) -> KerasWeight:
    """A variable as a weight, by the Keras and the backend that it is of."""
    if str(keras.__version__).startswith("2."):
        return Keras2Weight(owner, variable, name)
    return WEIGHTS.get(keras.config.backend(), KerasWeight)(owner, variable, name)
