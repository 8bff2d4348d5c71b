"""Moving weights between frameworks: PyTorch, Keras, ONNX, TensorFlow, TFLite, Core ML.  GW501 to GW518.  Tables only."""

from __future__ import annotations

from ._symptom import Symptom

_CONVERT = "From file to file, with the proof that both compute the same: `gatewise convert FILE -o OUT --to {to}`."
_PROOF = "Whatever the way: compare at least 7 steps, 3 sequences, a non-zero initial state and random biases. One step from a zero state proves next to nothing."

SYMPTOMS = (
    Symptom(
        "GW501",
        title="PyTorch's LSTM has 4 weight arrays, Keras' has 3: how do I copy them?",
        asks=(
            "pytorch|torch keras|tensorflow|tf lstm convert|copy|transfer|weights|arrays|get_weights|set_weights|port|load bias|biases|3|three|4|four|arrays|weights|copy|convert|transfer|port",
            "bias_ih|bias_hh keras|tensorflow|get_weights|set_weights",
        ),
        cause="PyTorch keeps two biases that are only ever added; Keras keeps their sum. PyTorch's matrices are [gates × hidden, input], Keras' are the transposes. The gates are in the same order (i, f, g or c, o).",
        fix="""
        PyTorch → Keras, for each layer and direction:

            kernel = lstm.weight_ih_l0.detach().numpy().T
            recurrent_kernel = lstm.weight_hh_l0.detach().numpy().T
            bias = (lstm.bias_ih_l0 + lstm.bias_hh_l0).detach().numpy()
            keras_layer.set_weights([kernel, recurrent_kernel, bias])

        Keras → PyTorch: transpose back, put the whole bias in bias_ih and zeros in bias_hh. Keras' gates must be `sigmoid`, not `hard_sigmoid`. A GRU is not like this: see GW503.

        """ + _CONVERT.format(to="keras.LSTM"),
        versions="Every PyTorch, Keras 2 and 3.",
        threads=("stackoverflow.com/questions/48361376", "discuss.pytorch.org/t/110741", "harish2704/pottan-ocr#13", "tensorflow/tensorflow#20435", "blog.csdn.net/ZXCVBNNHU/article/details/121214495"),
        tried="gatewise's own conversions, against what both frameworks compute: 1e-07.",
        related=("GW503", "GW502"),
    ),
    Symptom(
        "GW502",
        title="Splitting one Keras bias in two for PyTorch gives slightly different outputs",
        asks=("split|splitting|halve|half|factor bias pytorch|torch keras slightly|different|differ|small|rounding",),
        cause="Halves or other shares add up to the bias again but for one rounding, about 1e-7 in float32. A difference in the second or third decimal is something else: another activation (`hard_sigmoid`) or gate order.",
        fix="Put the whole bias in bias_ih and zeros in bias_hh, and compare with a tolerance for float32, such as 1e-6. " + _PROOF,
        versions="Every PyTorch and Keras.",
        threads=("discuss.pytorch.org/t/110741",),
        tried="folding an LSTM's two biases into one on torch 1.1.0 to 2.13.0: outputs equal to 3e-08.",
        related=("GW501", "GW219"),
    ),
    Symptom(
        "GW503",
        title="GRU weights copied between Keras and PyTorch give close but not equal outputs",
        asks=("gru keras|tensorflow|tf pytorch|torch convert|copy|copied|transfer|port|weights|load|equal|different|order", "gru gates|gate order keras pytorch|torch"),
        cause="Keras orders a GRU's gates z, r, h, PyTorch r, z, n. A plain transpose, which is right for an LSTM, swaps two gates. And PyTorch's GRU is Keras' with reset_after=True only.",
        fix="""
        Swap the first two blocks of both kernels and of both biases:

            def keras_order(array):                       # [3H, ...] r, z, n  ->  z, r, h
                r, z, n = np.split(array, 3)
                return np.concatenate([z, r, n])

            kernel = keras_order(gru.weight_ih_l0.detach().numpy()).T
            recurrent_kernel = keras_order(gru.weight_hh_l0.detach().numpy()).T
            bias = np.stack([keras_order(gru.bias_ih_l0.detach().numpy()), keras_order(gru.bias_hh_l0.detach().numpy())])
            keras.layers.GRU(units, reset_after=True)     # set_weights([kernel, recurrent_kernel, bias])

        The two biases stay apart: the candidate's recurrent bias stands inside the product with the reset gate. A GRU with reset_after=False cannot become PyTorch's.

        """ + _CONVERT.format(to="keras.GRU"),
        versions="Every PyTorch, Keras 2.1.3 and later.",
        threads=("keras-team/keras#15915", "keras-team/keras#8720", "keras-team/keras#22115"),
        tried="gatewise's own conversions, against what both frameworks compute: 2e-07.",
        related=("GW501", "GW216"),
    ),
    Symptom(
        "GW504",
        title="CuDNNGRU's input kernel: transposing alone is wrong",
        asks=("cudnngru kernel|weights transpose|transposed|reshape|convert|wrong|pytorch|torch|order",),
        cause="Keras hands CuDNNGRU's input kernel to cuDNN as it lies in memory: each gate's block must be transposed and *reshaped* back to its own shape, which relabels its elements. Recurrent blocks are plain transposes.",
        fix="""
            blocks = [kernel[:, units * gate : units * (gate + 1)] for gate in range(3)]
            plain = np.hstack([block.T.reshape(block.shape) for block in blocks])

        """ + _CONVERT.format(to="keras.GRU") + " It knows this as a layout of its own, `keras.CuDNNGRU`.",
        versions="Keras 2.1 to tf.keras 2.15.",
        threads=("keras-team/keras#8720",),
        tried="gatewise's layout keras.CuDNNGRU, against what Keras 2.2.4 to tf.keras 2.15.1 compute: 1e-07.",
        related=("GW214",),
    ),
    Symptom(
        "GW505",
        title="ONNX LSTM weights have another gate order than PyTorch",
        asks=("onnx lstm gate|gates|order|iofc pytorch|torch|ifgo|convert|keras|order|import", "onnx gate|gates order"),
        cause="ONNX orders an LSTM's gates i, o, f, c; PyTorch i, f, g, o. A GRU is z, r, h in ONNX and r, z, n in PyTorch. The shapes are the same, so nothing fails.",
        fix="""
            i, f, g, o = np.split(torch_weight, 4)
            onnx_weight = np.concatenate([i, o, f, g])       # PyTorch -> ONNX: blocks 0, 3, 1, 2

            i, o, f, c = np.split(onnx_weight, 4)
            torch_weight = np.concatenate([i, f, c, o])      # ONNX -> PyTorch: blocks 0, 2, 3, 1

        The same for the biases, which ONNX concatenates: B = [Wb, Rb].
        """,
        versions="Every ONNX opset.",
        threads=("CrispStrobe/CrispASR#106", "ENOT-AutoDL/onnx2torch#256", "NervanaSystems/ngraph#3733"),
        inferred="ONNX → PyTorch, as the inverse of the exporter's order.",
        related=("GW554", "GW506"),
    ),
    Symptom(
        "GW506",
        title="An exported ONNX GRU is off by about 0.1 (linear_before_reset)",
        asks=("onnx gru wrong|off|different|differ|differs|mismatch|error|linear_before_reset|accuracy|output|outputs",),
        cause="The node's attribute `linear_before_reset` is 0, which applies the reset gate before the product. PyTorch's GRU applies it after: it needs 1. onnxscript 0.6.2, with torch 2.10's exporter, leaves it at 0.",
        fix="""
            model = onnx.load("model.onnx")
            for node in model.graph.node:
                if node.op_type == "GRU":
                    kept = [each for each in node.attribute if each.name != "linear_before_reset"]
                    del node.attribute[:]
                    node.attribute.extend([*kept, onnx.helper.make_attribute("linear_before_reset", 1)])
            onnx.save(model, "model.onnx")
        """,
        versions="onnxscript 0.6.2 with torch 2.10; look at the attribute in any other.",
        threads=("microsoft/onnxscript#2852",),
        related=("GW507", "GW505"),
    ),
    Symptom(
        "GW507",
        title="GRU with linear_before_reset is not supported (onnx-tf)",
        says=("<linear_before_reset> is not supported", "GRU with <linear_before_reset>"),
        hints=("onnx-tf", "onnx_tf", "BackendIsNotSupposedToImplementIt", "prepare"),
        cause="onnx-tf up to 1.7 ran GRUs with TensorFlow 1's GRUCell, which applies the reset gate before the product. PyTorch's GRU, and so its ONNX, applies it after.",
        fix="Build the GRU in Keras, `GRU(units, reset_after=True)`, and copy the weights (GW503), or use a later converter. Setting the attribute to 0 silences the error and changes the function.",
        versions="onnx-tf <= 1.7.",
        threads=("onnx/onnx-tensorflow#853", "onnx/onnx-tensorflow#227", "onnx/onnx-tensorflow#452", "datamagic2020/Convert-PyTorch-model-to-Tensorflow#1"),
        related=("GW506",),
    ),
    Symptom(
        "GW508",
        title="CuDNNGRU converted to ONNX gives wrong outputs",
        asks=("cudnngru onnx|tf2onnx",),
        cause="CuDNNGRU is a GRU with reset_after=True and two biases; a converter that takes it for the plain one writes another equation.",
        fix="In the ONNX node look at `linear_before_reset` (it must be 1) and at B, whose two halves must both be there. Or convert to an ordinary GRU first: `gatewise convert OLD.h5 -o NEW.keras --to keras.GRU`.",
        versions="tf2onnx of 2020.",
        threads=("onnx/tensorflow-onnx#939",),
        inferred="that the equation is what was wrong in the thread.",
        related=("GW506",),
    ),
    Symptom(
        "GW509",
        title="ONNX W, R and B of a bidirectional LSTM have the wrong rank",
        asks=("onnx bidirectional lstm|gru|rnn rank|shape|dimension|dims|num_directions|concatenated|w",),
        cause="ONNX wants the directions on an axis of their own, [directions, gates × hidden, …]. The exporter of PyTorch 0.4 concatenated them.",
        fix="Export with a later PyTorch, or reshape W, R and B to [2, gates × hidden, …] in the file.",
        versions="PyTorch 0.4's exporter.",
        threads=("pytorch/pytorch#6879", "onnx/onnx#921"),
    ),
    Symptom(
        "GW510",
        title="A Keras LSTM with hard_sigmoid becomes a Loop in ONNX",
        asks=("hard_sigmoid|hard~sigmoid onnx|tf2onnx loop|not~converted|slow|while",),
        cause="tf2onnx recognised an LSTM by its activations, and knew sigmoid, tanh and relu only. With hard_sigmoid the step-by-step loop is exported as it is: right, but slow.",
        fix="Use a newer tf2onnx.",
        versions="tf2onnx of 2022 and before.",
        threads=("onnx/tensorflow-onnx#2001",),
    ),
    Symptom(
        "GW511",
        title="Exporting a model to ONNX with a batch_size other than 1, with a variable length with LSTM can cause an error",
        says=("Exporting a model to ONNX with a batch_size other than 1, with a variable length with {LSTM|GRU|RNN|RNN_TANH|RNN_RELU} <can cause an error when running the ONNX model>",),
        suggests=("<Exporting a model to ONNX with a batch_size>",),
        hints=("LSTM", "GRU", "h0/c0", "variable length", "initial states"),
        asks=("onnx export lstm|gru|rnn batch~size|batch_size|h0|c0|initial~state|hidden~state|variable",),
        cause="Without h0 and c0 among the inputs the exporter writes zeros of the example's batch size into the graph.",
        fix="""
            torch.onnx.export(model, (x, (h0, c0)), "model.onnx", input_names=["x", "h0", "c0"],
                              dynamic_axes={"x": {0: "time", 1: "batch"}, "h0": {1: "batch"}, "c0": {1: "batch"}})
        """,
        versions="PyTorch's TorchScript-based exporter.",
        threads=("pytorch/pytorch#45653", "pytorch/pytorch#16025", "opencv/opencv#21118"),
    ),
    Symptom(
        "GW512",
        title="An importer drops an LSTM's peepholes, projection or layer norm without a word (TVM, TFLite)",
        asks=("lstm|gru|rnn peephole|peepholes|projection|layer~norm ignored|ignores|dropped|drops|silently|missing|without~a~word tflite|tvm|import|onnx|convert|frontend",),
        cause="Optional tensors that the importer does not know are skipped; the model loads and computes something else.",
        fix="Compare one run with the original before using the result. `gatewise convert` refuses instead of dropping, and names the reason.",
        versions="TVM's TFLite frontend, 2026.",
        threads=("apache/tvm#19633", "apache/tvm#19634"),
    ),
    Symptom(
        "GW513",
        title="TFLite GRU counts the bias twice",
        asks=("tflite|tf~lite gru bias",),
        cause="As reported, and not confirmed there: the converter adds the same bias in both matrix products.",
        fix="Compare with TensorFlow on random biases (zero biases hide it). If it is so, zero one of the two copies.",
        versions="TensorFlow 2.8.",
        threads=("tensorflow/tensorflow#54492", "tensorflow/tensorflow#54507"),
        inferred="the cure.",
    ),
    Symptom(
        "GW514",
        title="TFLite LSTM outputs differ from TensorFlow",
        asks=("tflite|tf~lite lstm different|differ|differs|mismatch|wrong|accuracy|results",),
        cause="Not established in the threads.",
        fix="Compare layer by layer, in float32 before any quantisation, with a non-zero state. " + _PROOF,
        versions="TensorFlow 2.3 to 2.12.",
        threads=("tensorflow/tensorflow#58858", "tensorflow/tensorflow#46620"),
    ),
    Symptom(
        "GW515",
        title="Core ML's documentation gives an LSTM's gates as i, f, z, o; the code reads i, f, o, z",
        asks=("coreml|core~ml|coremltools lstm gate|gates|order|ifoz|ifzo",),
        cause="An error in the documentation of the first neural network format.",
        fix="Use i, f, o, z.",
        versions="coremltools 0.x.",
        threads=("apple/coremltools#93",),
    ),
    Symptom(
        "GW516",
        title="Core ML LSTM is right at the first step and wrong afterwards (forget_bias)",
        asks=("coreml|core~ml|coremltools forget_bias|forget~bias|forget", "coreml|core~ml|coremltools lstm first|step|timestep|steps wrong|different|later"),
        cause="The converter did not honour the flag for a forget bias that is added at run time. With a zero initial state the first step does not show it.",
        fix="Add 1 to the forget gate's slice of the bias yourself before converting.",
        versions="coremltools of 2018.",
        threads=("apple/coremltools#309",),
    ),
    Symptom(
        "GW517",
        title="Core ML GRU disagrees with PyTorch's",
        asks=("coreml|core~ml|coremltools gru",),
        cause="Core ML sums the candidate gate's two biases into one. PyTorch multiplies the recurrent one with the reset gate, n = tanh(W x + b_in + r * (U h + b_hn)), which one bias cannot say.",
        fix="Exactly convertible only when b_hn is zero. Otherwise train with it fixed at zero, or write the cell out in elementary operations.",
        versions="coremltools 4.",
        threads=("apple/coremltools#1124",),
        inferred="the condition, from the equations.",
    ),
    Symptom(
        "GW518",
        title="A bidirectional LSTM differs in Core ML",
        asks=("coreml|core~ml|coremltools bidirectional|bilstm",),
        cause="Not established in the thread, which is open.",
        fix="Compare each direction by itself with the original. " + _PROOF,
        versions="coremltools 4.",
        threads=("apple/coremltools#824",),
    ),
)  # fmt: skip
