"""Other torch.nn classes beside the recurrent one whose old pickles break today: GW115 to GW130.  Tables only.

One of these in a model breaks it just as dead.  All were pickled by the versions named and tried in torch 2.13.0.
"""

from __future__ import annotations

from ._symptom import Symptom

_ALL = "`gatewise repair OLD.pt -o NEW.pt --as module` sets all attributes of this kind at once."


def _set(classes: str, attribute: str, value: str) -> str:
    """The cure for an attribute that is only asked for when the module runs."""
    return f"""
The file loads; set the attribute before the model is used:

    for module in model.modules():
        if isinstance(module, {classes}) and not hasattr(module, "{attribute}"):
            module.{attribute} = {value}

{_ALL}
"""


def _cause(what: str, version: str, default: str) -> str:
    return (
        f"The module was pickled whole by an older torch. {what} came with torch {version}; unpickling restores the old attributes without calling "
        f"__init__, so the new one is missing. What the old version did is what the default {default} does."
    )


SYMPTOMS = (
    Symptom(
        "GW115",
        title="Can't get attribute '_LinearWithBias' on <module 'torch.nn.modules.linear'>",
        says=("Can't get attribute '<_LinearWithBias>'", "has no attribute '<_LinearWithBias>'"),
        hints=("torch.nn.modules.linear", "MultiheadAttention", "Transformer"),
        cause="MultiheadAttention of torch 1.6 to 1.8 kept its output layer as a private class that torch 1.9 renamed. Its pickle, alone or in a Transformer, asks for the old name.",
        fix="""
        Give the old name back before loading, and the attributes that came later after it:

            import torch.nn.modules.linear as linear
            linear._LinearWithBias = linear.NonDynamicallyQuantizableLinear

            model = torch.load("OLD.pt", weights_only=False)
            for module in model.modules():
                for name in ("batch_first", "norm_first"):
                    if isinstance(module, (torch.nn.MultiheadAttention, torch.nn.Transformer, torch.nn.TransformerEncoderLayer,
                                           torch.nn.TransformerDecoderLayer)) and not hasattr(module, name):
                        setattr(module, name, False)
        """,
        versions="Written by torch 1.6 to 1.8, read by torch >= 1.9.",
        tried="MultiheadAttention and TransformerEncoderLayer of torch 1.7.1 in 2.13.0, message and cure.",
    ),
    Symptom(
        "GW116",
        title="'MultiheadAttention' object has no attribute 'batch_first'",
        says=("'{MultiheadAttention|Transformer|TransformerEncoder|TransformerDecoder|TransformerEncoderLayer|TransformerDecoderLayer}' object has no attribute '<batch_first>'",),
        cause=_cause("`batch_first` of attention and Transformers", "1.9", "False"),
        fix=_set("(torch.nn.MultiheadAttention, torch.nn.Transformer)", "batch_first", "False"),
        versions="Written by torch <= 1.5 (those of 1.6 to 1.8 fail earlier, see GW115), read by torch >= 1.9.",
        tried="files of torch 1.1.0 to 1.5.1 in 2.13.0.",
        related=("GW115", "GW117"),
    ),
    Symptom(
        "GW117",
        title="'TransformerEncoderLayer' object has no attribute 'norm_first'",
        says=("'{class}' object has no attribute '<norm_first>'",),
        cause=_cause("`norm_first` of the Transformer layers", "1.10", "False"),
        fix=_set("(torch.nn.TransformerEncoderLayer, torch.nn.TransformerDecoderLayer)", "norm_first", "False"),
        versions="Written by torch 1.2 to 1.9, read by torch >= 1.10.",
        tried="files of torch 1.2.0 to 1.9.1 in 2.13.0.",
        related=("GW115", "GW116"),
    ),
    Symptom(
        "GW118",
        title="'CrossEntropyLoss' object has no attribute 'label_smoothing'",
        says=("'{class}' object has no attribute '<label_smoothing>'",),
        cause=_cause("`label_smoothing`", "1.10", "0.0"),
        fix=_set("torch.nn.CrossEntropyLoss", "label_smoothing", "0.0"),
        versions="Written by torch <= 1.9, read by torch >= 1.10.",
        tried="files of torch 1.0.1 to 1.9.1 in 2.13.0.",
    ),
    Symptom(
        "GW119",
        title="'EmbeddingBag' object has no attribute 'padding_idx'",
        says=("'EmbeddingBag' object has no attribute '{padding_idx|include_last_offset}'",),
        cause="The module was pickled whole by an older torch. `include_last_offset` came with torch 1.5 and `padding_idx` with 1.9; unpickling does not call "
        "__init__, so they are missing. The old version behaved like the defaults False and None.",
        fix="""
        The file loads; set the attributes before the model is used:

            for module in model.modules():
                if isinstance(module, torch.nn.EmbeddingBag):
                    for name, value in (("include_last_offset", False), ("padding_idx", None)):
                        if not hasattr(module, name):
                            setattr(module, name, value)

        """ + _ALL,
        versions="Written by torch <= 1.8, read by later ones.",
        tried="files of torch 1.0.1 to 1.8.1 in 2.13.0.",
    ),
    Symptom(
        "GW120",
        title="'GELU' object has no attribute 'approximate'",
        says=("'GELU' object has no attribute '<approximate>'",),
        cause=_cause("`approximate`", "1.12", "'none'"),
        fix=_set("torch.nn.GELU", "approximate", '"none"'),
        versions="Written by torch 1.4 to 1.11, read by torch >= 1.12.",
        tried="files of torch 1.4.0 to 1.11.0 in 2.13.0.",
    ),
    Symptom(
        "GW121",
        title="'Hardsigmoid' object has no attribute 'inplace'",
        says=("'{Hardsigmoid|Hardswish}' object has no attribute '<inplace>'",),
        cause=_cause("`inplace` of Hardsigmoid and Hardswish", "1.7", "False"),
        fix=_set("(torch.nn.Hardsigmoid, torch.nn.Hardswish)", "inplace", "False"),
        versions="Written by torch 1.5 and 1.6, read by torch >= 1.7.",
        tried="files of torch 1.5.1 and 1.6.0 in 2.13.0.",
    ),
    Symptom(
        "GW122",
        title="'KLDivLoss' object has no attribute 'log_target'",
        says=("'{class}' object has no attribute '<log_target>'",),
        cause=_cause("`log_target`", "1.6", "False"),
        fix=_set("torch.nn.KLDivLoss", "log_target", "False"),
        versions="Written by torch <= 1.5, read by torch >= 1.6.",
        tried="files of torch 1.0.1 to 1.5.1 in 2.13.0.",
    ),
    Symptom(
        "GW123",
        title="'SmoothL1Loss' object has no attribute 'beta'",
        says=("'SmoothL1Loss' object has no attribute '<beta>'",),
        cause=_cause("`beta`", "1.7", "1.0"),
        fix=_set("torch.nn.SmoothL1Loss", "beta", "1.0"),
        versions="Written by torch <= 1.6, read by torch >= 1.7.",
        tried="files of torch 1.0.1 to 1.6.0 in 2.13.0.",
    ),
    Symptom(
        "GW124",
        title="'AvgPool2d' object has no attribute 'divisor_override'",
        says=("'{class}' object has no attribute '<divisor_override>'",),
        cause=_cause("`divisor_override` of AvgPool2d and AvgPool3d", "1.2", "None"),
        fix=_set("(torch.nn.AvgPool2d, torch.nn.AvgPool3d)", "divisor_override", "None"),
        versions="Written by torch 1.0 and 1.1, read by torch >= 1.2.",
        tried="files of torch 1.0.1 and 1.1.0 in 2.13.0.",
    ),
    Symptom(
        "GW125",
        title="'Conv2d' object has no attribute '_reversed_padding_repeated_twice'",
        says=("'{class}' object has no attribute '<_reversed_padding_repeated_twice>'",),
        cause=_cause("`_reversed_padding_repeated_twice`, which only convolutions with a padding_mode other than 'zeros' ask for,", "1.5", "(the padding of each axis twice, last axis first)"),
        fix="""
        The file loads; set the attribute before the model is used:

            for module in model.modules():
                if isinstance(module, torch.nn.modules.conv._ConvNd) and not hasattr(module, "_reversed_padding_repeated_twice"):
                    module._reversed_padding_repeated_twice = tuple(p for p in reversed(module.padding) for _ in range(2))

        """ + _ALL,
        versions="Written by torch 1.1 to 1.4 with padding_mode='circular' and the like, read by torch >= 1.5.",
        tried="files of torch 1.1.0 to 1.4.0 in 2.13.0: the message.",
    ),
    Symptom(
        "GW126",
        title="'ParameterList' object has no attribute '_size'",
        says=("'ParameterList' object has no attribute '<_size>'", "'ParameterDict' object has no attribute '<_keys>'"),
        cause="ParameterList and ParameterDict were rewritten in torch 1.12 and count or name their members in an attribute that older pickles lack.",
        fix="""
        The file loads; set the attributes before the model is used:

            for module in model.modules():
                if isinstance(module, torch.nn.ParameterList) and "_size" not in module.__dict__:
                    module._size = len(module._parameters)
                if isinstance(module, torch.nn.ParameterDict) and "_keys" not in module.__dict__:
                    module.__dict__["_keys"] = dict.fromkeys(module._parameters)

        """ + _ALL,
        versions="Written by torch <= 1.11, read by torch >= 1.12.",
        tried="files of torch 1.0.1 to 1.11.0 in 2.13.0; the cure with those of 1.7.1.",
    ),
    Symptom(
        "GW127",
        title="GaussianNLLLoss of a torch 1.8 pickle gives another value",
        asks=("gaussiannllloss differ|different|other|another|changed|wrong torch|pytorch|1.8|old",),
        cause="The loss of torch 1.8 is computed by another formula than that of later versions. The pickle loads without a word and computes by today's.",
        fix="Nothing in the file is wrong. Compare losses only within one torch version, or write the old formula out in your own function.",
        versions="torch 1.8 against 1.9 and later.",
        tried="the same input through a module of torch 1.8.1 in 2.13.0: the values differ by 0.15.",
    ),
    Symptom(
        "GW128",
        title="'LSTM' object has no attribute '_backward_pre_hooks'",
        says=("'{class}' object has no attribute '<_backward_pre_hooks>'", "'{class}' object has no attribute '<_forward_hooks_with_kwargs>'",
              "'{class}' object has no attribute '<_forward_pre_hooks_with_kwargs>'", "'{class}' object has no attribute '<_non_persistent_buffers_set>'",
              "'{class}' object has no attribute '<_is_full_backward_hook>'"),
        cause="Every module got new private attributes over the years, and Module.__setstate__ gives them to old pickles. Here it was not called: the class, or a patch meant to "
        "cure another error, has a __setstate__ that only updates __dict__.",
        fix="""
        Call the original from your own:

            def __setstate__(self, state):
                super().__setstate__(state)   # not self.__dict__.update(state)

        For old recurrent modules do not replace RNNBase.__setstate__ by hand: `with gw.legacy_torch():` around torch.load patches it rightly, and takes the patch back.
        """,
        versions="Modules pickled by torch < 2.0, read by torch >= 2.0.",
        tried="old LSTM pickles in torch 2.13.0 with __setstate__ replaced by __dict__.update.",
    ),
    Symptom(
        "GW129",
        title="ValueError: dictionary update sequence element #0 has length 3; 2 is required (quantised model)",
        says=("<dictionary update sequence element #0 has length 3>; 2 is required",),
        needs=("torch", "quant", "LSTM", "packed"),
        hints=("torch.load", "_load", "quantized", "__setstate__", "serialization"),
        cause="A dynamically quantised (qint8) module pickled whole by torch 1.6 to 1.8: the packed weights were written in a form that torch 1.12 and later no longer read.",
        fix="""
        Load it with torch 1.6 to 1.9, and save there what later versions read. Best is the float model's state dict, quantised anew:

            model = torch.quantization.quantize_dynamic(float_model, {torch.nn.LSTM, torch.nn.Linear}, dtype=torch.qint8)
        """,
        versions="Written by torch 1.6 to 1.8, read by torch >= 1.12. Modules quantised to float16 are not affected.",
        tried="a file of torch 1.6.0: loads in 1.7.1 and 1.9.1, fails in 1.12.1, 2.0.1, 2.9.1 and 2.13.0.",
    ),
    Symptom(
        "GW130",
        title="torch.save() is not currently supported for quantized modules",
        says=("<torch.save() is not currently supported for quantized modules>",),
        cause="torch 1.3 to 1.5 cannot pickle the packed weights of a quantised module.",
        fix="Save the float model's state dict and quantise after loading, or use torch 1.6 or later.",
        versions="torch 1.3 to 1.5.",
        tried="torch 1.3.1, 1.4.0 and 1.5.1.",
        related=("GW310",),
    ),
)  # fmt: skip
