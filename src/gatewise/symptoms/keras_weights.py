"""Keras weights of another shape or meaning than the layer they are loaded into: GW212 to GW222; a name that Keras 3 refuses:
GW237.  Tables only."""

from __future__ import annotations

from ._symptom import Symptom

_OLD_HARD = """
    from keras import ops

    def hard_sigmoid(x):
        return ops.clip(0.2 * x + 0.5, 0.0, 1.0)
"""

SYMPTOMS = (
    Symptom(
        "GW212",
        title="CuDNNLSTM weights into an LSTM: Dimension 0 in both shapes must be equal, but are 400 and 800",
        says=(
            "Weight expects shape ({x},). <Received saved weight with shape> ({2x},)",
            "in both shapes must be equal, but are {x} and {2x}. <Shapes are> [{n}] and [{n}]",
            "in both shapes must be equal, but are {x} and {2x} <for 'Assign>",
        ),
        needs=("lstm", "cudnn", "gru", "lstm_cell/bias"),
        hints=("cudnn", "lstm", "bias", "load_weights", "Assign"),
        asks=("cudnnlstm lstm weights|load|convert|cpu keras|h5|cpu|bias|shapes",),
        cause="CuDNNLSTM keeps two bias vectors end to end, 8 × units; LSTM has one of 4 × units. The saved bias is twice as long as the one wanted.",
        fix="""
        Add the two halves (and nothing else: kernels and gate order are LSTM's own):

            kernel, recurrent_kernel, bias = cudnn_layer_weights
            half = bias.size // 2
            lstm.set_weights([kernel, recurrent_kernel, bias[:half] + bias[half:]])

        with `recurrent_activation="sigmoid"`, which is what cuDNN computes. From the file, with proof:

            gatewise convert OLD.h5 -o NEW.keras --to keras.LSTM --layer NAME
        """,
        versions="Written by Keras 2.1 to tf.keras 2.15; read by an LSTM where Keras does not convert: Keras 2.1 and nested layers of 2.2, and all of Keras 3.",
        threads=("keras-team/keras#8860", "keras-team/keras#11785", "keras-team/keras#8307"),
        tried="files of Keras 2.2.4 and tf.keras 1.15 to 2.15.1 in Keras 3.15.1; the sum is proved to 2e-08.",
        related=("GW213", "GW232"),
    ),
    Symptom(
        "GW213",
        title="CuDNNLSTM weights load into an LSTM, but the accuracy collapses",
        asks=("cudnnlstm|cudnngru|cudnn accuracy|wrong|predictions|different|collapses|drops|garbage lstm|gru",),
        cause="Loading worked and the meaning did not: inside a Bidirectional or a nested model Keras 2.1 left the arrays unconverted, or the plain LSTM runs with Keras 2's default "
        "`hard_sigmoid` while cuDNN computes `sigmoid`.",
        fix="""
            keras.layers.LSTM(units, recurrent_activation="sigmoid")   # for GRU also reset_after=True

        and convert each layer by itself, wrappers included: `gatewise convert OLD.h5 -o NEW.keras --to keras.LSTM --layer NAME` proves that both compute the same.
        """,
        versions="Keras 2.1 and 2.2.",
        threads=("keras-team/keras#9463", "keras-team/keras#13399"),
        inferred="which of the two it was in the threads.",
        related=("GW212",),
    ),
    Symptom(
        "GW214",
        title="CuDNNGRU weights into a GRU: Shapes must be equal rank … input shapes: [2,384], [768]",
        says=(
            "Weight expects shape (2, {x}). <Received saved weight with shape> ({2x},)", "<Shapes must be equal rank, but are 2 and 1>{any}input shapes: [2,{x}], [{2x}]",
            "<Shapes must be equal rank, but are 1 and 2>{any}input shapes: [{2x}], [2,{x}]", "<input shapes: [2,>{x}], [{2x}]",
        ),
        hints=("gru", "cudnn", "Assign", "TimeDistributed", "load_weights"),
        asks=("cudnngru gru weights|load|convert|nested|timedistributed keras|h5|cpu|bias",),
        cause="CuDNNGRU keeps its two biases as one vector of 6 × units; GRU(reset_after=True) has them as two rows of 3 × units. Keras 2 converts on loading, but not inside a nested model or TimeDistributed; Keras 3 not at all.",
        fix="""
            gatewise convert OLD.h5 -o NEW.keras --to keras.GRU --layer NAME

        By hand the bias is `bias.reshape(2, -1)`; and CuDNNGRU's kernels are not GRU's: for each of its three gates

            block = kernel[:, units * gate : units * (gate + 1)]
            plain = block.T.reshape(block.shape)      # input kernel; a recurrent block is transposed
        """,
        versions="Written by Keras 2.1 to tf.keras 2.15 with a CuDNNGRU; read by a GRU where Keras does not convert.",
        threads=("keras-team/keras#10080", "keras-team/keras#10356", "keras-team/keras#10357", "keras-team/keras#5836"),
        tried="files of Keras 2.2.4 and tf.keras 1.15 to 2.15.1 in Keras 3.15.1.",
        related=("GW216", "GW504"),
    ),
    Symptom(
        "GW215",
        title="Loading an LSTM without biases fails in the CuDNN converter (list index out of range)",
        suggests=("<list index out of range>",),
        hints=("preprocess_weights_for_loading", "convert_rnn_weights", "_convert_rnn_weights", "weights[2]", "use_bias"),
        asks=("use_bias=false|no~bias|without~bias|bias-less lstm|gru|cudnnlstm keras|load|h5 index|fails|crash|error",),
        cause="Keras 2.0.9 and 2.1 looked at the third array of every recurrent layer to see whether it came from cuDNN; with use_bias=False there are two.",
        fix="Use Keras 2.1.3 or later, or load the arrays with h5py and `layer.set_weights([kernel, recurrent_kernel])`.",
        versions="Keras 2.0.9 and 2.1.",
        threads=("keras-team/keras#8541", "keras-team/keras#8547"),
        inferred="the release that mended it.",
    ),
    Symptom(
        "GW216",
        title="GRU(reset_after=True) is not compatible with GRU(reset_after=False)",
        says=(
            "<GRU(reset_after=>{True|False}) is not compatible with GRU(reset_after=", "CuDNNGRU is <not compatible with GRU(reset_after=False)>", "GRU(reset_after=False) is <not compatible with CuDNNGRU>",
            "Weight expects shape (2, {x}). <Received saved weight with shape> ({x},)", "Weight expects shape ({x},). <Received saved weight with shape> (2, {x})",
        ),
        suggests=("<reset_after=>",),
        hints=("not compatible", "gru_cell/bias", "GRU"),
        asks=("reset_after gru convert|load|compatible|difference|between|interconvert|true|false",),
        cause="There are two GRUs. With reset_after=True the reset gate acts on the product with the recurrent kernel, and there are two biases, stored (2, 3u); with False it acts on the state before the "
        "product, and there is one, (3u,). The default was False until tf.keras 1 and Keras 2.3, and is True since. They are different functions: no rearranging of weights turns one into the other.",
        fix="""
        Build the layer that the file holds:

            keras.layers.GRU(units, reset_after=False)   # if the saved bias is (3u,)
            keras.layers.GRU(units, reset_after=True)    # if it is (2, 3u), or comes from a CuDNNGRU

        `gatewise inspect FILE` says which it is.
        """,
        versions="Every Keras since 2.1.3; the default changed with TensorFlow 2.",
        threads=("Tony607/Keras-Trigger-Word#15", "tensorflow/tfjs#2442", "nntrainer/nntrainer#1644", "tensorflow/tensorflow#43960"),
        tried="files of Keras 2.2.4 in a default GRU of Keras 3.15.1.",
        related=("GW217", "GW214"),
    ),
    Symptom(
        "GW217",
        title="The GRU's file has twice as many biases as expected: is it a bug?",
        asks=("gru bias|biases twice|two|double|2,|(2 keras|tensorflow|tf|file|h5|shape",),
        unless=("tflite", "tf lite"),
        cause="With reset_after=True a GRU needs two biases: row 0 is added to the product with the input, row 1 to the product with the state, and for the candidate gate the second stands inside the "
        "product with the reset gate.",
        fix="Keep both. For the gates z and r only their sum matters; for the candidate gate they must stay apart.",
        versions="TensorFlow 2.0 and later, Keras 3.",
        threads=("keras-team/keras#14120", "tensorflow/tensorflow#43960"),
        tried="folding a GRU's biases into one changes the outputs (0.16 in the trial), an LSTM's does not; torch 1.1.0 to 2.13.0, whose GRU has the same form.",
        related=("GW216",),
    ),
    Symptom(
        "GW218",
        title="TensorFlow.js: Shape mismatch: [384] vs. [2,384]",
        says=("Shape mismatch: [{x}] vs. <[2,>{x}]", "Shape mismatch: <[2,>{x}] vs. [{x}]"),
        hints=("gru", "tfjs", "tensorflow.js", "loadLayersModel", "bias"),
        cause="A GRU saved by TensorFlow 2 has reset_after=True and two bias rows; TensorFlow.js had a GRU of reset_after=False only.",
        fix="Use a newer TensorFlow.js, or train with `GRU(units, reset_after=False)`. Trained weights cannot be converted from one to the other.",
        versions="TensorFlow.js of 2020 and before, with models of TensorFlow 2.",
        threads=("tensorflow/tfjs#2442",),
        related=("GW216",),
    ),
    Symptom(
        "GW219",
        title="The same LSTM weights give slightly different outputs in TF 1 and TF 2, or in Keras 2.2 and 2.3",
        asks=(
            "tf1|tf~1|tensorflow~1|1.15|keras~2.2|old~keras tf2|tf~2|tensorflow~2|keras~2.3|new different|differ|differs|slightly|mismatch|not~match lstm|gru|rnn",
            "hard_sigmoid sigmoid default lstm|gru|recurrent_activation different|changed|output|outputs|when|why|which",
        ),
        cause="The default `recurrent_activation` of LSTM and GRU changed from hard_sigmoid to sigmoid with Keras 2.3 and TensorFlow 2. The weights are the same, the function is not.",
        fix="""
        Write the old activation into the rebuilt model:

            keras.layers.LSTM(units, recurrent_activation="hard_sigmoid")   # in Keras 2 and tf.keras

        In Keras 3 that name means another function: see GW220.
        """,
        versions="Weights of Keras < 2.3 and tf.keras 1.x in later versions.",
        threads=("tensorflow/tensorflow#47495", "minimaxir/textgenrnn#153"),
        tried="weights of Keras 2.2.4 in a default LSTM of Keras 3.15.1: off by 4e-02.",
        related=("GW220",),
    ),
    Symptom(
        "GW220",
        title="An old Keras .h5 loads in Keras 3 without an error, but the outputs are wrong (hard_sigmoid)",
        asks=(
            "hard_sigmoid|hard~sigmoid keras~3|keras3|slope|0.2|1/6|changed different|wrong|changed|slope|differs|output|outputs",
            "keras~3|keras3 loads|load wrong|different|differ outputs|output|predictions|results lstm|gru|rnn",
        ),
        cause="hard_sigmoid was clip(0.2 x + 0.5, 0, 1) and is clip(x / 6 + 0.5, 0, 1) in Keras 3, under the same name. It was the default of the gates before Keras 2.3 and in tf.keras 1.x, and of "
        "ConvLSTM2D in tf.keras 2. Such files load without a word and compute something else: by 0.045 for an LSTM, 0.07 for a ConvLSTM2D in our trial.",
        fix="""
        Give the old function to every recurrent cell after loading, wrappers included:
""" + _OLD_HARD.replace("\n    ", "\n            ") + """
            def cells(layer):
                if hasattr(layer, "cell"):
                    yield from getattr(layer.cell, "cells", [layer.cell])
                for part in (*getattr(layer, "layers", ()), *(getattr(layer, name, None) for name in ("forward_layer", "backward_layer", "layer"))):
                    if part is not None:
                        yield from cells(part)

            for cell in cells(model):
                if cell.recurrent_activation is keras.activations.hard_sigmoid:
                    cell.recurrent_activation = hard_sigmoid

        (For layers outside of wrappers `load_model(path, custom_objects={"hard_sigmoid": hard_sigmoid})` is enough.) `gatewise inspect FILE` shows hard_sigmoid(0.2) where it applies, `gatewise doctor FILE --for keras==3` finds it.
        """,
        versions="Written by Keras < 2.3 or tf.keras 1.x (and ConvLSTM2D of tf.keras 2), read by Keras 3.",
        threads=("tensorflow/tensorflow#47495",),
        tried="files of Keras 2.2.4 and tf.keras 1.15, plain and Bidirectional, in Keras 3.15.1: wrong by 0.03 to 0.07 as loaded, right to 6e-08 with the old function.",
        related=("GW219",),
    ),
    Symptom(
        "GW221",
        title="recurrent_activation='sigmoid' and a function object give different results on a GPU",
        asks=("recurrent_activation|lstm|gru sigmoid|activation|recurrent_activation string|string~form|function~object|tf.sigmoid|lambda different|results|gpu|cudnn",),
        cause="Keras takes the cuDNN kernel only when the activations are the ones it knows by name; a function object that computes the same runs the plain implementation. The two differ in rounding.",
        fix="Use the names ('tanh', 'sigmoid'), and compare on the CPU when in doubt.",
        versions="TensorFlow 2.1, GPU.",
        threads=("tensorflow/tensorflow#41028",),
    ),
    Symptom(
        "GW222",
        title="LSTM weights are not restored by load_weights, while other layers are; no error",
        asks=("lstm|rnn|gru weights not~restored|not~loaded|not~saved|random load_weights|save_weights|restore|checkpoint",),
        cause="In tf.keras 1.10 the variables of recurrent layers were missing from the object graph of TensorFlow-format `save_weights`: they were neither saved nor asked for.",
        fix="""
        Save as HDF5, and compare after loading:

            model.save_weights("weights.h5")
            assert all((a == b).all() for a, b in zip(before, model.get_weights()))

        What was not saved cannot be brought back from such a checkpoint.
        """,
        versions="tf.keras 1.10.",
        threads=("tensorflow/tensorflow#23013", "tensorflow/tensorflow#6683"),
    ),
    Symptom(
        "GW237",
        title="ValueError: Argument `name` must be a string and cannot contain character `/`",
        says=("Argument `name` must be a string and <cannot contain character> `/`",),
        hints=("keras", "load_model", "layer", "lstm"),
        cause="A layer's name has a slash, which Keras 1 and 2 allowed (`encoder/lstm`, often made from TensorFlow's scopes) and Keras 3 does not.",
        fix="""
        From the file; slashes become underscores, everything else stays:

            gatewise repair OLD.h5 -o NEW.keras

        In code give the layer another name.
        """,
        versions="Written by Keras 1 or 2, read by Keras 3.",
        tried="the message in Keras 3.15.1, and the cure.",
    ),
)  # fmt: skip
