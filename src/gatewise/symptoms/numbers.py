"""The numbers of recurrent layers themselves: what the doctor finds in files whose names and shapes are in order.  GW701 to
GW706.  Tables only."""

from __future__ import annotations

from ._symptom import Symptom

_LOOK = """
            gatewise inspect FILE --gates      # mean, spread and extremes of every gate
"""

SYMPTOMS = (
    Symptom(
        "GW701",
        title="Weights of a recurrent layer in a file are NaN or infinite",
        says=("Every output that such a number reaches <is not a number>",),
        asks=("nan|infinite|inf|infinity weights|kernel|gate|checkpoint|state_dict lstm|gru|rnn|recurrent file|checkpoint|stored|saved|in~a~file|state_dict",),
        cause="Training diverged and the checkpoint was written all the same (no gradient clipping, a learning rate too high, an overflow in float16), or the file was damaged. One such number in a recurrent "
        "kernel reaches every later step. No repair can know what stood there.",
        fix="""
        Go back to the last checkpoint without them; `gatewise doctor` takes a folder, and names gates and counts:

            gatewise doctor checkpoints/

        For the next training, clip the gradients before each step:

            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        """,
        versions="Every framework.",
        tried="files with such numbers in single gates; in torch 2.13.0 an LSTM with one NaN in its recurrent kernel makes one output NaN at the first step and all from the second on.",
        related=("GW418",),
    ),
    Symptom(
        "GW702",
        title="Both kernels are zero throughout",
        says=("<both kernels are zero throughout>",),
        asks=("gate kernels|weights zero|zeros lstm|gru|rnn throughout|entirely|all|both",),
        cause="A gate whose two kernels are zero gives the same at every step, whatever comes in. It was pruned, its weights were never loaded (their names did not fit, and nobody was told), or "
        "another program filled it with zeros. Other gates of the cell are not zero, so the layer as a whole was trained.",
        fix=f"""
        See which gates are meant, and compare with the file that this one was made from:
{_LOOK}
            gatewise diff FILE ORIGINAL

        Where a conversion left them out, convert again with `gatewise convert`, which places every number or refuses.
        """,
        versions="Every framework.",
        tried="files made so.",
        related=("GW703",),
    ),
    Symptom(
        "GW703",
        title="All biases of a recurrent cell are zero",
        says=("these were <never trained, were saved before it>, or were not loaded",),
        asks=("biases|bias all~zero|zero|zeros lstm|gru|rnn|cell checkpoint|file|loaded|trained|are",),
        cause="Training moves every bias away from zero, so these were saved before it, were frozen at zero, or were not loaded: a conversion that knows one bias and writes into two, or `strict=False` with other "
        "names. A layer without biases has none, which is something else.",
        fix=f"""
        If the model computes what it should, nothing is wrong. If it computes something near to it, look where the biases are:
{_LOOK}
            gatewise verify FILE ORIGINAL
        """,
        versions="Every framework. torch and Keras start with biases that are not all zero (Keras's LSTM has ones in the forget gate).",
        tried="files made so; new layers of torch 2.13.0 and Keras 3.15.1.",
        related=("GW702", "GW308"),
    ),
    Symptom(
        "GW704",
        title="Most forget biases of an LSTM are so large that the gate does not move",
        says=("beyond 6 <nothing is ever forgotten>, below -6 nothing is kept from step to step",),
        asks=("forget bias|biases large|saturated|saturate|beyond|stuck|does~not~move|too~large lstm|gate",),
        cause="The forget gate is a sigmoid, flat beyond ±6: σ(6) is 0.9975. What counts is all that is added, both biases of torch and a forget bias that TensorFlow 1 adds when the layer runs. It may be meant "
        "(chrono initialisation for very long memories), or the forget bias was added once in the file and once more by the program, or a gate of another order was read as this one.",
        fix="""
        The effective forget bias, whatever the convention:

            gatewise inspect FILE --gates

        In a module in memory `gw.set_forget_bias(module, 1.0)` sets it in every layer and direction. If the gates lie in another order than the program takes them, see GW510.
        """,
        versions="Every framework.",
        threads=("proceedings.mlr.press/v37/jozefowicz15.html", "arxiv.org/abs/1804.11188"),
        tried="files made so.",
    ),
    Symptom(
        "GW705",
        title="The spectral radius of an LSTM's recurrent kernel is large",
        says=("by that factor with every step, <until the activation saturates>",),
        asks=("spectral~radius lstm|gru|rnn large|high|too|what|why|mean|kernel",),
        cause="The spectral radius is the largest absolute eigenvalue of the matrix that carries the state on. Beyond 1 a state or gradient that this matrix alone carries grows with every step, until the activation holds it. "
        "In an LSTM or GRU the gates work against it, so the doctor tells only of more than 3, and as a note.",
        fix="""
        Watch it over training, and clip the gradients:

            gw.statistics(module)   # spectral radii and memory lengths, gate by gate
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)

        Orthogonal recurrent kernels start at 1: `gw.initialise(module, "orthogonal", role="recurrent_kernel")`. If the file was converted, `gatewise verify FILE ORIGINAL` tells whether the
        matrix is what it was.
        """,
        versions="Every framework.",
        threads=("arxiv.org/abs/1211.5063",),
        tried="files made so.",
    ),
    Symptom(
        "GW706",
        title="float16 weights of a recurrent layer are near overflow, or have lost their digits",
        says=("<below float16's normal range> and have lost digits", "numbers up to {any}, and <float16 ends at 65504>"),
        asks=("float16|half|fp16 weights|numbers|checkpoint lstm|gru|rnn|recurrent overflow|subnormal|underflow|lost|digits|near",),
        cause="float16 ends at 65504 and has its 11 bits only from 6.1e-5 up. Weights near the end overflow as soon as something is added or multiplied; weights below the range were rounded when they were stored, and their digits are not in the file any more.",
        fix="""
        Compute in float32, or in bfloat16, which has float32's range:

            gatewise convert FILE -o NEW.safetensors --dtype float32

        That cannot bring digits back: for those take the file from before the narrowing. `gatewise convert --dtype float16` reports the largest change, so that it is seen when it happens.
        """,
        versions="Every framework.",
        tried="files made so. The limits are those of IEEE 754's binary16.",
    ),
)  # fmt: skip
