"""PyTorch's recurrent modules, pickled whole, and their attributes: GW101 to GW114.  Tables only."""

from __future__ import annotations

from ._symptom import Symptom

_REPAIR = """
Without the old torch, from the file:

    gatewise repair OLD.pt -o NEW.pt --as module       # torch.load(path, weights_only=False) opens it again
    gatewise repair OLD.pt -o NEW.pt --as state-dict   # loads with weights_only=True

In code, also when another library calls torch.load:

    import gatewise as gw
    with gw.legacy_torch():
        model = torch.load("OLD.pt", weights_only=False)

`gatewise inspect OLD.pt` shows what is in the file without running it. Whole pickles run code when they are loaded:
open only files that you trust. Afterwards save `model.state_dict()`; its names have been the same in every version.
"""
_BY_HAND = """
By hand, with torch alone, *before* loading:

    from torch.nn.modules.rnn import RNNBase

    original = RNNBase.__setstate__

    def patched(self, state):
        layers = state.get("_all_weights") or []
        if "_flat_weights" not in state and layers and isinstance(layers[0][0], str):
            names = [name for layer in layers for name in layer]
            state["_flat_weights_names"] = names
            state["_flat_weights"] = [state["_parameters"].get(name, state.get(name)) for name in names]
            state["dropout"] = float(state["dropout"])
        original(self, state)

    RNNBase.__setstate__ = patched
"""
_TRIED = (
    "files of torch 1.0.1 to 1.3.1 in torch 1.5.1, 1.7.1, 1.9.1, 1.12.1, 2.0.1 and 2.13.0, the cures in all of them."
)
_FLAT = ("GW104", "GW105", "GW106", "GW102")

SYMPTOMS = (
    Symptom(
        "GW101",
        title="SourceChangeWarning: source code of class 'torch.nn.modules.rnn.LSTM' has changed",
        says=("SourceChangeWarning: source code of class '{any}' has changed", "source code of class '<torch.nn.modules.>{name}' has changed"),
        suggests=("SourceChangeWarning",),
        hints=("dump_patches", "torch.nn.modules.rnn", "retrieve the original source code"),
        cause="A module pickled whole by torch 1.5 or older carries the source text of its classes. torch compares it with "
        "today's source and warns when they differ, which for its own classes they always do. The warning is harmless and cures nothing: whether "
        "the model works is decided by the attributes that the pickle lacks.",
        fix="""
        Ignore the warning, and look at the error that follows it, if one does. To be rid of both, take the weights out of the pickle:

            gatewise inspect OLD.pt
            gatewise repair OLD.pt -o NEW.pt --as state-dict
        """,
        versions="Files of torch <= 1.5, and those of later versions saved with _use_new_zipfile_serialization=False; every torch that loads them.",
        threads=("tbepler/protein-sequence-embedding-iclr2019#21", "ahoarfrost/fastBio#1", "nanoporetech/taiyaki#94"),
        tried="whole modules of torch 1.0.1 to 1.5.1 in torch 2.13.0.",
    ),
    Symptom(
        "GW102",
        title="Downgrading torch to open an old LSTM pickle does not work",
        asks=(
            "downgrad|older~version|old~torch|old~version torch|pytorch lstm|gru|rnn|flat_weights|pickle cuda|wheel|pip|mismatch|no~longer|not~available|instead|without|not~work|open|load",
            "install torch==1|pytorch==1|torch~1.|pytorch~1. lstm|gru|rnn|flat_weights|pickle|old~model",
        ),
        cause="The usual advice for old pickled recurrent modules is to install the torch that wrote them. Those wheels exist only for old Pythons "
        "and old CUDA versions, and other packages of the same environment need a newer torch.",
        fix="The old torch is not needed: everything is in the file, only a few attributes have to be made anew from others." + _REPAIR,
        versions="Modules pickled whole by torch <= 1.3, any newer torch.",
        threads=("vboyce/Maze#14", "qinlibo-hit/GL-GIN#9", "rkjones4/ShapeAssembly#9", "nedap/deidentify#10"),
        related=_FLAT,
    ),
    Symptom(
        "GW104",
        title="'LSTM' object has no attribute '_flat_weights_names'",
        says=("'{class}' object has no attribute '<_flat_weights_names>'",),
        suggests=("_flat_weights_names",),
        hints=("_apply", ".to(", "cuda", "torch.load", "rnn.py", "load_learner"),
        cause="The module was pickled whole by torch 1.3 or older. `_flat_weights_names` exists since torch 1.4; unpickling restores the old attributes "
        "without calling __init__, and __setstate__ does not make the list anew because it finds names in `_all_weights` and takes the object "
        "for a new one. The first `.to()`, `.cuda()` or `.float()` asks for it. The weights themselves are all there.",
        fix=_REPAIR + """
        On torch 1.4 to 1.13 the object can also be mended after loading (from 2.0 on torch.load itself raises, so nothing done after it helps):

            for module in model.modules():
                if isinstance(module, torch.nn.RNNBase) and "_flat_weights_names" not in module.__dict__:
                    module._flat_weights_names = [name for layer in module._all_weights for name in layer]
                    module._flat_weights = [getattr(module, name) for name in module._flat_weights_names]
        """ + _BY_HAND,
        versions="Written by torch <= 1.3. Read by 1.4 to 1.13: loads, fails when moved (this error) or called (`_flat_weights`). Read by >= 2.0: fails in torch.load.",
        threads=(
            "flairNLP/flair#1360", "flairNLP/flair#1437", "fastai/fastai#2480", "pytorch/pytorch#32440", "paperswithcode/axcell#15",
            "hamelsmu/code_search#58", "ahoarfrost/fastBio#1", "vboyce/Maze#14", "nanoporetech/taiyaki#94", "rkjones4/ShapeAssembly#9",
            "Marchetz/MANTRA-CVPR20#9", "panthap2/deep-jit-inconsistency-detection#1",
        ),
        tried=_TRIED,
        related=_FLAT,
    ),
    Symptom(
        "GW105",
        title="'LSTM' object has no attribute '_flat_weights' (raised in torch.load)",
        says=("'{class}' object has no attribute '<_flat_weights>'",),
        hints=("__setstate__", "torch.load", "_legacy_load", "unpickler.load", "load_learner", "for w in self._flat_weights"),
        cause="The module was pickled whole by torch 1.3 or older, where `_flat_weights` was a property and so not in the file. Since torch 2.0 "
        "__setstate__ makes weak references to its members, and the list is not there yet. torch.load never returns, so advice that sets attributes "
        "after loading cannot work on torch 2.",
        fix=_REPAIR + _BY_HAND,
        versions="Written by torch <= 1.3, read by torch >= 2.0 (2.0.1 to 2.13.0 measured). Of torch 1.4 to 1.13 the same words come from the first call instead.",
        threads=("flairNLP/flair#3158", "flairNLP/flair#3393", "flairNLP/flair#3572", "ahoarfrost/fastBio#4", "goru001/inltk#95"),
        tried=_TRIED,
        related=_FLAT,
    ),
    Symptom(
        "GW106",
        title="'LSTM' object has no attribute '_flat_weights' (raised when the model is called)",
        says=("'{class}' object has no attribute '<_flat_weights>'",),
        needs=("flatten_parameters", "ModuleAttributeError", "in forward", "_call_impl", "in __call__", "result = _VF", "_VF.lstm", "_VF.gru", "when the model is called"),
        hints=("flatten_parameters", "ModuleAttributeError", "in forward", "_call_impl"),
        unless=("for w in self._flat_weights", "_legacy_load", "in __setstate__", "unpickler.load"),
        cause="The module was pickled whole by torch 1.3 or older and loaded by torch 1.4 to 1.13, which load it without a word. The first call, or "
        "`flatten_parameters()`, asks for the list of weights that the old pickle lacks.",
        fix=_REPAIR + """
        On these versions the object can also be mended after loading:

            for module in model.modules():
                if isinstance(module, torch.nn.RNNBase) and "_flat_weights_names" not in module.__dict__:
                    module._flat_weights_names = [name for layer in module._all_weights for name in layer]
                    module._flat_weights = [getattr(module, name) for name in module._flat_weights_names]

        `flatten_parameters()` or `.float()` alone do not help: both ask for the names first.
        """,
        versions="Written by torch <= 1.3, read by torch 1.4 to 1.13 (1.6 and 1.7 call it ModuleAttributeError).",
        threads=("qinlibo-hit/GL-GIN#9", "tbepler/protein-sequence-embedding-iclr2019#21", "jongwook/onsets-and-frames#26"),
        tried=_TRIED,
        related=_FLAT,
    ),
    Symptom(
        "GW107",
        title="'LSTM' object has no attribute 'proj_size'",
        says=("'{class}' object has no attribute '<proj_size>'",),
        hints=("torch.load", "forward", "check_forward_args"),
        cause="`proj_size` is new in torch 1.8, and of all versions 1.8 alone does not give it a default when it loads a module that an older torch pickled.",
        fix="""
        Use torch 1.9 or later, or set the attribute after loading:

            for module in model.modules():
                if isinstance(module, torch.nn.RNNBase) and not hasattr(module, "proj_size"):
                    module.proj_size = 0

        From torch 1.3 and older the file lacks more: `gatewise repair OLD.pt -o NEW.pt --as module` gives it all of it.
        """,
        versions="Written by torch <= 1.7, read by torch 1.8.",
        threads=("pytorch/pytorch#53359", "pytorch/pytorch#57558", "flairNLP/flair#2137", "flairNLP/flair#2151", "f-dangel/backpack#192"),
        tried="modules of torch 1.0 to 1.7 in 1.8.1, which fails, and those of 1.4 to 1.7 in 1.9.1 and later, which work.",
    ),
    Symptom(
        "GW108",
        title="'LSTM' object has no attribute 'all_weights'",
        says=("'{rnn}' object has no attribute '<all_weights>'",),
        hints=("WeightDrop", "weight_hh_l0", "flatten_parameters", "Applying weight drop"),
        cause="`all_weights` is a property that fetches every weight. One of the weights was deleted (WeightDrop does that to `weight_hh_l0`), so the property "
        "fails inside, and Module reports that under the name of the property.",
        fix="""
        Put a tensor back under the deleted name before the module is moved or flattened:

            module.weight_hh_l0 = module.weight_hh_l0_raw.data

        and keep `flatten_parameters` from running while a name is missing. Better, use a weight drop written for your torch version.
        """,
        versions="Any torch; the well-known case is AWD-LSTM's WeightDrop on torch 0.2.",
        threads=("salesforce/awd-lstm-lm#2",),
        tried="the message, by deleting `weight_hh_l0`, on torch 1.1.0 to 2.13.0.",
    ),
    Symptom(
        "GW109",
        title="'LSTM' object has no attribute 'weight_hh_l0'",
        says=("'{class}' object has no attribute '<weight_hh_l>{n}'", "'{class}' object has no attribute '<weight_hh_l>{n}_reverse'"),
        hints=("WeightDrop", "_flat_weights_names", ".cuda(", "Applying weight drop"),
        cause="A weight drop deleted the parameter, and torch 1.4.0 collects all weights by name, without allowing for one that is missing, whenever "
        "the module is moved.",
        fix="""
        Use torch 1.5 or later, where a missing name is tolerated and filled when it is set again. On 1.4.0 set the plain name before moving:

            module.weight_hh_l0 = module.weight_hh_l0_raw.data
        """,
        versions="torch 1.4.0 with AWD-LSTM's WeightDrop and its like.",
        threads=("pytorch/pytorch#32346", "pytorch/pytorch#32939", "salesforce/awd-lstm-lm#119"),
        tried="that moving such a module works on torch 1.1.0, 1.2.0, 1.5.1 and all later ones measured up to 2.13.0.",
    ),
    Symptom(
        "GW110",
        title="cannot assign 'torch.cuda.FloatTensor' as parameter 'weight_hh_l0' (torch.nn.Parameter or None expected)",
        says=("cannot assign '{any}' as parameter '<weight_hh_l>", "cannot assign '{any}' as parameter '<weight_ih_l>"),
        hints=("WeightDrop", "_setweights", "setattr(self.module"),
        cause="A plain tensor is set over a name that is still registered as a Parameter. A weight drop must take the name out of the parameters first.",
        fix="""
        Once, when the wrapper is set up:

            weight = module._parameters.pop("weight_hh_l0")
            module.register_parameter("weight_hh_l0_raw", torch.nn.Parameter(weight.data))

        and before each forward:

            module.weight_hh_l0 = torch.nn.functional.dropout(module.weight_hh_l0_raw, p=0.5, training=module.training)
        """,
        versions="Every torch.",
        threads=("salesforce/awd-lstm-lm#114", "salesforce/awd-lstm-lm#117", "salesforce/awd-lstm-lm#79"),
        tried="message and cure on torch 1.1.0 to 2.13.0.",
    ),
    Symptom(
        "GW111",
        title="'GRU' object has no attribute 'weight'",
        says=("'{rnn}' object has no attribute '<weight>'", "'{rnn}' object has no attribute '<bias>'"),
        unless=("LayerNormLSTM",),
        hints=("init", "xavier", "orthogonal", "uniform_", "weights_init"),
        cause="A recurrent module has no `.weight`: its parameters are `weight_ih_l0`, `weight_hh_l0` and so on, one set for each layer and direction. "
        "A function that initialises or walks layers took it for a Linear.",
        fix="""
        Walk the named parameters:

            for name, parameter in module.named_parameters():
                if "weight_hh" in name:
                    torch.nn.init.orthogonal_(parameter)
                elif "weight_ih" in name:
                    torch.nn.init.xavier_uniform_(parameter)

        and branch on `isinstance(module, torch.nn.RNNBase)` first. In a stack of gates each gate deserves its own matrix: `parameter.chunk(4)` for an LSTM.
        """,
        versions="Every torch.",
        threads=("cxhernandez/molencoder#8",),
        tried="message and cure on torch 2.13.0.",
    ),
    Symptom(
        "GW112",
        title="Only Tensors created explicitly by the user (graph leaves) support the deepcopy protocol at the moment",
        says=("<Only Tensors created explicitly by the user> (graph leaves) support the deepcopy protocol",),
        hints=("weight_norm", "WeightDrop", "LSTM", "deepcopy"),
        cause="A tensor that autograd computed is kept as an attribute, and deepcopy refuses those. With weight norm, spectral norm or a weight drop on a recurrent "
        "module the normalised weight is such a tensor; in the newer parametrizations form a recurrent module still keeps it in `_flat_weights` "
        "after a forward, so changing to `torch.nn.utils.parametrizations.weight_norm` does not cure an LSTM.",
        fix="""
        Run one forward without gradients, then copy: the kept tensor is then a leaf.

            with torch.no_grad():
                model(example)
            twin = copy.deepcopy(model)

        Or build a second model and load the state dict into it:

            twin = Model(...)
            twin.load_state_dict(model.state_dict())
        """,
        versions="Every torch with weight norm or its like on a recurrent module. For other layers the parametrizations form (>= 2.1) is enough.",
        threads=("pytorch/pytorch#28594", "pytorch/pytorch#102981", "locuslab/deq#23", "descriptinc/descript-audio-codec#81", "skorch-dev/skorch#741"),
        tried="both forms of weight_norm on an LSTM, message and first cure, on torch 2.13.0; the message on 2.9.1.",
    ),
    Symptom(
        "GW113",
        title="AssertionError: assert param_from.type() == param_to.type()",
        says=("<param_from.type() == param_to.type()>",),
        hints=("weight_norm", "cuda", "flatten_parameters"),
        cause="Weight norm leaves a computed tensor under the plain name. `.cuda()` moved the parameters and not that tensor, so the module's weights are on two devices.",
        fix="""
        Move the model first and apply the norm afterwards:

            lstm = torch.nn.LSTM(128, 256).cuda()
            lstm = torch.nn.utils.weight_norm(lstm, "weight_hh_l0")
        """,
        versions="torch 0.2 to 1.3.",
        threads=("pytorch/pytorch#2343", "pytorch/pytorch#2515", "pytorch/pytorch#39311"),
        inferred="that moving first cures it; no GPU of that time was at hand.",
    ),
    Symptom(
        "GW114",
        title="torch.jit.script: Expected a value of type 'float' for argument 'dropout' but instead found type 'int'",
        says=("Expected a value of type 'float' for argument '<dropout>' but instead found type 'int'",),
        hints=("aten::lstm", "aten::gru", "_VF.lstm", "jit"),
        cause="The module was pickled by torch 1.0, which kept `dropout` as it was given (the int 0). Calling it works; scripting wants a float.",
        fix="""
            for module in model.modules():
                if isinstance(module, torch.nn.RNNBase):
                    module.dropout = float(module.dropout)

        `gatewise repair OLD.pt -o NEW.pt --as module` does this, too.
        """,
        versions="Modules written by torch 1.0, or with dropout=0 set later; every torch that scripts them.",
        tried="message and cure on torch 2.13.0.",
    ),
)  # fmt: skip
