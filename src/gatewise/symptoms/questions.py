"""Which number is what: gates, biases, flat vectors, freezing.  GW551 to GW565.  Tables only."""

from __future__ import annotations

from ._symptom import Symptom

_SHOW = "`gatewise inspect FILE --tensors` tells every tensor's role, layer, direction and gates; `--gates` shows each gate's own matrix."

SYMPTOMS = (
    Symptom(
        "GW551",
        title="How do I set the forget gate bias of an LSTM to 1?",
        asks=("forget bias set|init|initialise|initialize|initialisation|initialization|1|one|how", "forget_bias pytorch|torch|jax|flax|nn.lstm"),
        cause="There is no option in PyTorch. The forget gate is the second quarter of each bias, and the two biases are added: 1 in both makes 2.",
        fix="""
            for name, bias in lstm.named_parameters():
                if "bias" in name:
                    hidden = bias.shape[0] // 4
                    with torch.no_grad():
                        bias[hidden : 2 * hidden] = 1.0 if "bias_ih" in name else 0.0

        This covers all layers and both directions. Keras does it by default (`unit_forget_bias=True`).
        """,
        versions="Every PyTorch.",
        threads=("pytorch/pytorch#750", "pytorch/pytorch#20102", "coetaur0/ESIM#2", "kngwyu/Rainy#17", "jax-ml/jax#21749", "mila-iqia/blocks#792", "karpathy/char-rnn#60"),
        unless=("helper", "sets only", "only sets", "set only", "only set "),
        related=("GW552",),
    ),
    Symptom(
        "GW552",
        title="A forget-bias helper sets only the first layer's forward direction",
        asks=("forget~bias|forget-bias|forget_bias|forget~gate~bias only|helper|just layers|layer|first|directions|direction|bidirectional|reverse",),
        cause="Helpers often name `bias_hh_l0`. Further layers and the reverse direction have names of their own (`bias_hh_l1`, `bias_hh_l0_reverse`), and with bias=False there is none.",
        fix="""
            for name, bias in lstm.named_parameters():
                if name.startswith("bias_hh"):
                    hidden = bias.shape[0] // 4
                    with torch.no_grad():
                        bias[hidden : 2 * hidden] = 1.0
        """,
        versions="Every PyTorch.",
        threads=("google-research/flood-forecasting#289",),
        related=("GW551",),
    ),
    Symptom(
        "GW553",
        title="What is bias_hh for? Can I drop or freeze it?",
        asks=("bias_hh|two~biases|second~bias|both~bias|both~biases why|what|drop|freeze|redundant|need|remove|for|purpose|same", "bias_ih bias_hh why|what|drop|freeze|redundant|difference"),
        cause="For an LSTM or RNN the two biases are only ever added, and one would do; cuDNN has two and PyTorch follows. In a GRU they differ: the candidate's recurrent bias stands inside the product with the reset gate.",
        fix="""
        LSTM and RNN: fold one into the other and freeze it.

            with torch.no_grad():
                lstm.bias_ih_l0 += lstm.bias_hh_l0
                lstm.bias_hh_l0.zero_()
            lstm.bias_hh_l0.requires_grad_(False)

        GRU: not for the last third, the candidate n.
        """,
        versions="Every PyTorch.",
        threads=("pytorch/pytorch#750", "allenai/allennlp#247"),
        tried="folding changes an LSTM's outputs by 3e-08 at most and a GRU's by 0.16, on torch 1.1.0 to 2.13.0.",
        related=("GW501",),
    ),
    Symptom(
        "GW554",
        title="Which slice of weight_ih_l0 (or of Keras' kernel) is which gate?",
        asks=(
            "gate|gates order|slice|slices|which|block|blocks|chunk|rows|columns|index|layout lstm|gru|weight_ih_l0|weight_hh_l0|recurrent_kernel|kernel weight_ih|weight_hh|weights|weight|kernel|pytorch|torch|keras|tensorflow|matrix|state_dict",
            "forget|input|output|reset|update|candidate gate slice|which|where|order|rows|columns|index weight|weights|kernel|weight_ih_l0|lstm|gru|nn.lstm pytorch|torch|keras|tensorflow|weight_ih_l0|kernel|nn.lstm",
            "keras lstm get_weights which|order|arrays|what|meaning|3",
        ),
        cause="The documentation of most frameworks hardly says it. PyTorch stacks the gates on the first axis: LSTM i, f, g, o; GRU r, z, n. Keras puts them side by side on the last axis: LSTM i, f, c, o; GRU z, r, h. g and c are the same gate. "
        "(ONNX: i, o, f, c and z, r, h. TensorFlow 1: i, j, f, o. Keras 1 stores its twelve arrays as i, c, f, o.)",
        fix="""
            i, f, g, o = lstm.weight_ih_l0.chunk(4)                              # PyTorch, each [hidden, input]

            kernel, recurrent_kernel, bias = keras_lstm.get_weights()            # Keras: three arrays
            i, f, c, o = np.split(kernel, 4, axis=1)                             # each [input, units]

        """ + _SHOW,
        versions="Every PyTorch; Keras 2 and 3.",
        threads=("keras-team/keras#3088", "keras-team/keras#7242", "tensorflow/tensorflow#29308"),
        tried="proved against what PyTorch 2.13 and Keras 1.2.2 to 3.15.1 compute.",
        related=("GW555", "GW501", "GW505"),
    ),
    Symptom(
        "GW555",
        title="weight_ih_l0 is 4 times too big",
        asks=("weight_ih_l0|weight_hh_l0 4x|4~times|four~times|3~times|three~times|too~big|too~large|larger",),
        cause="The matrices of all gates are stacked on the first axis: 4 × hidden_size for an LSTM, 3 × for a GRU.",
        fix="""
            i, f, g, o = lstm.weight_ih_l0.chunk(4)

        """ + _SHOW,
        versions="Every PyTorch.",
        threads=("pytorch/pytorch#1961",),
        related=("GW554",),
    ),
    Symptom(
        "GW556",
        title="A regulariser acts on gate i twice and on gate c never",
        asks=("regulari|regulariser|regularizer gate|gates twice|wrong|missing|keras",),
        cause="A copied line in the list of gates of early Keras.",
        fix="Any Keras after 1.0 has it right.",
        versions="Keras 0.3 and 1.0.",
        threads=("keras-team/keras#1835",),
    ),
    Symptom(
        "GW557",
        title="How do I apply L2 or weight decay to the recurrent kernel only?",
        asks=("l2|weight~decay|weight_decay|regulari|regularization|regularisation|penalty recurrent|weight_hh|hidden|kernel lstm|gru|rnn|layer|only",),
        cause="PyTorch's weight_decay takes all parameters of a group, biases included. Keras has an argument for each kind of array. Tensors out of `state_dict()` are detached: a penalty on them has no gradient.",
        fix="""
        PyTorch: a parameter group by name.

            recurrent = [p for name, p in model.named_parameters() if "weight_hh" in name]
            others = [p for name, p in model.named_parameters() if "weight_hh" not in name]
            torch.optim.AdamW([{"params": recurrent, "weight_decay": 1e-2}, {"params": others, "weight_decay": 0.0}])

        Keras:

            keras.layers.LSTM(units, recurrent_regularizer=keras.regularizers.L2(1e-2))
        """,
        versions="Every PyTorch; Keras 2 and 3 (Keras 1 called it U_regularizer).",
        threads=("keras-team/keras#10822", "keras-team/keras#1498", "keras-team/keras#1028", "discuss.pytorch.org/t/142816"),
        tried="that nothing in state_dict() requires a gradient, on torch 1.1.0 to 2.13.0.",
    ),
    Symptom(
        "GW558",
        title="What is _flat_weights in torch.nn.LSTM for?",
        asks=("_flat_weights|_flat_weights_names|_all_weights what|why|for|purpose|mean|meaning|use|is",),
        cause="A private cache: the parameters in the order in which cuDNN wants them, and their names. forward hands the list to the kernel. It holds nothing that named_parameters() does not give and is not in the state dict.",
        fix="""
            names = [name for name, _ in lstm.named_parameters()]    # the public way to the same

        Do not write to it. If an object lacks it, it was pickled by torch 1.3 or older: see GW104.
        """,
        versions="torch 1.4 and later.",
        threads=("pytorch/pytorch#65311",),
        tried="on torch 2.13.0.",
    ),
    Symptom(
        "GW559",
        title="How do I flatten all parameters of an LSTM into one vector and back?",
        asks=("flatten|flat|vector|parameters_to_vector|vector_to_parameters parameters|weights vector|back|one|single|unflatten|order lstm|gru|rnn|model|network|module pytorch|torch|flax|jax|lstm|gru|rnn",),
        cause="The order is that of registration: weight_ih, weight_hh, bias_ih, bias_hh for each layer and direction. Writing the vector back points the parameters at slices of it, so that on CUDA they are no longer in cuDNN's buffer.",
        fix="""
            vector = torch.nn.utils.parameters_to_vector(lstm.parameters())
            torch.nn.utils.vector_to_parameters(vector, lstm.parameters())
            lstm.flatten_parameters()
        """,
        versions="Every PyTorch.",
        threads=("pytorch/pytorch#2794", "pytorch/pytorch#49723", "pytorch/pytorch#24828", "google/flax#5"),
        tried="that forward uses what was written back, on torch 1.1.0 to 2.13.0 (CPU).",
        related=("GW560",),
    ),
    Symptom(
        "GW560",
        title="One flat vector as the live parameter of an LSTM, with gradients",
        asks=("flat|vector|single|one gradient|gradients|autograd|differentiable|live|hypernetwork lstm|gru|rnn parameter|parameters|weights",),
        cause="Slices of a vector written into the parameters are copies to autograd; the vector itself gets no gradient that way.",
        fix="""
            sizes = {name: p.shape for name, p in lstm.named_parameters()}
            pieces = vector.split([shape.numel() for shape in sizes.values()])
            weights = {name: piece.view(shape) for (name, shape), piece in zip(sizes.items(), pieces)}
            output, state = torch.func.functional_call(lstm, weights, (x,))
        """,
        versions="torch >= 2.0; before, forward ignores weights that are swapped in (GW405).",
        threads=("pytorch/pytorch#49723",),
        tried="on torch 2.0.1, 2.9.1 and 2.13.0: every element of the vector gets its gradient; 1.12.1 ignores them.",
        related=("GW559", "GW405"),
    ),
    Symptom(
        "GW561",
        title="How do I export LSTMCell weights to raw cuDNN?",
        asks=("cudnn|cudnnrnn lstmcell|lstm|gru export|raw|pack|blob|buffer|c++ weights|order|layout",),
        cause="cuDNN takes one buffer. Its order: all matrices before all biases; within each by layer, direction, input side before hidden side, and gate (i, f, c, o; GRU r, z, h).",
        fix="""
            matrices = [cell.weight_ih, cell.weight_hh]      # each already i, f, g, o on its rows
            biases = [cell.bias_ih, cell.bias_hh]
            blob = torch.cat([tensor.reshape(-1) for tensor in (*matrices, *biases)])
        """,
        versions="PyTorch to cuDNN.",
        threads=("pytorch/pytorch#23728",),
        related=("GW562",),
    ),
    Symptom(
        "GW562",
        title="What is the layout of a cuDNN or OptimizedRNN weight blob?",
        asks=("cudnn|optimizedrnn|opaque blob|buffer|layout|order|canonical|opaque weights|weight|parameters|params|rnn|lstm|gru",),
        cause="Weights before biases; within each layer after layer, direction after direction (forward, reverse), input side before hidden side, gate after gate: i, f, c, o for an LSTM, r, z, h for a GRU. Real GPUs may pad between the pieces.",
        fix="Cut it in that order, and check with one run on known inputs.",
        versions="cuDNN 5 to 8.",
        threads=("onnx/onnx#143", "jpuigcerver/Laia#37", "apache/mxnet#15745"),
        related=("GW561", "GW531"),
    ),
    Symptom(
        "GW563",
        title="How do I move a trained GRU layer into a GRUCell for streaming?",
        asks=("gru|lstm|layer grucell|lstmcell|gru~cell|lstm~cell streaming|copy|move|transfer|step~by~step|trained",),
        cause="Layer and cell have the same arrays. In PyTorch the names differ by `_l0`; in Keras the cell must be built before it takes weights.",
        fix="""
        PyTorch:

            cell = torch.nn.GRUCell(gru.input_size, gru.hidden_size)
            cell.load_state_dict({name.removesuffix("_l0"): tensor for name, tensor in gru.state_dict().items()})

        Keras:

            cell = keras.layers.GRUCell(units, reset_after=True)
            cell.build((None, features))
            cell.set_weights(layer.get_weights())
        """,
        versions="Every PyTorch and Keras; one layer, one direction.",
        threads=("tensorflow/tensorflow#51974", "keras-team/keras#20407"),
        tried="torch 1.1.0 to 2.13.0 (to 6e-08) and Keras 3.15.1 (exactly).",
        related=("GW202", "GW305"),
    ),
    Symptom(
        "GW564",
        title="My hand-written LSTM differs from nn.LSTM",
        asks=("hand-written|handwritten|my~own|from~scratch|custom|own~implementation|manual lstm|gru nn.lstm|nn.gru|pytorch|torch differ|different|differs|match|mismatch|same|equal",),
        cause="Mostly one of these: the order of the gates (i, f, g, o), one bias instead of two that add, another initialisation, or a GRU whose reset gate acts before the product.",
        fix="""
        Give both the same weights and compare gate by gate, for one step and then for several:

            pre = x @ lstm.weight_ih_l0.T + lstm.bias_ih_l0 + h @ lstm.weight_hh_l0.T + lstm.bias_hh_l0
            i, f, g, o = pre.chunk(4, dim=-1)
            c = f.sigmoid() * c + i.sigmoid() * g.tanh()
            h = o.sigmoid() * c.tanh()
        """,
        versions="Every PyTorch.",
        threads=("pytorch/pytorch#43000",),
        related=("GW554",),
    ),
    Symptom(
        "GW565",
        title="Is there a functional LSTM? (_VF.lstm trains worse)",
        asks=("functional|f.lstm|_vf.lstm|torch.lstm lstm|gru|rnn pytorch|torch|nn.functional|weights|trains|worse|stateless|version|exist",),
        cause="There is none in torch.nn.functional. `_VF.lstm` is the kernel that nn.LSTM calls; in the thread it trained worse because its weights were initialised by ones and in other shapes.",
        fix="""
            output, state = torch.func.functional_call(lstm, weights, (x,))    # weights: a dictionary by parameter name

        Initialise like nn.LSTM: uniform between ±1/sqrt(hidden_size).
        """,
        versions="torch >= 2.0 for functional_call on recurrent modules.",
        threads=("discuss.pytorch.org/t/102360", "pytorch/pytorch#80454"),
        tried="functional_call with swapped weights on torch 2.0.1, 2.9.1 and 2.13.0.",
        inferred="why it trained worse, from the posted code.",
        related=("GW405",),
    ),
)  # fmt: skip
