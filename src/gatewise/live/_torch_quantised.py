"""torch's quantised recurrent layers: what their packed weights stand for, to be read and run, never written.

Known: torch.ao.nn.quantized.dynamic (LSTM, GRU and the cells), which keep whole numbers and scales packed for the kernel;
``get_weight`` and ``get_bias`` unpack them.  torch.ao.nn.quantized.LSTM, which quantises its activations too, is only
named.  Source: torch/ao/nn/quantized/dynamic/modules/rnn.py.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..errors import UsageError
from ._torch_weight import as_numpy
from ._weight import Weight

if TYPE_CHECKING:
    from ..tensors import Array

SUPPOSED = (
    "its weights are quantised ({}): the numbers are what they stand for, and its inputs are rounded at every step"
)


class PackedWeight(Weight):
    """One weight of a quantised layer, unpacked when it is asked for."""

    dtype = "float32"
    fallible = True

    def __init__(self, module: Any, attribute: str, name: str):
        self.module, self.attribute, self.name = module, attribute, name
        self.shape = tuple(self.native().shape)

    def native(self) -> Any:
        """The numbers that the packed ones stand for, float32; no gradient goes through them."""
        packed = unpacked(self.module)[self.attribute]
        return packed.dequantize() if packed.is_quantized else packed.detach().float()

    def array(self) -> Array:
        return as_numpy(self.native())

    def assign(self, array: Array) -> None:  # noqa: ARG002
        raise UsageError(
            f"{self.name} is quantised ({kind_of_numbers(self.module)}, packed for the kernel), so it cannot be written.",
            next="Write the float layer, and quantise it again.",
        )

    @property
    def frozen(self) -> bool:
        return True

    def freeze(self, frozen: bool = True) -> None:
        if not frozen:
            raise UsageError(
                f"{self.name} is quantised, and what is quantised is not trained.", next="Train the float layer."
            )


def unpacked(module: Any) -> dict[str, Any]:
    """A dynamically quantised layer's tensors by name."""
    return {**module.get_weight(), **module.get_bias()}


def kind_of_numbers(module: Any) -> str:
    return str(next(iter(module.get_weight().values())).dtype).removeprefix("torch.")
