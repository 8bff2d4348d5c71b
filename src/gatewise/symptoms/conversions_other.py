"""Moving weights between frameworks, continued: TensorRT, JAX, MXNet, Paddle, MLX, Burn and others.  GW519 to GW537.  Tables only."""

from __future__ import annotations

from ._symptom import Symptom

_PROOF = "Compare at least 7 steps, 3 sequences, a non-zero initial state and random biases: one step from a zero state proves next to nothing."

SYMPTOMS = (
    Symptom(
        "GW519",
        title="TensorRT: the forward direction is right, the backward one is wrong",
        asks=("tensorrt|torch2trt bidirectional|backward|reverse lstm|gru|rnn|direction|forward",),
        cause="With RNNv2 each direction is a layer index of its own in set_weights_for_gate; one that counts layers only fills the backward direction with the wrong gates.",
        fix="Use 2 × layer + direction as the index, or the Loop API, which has replaced RNNv2.",
        versions="TensorRT 8, RNNv2.",
        threads=("NVIDIA/TensorRT#2492", "NVIDIA-AI-IOT/torch2trt#694"),
    ),
    Symptom(
        "GW520",
        title="TensorRT LSTM matches at step 0 and drifts afterwards",
        asks=("tensorrt lstm step|timestep|steps|later|drift|first|afterwards wrong|differ|different|match|matches|mismatch|drift|drifts",),
        cause="With a zero initial state the first step uses neither the recurrent kernel nor the forget gate. So agreement there says nothing: the recurrent side is wrong, mostly the order of its gates or a forget bias that TensorFlow 1 adds at run time.",
        fix="Test several steps and a non-zero state; permute the recurrent blocks like the input ones; add forget_bias to the forget gate's bias.",
        versions="TensorRT 7 with a TensorFlow LSTM.",
        threads=("NVIDIA/TensorRT#371",),
        inferred="which of the two it was.",
    ),
    Symptom(
        "GW521",
        title="Keras GRU in TensorRT loses accuracy",
        asks=("tensorrt gru",),
        cause="Traced to the GRU layer in the thread, not further.",
        fix="Check the order of the gates (Keras z, r, h) and whether the reset gate acts after the product (reset_after=True). " + _PROOF,
        versions="TensorRT 7 and 8.",
        threads=("NVIDIA/TensorRT#1443",),
    ),
    Symptom(
        "GW522",
        title="Flax LSTM has no input bias: where does PyTorch's bias_ih go?",
        asks=("flax lstm|lstmcell|optimizedlstmcell bias|biases|pytorch|torch|convert|weights", "jax flax lstm|gru pytorch|torch|convert|weights"),
        cause="Flax' LSTM cells keep one bias for each gate, on the hidden side (`hi`, `hf`, `hg`, `ho`); the input side (`ii` …) has none. Each gate has its own matrices, stored [input, hidden].",
        fix="""
            i, f, g, o = (lstm.bias_ih_l0 + lstm.bias_hh_l0).detach().numpy().reshape(4, -1)    # the biases of hi, hf, hg, ho
            w_i, w_f, w_g, w_o = (block.T for block in np.split(lstm.weight_ih_l0.detach().numpy(), 4))    # the kernels of ii, if, ig, io
        """,
        versions="Flax Linen.",
        threads=("google/flax#3746", "google/flax#866"),
    ),
    Symptom(
        "GW523",
        title="JAX LSTM on ROCm is wrong where cuDNN is right",
        asks=("rocm|miopen|amd lstm|gru|rnn jax|wrong|different|order|gates|gate",),
        cause="MIOpen packs the gates of an LSTM in another order than cuDNN, and the lowering handed over cuDNN's.",
        fix="Permute on the way in and out for that backend, or wait for the open change. Weights in files stay as they are.",
        versions="JAX on ROCm, 2026.",
        threads=("jax-ml/jax#36572",),
    ),
    Symptom(
        "GW524",
        title="MXNet FusedRNNCell has one big vector called parameters",
        asks=("mxnet|gluon parameters|vector|fusedrnncell|fused|unpack|blob lstm|gru|rnn|weights|fusedrnncell",),
        cause="It is cuDNN's buffer: all matrices by layer, direction, input or hidden, and gate, then all biases in the same order.",
        fix="""
            unpacked = cell.unpack_weights({"lstm_parameters": vector})
            stack = cell.unfuse()          # ordinary cells that take them
        """,
        versions="MXNet 0.9 to 1.9.",
        threads=("apache/mxnet#6108", "apache/mxnet#5362", "apache/mxnet#15745"),
    ),
    Symptom(
        "GW525",
        title="Paddle LSTM's state_dict has 8 extra keys (0.cell.weight_ih)",
        says=("{Missing|Unexpected} key{any}<0.cell.weight_ih>",),
        asks=("paddle lstm|gru|rnn keys|state_dict|0.cell.weight_ih|twice|duplicate|extra|convert",),
        cause="Paddle lists the same weights twice, under `weight_ih_l0` and under `0.cell.weight_ih`, for compatibility. Writing only one set may leave the other as it was.",
        fix="Write both names, and compare one run afterwards.",
        versions="Paddle 2.x.",
        threads=("PaddlePaddle/PaddleNLP#1101", "PaddlePaddle/Paddle#45412", "PaddlePaddle/Paddle#37132"),
        inferred="that one set alone may leave the other stale.",
    ),
    Symptom(
        "GW526",
        title="A weight drop ported to Paddle diverges",
        asks=("paddle weight~drop|weightdrop|weightdropout",),
        cause="forward reads a flat list of the weights; setting the attribute anew does not reach it.",
        fix="Flatten again after setting (`flatten_parameters()` of the layer), or copy into the existing tensor with set_value.",
        versions="Paddle 2.2.",
        threads=("PaddlePaddle/Paddle#39074",),
        inferred="cause and cure, from the layer's code.",
    ),
    Symptom(
        "GW527",
        title="MLX: LSTM has one bias, GRU has b and bhn",
        asks=("mlx lstm|gru|rnn bias|bhn|weights|convert|pytorch|torch",),
        cause="MLX keeps one bias for an LSTM; for a GRU it adds the biases of r and z and keeps the candidate's recurrent one apart, as `bhn`.",
        fix="""
            lstm_bias = bias_ih + bias_hh

            (br, bz, bn), (hr, hz, hn) = np.split(bias_ih, 3), np.split(bias_hh, 3)
            b, bhn = np.concatenate([br + hr, bz + hz, bn]), hn

        Look at the shapes of Wx and Wh: early versions store the transposes of PyTorch's.
        """,
        versions="MLX.",
        threads=("ml-explore/mlx#930",),
    ),
    Symptom(
        "GW528",
        title="Burn's LSTM is eight Linear layers; PyTorch's is packed",
        asks=("burn lstm|gru weights|import|load|record|safetensors|linear|packed",),
        cause="Burn keeps two linear layers (input and hidden) for each gate; PyTorch stacks the four gates of each side on the first axis.",
        fix="Split before the import: `weight_ih_l0.chunk(4)` gives i, f, g, o; the same for weight_hh and both biases.",
        versions="Burn.",
        threads=("tracel-ai/burn#1632",),
    ),
    Symptom(
        "GW529",
        title="Burn's GRU differs from PyTorch's after the first step",
        asks=("burn gru differ|different|differs|wrong|reset|mismatch",),
        cause="Burn applied the reset gate before the product, PyTorch applies it after. With a zero state the first step does not show it.",
        fix="Use a Burn with the correction (it has since had a flag, reset_after).",
        versions="Burn before 0.16.",
        threads=("tracel-ai/burn#2704", "docs.rs/burn-nn"),
        inferred="the release.",
    ),
    Symptom(
        "GW530",
        title="Candle: a bidirectional LSTM from PyTorch loads wrongly, other layers are right",
        asks=("candle lstm|gru|bilstm|rnn wrong|weights|loading|load|bidirectional|different",),
        cause="Candle's layer has one direction; the keys that end in `_reverse` are not read.",
        fix="Load a second layer from the `_reverse` keys, run it on the reversed sequence, reverse its output and concatenate.",
        versions="Candle of 2024.",
        threads=("huggingface/candle#2351", "huggingface/candle#1040"),
        inferred="cause and cure; the thread is open.",
    ),
    Symptom(
        "GW531",
        title="A .t7 file has one flat array for cudnn.BLSTM: how do I split it?",
        asks=("t7|torch7|lua|cudnn.blstm|cudnn.lstm flat|array|vector|weights|split|pytorch|convert|blob lstm|blstm|gru|rnn|weights|cudnn",),
        cause="Lua Torch's cudnn modules keep cuDNN's buffer as it is: all matrices first, by layer, direction, input or hidden, and gate, then all biases in the same order.",
        fix="Cut it in that order and concatenate the gates of each side; check with one recorded run.",
        versions="Lua Torch 7.",
        threads=("pytorch/pytorch#18872", "pytorch/pytorch#2794", "torch/torch7#1199", "jpuigcerver/Laia#37"),
        related=("GW562",),
    ),
    Symptom(
        "GW532",
        title="DyNet bidirectional LSTM into Keras does not match",
        asks=("dynet lstm|bilstm|gru|vanillalstm keras|convert|mismatch|weights|order|match|pytorch",),
        cause="Open in the thread. Known differences: the order of the gates, a forget bias added at run time, and whether the backward output is turned round.",
        fix="Settle one direction and one step after another. " + _PROOF,
        versions="DyNet.",
        threads=("clab/dynet#1646",),
    ),
    Symptom(
        "GW533",
        title="TF 1 LSTMBlockFusedCell kernel (400, 164) against PyTorch's (400, 64) and (400, 100)",
        asks=("lstmblockfusedcell|lstmblockcell|tf1|tf~1|tensorflow~1|basiclstmcell pytorch|torch|nn.lstm lstm|kernel|weights|convert|checkpoint",),
        cause="TensorFlow 1 lays the input's and the state's kernel on top of each other, [input + hidden, 4H], orders the gates i, c, f, o, and adds a forget bias (1.0) when it runs.",
        fix="""
            i, c, f, o = np.split(kernel.T, 4)                    # [4H, input + hidden]
            whole = np.concatenate([i, f, c, o])
            lstm.weight_ih_l0.data = torch.from_numpy(whole[:, :features].copy())
            lstm.weight_hh_l0.data = torch.from_numpy(whole[:, features:].copy())
            b_i, b_c, b_f, b_o = np.split(bias, 4)
            lstm.bias_ih_l0.data = torch.from_numpy(np.concatenate([b_i, b_f + forget_bias, b_c, b_o]))
            lstm.bias_hh_l0.data.zero_()
        """,
        versions="TensorFlow 1.x to PyTorch.",
        threads=("discuss.pytorch.org/t/146907",),
        inferred="gate order and bias for the thread's own file.",
        related=("GW227",),
    ),
    Symptom(
        "GW534",
        title="ELMo's file has W_0 (1024, 16384) and no recurrent matrix",
        asks=("elmo|bilm w_0|weights|recurrent|matrix|lstm|convert|keras",),
        cause="The input and the projected state, 512 each, share one kernel, and W_P projects 4096 units down to 512.",
        fix="Split the rows: the first 512 are the input's, the rest the state's. The target needs a projection, such as torch.nn.LSTM(512, 4096, proj_size=512).",
        versions="bilm-tf.",
        threads=("allenai/bilm-tf#96",),
    ),
    Symptom(
        "GW535",
        title="transformers: recurrent_kernel is not transposed from TensorFlow to PyTorch",
        asks=("transformers|huggingface recurrent_kernel transpose|transposed|pytorch|torch|tf",),
        cause="The rule that decides what to transpose looked for names that end in `kernel` as a word of its own.",
        fix="Transpose it by hand after loading.",
        versions="transformers of 2021.",
        threads=("huggingface/transformers#10712",),
    ),
    Symptom(
        "GW536",
        title="Are the weights of a third-party fused LSTM (Haste) compatible with nn.LSTM?",
        asks=("haste|fused lstm|gru|weights compatible|convert|nn.lstm|pytorch|native",),
        cause="They can be converted as long as neither zoneout nor layer normalisation is in them: nn.LSTM has no place for those.",
        fix="`layer.to_native_weights()` gives nn.LSTM's arrays.",
        versions="Haste.",
        threads=("lmnt-com/haste#3",),
    ),
    Symptom(
        "GW537",
        title="Keras LSTM in Paddle differs in the second decimal",
        asks=("paddle keras lstm|gru",),
        cause="Most likely Keras 2's default recurrent activation, hard_sigmoid, against Paddle's sigmoid.",
        fix="Set the same activation on both sides before comparing anything else.",
        versions="Keras 2 with Paddle Fluid.",
        threads=("PaddlePaddle/Paddle#18418",),
        inferred="the cause.",
        related=("GW219",),
    ),
)  # fmt: skip
