"""Reads the lists of keys in ``load_state_dict``'s error and says what they have in common, as words that a phrase can match.

The lists alone decide nothing: every wrong prefix lists every reverse weight as missing.  What is said here is said
of both lists together, once, instead of in every pattern.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

_LISTS = r"(?s)(missing|unexpected)(?:key\(s\)|keys?)(?:in(?:source_)?state_dict)?:(.*?)(?=missingkey|unexpectedkey|sizemismatch|$)"
_KEY = r"'([\w.]+)'|(?<=[\[{,:])([\w.]*(?:weight|bias)_[ih]h[\w.]*)(?=[\]},.])"
_RECURRENT = r"(?P<path>(?:\w+\.)*)(?P<base>weight_[ih]h|weight_hr|bias_[ih]h)(?P<layer>_l\d+)?(?P<reverse>_reverse)?(?P<raw>_raw)?$"
_WRAPPERS = ("_orig_mod.", "module.")


def told(squeezed: str) -> str:
    """What the lists of a squeezed text say, each as ``[keys:…]``; empty when there are none."""
    if "missingkey" not in squeezed and "unexpectedkey" not in squeezed:
        return ""
    lists: dict[str, list[str]] = {"missing": [], "unexpected": []}
    for match in re.finditer(_LISTS, squeezed):
        lists[match[1]] += [quoted or bare for quoted, bare in re.findall(_KEY, match[2])]
    if not any(lists.values()):
        return ""
    return "".join(f"[keys:{each}]" for each in _said(lists["missing"], lists["unexpected"]))


def _said(missing: list[str], unexpected: list[str]) -> Iterator[str]:
    ours = [found for found in (re.match(_RECURRENT, key) for key in missing) if found]
    theirs = [found for found in (re.match(_RECURRENT, key) for key in unexpected) if found]
    for wrapper in _WRAPPERS:
        if _wrapped(missing, unexpected, wrapper):
            yield f"wrapper{wrapper}"
            return
        if _wrapped(unexpected, missing, wrapper):
            yield f"nowrapper{wrapper}"
            return
    if not ours and not theirs:
        return
    if any(found["raw"] for found in (*ours, *theirs)) or _dropped(theirs, missing):
        yield "weightdrop"
    elif ours and theirs and {bool(found["layer"]) for found in ours} != {bool(found["layer"]) for found in theirs}:
        yield "cellandlayer"
    elif ours and theirs and (_prefix(ours, theirs) or _prefix(theirs, ours)):
        yield "otherprefix"
    elif ours and theirs and {found["path"] for found in ours} != {found["path"] for found in theirs}:
        yield "othernames"
    else:
        yield from _shape(ours, theirs)


def _wrapped(bare: list[str], wrapped: list[str], wrapper: str) -> bool:
    """Every wrapped key is a bare one but for the wrapper, as far as the lists go."""
    stripped = [key.replace(wrapper, "", 1) for key in wrapped if key.startswith(wrapper)]
    return (
        bool(stripped)
        and 2 * len(stripped) > len(wrapped)
        and (not bare or bool(set(stripped) & set(bare)) or wrapper == "_orig_mod.")
    )


def _dropped(theirs: list[re.Match[str]], missing: list[str]) -> bool:
    """``rnn.module.weight_hh_l0``: WeightDrop wraps the layer and calls it ``module``."""
    return any(found["path"].endswith(".module.") and found["base"] == "weight_hh" for found in theirs) and all(
        "weight_hh" in key or "weight_ih" in key for key in missing
    )


def _prefix(short: list[re.Match[str]], long: list[re.Match[str]]) -> bool:
    """The long keys are the short ones with the same words in front."""
    ends = {found[0] for found in short}
    return all(any(found[0].endswith(f".{end}") for end in ends) for found in long)


def _shape(ours: list[re.Match[str]], theirs: list[re.Match[str]]) -> Iterator[str]:
    """Directions and layers that only one side has."""
    for side, other, name in ((ours, theirs, "missing"), (theirs, ours, "unexpected")):
        if side and not other:
            if all(found["reverse"] for found in side):
                yield f"{name}reverse"
            elif all(found["layer"] not in (None, "_l0") for found in side):
                yield f"{name}layers"
            elif all(found["base"].startswith("bias") for found in side):
                yield f"{name}biases"
            elif all(found["base"] == "weight_hr" for found in side):
                yield f"{name}projection"
            else:
                yield f"{name}all"
