"""Loading safely, and file formats: GW601 to GW612.  Tables only."""

from __future__ import annotations

from ._symptom import Symptom

_LOOK = """
Look first, without running anything:

    gatewise inspect FILE      # what is in it, and which classes it names
    gatewise doctor FILE       # what it would call on loading
"""

SYMPTOMS = (
    Symptom(
        "GW601",
        title="_pickle.UnpicklingError: Weights only load failed … Unsupported global: GLOBAL torch.nn.modules.rnn.LSTM",
        says=("<Weights only load failed>", "Unsupported global: GLOBAL {name}<was not an allowed global by default>"),
        hints=("weights_only", "Unsupported global", "add_safe_globals", "UnpicklingError"),
        cause="Since torch 2.6 torch.load takes weights only unless told otherwise. This file holds more than tensors: a whole pickled module, or a checkpoint with other objects (argparse.Namespace, numpy scalars, optimizers of your own) beside the weights.",
        fix=_LOOK + """
        Then take the weights out, once:

            gatewise repair FILE -o weights.pt --as state-dict    # loads with weights_only=True

        If the file is your own, name exactly the classes it needs; the message names them one at a time:

            with torch.serialization.safe_globals([torch.nn.LSTM]):
                model = torch.load("FILE")

        `weights_only=False` runs whatever the pickle says: only for files that you trust.
        """,
        versions="torch >= 2.6, and earlier calls with weights_only=True.",
        threads=("pytorch/examples#1348", "CUNY-CL/yoyodyne#305", "flairNLP/flair#3263", "pytorch/audio#3911", "sktime/pytorch-forecasting#1998", "yl4579/StyleTTS2#348", "e3nn/e3nn#519"),
        tried="whole modules and checkpoints of torch 1.0.1 to 2.13.0 in 2.13.0.",
        related=("GW607", "GW609"),
    ),
    Symptom(
        "GW602",
        title="Does torch.load run code that is in the file?",
        asks=("torch.load|pickle|checkpoint|load execute|executes|run|runs|arbitrary code|malicious safe|code|arbitrary|security|untrusted|malicious",),
        cause="Yes, with weights_only=False (the default before torch 2.6): a pickle is a program, and `__reduce__` lets it call anything. Old recurrent modules are just the files that need it.",
        fix=_LOOK + "To go on with the weights alone: `gatewise convert FILE -o OUT.safetensors` or `gatewise repair FILE -o OUT.pt --as state-dict`. Neither of them runs the pickle.",
        versions="Every torch.",
        threads=("voicepaw/so-vits-svc-fork#193", "ecmwf/anemoi-core#1416", "Synthefy/synthefy-nori#54", "OpenTalker/SadTalker#1046", "fishaudio/fish-speech#1277", "metauto-ai/GPTSwarm#35"),
        related=("GW607", "GW603"),
    ),
    Symptom(
        "GW603",
        title="CVE-2025-32434: code execution even with weights_only=True",
        says=("<CVE-2025-32434>",),
        asks=("weights_only=true|weights_only~true safe|vulnerability|vulnerable|rce|cve|exploit|secure torch|pytorch|load",),
        cause="The restricted loader of torch 2.5.1 and older could be led to run code.",
        fix="Use torch 2.6.0 or later (2.10.0 for GW604), or read the file with a reader that runs nothing: `gatewise inspect FILE`, `gatewise convert FILE -o OUT.safetensors`.",
        versions="torch <= 2.5.1.",
        threads=("deepseek-ai/DeepSeek-V3#872", "QwenLM/Qwen3#1356", "i-am-bee/beeai-framework#1495", "INET-Complexity/macro-main#89", "github/advisory-database#6063"),
        related=("GW604", "GW602"),
    ),
    Symptom(
        "GW604",
        title="CVE-2026-24747: memory corruption in the weights_only unpickler",
        says=("<CVE-2026-24747>",),
        cause="The unpickler of torch before 2.10.0 did not check some opcodes and the sizes of storages.",
        fix="Use torch 2.10.0 or later; read strangers' files with `gatewise inspect`, whose reader is bounded and runs nothing.",
        versions="torch < 2.10.0.",
        threads=("NVIDIA/TensorRT-Model-Connect#1298",),
        related=("GW603",),
    ),
    Symptom(
        "GW605",
        title="CVE-2025-9905: Keras ignores safe_mode=True for .h5 files",
        says=("<CVE-2025-9905>",),
        asks=("safe_mode h5|hdf5 ignored|lambda|keras|ignore|code|unsafe",),
        cause="The legacy HDF5 path did not look at safe_mode: a Lambda layer's bytecode in an `.h5` runs on load_model.",
        fix="Do not call load_model on a stranger's `.h5`. Read the arrays (`gatewise inspect FILE`, `gatewise convert`), or use a Keras in which it is mended.",
        versions="Keras before 3.11.x; tf-keras was still being mended in 2026.",
        threads=("io-no/CVE-Reports#7", "keras-team/tf-keras#910", "keras-team/tf-keras#917"),
        inferred="the first release that is free of it.",
        related=("GW606",),
    ),
    Symptom(
        "GW606",
        title="CVE-2025-9906, CVE-2025-8747, CVE-2025-1550: a .keras archive that turns safe mode off",
        says=("<CVE-2025-9906>", "<CVE-2025-8747>", "<CVE-2025-1550>"),
        asks=("safe_mode .keras|archive|config.json disable|disabled|bypass|code|unsafe|cve",),
        cause="`config.json` inside the archive could name arbitrary callables, among them the one that switches safe mode off.",
        fix="Use Keras 3.11 or later. `gatewise inspect FILE` reads the configuration as data and calls nothing.",
        versions="Keras < 3.11.0.",
        threads=("io-no/CVE-Reports#5", "io-no/CVE-Reports#2", "github/advisory-database#6188"),
        related=("GW605",),
    ),
    Symptom(
        "GW607",
        title="Should I set weights_only=False?",
        asks=("weights_only=false|weights_only~false|weights_only~to~false safe|should|ok|silence|fix|disable|danger|dangerous|risk|secure",),
        cause="It silences the error by allowing the file to run any code again. That is fine for a file that you wrote, and not for one that you downloaded.",
        fix=_LOOK + """
        Make a file that does not need it:

            gatewise repair FILE -o weights.pt --as state-dict
            gatewise convert FILE -o weights.safetensors
        """,
        versions="torch >= 2.6.",
        threads=("yl4579/StyleTTS2#348", "jmschrei/pomegranate#1147", "Synthefy/synthefy-nori#54"),
        related=("GW601", "GW602"),
    ),
    Symptom(
        "GW608",
        title="Some tensors share memory, this will lead to duplicate memory on disk (safetensors)",
        says=("<Some tensors share memory>, this will lead to duplicate memory on disk", "<Some tensors share memory>"),
        hints=("safetensors", "save_model", "save_file"),
        cause="Two names are the same tensor (tied weights, a weight under two names). safetensors stores each byte once and asks who owns it.",
        fix="""
        If both names are needed, give each its own memory:

            save_file({name: tensor.clone() for name, tensor in model.state_dict().items()}, path)

        If they are tied and the model ties them again by itself: `safetensors.torch.save_model(model, path)` and `load_model(model, path)`.
        """,
        versions="Every safetensors. Weights that merely lie side by side in one buffer, as a flattened RNN's do, are not refused.",
        threads=("safetensors/safetensors#98", "safetensors/safetensors#202", "safetensors/safetensors#304", "huggingface/trl#5150", "huggingface/accelerate#3101"),
        tried="message and first cure with safetensors 0.8.0 and torch 2.13.0; that an LSTM's own state dict, and halves of one buffer, are saved.",
    ),
    Symptom(
        "GW609",
        title="Only persistent_load of storage is allowed, but got <class 'str'>",
        says=("<Only persistent_load of storage is allowed>",),
        hints=("Weights only load failed", "weights_only", "UnpicklingError"),
        cause="A whole module in the format that torch used before 1.6. It carries the source of its classes in a way that weights_only=True refuses, however many classes are allowed.",
        fix="""
            gatewise repair OLD.pt -o NEW.pt --as state-dict    # loads with weights_only=True
            gatewise repair OLD.pt -o NEW.pt --as module        # a whole module in today's format

        Allowing classes with safe_globals does not help here. `weights_only=False` runs the pickle, and fails all the same for recurrent modules of torch <= 1.3 (GW105).
        """,
        versions="Whole modules written by torch <= 1.5, or with _use_new_zipfile_serialization=False; read by torch >= 2.6, or with weights_only=True.",
        threads=("pytorch/examples#1348",),
        tried="whole modules of torch 1.0.1 to 1.5.1, and legacy-format ones up to 2.13.0, in 2.13.0.",
        related=("GW601",),
    ),
    Symptom(
        "GW610",
        title="PytorchStreamReader failed locating file data/94120790447840: file not found",
        says=("PytorchStreamReader failed locating file <data/>{n}: file not found",),
        hints=("miniz", "torch.load"),
        cause="A zip file that torch 1.4.0 wrote when asked for the new format (_use_new_zipfile_serialization=True), which was not finished then: tensors lie under other names than later versions look for.",
        fix="""
        Load it with torch 1.4.0, the only version that reads it, and save it in the old format:

            torch.save(torch.load("OLD.pt"), "NEW.pt", _use_new_zipfile_serialization=False)
        """,
        versions="Written by torch 1.4.0 in its opt-in zip format, read by torch >= 1.5.",
        tried="module and state dict of torch 1.4.0 in 2.13.0. Files of 1.5.1's opt-in format are fine.",
    ),
    Symptom(
        "GW611",
        title="RuntimeError: Legacy model format is not supported on mobile.",
        says=("<Legacy model format is not supported on mobile>",),
        cause="A TorchScript file of torch 1.0 to 1.2. The message speaks of mobile, but torch 1.11 and later no longer read that format anywhere.",
        fix="""
        Load it with a torch up to 1.10 and save it again; later versions read the result:

            model = torch.jit.load("old.ts")
            torch.jit.save(model, "new.ts")

        For the weights alone: `gatewise inspect old.ts --from torch.LSTM`.
        """,
        versions="Written by torch 1.0 to 1.2, read by torch >= 1.11.",
        tried="a file of torch 1.0.1: refused by 1.12.1, 2.0.1, 2.9.1 and 2.13.0; re-saved by 1.5.1 and 1.9.1 it loads in 2.13.0.",
    ),
    Symptom(
        "GW612",
        title="The pickle needs classes from outside torch, numpy and Python",
        says=("The pickle needs {any}, <from outside torch, numpy and Python>",),
        asks=("torch.load|checkpoint|pickle own|custom|their|someone|somebody class|classes|module|package import|importable|needs|without lstm|gru|rnn|weights",),
        cause="A whole module was pickled, or a checkpoint with objects of the training code in it (its options, a vocabulary, an optimizer). A pickle holds their classes by name alone: torch.load imports them from the program that loads, and "
        "fails with ModuleNotFoundError or AttributeError where they are not there under exactly these names.",
        fix="""
        The weights alone, without those classes and without running anything:

            gatewise inspect FILE
            gatewise repair FILE -o weights.pt --as state-dict

        To load the objects as well: put the package on the path under its old name, and only where you trust the file, for it may run code (GW602).
        """,
        versions="Every torch.",
        tried="modules whose classes are not installed; the state dicts that repair writes load in torch 2.13.0 with weights_only=True.",
        related=("GW601", "GW602"),
    ),
)  # fmt: skip
