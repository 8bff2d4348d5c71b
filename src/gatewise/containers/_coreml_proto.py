"""Core ML's messages, as far as recurrent layers need them, and the words that its layers have for their weights.

Source: mlmodel/format/{Model,NeuralNetwork}.proto of coremltools 9.0.
"""

from __future__ import annotations

from ._protobuf import BOOL, FLOAT, INT, LAZY, RAW, TEXT, UINT, Message

TYPE_CHECKING = False  # as typing's, without its import (see record)
if TYPE_CHECKING:
    from typing import Any

PLAIN_ACTIVATIONS = {10: "ReLU", 30: "tanh", 40: "sigmoid", 60: "softsign", 70: "softplus"}
_NUMBERS = Message({1: ("alpha", FLOAT), 2: ("beta", FLOAT)})
PARAMETRIC_ACTIVATIONS = {
    5: "linear",
    15: "leakyReLU",
    20: "thresholdedReLU",
    31: "scaledTanh",
    41: "sigmoidHard",
    50: "ELU",
}
ACTIVATION = Message(
    {number: (name, RAW) for number, name in PLAIN_ACTIVATIONS.items()}
    | {number: (name, _NUMBERS) for number, name in PARAMETRIC_ACTIVATIONS.items()}
)
QUANTISATION = Message({1: ("bits", UINT)})
WEIGHT = Message(
    {1: ("floats", [RAW]), 2: ("halves", RAW), 30: ("raw", RAW), 31: ("int8", RAW), 40: ("quantisation", QUANTISATION)}
)
_LSTM_WORDS = {
    at + number: f"{gate}{what}"
    for at, what in ((0, "WeightMatrix"), (19, "RecursionMatrix"), (39, "BiasVector"))
    for number, gate in enumerate(("inputGate", "forgetGate", "blockInput", "outputGate"), 1)
} | {60: "inputGatePeepholeVector", 61: "forgetGatePeepholeVector", 62: "outputGatePeepholeVector"}
_GRU_WORDS = {
    at + number: f"{gate}{what}"
    for at, what in ((30, "WeightMatrix"), (50, "RecursionMatrix"), (70, "BiasVector"))
    for number, gate in enumerate(("updateGate", "resetGate", "outputGate"))
}
_RNN_WORDS = {30: "weightMatrix", 31: "recursionMatrix", 32: "biasVector"}


def _weights(words: dict[int, str]) -> dict[int, tuple[str, Any]]:
    return {number: (word, WEIGHT) for number, word in words.items()}


_SIZES = {1: ("inputVectorSize", UINT), 2: ("outputVectorSize", UINT)}
_REVERSE = {100: ("reverseInput", BOOL)}
_LSTM_PARAMS = Message(
    {20: ("hasBiasVectors", BOOL), 30: ("forgetBias", BOOL), 40: ("hasPeepholeVectors", BOOL),
     50: ("coupledInputAndForgetGate", BOOL), 60: ("cellClipThreshold", FLOAT)}
)  # fmt: skip
_LSTM = Message(_weights(_LSTM_WORDS))
LAYERS = {
    400: ("SimpleRecurrent", Message({**_SIZES, 10: ("activations", [ACTIVATION]), 20: ("hasBiasVectors", BOOL),
                                      **_weights(_RNN_WORDS), **_REVERSE})),
    410: ("GRU", Message({**_SIZES, 10: ("activations", [ACTIVATION]), 20: ("hasBiasVectors", BOOL),
                          **_weights(_GRU_WORDS), **_REVERSE})),
    420: ("UniDirectionalLSTM", Message({**_SIZES, 10: ("activations", [ACTIVATION]), 15: ("params", _LSTM_PARAMS),
                                         20: ("weightParams", [_LSTM]), **_REVERSE})),
    430: ("BiDirectionalLSTM", Message({**_SIZES, 10: ("activations", [ACTIVATION]), 11: ("reverse", [ACTIVATION]),
                                        15: ("params", _LSTM_PARAMS), 20: ("weightParams", [_LSTM])})),
}  # fmt: skip
WORDS = (*_LSTM_WORDS.values(), *_GRU_WORDS.values(), *_RNN_WORDS.values())
BRANCH, LOOP = 605, 615
LAYER = Message(
    {1: ("name", TEXT), 2: ("input", [TEXT]), 3: ("output", [TEXT])}
    | {number: (name, message) for number, (name, message) in LAYERS.items()}
    | {BRANCH: ("branch", LAZY), LOOP: ("loop", LAZY)}
)
NETWORK = Message({1: ("layers", [LAYER])})
INNER = {
    "branch": Message({1: ("one", NETWORK), 2: ("other", NETWORK)}),
    "loop": Message({3: ("one", NETWORK), 4: ("other", NETWORK)}),
}
_ENTRY = Message({1: ("key", TEXT), 2: ("value", TEXT)})
_METADATA = Message({2: ("version", TEXT), 3: ("author", TEXT), 100: ("user", [_ENTRY])})
DESCRIPTION = Message({100: ("metadata", _METADATA)})
PIPELINES, NETWORKS, PROGRAM = (200, 201, 202), (303, 403, 500), 502
# Every kind of model that Model's oneof has: what a file must have one of.
TYPES = frozenset((
    *PIPELINES, 300, 301, 302, *NETWORKS, 304, 400, 401, 402, 404, 501, PROGRAM, 555, 556, 560, 600, 601, 602, 603, 604, 606,
    607, 609, 610, 900, 2000, 2001, 2002, 2003, 2004, 2005, 2006, 3000,
))  # fmt: skip
MODEL = Message(
    {1: ("version", INT), 2: ("description", DESCRIPTION), PROGRAM: ("program", LAZY)}
    | dict.fromkeys(NETWORKS, ("network", NETWORK))
    | {202: ("pipeline", LAZY), 200: ("wrapped", LAZY), 201: ("wrapped", LAZY)}
)
PIPELINE = Message({1: ("models", [LAZY]), 2: ("names", [TEXT])})
WRAPPED = Message({1: ("pipeline", LAZY)})
