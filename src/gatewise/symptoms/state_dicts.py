"""State dicts of recurrent modules: names and shapes, GW301 to GW313.  Tables only.

What the lists of missing and unexpected keys have in common is said by _keys.py as ``[keys:…]``.
"""

from __future__ import annotations

from ._symptom import Symptom

_LOOK = "`gatewise inspect FILE` tells from the file alone what every recurrent layer is: cell, sizes, layers, directions, biases."

SYMPTOMS = (
    Symptom(
        "GW301",
        title="Missing key(s) in state_dict: \"lstm.weight_ih_l0_reverse\"",
        says=("<[keys:missingreverse]>", "<[keys:unexpectedreverse]>"),
        suggests=("<[keys:missingall]>", "<[keys:unexpectedall]>", "<[keys:othernames]>", "<[keys:missingbiases]>", "<[keys:unexpectedbiases]>"),
        asks=("weight_ih_l0_reverse|_reverse missing|unexpected key|keys",),
        cause="Names that end in `_reverse` belong to the second direction. Only one of the two, checkpoint or model, is bidirectional, or the layer "
        "is built differently altogether.",
        fix="""
        Build the layer that the checkpoint holds:

            gatewise inspect FILE

            torch.nn.LSTM(input_size, hidden_size, num_layers, bidirectional=True)   # what inspect says

        Layers after this one then see twice as many features. `strict=False` would leave the missing direction at random.
        """,
        versions="Every torch.",
        threads=("eriklindernoren/Action-Recognition#5", "eriklindernoren/Action-Recognition#22", "pytorch/pytorch#71991", "zjunlp/DeepKE#387"),
        tried="message on torch 2.13.0.",
        related=("GW312",),
    ),
    Symptom(
        "GW302",
        title="Missing key(s): \"enc_lstm.weight_ih_l0\" … Unexpected key(s): \"encoder.enc_lstm.weight_ih_l0\"",
        says=("<[keys:otherprefix]>",),
        asks=("state_dict|checkpoint|keys prefix lstm|gru|rnn|weight_ih",),
        cause="The names are the same but for the words in front: the state was saved from the model that contains this one, or the other way round.",
        fix="""
        Strip what they have in common, and load strictly, so that nothing stays random:

            prefix = "encoder."
            state = {name.removeprefix(prefix): tensor for name, tensor in state.items() if name.startswith(prefix)}
            model.load_state_dict(state)

        `gatewise doctor FILE` names the prefix; """ + _LOOK,
        versions="Every torch.",
        threads=("facebookresearch/InferSent#139", "facebookresearch/SentEval#39"),
        tried="message and cure on torch 2.13.0.",
    ),
    Symptom(
        "GW303",
        title="Unexpected key(s) in state_dict: \"module.lstm.weight_ih_l0\"",
        says=("<[keys:wrappermodule.]>", "<[keys:nowrappermodule.]>"),
        asks=("module. prefix|keys|state_dict dataparallel|data~parallel|ddp|distributeddataparallel",),
        cause="The state was saved from a model inside DataParallel or DistributedDataParallel, which call it `module`. (Or it is loaded into one.)",
        fix="""
            from torch.nn.modules.utils import consume_prefix_in_state_dict_if_present

            consume_prefix_in_state_dict_if_present(state, "module.")
            model.load_state_dict(state)

        To save without it: `torch.save(model.module.state_dict(), path)`. To load into a wrapped model: `model.module.load_state_dict(state)`.
        """,
        versions="Every torch; the helper since 1.9. Before that: {name.replace(\"module.\", \"\", 1): tensor …}.",
        threads=("HomeroRR/rmm#6", "meijieru/crnn.pytorch#60", "pytorch/pytorch#3805", "pytorch/pytorch#9176"),
        tried="message and cure on torch 2.13.0.",
        related=("GW302",),
    ),
    Symptom(
        "GW304",
        title="Unexpected key(s) in state_dict: \"_orig_mod.lstm.weight_ih_l0\"",
        says=("<[keys:wrapper_orig_mod.]>", "<[keys:nowrapper_orig_mod.]>", "Unexpected key(s) in state_dict: '{|module.}<_orig_mod.>"),
        suggests=("<_orig_mod.>",),
        hints=("state_dict", "torch.compile", "key"),
        asks=("_orig_mod",),
        cause="The state was saved from the object that torch.compile returned; it holds the model as `_orig_mod`.",
        fix="""
            state = {name.replace("_orig_mod.", "", 1): tensor for name, tensor in state.items()}
            model.load_state_dict(state)

        After both compile and DDP there are two prefixes, `_orig_mod.module.`: strip them one after the other. From now on `model.compile()` compiles in place and
        leaves the names alone, or save `compiled._orig_mod.state_dict()`.
        """,
        versions="torch >= 2.0.",
        threads=(
            "google-research/flood-forecasting#263", "huggingface/pytorch-image-models#2003", "huggingface/pytorch-image-models#1566", "karpathy/nanoGPT#325",
            "DLR-RM/stable-baselines3#2137", "rasbt/LLMs-from-scratch#580", "mlfoundations/open_clip#639",
        ),
        tried="message and cure on torch 2.13.0; that compiling in place keeps the names, too.",
        related=("GW302", "GW303"),
    ),
    Symptom(
        "GW305",
        title="Missing key(s): \"gru.weight_ih_l0\" … Unexpected key(s): \"gru.weight_ih\"",
        says=("<[keys:cellandlayer]>",),
        asks=("grucell|lstmcell|rnncell weights|checkpoint|state_dict|load|copy gru|lstm|rnn _l0|layer|module|keys",),
        cause="One side is a cell (GRUCell, LSTMCell, RNNCell), the other the layer. Their arrays have the same shapes and gate order; the layer's names end in "
        "`_l0`, and in `_l0_reverse` for the second direction.",
        fix="""
        Cell → layer, and back:

            layer.load_state_dict({f"{name}_l0": tensor for name, tensor in cell.state_dict().items()})
            cell.load_state_dict({name.removesuffix("_l0"): tensor for name, tensor in layer.state_dict().items()})

        A pair of cells for two directions becomes one bidirectional layer: add `_l0_reverse` to the names of the second.
        """,
        versions="Every torch.",
        threads=("dr-costas/mad-twinnet#10",),
        tried="a GRUCell into a GRU on torch 1.1.0 to 2.13.0: the outputs agree to 6e-08.",
    ),
    Symptom(
        "GW306",
        title="Missing key(s): \"rnns.0.weight_hh_l0_raw\" … Unexpected key(s): \"rnns.0.module.weight_hh_l0\"",
        says=("<[keys:weightdrop]>",),
        suggests=("<weight_hh_l0_raw>",),
        hints=("state_dict", "Missing key", "Unexpected key", "module.weight_hh_l0"),
        asks=("weight_hh_l0_raw|weight~drop|weightdrop state_dict|checkpoint|load|key|keys|which",),
        cause="A weight drop (AWD-LSTM, fastai 1) keeps the true matrix as `weight_hh_l0_raw` and a dropped-out copy of it as `weight_hh_l0`, mostly inside a "
        "wrapper called `module`. Versions differ in which of them they save and where.",
        fix="""
        The `_raw` matrix is the truth; the plain one beside it is a copy with some weights zeroed. Take it under the plain name:

            raw = {name.replace(".module.", ".").removesuffix("_raw"): tensor for name, tensor in state.items() if name.endswith("_raw")}
            plain = {name.replace(".module.", "."): tensor for name, tensor in state.items() if not name.endswith("_raw")}
            model.load_state_dict({**plain, **raw})

        `gatewise inspect FILE` reads such files and says which matrix it took; `gatewise convert` writes them without the wrapper.
        """,
        versions="AWD-LSTM and fastai 1.x on any torch.",
        tried="the renaming, on torch 2.13.0.",
        threads=("fastai/fastai#2511", "fastai/fastai#2246", "fastai/fastai#1730", "salesforce/awd-lstm-lm#99", "salesforce/awd-lstm-lm#122", "n-waves/multifit#83"),
    ),
    Symptom(
        "GW307",
        title="size mismatch for lstm.weight_ih_l0: copying a param with shape … from checkpoint",
        says=(
            "size mismatch for {name}.{weight_ih|weight_hh|weight_hr|bias_ih|bias_hh}<_l>{n}", "size mismatch for {weight_ih|weight_hh|weight_hr|bias_ih|bias_hh}<_l>{n}",
            "size mismatch for {name}.{weight_ih|weight_hh|bias_ih|bias_hh}<: copying a param with shape>",
            "While copying the parameter named {any}{weight_ih|weight_hh|bias_ih|bias_hh}{any}<whose dimensions in the model are>",
        ),
        asks=("size~mismatch lstm|gru|rnn weight_ih|weight_hh|hidden|checkpoint|state_dict",),
        cause="The layer in the model has other sizes than the one in the checkpoint, or is another cell. The first axis is the gates times the hidden size: 4H for an LSTM, 3H for a GRU, "
        "H for an RNN; the second axis of weight_ih is the input size (twice the hidden size above a bidirectional layer), that of weight_hh the hidden size.",
        fix="""
        Read the sizes off the checkpoint, not off the code:

            gatewise inspect FILE

        By hand: hidden = weight_hh_l0.shape[1]; gates = weight_hh_l0.shape[0] // hidden (4 is an LSTM, 3 a GRU, 1 an RNN); input = weight_ih_l0.shape[1].
        (With `proj_size` the second axis of weight_hh is the projection's.) Then build the model with these, or find out why the input has another width: another vocabulary,
        embedding or feature option.
        """,
        versions="Every torch.",
        threads=("dqwang122/HeterSumGraph#22", "galsang/BIMPM-pytorch#7"),
        tried="message on torch 2.13.0.",
    ),
    Symptom(
        "GW308",
        title="load_state_dict(strict=False) loads, but the LSTM performs like an untrained one",
        asks=("strict=false|strict~=~false|strict~false|not~strict lstm|gru|rnn random|poor|bad|worse|wrong|untrained|accuracy|garbage|predictions",),
        cause="`strict=False` skips every name that does not fit, without a word. If the recurrent layer's names differ (a prefix, `_raw`, a cell for a layer), the "
        "layer keeps its random initial weights.",
        fix="""
        Look at what was skipped, and rename rather than skip:

            report = model.load_state_dict(state, strict=False)
            print(report.missing_keys, report.unexpected_keys)

        No name with weight_ih, weight_hh, bias_ih or bias_hh may be among the missing. `gatewise doctor FILE` names the rename that fits.
        """,
        versions="Every torch.",
        threads=("jagjeet-singh/argoverse-forecasting#7", "salesforce/awd-lstm-lm#99"),
        tried="that skipped weights stay as initialised, on torch 2.13.0.",
    ),
    Symptom(
        "GW309",
        title="PyTorch's documentation and the shapes or names in an LSTM's state dict do not agree",
        asks=("docs|documentation|documented lstm|gru|rnn shape|shapes|transposed|_reverse|names|undocumented torch|pytorch|nn.lstm|state_dict|state~dict",),
        cause="The documentation up to torch 1.8 left out the `_reverse` parameters, and that of 0.1 gave transposed shapes and an LSTM of three gates. The files have always been the same.",
        fix="Trust the shapes in the file: `gatewise inspect FILE --tensors` lists each tensor with its role, layer, direction and gates.",
        versions="Documentation of torch 0.1 to 1.8.",
        threads=("pytorch/pytorch#59332", "pytorch/pytorch#60120", "pytorch/pytorch#1961"),
    ),
    Symptom(
        "GW310",
        title="state_dict of a dynamically quantised LSTM lacks its weights",
        asks=("quantiz|quantis state_dict|state~dict empty|missing|lacks|no~weights lstm|gru|rnn",),
        cause="Up to torch 1.5 the packed weights of a quantised LSTM could not be serialised from Python, so its state dict, and files made from it, do not hold them.",
        fix="""
        Save the float model's state dict, load it, and quantise after loading:

            model = torch.quantization.quantize_dynamic(float_model, {torch.nn.LSTM}, dtype=torch.qint8)

        or use torch 1.6 or later, whose quantised state dicts hold the packed weights (they need torch.load(..., weights_only=False)).
        """,
        versions="torch 1.3 to 1.5.",
        threads=("pytorch/pytorch#31468", "pytorch/pytorch#38891", "pytorch/pytorch#39105"),
        tried="that a quantised LSTM's state dict holds its packed weights on torch 1.7.1 to 2.13.0.",
        related=("GW130",),
    ),
    Symptom(
        "GW311",
        title="A traced, dynamically quantised LSTM computes something else after loading",
        asks=("trace|traced|jit.trace quantiz|quantis lstm|gru|rnn wrong|different|differs|garbage|changed|something~else|other",),
        cause="torch 1.3 did not serialise the quantised weights of a traced recurrent module rightly.",
        fix="Trace and quantise with torch 1.6 or later, and compare one output before and after saving.",
        versions="torch 1.3.",
        threads=("pytorch/pytorch#27954",),
        inferred="that later versions do it right.",
    ),
    Symptom(
        "GW312",
        title="Missing key(s) in state_dict: \"rnn.weight_ih_l1\"",
        says=("<[keys:missinglayers]>", "<[keys:unexpectedlayers]>"),
        suggests=("<[keys:missingprojection]>", "<[keys:unexpectedprojection]>"),
        cause="`_l1` and higher belong to the second and further layers of one recurrent module: checkpoint and model have different `num_layers`.",
        fix="""
        Build the model with the checkpoint's number of layers:

            gatewise inspect FILE

            torch.nn.LSTM(input_size, hidden_size, num_layers=2)   # what inspect says
        """,
        versions="Every torch.",
        threads=("eriklindernoren/Action-Recognition#5", "pytorch/pytorch#71991"),
        tried="message on torch 2.13.0.",
        related=("GW301",),
    ),
    Symptom(
        "GW313",
        title="The same weights are in the file under two names",
        says=("<The same weights are in the file> as {name}",),
        asks=("same~weights|same~tensor two~names|several~names|twice|both checkpoint|state_dict|file|pickle",),
        cause="A checkpoint with a state dict beside the layer that it came from, of whose paths one ends with the other (`state_dict.encoder.rnn` and `encoder.rnn`). Each weight is one tensor with two names: the file keeps it once, and gatewise "
        "shows the layer once, with the other name under `also at`.",
        fix="""
        Nothing is wrong with the file, and `--layer` takes either name. For a file of one name each:

            gatewise repair FILE -o weights.pt --as state-dict

        safetensors refuses to store a tensor under two names (GW608).
        """,
        versions="Every torch.",
        tried="checkpoints made so.",
        related=("GW608",),
    ),
)  # fmt: skip
