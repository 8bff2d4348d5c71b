"""Proofs: two runs of the same input, and the largest absolute difference between them.

A proof uses 7 time steps, 3 sequences and a non-zero initial state, runs every layer in every direction in float64,
and compares outputs *and* final states: one step and a zero state would hide everything that is recurrent.  Of what is
large a sample of the units is run, and every number is compared besides: :func:`proved`.
"""

from __future__ import annotations

from ._explained import explained
from ._figures import (
    BATCH,
    COARSER,
    SEED,
    TIME,
    TOLERANCE,
    Numbers,
    Proof,
    Units,
    largest,
    magnitude,
    names_of_states,
    random_input,
    tolerance_of,
)
from ._numbers import numbers
from ._recorded import compared, prove_recorded
from ._sample import prove_sample
from ._ways import WAYS, Claim, proved, way_of
from ._whole import Ran, prove, run_of

__all__ = [
    "BATCH", "COARSER", "SEED", "TIME", "TOLERANCE", "WAYS", "Claim", "Numbers", "Proof", "Ran", "Units", "compared", "explained", "largest", "magnitude",
    "names_of_states", "numbers", "prove", "prove_recorded", "prove_sample", "proved", "random_input", "run_of", "tolerance_of", "way_of",
]  # fmt: skip
