"""A recurrent layer's weights and settings in a draft, as Keras 3 computes them: through the canonical form.

CuDNN's re-labelled kernels, Keras 1's tensor for each gate and the old hard_sigmoid all become ``keras.LSTM``,
``keras.GRU`` or ``keras.SimpleRNN`` of today by :func:`~gatewise.conventions.express`.  Convolutional layers have no
canonical form here; of them only the slope is changed.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from ..checkpoint import Checkpoint, Layer
from ..containers._keras_draft import KerasDraft
from ..containers._keras_tree import Leaf
from ..conventions import Expressed, express
from ..errors import NotRepresentable
from ..layouts import layout
from ..layouts._code import encode
from ..layouts._settings import version_numbers
from ..tensors import StoredTensor, numpy_dtype
from ..weights import Stack
from ._keras3 import OLD_CUDNN
from ._keras3_table import CELLS, RECURRENT
from ._keras_modern import modernise

_TARGETS = {"lstm": "keras.LSTM", "gru": "keras.GRU", "rnn": "keras.SimpleRNN"}
OLD_SLOPE = "hard_sigmoid(0.2)"
SCALE = 1.2  # 0.2 / (1/6)


def keras_layers(checkpoint: Checkpoint) -> Iterator[Layer]:
    """The recurrent layers of a Keras file that gatewise reads as such."""
    for layer in checkpoint.layers:
        if layer.layout.split(".")[0] in ("keras", "keras1"):
            yield layer


def version_of(checkpoint: Checkpoint) -> tuple[int, ...]:
    """The version of Keras that wrote the file; () where it does not say, (1,) for Keras 1, which does not."""
    said = checkpoint.tensors.metadata.get("keras_version")
    if said is None and checkpoint.tensors.container == "keras-h5":
        return (1,)
    return version_numbers(said)


def expressed(layer: Layer, direction: str = "forward", stored_only: bool = False) -> Expressed:
    """One direction of a layer as Keras 3 can say it; ``stored_only``: where it lies alone, the activations being told
    by nothing in the file.  Raises NotRepresentable."""
    dialect = replace(layer.dialect, merge="concat")
    if stored_only and dialect.recurrent_activation is not None:
        dialect = replace(dialect, recurrent_activation="sigmoid")
    one = Stack(layer.cell, {(0, "forward"): layer.cells[0, direction]}, dialect, name=layer.name, layout=layer.layout)
    return express(one, layout(_TARGETS[layer.cell]))


def has_old_slope(layer: Layer) -> bool:
    """Does the layer compute the hard_sigmoid of Keras before 3?"""
    said = layer.dialect
    return OLD_SLOPE in (said.recurrent_activation, said.activation, said.output_activation)


def is_today(layer: Layer) -> bool:
    return layer.layout == _TARGETS[layer.cell] and not has_old_slope(layer)


def renew(draft: KerasDraft, layer: Layer) -> None:
    """Put a layer's weights and settings into today's form, where they are not.  Raises NotRepresentable."""
    directions = {name: found.direction for _, found, name in layer.match.places()}
    homes = [leaf for leaf in draft.leaves if any(tensor.name in directions for tensor in leaf.tensors)]
    stored_only = draft.config is None
    if layer.layout == _TARGETS[layer.cell] and (stored_only or not has_old_slope(layer)):
        return
    said = {direction: expressed(layer, direction, stored_only) for direction in layer.directions}
    for leaf in homes:
        leaf.tensors = list(_replaced(leaf, directions, said, layer))
        _say(leaf.node, said["forward"])


def _replaced(
    leaf: Leaf, directions: dict[str, str], said: Mapping[str, Expressed], layer: Layer
) -> Iterator[StoredTensor]:
    """The leaf's tensors, each run of a direction's old ones replaced by the new ones of that direction."""
    done: set[str] = set()
    for tensor in leaf.tensors:
        direction = directions.get(tensor.name)
        if direction is None:
            yield tensor
        elif direction not in done:
            done.add(direction)
            new = said[direction]
            for fresh in encode(new.stack, new.layout, new.form):
                yield fresh.renamed(_name(fresh, tensor, leaf, layer))


def _name(fresh: StoredTensor, old: StoredTensor, leaf: Leaf, layer: Layer) -> str:
    """Below the same scope as the old tensors; Keras 1's names have none, so the layer's name becomes it."""
    role = fresh.name.rpartition("/")[2]
    stem = old.name.rpartition("/")[0]
    if layer.layout.startswith("keras1."):
        base = re.sub(r"_[WUb](_[a-z])?(:0)?$", "", old.name.rpartition("/")[2])
        stem = f"{leaf.owner}/{leaf.owner}/{base}" if len(layer.directions) == 2 else f"{leaf.owner}/{base}"
    member = re.search(r"/kernel(_\d+)?(:0)?$", f"/{old.name}")
    tail = "".join(filter(None, member.groups())) if member else ""
    return f"{stem}/{role}{tail}"


def _say(node: dict[str, Any], said: Expressed) -> None:
    config = node.get("config")
    if not isinstance(config, dict):
        return
    for setting in said.layout.settings:
        if setting.field not in ("merge", "go_backwards"):
            for name in setting.names[1:]:
                config.pop(name, None)
            config[setting.names[0]] = setting.spelled(getattr(said.stack.dialect, setting.field))
    config["use_bias"] = said.stack.spec.bias != "none"


# The old slope where there is no canonical form.

_SCALABLE = {  # class → its tensors that are scaled, by position: what makes the input of the activation
    "Dense": (0, 1), "Conv1D": (0, 1), "Conv2D": (0, 1), "Conv3D": (0, 1), "Conv1DTranspose": (0, 1),
    "Conv2DTranspose": (0, 1), "Conv3DTranspose": (0, 1), "SeparableConv1D": (1, 2), "SeparableConv2D": (1, 2),
    "DepthwiseConv1D": (0, 1), "DepthwiseConv2D": (0, 1),
}  # fmt: skip
CONVOLVED = ("ConvLSTM1D", "ConvLSTM2D", "ConvLSTM3D")


def scale_leaf(leaf: Leaf) -> str:
    """Scale a plain or convolutional layer whose activation is the old hard_sigmoid.  Raises NotRepresentable."""
    config = leaf.node.get("config") or {}
    if leaf.kind in CONVOLVED:
        if config.get("activation") == "hard_sigmoid":
            raise _cannot(leaf, "its activation is also that of the cell state, which no weights scale")
        leaf.tensors = [_columns(tensor) for tensor in leaf.tensors]
        return f"{leaf.owner}: everything of gates i f o times {SCALE}"
    if leaf.kind not in _SCALABLE:
        raise _cannot(leaf, f"a {leaf.kind} has no weights that make its input")
    scaled = _SCALABLE[leaf.kind]
    leaf.tensors = [_times(tensor) if index in scaled else tensor for index, tensor in enumerate(leaf.tensors)]
    return f"{leaf.owner}: its kernel and bias times {SCALE}"


def _cannot(leaf: Leaf, reason: str) -> NotRepresentable:
    return NotRepresentable(
        f"{leaf.owner} uses the hard_sigmoid of Keras before 3, clip(0.2 x + 0.5), and {reason}; Keras 3 has only clip(x/6 + 0.5)."
    )


def _times(tensor: StoredTensor) -> StoredTensor:
    def read() -> Any:
        import numpy as np

        return (np.asarray(tensor.array(), np.float64) * SCALE).astype(numpy_dtype(tensor.dtype))

    return StoredTensor(tensor.name, tensor.dtype, tensor.shape, read, tensor.where)


def _columns(tensor: StoredTensor) -> StoredTensor:
    """ConvLSTM keeps its gates i, f, c, o on the last axis; all but c are scaled."""

    def read() -> Any:
        import numpy as np

        wide = np.array(tensor.array(), np.float64)
        quarter = wide.shape[-1] // 4
        wide[..., : 2 * quarter] *= SCALE
        wide[..., 3 * quarter :] *= SCALE
        return wide.astype(numpy_dtype(tensor.dtype))

    return StoredTensor(tensor.name, tensor.dtype, tensor.shape, read, tensor.where)


# All at once.


def make_modern(draft: KerasDraft, checkpoint: Checkpoint) -> None:
    """Everything that Keras 3 needs: weights, settings, config.  A second time it finds nothing to do.

    Raises NotRepresentable where it cannot be the same function.
    """
    if draft.is_modern:
        return
    version = version_of(checkpoint)
    for layer in keras_layers(checkpoint):
        renew(draft, layer)
    if draft.config is not None:
        if version < (3,):
            for leaf in old_slopes_elsewhere(draft):
                scale_leaf(leaf)
        renamed = modernise(draft.config, keras_1=version < (2,))
        draft.rename_owners(renamed)
    draft.is_modern = True


def old_slopes_elsewhere(draft: KerasDraft) -> Iterator[Leaf]:
    """Leaves of no recurrent layer, or of a convolutional one, whose activation is the old hard_sigmoid."""
    for leaf in draft.leaves:
        config = leaf.node.get("config")
        if not isinstance(config, dict) or leaf.kind in (*RECURRENT[:3], *CELLS, *OLD_CUDNN):
            continue
        if "hard_sigmoid" in (config.get("activation"), config.get("recurrent_activation")):
            yield leaf
