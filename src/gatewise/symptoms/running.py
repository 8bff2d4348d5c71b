"""Recurrent layers at run time: cuDNN, warnings, weights that forward does not use, backends.  GW401 to GW418.  Tables only."""

from __future__ import annotations

from ._symptom import Symptom

SYMPTOMS = (
    Symptom(
        "GW401",
        title="RNN module weights are not part of single contiguous chunk of memory",
        says=("RNN module <weights are not part of single contiguous chunk of memory>", "To compact weights again call <flatten_parameters()>"),
        suggests=("<single contiguous chunk>",),
        hints=("flatten_parameters", "cudnn", "RNN"),
        asks=("flatten_parameters what|why|when|do|does|need",),
        cause="cuDNN wants all weights of a recurrent module in one buffer. They were in one until something moved them: a copy or deepcopy, DataParallel's slices, a parameter set anew, weight drop, "
        "an optimizer that re-points `.data`. They are now copied together at every call, which costs memory and time. The results are the same.",
        fix="""
        Call it after the last change, on the object that runs:

            model.lstm.flatten_parameters()

        Usually that is at the head of forward, or right after loading, moving or copying. Not inside a DataParallel replica; prefer DistributedDataParallel. If a weight
        is computed anew at each call (weight norm, weight drop) it can never stay in the buffer: see GW402.
        """,
        versions="CUDA only, torch 0.2 to today; also libtorch, R's torch and tch-rs.",
        threads=(
            "pytorch/examples#248", "pytorch/pytorch#2460", "pytorch/pytorch#24828", "keitakurita/Better_LSTM_PyTorch#4", "ayumiymk/aster.pytorch#59", "LaurentMazare/tch-rs#66",
            "LaurentMazare/tch-rs#103", "LaurentMazare/tch-rs#301", "mlverse/torch#461", "zihangdai/mos#11", "naver/claf#26", "allenai/allennlp#2135", "facebookresearch/higher#65",
            "TheShadow29/zsgnet-pytorch#14",
        ),
        related=("GW402", "GW414"),
    ),
    Symptom(
        "GW402",
        title="flatten_parameters() has no effect: the contiguous-chunk warning stays (weight_norm, spectral_norm)",
        says=("<weights are not part of single contiguous chunk of memory>",),
        needs=("weight_norm", "spectral_norm", "weight norm", "spectral norm", "parametrizations", "WeightDrop", "no effect"),
        hints=("weight_norm", "spectral_norm", "no effect", "does not help", "still"),
        asks=("flatten_parameters no~effect|does~not~help|doesn|still|not~work weight_norm|weight~norm|spectral|norm|lstm|gru|rnn|warning",),
        cause="A normalised or dropped weight is computed anew at each forward, so it is never a part of the buffer that flatten_parameters makes.",
        fix="""
        For inference take the norm off, which leaves the computed weight as an ordinary parameter:

            torch.nn.utils.remove_weight_norm(lstm, "weight_hh_l0")
            lstm.flatten_parameters()

        (parametrizations: `torch.nn.utils.parametrize.remove_parametrizations(lstm, "weight_hh_l0")`.) In training the warning is only about speed and memory; silence it:

            warnings.filterwarnings("ignore", message="RNN module weights are not part of single contiguous chunk")
        """,
        versions="CUDA; reported on torch 1.12.",
        threads=("pytorch/pytorch#86457",),
        related=("GW401",),
    ),
    Symptom(
        "GW403",
        title="LSTM stops training after prune.remove",
        asks=("prune.remove|pruning|prune lstm|gru|rnn train|training|learn|update|stops|frozen|not~change|change",),
        cause="On torch 1.4 and 1.5 removing a pruning mask registers the parameter without telling the module's list of weights. forward keeps using the old, masked tensor, while the optimizer moves the new one.",
        fix="""
        Upgrade to torch 1.7 or later, or refresh the list after prune.remove:

            lstm._apply(lambda tensor: tensor)
        """,
        versions="torch 1.4 and 1.5.",
        threads=("pytorch/pytorch#33618", "pytorch/pytorch#34170"),
        tried="stale on torch 1.5.1 and alive after _apply; alive by itself on 1.7.1 to 2.13.0.",
    ),
    Symptom(
        "GW404",
        title="parametrize on an LSTM's weights has no effect, or the weights seem frozen",
        asks=(
            "parametrize|parametrization|parametrise lstm|gru|rnn ignored|frozen|stale|no~effect|not~train|not~update|constant|same",
            "_flat_weights stale|parametrize|parametrization",
            "lstm|gru|rnn parameters weights|parameters change|move|update|updated but output|loss|forward same|constant|unchanged|frozen|stale",
        ),
        cause="Before torch 2.0 forward used a list of weights that registering a parametrization did not change: the parametrization was ignored, and once the module had been moved "
        "(`.to`, `.float`) the list held values computed at that time. Nothing is printed.",
        fix="""
        Use torch 2.0 or later: forward checks its list at each call. Before that refresh the list at the head of each forward:

            lstm._flat_weights = [getattr(lstm, name) for name in lstm._flat_weights_names]

        To see whether a weight is used, change it and look whether the output changes:

            before = lstm(x)[0]
            with torch.no_grad():
                lstm.parametrizations.weight_hh_l0.original.mul_(2)
            assert not torch.equal(before, lstm(x)[0])

        `gatewise doctor` finds such lists on a live module.
        """,
        versions="torch 1.9 to 1.13. The issue is open still, but 2.0.1, 2.9.1 and 2.13.0 use the parametrized weight.",
        threads=("pytorch/pytorch#65688",),
        tried="ignored, then stale after moving, and used after refreshing the list, on torch 1.9.1 and 1.12.1; used by itself on 2.0.1, 2.9.1 and 2.13.0.",
        related=("GW405",),
    ),
    Symptom(
        "GW405",
        title="functional_call or a MAML clone ignores the swapped LSTM weights",
        asks=("functional_call|maml|higher|learn2learn|meta~learning|functional lstm|gru|rnn ignored|same|not~used|no~effect|swapped|clone|adapt|gradient|gradients",),
        cause="Before torch 2.0 forward read its own list of weights, not the parameters that were swapped in by name.",
        fix="""
        Use torch 2.0 or later. Before that refresh the list after every swap:

            lstm._apply(lambda tensor: tensor)
        """,
        versions="torch < 2.0.",
        threads=("pytorch/pytorch#90500", "pytorch/pytorch#91111", "pytorch/pytorch#80454", "learnables/learn2learn#139", "learnables/learn2learn#140", "AntreasAntoniou/HowToTrainYourMAMLPytorch#18"),
        tried="ignored on torch 1.12.1, used on 2.0.1, 2.9.1 and 2.13.0.",
        related=("GW404",),
    ),
    Symptom(
        "GW406",
        title="derivative for _cudnn_rnn_backward is not implemented",
        says=("<_cudnn_rnn_backward>' is not implemented", "derivative for {any}<_cudnn_rnn_backward>"),
        suggests=("<_cudnn_rnn_backward>",),
        hints=("not implemented", "derivative"),
        cause="cuDNN has no second derivative of its recurrent layers. Gradient penalties and second-order meta-learning (MAML) ask for it.",
        fix="""
        Take the slower native implementation for that call:

            with torch.backends.cudnn.flags(enabled=False):
                output, state = model.lstm(x)
        """,
        versions="CUDA, every torch.",
        threads=("learnables/learn2learn#218",),
    ),
    Symptom(
        "GW407",
        title="A structured pruner returns an LSTM of the same size",
        asks=("structured|torch-pruning|channel|channels|neurons|units|nni prune|pruning|pruner lstm|gru|rnn",),
        cause="Removing one unit of an LSTM means removing one row from each of the four gates packed on the first axis, one column of weight_hh, and one column of whatever reads the output. "
        "Pruners that know only whole rows leave the layer alone, or break it.",
        fix="""
        Cut each gate alike and build a smaller layer:

            keep = torch.tensor([0, 2, 3])                                  # the units that stay
            rows = torch.cat([keep + gate * hidden for gate in range(4)])   # 3 gates for a GRU
            small = torch.nn.LSTM(input_size, len(keep))
            small.weight_ih_l0.data = lstm.weight_ih_l0.data[rows]
            small.weight_hh_l0.data = lstm.weight_hh_l0.data[rows][:, keep]
            small.bias_ih_l0.data = lstm.bias_ih_l0.data[rows]
            small.bias_hh_l0.data = lstm.bias_hh_l0.data[rows]
        """,
        versions="Torch-Pruning and others.",
        threads=("VainF/Torch-Pruning#276", "VainF/Torch-Pruning#404", "pytorch/pytorch#90801", "iurada/px-ntk-pruning#4", "IntelLabs/distiller#188"),
        tried="cutting a unit that nothing listens to, on torch 1.5.1 to 2.13.0: the other outputs are equal.",
    ),
    Symptom(
        "GW408",
        title="Input and parameter tensors are not at the same device (RNN under DataParallel)",
        says=("<Input and parameter tensors are not at the same device>",),
        hints=("DataParallel", "cudnn", "replica", "parallel_apply"),
        cause="Two things print this. The input (or the initial state) is on another device than the module; or the module runs inside DataParallel on torch 1.1 to 1.5, where replicas shared the original's list of weights.",
        fix="""
        First put both on one device:

            model = model.to(device)
            x = x.to(device)

        Under DataParallel use a torch after 1.5, or DistributedDataParallel with one process for each GPU.
        """,
        versions="DataParallel: torch 1.1 to 1.5, worse with TorchScript.",
        threads=("pytorch/pytorch#43754", "pytorch/pytorch#32860", "pytorch/pytorch#34513", "pytorch/pytorch#651"),
        inferred="that DistributedDataParallel is free of it.",
    ),
    Symptom(
        "GW409",
        title="set_storage is not allowed on Tensor created from .data or .detach()",
        says=("<set_storage is not allowed on> {a|}Tensor created from .data or .detach()",),
        suggests=("<set_storage is not allowed>",),
        hints=("flatten_parameters", "DataParallel", "replica", "LSTM", "GRU"),
        cause="`flatten_parameters()` re-points the storage of the weights. Called inside forward of a DataParallel replica under no_grad, its weights are detached views whose storage torch 1.1 does not allow to be replaced.",
        fix="Do not call flatten_parameters() inside forward when the module is replicated; call it once on the original model. torch 1.0.1 is reported to work, and DistributedDataParallel does not replicate at each call.",
        versions="torch 1.1.0.",
        threads=("pytorch/pytorch#21108",),
        inferred="that flattening outside of the replica is enough.",
    ),
    Symptom(
        "GW410",
        title="cudnn RNN backward can only be called in training mode",
        says=("<cudnn RNN backward can only be called in training mode>",),
        hints=("backward", "eval", "captum"),
        cause="cuDNN keeps what backward needs only when the layer ran in training mode. The model is in eval() and gradients are asked for: saliency maps, adversarial examples, a frozen encoder.",
        fix="""
        Either take the native implementation for that call:

            with torch.backends.cudnn.flags(enabled=False):
                output = model(x)
                output.sum().backward()

        or keep only the recurrent layers in training mode (dropout between their layers is then on: set `lstm.dropout = 0`):

            model.eval()
            model.lstm.train()

        To freeze weights use requires_grad_(False), not eval().
        """,
        versions="CUDA, torch 0.4 to today.",
        threads=(
            "pytorch/pytorch#5878", "pytorch/pytorch#8582", "pytorch/pytorch#15788", "pytorch/pytorch#10006", "pytorch/pytorch#37965", "pytorch/pytorch#7961",
            "meta-pytorch/captum#564", "meta-pytorch/captum#328", "meta-pytorch/captum#1159",
        ),
    ),
    Symptom(
        "GW411",
        title="CudnnRNN returned an invalid number of gradient tensors",
        says=("<CudnnRNN returned an invalid number of gradient tensors>",),
        cause="The autograd wrapper of torch 0.1 assumed that every weight of a recurrent layer wants a gradient; here some are frozen.",
        fix="Use any torch of this decade. On 0.1 freeze all weights of the layer or none.",
        versions="torch 0.1.",
        threads=("pytorch/pytorch#776",),
        inferred="that later versions are free of it.",
    ),
    Symptom(
        "GW412",
        title="Tied RNN weights are no longer tied after .cuda()",
        asks=("tied|tie|tying|shared|share weights|weight|parameters lstm|gru|rnn cuda|.to|gpu|untied|copied|separate",),
        cause="torch 0.2 and 0.3 copied aliased parameters into separate places of the flat buffer when the module was moved.",
        fix="""
        Use a later torch, which leaves modules with aliased parameters unflattened. Check by the objects and their memory:

            assert lstm.weight_hh_l0.data_ptr() == other.weight_hh_l0.data_ptr()
        """,
        versions="torch 0.2 and 0.3.",
        threads=("pytorch/pytorch#3751",),
        tried="that a tie within one LSTM survives being moved on torch 1.1.0 to 2.13.0 (on a CPU).",
    ),
    Symptom(
        "GW413",
        title="torch.export of an LSTM: weights appear as lifted_tensor_0 … constants",
        says=("<lifted_tensor_>{n}", "_flat_weights{any}<torch.export>"),
        needs=("_flat_weights", "LSTM", "GRU", "RNN", "rnn"),
        suggests=("<assigned during export>",),
        hints=("_flat_weights", "LSTM", "GRU", "torch.export", "rnn.py"),
        asks=("torch.export|exported|export~program|aoti lstm|gru|rnn fails|constants|lifted|_flat_weights|weights",),
        cause="A recurrent module keeps its weights in a plain list and sets that list anew in forward. Export sees an attribute that changes while it traces, or takes the list's tensors for constants.",
        fix="""
        Look at the signature: weights must be parameters, not constants:

            program = torch.export.export(model, (x,))
            print(program.graph_signature.inputs_to_parameters)

        Export a freshly built model into which the state dict was loaded, and try a newer torch.
        """,
        versions="Reported for torch 2.2 to 2.9. On 2.13.0 (CPU) all four weights of an LSTM come out as parameters.",
        threads=("pytorch/pytorch#163809", "pytorch/pytorch#163207", "pytorch/pytorch#163303", "pytorch/pytorch#123089", "pytorch/pytorch#140845", "pytorch/TensorRT#3427"),
        tried="export, strict and not, on torch 2.13.0.",
    ),
    Symptom(
        "GW414",
        title="Scripted LSTM moved to the GPU: contiguous-chunk warning, or weights on the wrong device",
        asks=("script|scripted|torchscript|jit.script lstm|gru|rnn cuda|gpu|.to device|contiguous|cpu",),
        cause="Moving a scripted module of torch 1.4 does not flatten its weights again.",
        fix="""
            model = model.cuda()
            scripted = torch.jit.script(model)   # after moving, not before
        """,
        versions="TorchScript of torch 1.4 and about.",
        threads=("pytorch/pytorch#34513",),
        related=("GW401",),
    ),
    Symptom(
        "GW415",
        title="The same LSTM weights give other numbers on mps (Apple GPU)",
        asks=("mps|apple~silicon|m1|m2|metal lstm|gru|rnn different|differ|differs|wrong|mismatch|other|not~match|inconsistent",),
        cause="The backend, not the weights: torch's mps implementation has had errors with bidirectional and multi-layer modules, batches and packed sequences, and some reports are open.",
        fix="""
        Compare with the CPU before doubting a conversion:

            cpu = model.to("cpu")(x.to("cpu"))

        and with float64, which no backend touches: `gatewise verify MODEL --recorded IO.npz` runs the weights without torch.
        """,
        versions="torch 1.12 to today, on mps.",
        threads=("pytorch/pytorch#94754", "pytorch/pytorch#90421", "pytorch/pytorch#95118", "pytorch/pytorch#92615", "pytorch/pytorch#80306", "pytorch/pytorch#83144", "pytorch/pytorch#180744"),
    ),
    Symptom(
        "GW416",
        title="A bidirectional RNN in C++ (libtorch) differs from Python",
        asks=("c++|libtorch|cpp bidirectional|reverse lstm|gru|rnn different|differ|differs|order|wrong",),
        cause="The flat list of weights must be in the order layer 0, layer 0 reverse, layer 1, layer 1 reverse; libtorch of that time had another.",
        fix="Follow Python's order, `[name for name, _ in module.named_parameters()]`, or load a TorchScript file; `gatewise inspect FILE --tensors` lists the layers and directions.",
        versions="libtorch 1.1 and about.",
        threads=("pytorch/pytorch#22850",),
    ),
    Symptom(
        "GW417",
        title="forward of this LSTM uses weight_hh_l0, which it no longer has under that name",
        says=("<which it no longer has under that name>",),
        cause="The name was deleted, and the tensor stayed in the module's private list of weights, `_flat_weights`, which forward uses. So the module runs, while the optimizer and `state_dict()` no longer see the weight: it is neither "
        "trained nor saved.",
        fix="""
        Register it again, with the numbers that forward uses:

            gw.repair(module, in_place=True)

        To put another weight in a weight's place, assign it and do not delete: `module.weight_hh_l0 = torch.nn.Parameter(new)` keeps list and name together.
        """,
        versions="torch 1.4 and later.",
        threads=("pytorch/pytorch#65688", "pytorch/pytorch#90500"),
        tried="on torch 2.13.0.",
        related=("GW404",),
    ),
    Symptom(
        "GW418",
        title="weight_hh_l0 of this LSTM hold NaN or infinity",
        says=("{name} of {any} <hold NaN or infinity>",),
                cause="Training diverged (no gradient clipping, a learning rate too high, an overflow in float16 without a gradient scaler), or the weights were never set (`torch.empty`, `to_empty` without a load). One such number in a recurrent "
        "kernel reaches every output from the second step on.",
        fix="""
        The last good checkpoint has what is lost here. To see which gate began:

            gw.statistics(module)

        For the next training, clip the gradients before each step:

            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        """,
        versions="Every torch.",
        tried="on torch 2.13.0.",
        related=("GW701",),
    ),
)  # fmt: skip
