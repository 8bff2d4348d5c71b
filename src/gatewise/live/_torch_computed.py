"""Weights that a torch module computes from other parameters: which these are, and how to write through to them.

Known: parametrizations that have a ``right_inverse``, the old ``weight_norm`` (w = g * v / |v|) and pruning
(w = orig * mask).  What has no inverse (the old ``spectral_norm``, a mask where it is zero) is refused, not approximated.
Sources: torch/nn/utils/{parametrize,weight_norm,spectral_norm,prune}.py.
"""

from __future__ import annotations

from typing import Any

from ..errors import UsageError


def parameters_behind(module: Any, attribute: str) -> list[Any]:
    """The parameters from which ``module.attribute`` is made; itself where it is one."""
    held = vars(module)["_parameters"]
    if held.get(attribute) is not None:
        return [held[attribute]]
    if _parametrized(module, attribute):
        return list(module.parametrizations[attribute].parameters())
    return [held[attribute + tail] for tail in ("_orig", "_raw", "_g", "_v") if held.get(attribute + tail) is not None]


def _parametrized(module: Any, attribute: str) -> bool:
    modules = vars(module).get("_modules") or {}
    return "parametrizations" in modules and attribute in modules["parametrizations"]


def assign_computed(module: Any, attribute: str, value: Any) -> None:
    """Change the parameters behind ``module.attribute`` such that it becomes ``value``.  Raises UsageError where nothing
    makes it so.  Call it under ``torch.no_grad``."""
    held = vars(module)
    if _parametrized(module, attribute):
        _through_parametrization(module, attribute, value)
    elif f"{attribute}_mask" in held["_buffers"]:
        _through_mask(held["_parameters"][f"{attribute}_orig"], held["_buffers"][f"{attribute}_mask"], value, attribute)
        setattr(module, attribute, held["_parameters"][f"{attribute}_orig"] * held["_buffers"][f"{attribute}_mask"])
    elif f"{attribute}_v" in held["_parameters"]:
        _through_norm(module, attribute, value)
    else:
        raise UsageError(
            f"{attribute} is computed anew at every call, and nothing tells how to make it this.",
            next="Remove what computes it first (torch.nn.utils.remove_spectral_norm, torch.nn.utils.prune.remove …).",
        )


def _through_parametrization(module: Any, attribute: str, value: Any) -> None:
    import torch

    try:
        setattr(module, attribute, value)
    except (NotImplementedError, RuntimeError, AttributeError) as error:
        raise UsageError(
            f"{attribute} is parametrized, and its parametrization cannot be inverted ({str(error).splitlines()[0]}).",
            next="Remove it first: torch.nn.utils.parametrize.remove_parametrizations.",
        ) from None
    now = getattr(module, attribute)
    if not torch.allclose(now, value, rtol=1e-5, atol=1e-7):
        raise UsageError(
            f"{attribute} is parametrized, and its parametrization does not let it become this "
            f"(the nearest differs by {float((now - value).abs().max()):.3g}).",
            next="Remove it first: torch.nn.utils.parametrize.remove_parametrizations.",
        )


def _through_mask(original: Any, mask: Any, value: Any, attribute: str) -> None:
    lost = int(((mask == 0) & (value != 0)).sum())
    if lost:
        raise UsageError(
            f"{lost} of the elements of {attribute} to write are pruned, so they stay zero.",
            next="Write zeros there, or make the pruning permanent first (torch.nn.utils.prune.remove).",
        )
    original.copy_(value.where(mask != 0, original))


def _through_norm(module: Any, attribute: str, value: Any) -> None:
    """w = g * v / |v|, with the norm over all axes but one."""
    held = vars(module)["_parameters"]
    scale, direction = held[f"{attribute}_g"], held[f"{attribute}_v"]
    axes = [axis for axis in range(value.ndim) if scale.ndim == value.ndim and scale.shape[axis] == 1]
    norm = (
        value.norm() if scale.ndim != value.ndim or len(axes) == value.ndim else value.norm(2, dim=axes, keepdim=True)
    )
    if bool((norm == 0).any()):
        raise UsageError(
            f"{attribute} is weight-normalised, which cannot give a row of zeros.", next="Remove the weight norm first."
        )
    scale.copy_(norm.reshape(scale.shape))
    direction.copy_(value)
    setattr(module, attribute, value.clone())
