"""Checkpoints of TensorFlow 1 and what became of its cells: GW223 to GW228.  Tables only."""

from __future__ import annotations

from ._symptom import Symptom

SYMPTOMS = (
    Symptom(
        "GW223",
        title="NotFoundError: Key rnn/basic_lstm_cell/kernel not found in checkpoint",
        says=("Key {name}<_cell/>{kernel|bias|weights|biases} not found in checkpoint", "Key {name}{lstm|gru|rnn|_cell}/{gates|candidate}/{kernel|bias|weights|biases} <not found in checkpoint>",
              "Key {name}{lstm|gru|rnn}_cell/{name} <not found in checkpoint>"),
        hints=("basic_lstm_cell", "lstm_cell", "gru_cell", "RestoreV2", "NotFoundError", "saver.restore"),
        cause="TensorFlow 1.2 renamed the variables of its recurrent cells: `weights` and `biases` became `kernel` and `bias` (and around 1.0 the scopes changed). The checkpoint was written by an older TensorFlow, or the graph has another cell or scope.",
        fix="""
        List what the checkpoint holds, and map the names when restoring:

            for name, shape in tf.train.list_variables(path):
                print(name, shape)

            saver = tf.compat.v1.train.Saver({
                variable.op.name.replace("/kernel", "/weights").replace("/bias", "/biases"): variable
                for variable in tf.compat.v1.global_variables() if "_cell" in variable.op.name
            })

        The optimizer's slots (`kernel/Adam`) may be missing as well: restore the model's variables only. The numbers need no change, only the names.
        """,
        versions="Written by TensorFlow <= 1.1, read by >= 1.2.",
        threads=(
            "KranthiGV/Pretrained-Show-and-Tell-model#9", "KranthiGV/Pretrained-Show-and-Tell-model#7", "mlberkeley/oreilly-captions#17", "eragonruan/text-detection-ctpn#1", "adeshpande3/LSTM-Sentiment-Analysis#11",
            "da03/Attention-OCR#50", "tensorflow/tensorflow#12289", "tensorflow/tensorflow#11964", "tensorflow/tensorflow#8447",
        ),
    ),
    Symptom(
        "GW224",
        title="No OpKernel was registered to support Op 'CudnnRNNCanonicalToParams' … Registered devices: [CPU]",
        says=("No OpKernel was registered to support Op '<CudnnRNN>",),
        suggests=("<CudnnRNNCanonicalToParams>", "<CudnnRNNParamsSize>", "<CudnnRNNParamsToCanonical>"),
        hints=("Registered devices", "OpKernel", "cudnn_lstm", "cudnn_gru", "cu_dnn"),
        cause="The model uses cuDNN's own recurrent op, which exists for GPUs only; even restoring the checkpoint packs the weights with such an op. Here TensorFlow sees no GPU, or has no CUDA support.",
        fix="""
        If there is a GPU, TensorFlow does not see it: `tf.config.list_physical_devices("GPU")` must list it (TensorFlow 1 wants the tensorflow-gpu package and the CUDA it was built for).

        On a CPU build the graph anew with a compatible cell under the same scopes, and load the canonical weights:

            cell = tf.contrib.cudnn_rnn.CudnnCompatibleLSTMCell(units)    # CudnnCompatibleGRUCell
            outputs, state = tf.nn.dynamic_rnn(cell, x, dtype=tf.float32)

        A meta graph that was saved with the GPU op keeps asking for it: do not import it. For Keras use LSTM or GRU instead of CuDNNLSTM or CuDNNGRU, see GW212.
        """,
        versions="TensorFlow 1.x on a CPU.",
        threads=("tensorflow/tensorflow#19016", "tensorflow/tensorflow#6072", "tensorflow/tensorflow#20273", "aqlaboratory/rgn#3", "mozilla/DeepSpeech#2583", "mozilla/DeepSpeech#2264"),
    ),
    Symptom(
        "GW225",
        title="CudnnLSTM saved in compatible form has its biases in the wrong order (Magenta)",
        asks=("cudnnlstm|cudnn_lstm|cudnn bias|biases order|wrong magenta|canonical|compatible|save|saved",),
        cause="An early version of the saving code mistook the order of the canonical biases: input biases first for all gates, then the recurrent ones.",
        fix="Use a Magenta after the correction. Of an old file check by one run on known inputs.",
        versions="TensorFlow 1.x, Magenta of 2018.",
        threads=("magenta/magenta#1015",),
    ),
    Symptom(
        "GW226",
        title="A TF 1 GRUCell checkpoint into a Keras GRU",
        asks=("tf1|tf~1|tensorflow~1|tf.nn.rnn_cell|tf.contrib|rnn_cell grucell|gru_cell|gru~cell keras|tf.keras|tf2|convert|load",),
        cause="TensorFlow 1 stores a GRU as `gates/kernel`, [input + state, 2u] in the order r, u, and `candidate/kernel`, [input + state, u]. Keras has one kernel for the input and one for the state, in the order z, r, h, and computes with the reset gate before the product only if reset_after=False.",
        fix="""
            r, u = np.split(gates_kernel, 2, axis=1)
            whole = np.hstack([u, r, candidate_kernel])                    # z, r, h
            b_r, b_u = np.split(gates_bias, 2)
            layer = keras.layers.GRU(units, reset_after=False, recurrent_activation="sigmoid")
            layer.build((None, time, features))
            layer.set_weights([whole[:features], whole[features:], np.concatenate([b_u, b_r, candidate_bias])])
        """,
        versions="TensorFlow 1.x to Keras.",
        threads=("tensorflow/tensorflow#44948",),
        inferred="the code, from the layouts of both, which we have proved one by one.",
        related=("GW227",),
    ),
    Symptom(
        "GW227",
        title="TF 1 LSTMCell weights load into a Keras LSTM, but the output is wrong",
        asks=("basiclstmcell|lstmcell|lstm_cell|rnn_cell tf1|tf~1|tensorflow~1|tf.nn.rnn_cell|tf.contrib|checkpoint|tensorflow keras|tf.keras convert|load|wrong|output|weights|order",),
        cause="TensorFlow 1 keeps input and state kernels on top of each other in one matrix, orders the gates i, j (candidate), f, o where Keras has i, f, c, o, and adds `forget_bias` (1.0 unless changed) to the forget gate at run time: it is not in the file.",
        fix="""
            i, j, f, o = np.split(kernel, 4, axis=1)
            b_i, b_j, b_f, b_o = np.split(bias, 4)
            whole = np.hstack([i, f, j, o])
            layer = keras.layers.LSTM(units, recurrent_activation="sigmoid")
            layer.build((None, time, features))
            layer.set_weights([whole[:features], whole[features:], np.concatenate([b_i, b_f + 1.0, b_j, b_o])])
        """,
        versions="TensorFlow 1.x to Keras.",
        threads=("tensorflow/tensorflow#29622", "tensorflow/tensorflow#29308", "keras-team/keras#10179"),
        inferred="the code, from the layouts of both, which we have proved one by one.",
        related=("GW226", "GW533"),
    ),
    Symptom(
        "GW228",
        title="RETURNN: NativeLSTM2's W, W_re, b against lstm_cell/kernel",
        asks=("returnn nativelstm|nativelstm2|native|basiclstm|standardlstm|lstm_cell|w_re weights|checkpoint|load|convert|kernel|param|variables",),
        cause="RETURNN's cells compute the same and name their variables differently: NativeLSTM2 has W, W_re and b, the others `lstm_cell/kernel` and `bias`.",
        fix="RETURNN converts between them when it loads, as long as the layer has no variable map of its own.",
        versions="RETURNN.",
        threads=("rwth-i6/returnn#274", "rwth-i6/returnn#945"),
    ),
)  # fmt: skip
