"""Keras files that today's Keras refuses to open: GW201 to GW211, GW229 to GW236.  Tables only.

Keras 3.15.1 (torch backend) was given files of Keras 1.2.2, 2.2.4 and tf.keras 1.15, 2.3.4 and 2.15.1.
"""

from __future__ import annotations

from ._symptom import Symptom

_ONE_LAYER = """
One recurrent layer out of the file, into a `.keras` that Keras 3 loads, with proof and without TensorFlow:

    gatewise inspect OLD.h5
    gatewise convert OLD.h5 -o NEW.keras --to keras.LSTM --layer NAME    # keras.GRU, keras.SimpleRNN; --code prints how to load it
"""
_REPAIR = "`gatewise repair OLD.h5 -o NEW.h5` makes a whole file that Keras 3 loads, with the same numbers."
_HARD = "Files of Keras before 2.3 and tf.keras 1.x use another `hard_sigmoid` than Keras 3: see GW220 before you trust the outputs."
_BY_WEIGHTS = """
Or build the same model by hand and load only the weights, which works for files of tf.keras 2.3 to 2.15:

    model = keras.Sequential([keras.Input((time, features)), keras.layers.LSTM(units)])
    model.load_weights("OLD.h5")
"""
_CONFIG = """
Or take the offending words out of the saved configuration, and leave the weights alone:

    import json
    import h5py

    def modern(node):
        if isinstance(node, dict):
            node.pop("time_major", None)
            if node.get("class_name") in ("GlorotUniform", "Orthogonal", "Zeros", "Ones", "RandomUniform", "VarianceScaling"):
                node.get("config", {}).pop("dtype", None)
            if node.get("class_name") in ("LSTM", "GRU", "SimpleRNN", "LSTMCell", "GRUCell", "SimpleRNNCell", "StackedRNNCells", "Dense"):
                node.setdefault("module", "keras.layers")
                node.setdefault("registered_name", None)
            for value in node.values():
                modern(value)
        elif isinstance(node, list):
            for value in node:
                modern(value)
        return node

    with h5py.File("COPY.h5", "r+") as file:        # a copy: it is changed in place
        config = json.loads(file.attrs["model_config"])
        file.attrs["model_config"] = json.dumps(modern(config))
    model = keras.models.load_model("COPY.h5", compile=False)
"""

SYMPTOMS = (
    Symptom(
        "GW201",
        title="Layer 'lstm_cell' expected 3 variables, but received 0 variables during loading",
        says=(
            "Layer '{rnn}' <expected >{n} variables, but received 0 variables during loading", "Layer '{any}' expected {n} variables, but <received 0 variables during loading>. Expected: ['kernel', 'recurrent_kernel'",
        ),
        hints=("could not be loaded", "Bidirectional", "LSTMCell", "recurrent_kernel"),
        cause="The file has the weights, but under another path than Keras looks at. The path of a recurrent layer's cell inside `.keras` and `.weights.h5` changed in Keras 2.14, 2.15 "
        "and 3, most often for Bidirectional; and it is made from the class's name, so a subclass of LSTM is written to another place than LSTM itself.",
        fix="""
        See where the weights are:

            gatewise inspect model.keras --tensors

        Then put them into a model built by hand, in the order kernel, recurrent_kernel, bias for each direction:

            import h5py, zipfile
            zipfile.ZipFile("model.keras").extract("model.weights.h5")
            with h5py.File("model.weights.h5") as file:
                arrays = [file[f"layers/lstm/cell/vars/{index}"][()] for index in range(3)]   # the path that inspect shows
            model.layers[0].set_weights(arrays)

        """ + _ONE_LAYER,
        versions="Keras 2.13 to 3.x: each of 2.14 and 2.15 failed on the `.keras` files of the one before. Keras 3.15 reads its own Bidirectional files.",
        threads=("keras-team/keras#18913", "keras-team/keras#19615", "keras-team/keras#20322"),
        tried="in Keras 3.15.1: the message, by loading a subclass's weights into an LSTM; and that a Bidirectional of its own loads.",
        inferred="which release moved which path.",
        related=("GW202", "GW203"),
    ),
    Symptom(
        "GW202",
        title="Loading a GRU's saved weights into a GRUCell (or an LSTM's into an LSTMCell) fails",
        suggests=("<received 0 variables during loading>",),
        hints=("GRUCell(", "LSTMCell(", "bare cell", "keras.layers.GRUCell", "keras.layers.LSTMCell"),
        asks=("load grucell|lstmcell|gru~cell|lstm~cell saved|save_weights|load_weights|fails",),
        unless=("tf1", "tensorflow1", "tf.nn.rnn_cell", "tf.contrib"),
        cause="In the file a layer's arrays lie one level deeper than a bare cell's: the layer holds a cell.",
        fix="""
        Copy them in memory; the arrays and their order are the same:

            cell = keras.layers.GRUCell(units, reset_after=True)
            cell.build((None, features))
            cell.set_weights(layer.get_weights())
        """,
        versions="Keras 3.",
        threads=("keras-team/keras#20407",),
        tried="the cure in Keras 3.15.1: a GRU and the GRUCell stepped over the sequence agree exactly.",
        related=("GW201", "GW563"),
    ),
    Symptom(
        "GW203",
        title="A .keras model of Keras 2.13 does not load in 2.14, nor one of 2.14 in 2.15",
        asks=(".keras 2.13|2.14|2.15 load|fails|incompatible|broken|not~load|cannot lstm|gru|bidirectional|rnn|model",),
        cause="Two separate changes moved recurrent layers' weights inside the `.keras` archive, in 2.14 and again in 2.15, without reading the old places.",
        fix="Load it with the version that wrote it, if you have it, and save an `.h5` or the arrays beside it. Without it: the weights are all in the archive, see GW201." + _ONE_LAYER,
        versions="Keras 2.13, 2.14, 2.15.",
        threads=("keras-team/keras#18913",),
        related=("GW201",),
    ),
    Symptom(
        "GW204",
        title="Unrecognized keyword arguments passed to LSTM: {'time_major': False}",
        says=("Unrecognized keyword arguments passed to {class}: {any}'<time_major>'",),
        suggests=("'<time_major>'",),
        hints=("load_model", "from_config", "legacy_h5_format", "Unrecognized", "LSTM", "GRU"),
        cause="Keras 3 removed the argument `time_major`; files of tf.keras 2 name it in their configuration, even though it is off. The weights need no change.",
        fix="""
        For layers that stand by themselves, give load_model a class that ignores the word:

            class LSTM(keras.layers.LSTM):
                def __init__(self, *args, time_major=False, **kwargs):
                    assert not time_major
                    super().__init__(*args, **kwargs)

            model = keras.models.load_model("OLD.h5", compile=False, custom_objects={"LSTM": LSTM})

        Inside Bidirectional, RNN or TimeDistributed that class is not looked up.
        """ + _BY_WEIGHTS + _CONFIG + "\n" + _REPAIR,
        versions="Written by tf.keras 2.0 to 2.15 (`.h5`, Sequential `.keras`), read by Keras 3.",
        threads=("keras-team/keras#20750", "jongwon-han/RPNet#1", "appeler/ethnicolr#101"),
        tried="files of tf.keras 2.3.4 and 2.15.1 in Keras 3.15.1, plain and Bidirectional: all three ways give the recorded outputs to 2e-07.",
    ),
    Symptom(
        "GW205",
        title="Unrecognized keyword arguments passed to LSTM: {'batch_input_shape': (1, 1, 7)}",
        says=("Unrecognized keyword arguments passed to {rnn}: {any}'<batch_input_shape>'",),
        suggests=("Unrecognized keyword arguments passed to {class}: {any}'<batch_input_shape>'", "Unrecognized keyword arguments passed to {rnn}: {any}'{input_length|batch_size|input_dim|weights|implementation}'"),
        hints=("stateful", "Sequential", "LSTM"),
        cause="In Keras 3 a layer no longer takes `batch_input_shape`, nor `input_length` and `batch_size`; the input is a layer of its own.",
        fix="""
            model = keras.Sequential([
                keras.Input(batch_shape=(1, time, features)),
                keras.layers.LSTM(4, stateful=True),
            ])
        """,
        versions="Keras 3.",
        threads=("keras-team/keras#20106",),
        tried="the message in Keras 3.15.1.",
    ),
    Symptom(
        "GW206",
        title="Could not locate class 'LSTM'. Make sure custom classes and functions are decorated with …",
        says=("<Could not locate class> '{LSTM|GRU|SimpleRNN|LSTMCell|GRUCell|SimpleRNNCell|ConvLSTM2D|StackedRNNCells|RNN}'",),
        hints=("register_keras_serializable", "Bidirectional", "load_model", "Full object config"),
        asks=("bidirectional|bilstm|bi-lstm .h5|h5|hdf5 keras~2|keras~2.3|keras~2.2|old keras~3|load",),
        cause="Inside Bidirectional, RNN, TimeDistributed or a nested model the files of Keras 2.2 to tf.keras 2.3 say only the class's name, and Keras 3 looks for the module beside it. LSTM itself is "
        "neither custom nor missing.",
        fix=_REPAIR + _ONE_LAYER + _CONFIG + "\n" + _HARD,
        versions="Written by Keras 2.2 to tf.keras 2.3 (`.h5`), read by Keras 3.",
        threads=("keras-team/keras#19898", "mindee/doctr#1749"),
        tried="Bidirectional files of Keras 2.2.4 and tf.keras 1.15 and 2.3.4 in Keras 3.15.1; the edited configuration gives the recorded outputs to 8e-08 (before 2.3 with GW220).",
    ),
    Symptom(
        "GW207",
        title="File format not supported: … Keras 3 only supports V3 `.keras` files",
        says=("File format not supported: {any}<Keras 3 only supports V3 .keras files>", "Keras 3 <only supports V3 '.keras' files>"),
        hints=("TFSMLayer", "SavedModel", "load_model", "load_weights", "filepath="),
        cause="A SavedModel folder or a TensorFlow checkpoint. Keras 3 reads neither; the TFSMLayer that it recommends only runs the graph, and only on TensorFlow.",
        fix="""
        The recurrent layers need no TensorFlow: `gatewise convert FOLDER -o layers.keras` (or the checkpoint's name instead of FOLDER) writes them, proved, as Keras 3 loads them.

        For the whole model, with a TensorFlow of 2.15 or older at hand, save it once as what Keras 3 can read:

            model = tf.keras.models.load_model("FOLDER")
            model.save_weights("weights.h5")

        and load these weights into the same model built in Keras 3. The variables are also in `FOLDER/variables/`; `tf.train.load_checkpoint` lists them on any TensorFlow, and
        `layer.set_weights([kernel, recurrent_kernel, bias])` takes them.
        """,
        versions="SavedModel folders and TF checkpoints of any version, read by Keras 3.",
        threads=("unicode-org/lstm_word_segmentation#28", "ThomasMBury/ewstools#438", "kellylab/viral-protein-function-plm#6", "BorchLab/Ibex#10", "Hrushi11/Real-TIme-Skin-Type-Detection#1"),
        tried="SavedModels and checkpoints of TensorFlow 1.15, 2.3.4 and 2.15.1 in Keras 3.15.1: all are refused.",
        inferred="the way by set_weights.",
        related=("GW208",),
    ),
    Symptom(
        "GW208",
        title="The TFSMLayer is only currently supported with the TensorFlow backend",
        says=("<TFSMLayer is only currently supported with the TensorFlow backend>",),
        cause="TFSMLayer runs a SavedModel's graph, which only TensorFlow can; Keras runs on another backend here.",
        fix="""
        Switch the backend before Keras is imported:

            import os
            os.environ["KERAS_BACKEND"] = "tensorflow"
            import keras

        The layer is for inference only. To get at the weights see GW207.
        """,
        versions="Keras 3 on torch or JAX.",
        threads=("Hrushi11/Real-TIme-Skin-Type-Detection#1",),
        tried="the message in Keras 3.15.1.",
        related=("GW207",),
    ),
    Symptom(
        "GW209",
        title="Layer expects 3 weight(s). Received 12 saved weight(s)",
        says=(
            "Layer expects 3 weight(s). <Received 12 saved weight(s)>", "Layer expects 6 weight(s). <Received 24 saved weight(s)>", "Layer expects 3 weight(s). <Received 9 saved weight(s)>",
            "expects <12 weights>, but the saved weights have 3 elements", "expects 3 weights, but the saved weights <have 12 elements>",
            "expects <9 weights>, but the saved weights have 3 elements", "expects 3 weights, but the saved weights <have 9 elements>", "expects 12 weights, but the saved weights <have 3>",
        ),
        suggests=("<Weight count mismatch for layer>", "expects {n} weights, but <the saved weights have> {n}"),
        hints=("lstm", "gru", "12", "bidirectional"),
        cause="Keras 1 stored one W, U and b for each gate: 12 arrays for an LSTM, 9 for a GRU, twice that for Bidirectional. Keras 2 and 3 keep 3, the gates side by side.",
        fix="""
            gatewise inspect OLD.h5              # which gate each array is
            gatewise convert OLD.h5 -o NEW.h5 --to keras.LSTM --layer NAME

        By hand: an LSTM's arrays come in the order i, c, f, o and must be laid in i, f, c, o; a GRU's come as z, r, h and stay so.

            W_i, U_i, b_i, W_c, U_c, b_c, W_f, U_f, b_f, W_o, U_o, b_o = old
            layer.set_weights([np.hstack([W_i, W_f, W_c, W_o]), np.hstack([U_i, U_f, U_c, U_o]), np.hstack([b_i, b_f, b_c, b_o])])

        Concatenating in file order loads and computes something else. Keras 1's gates are `hard_sigmoid` unless said otherwise: """ + _HARD,
        versions="Written by Keras 1, read by Keras 2 or 3; the other way round for the mirror message.",
        threads=("Tony607/Yelp_review_generation#3", "awentzonline/keras-visual-semantic-embedding#1", "keras-team/keras#7485", "keras-team/keras#3088"),
        tried="files of Keras 1.2.2 in Keras 3.15.1: the message; the order of the gates against what Keras 1.2.2 computed.",
    ),
    Symptom(
        "GW210",
        title="You called `set_weights(weights)` on layer \"lstm\" with a weight list of length 3, but the layer was expecting 0 weights",
        says=("You called set_weights(weights) on layer '{any}' with a weight list of length {n}, but <the layer was expecting 0 weights>", "<the layer was expecting 0 weights>"),
        suggests=("You called set_weights(weights) on layer '{rnn}' with a weight list of length {n}, but the layer was expecting {n} weights",),
        hints=("lstm", "gru", "cell", "of length 4", "of length 3"),
        cause="The layer has no weights yet: Keras makes them when it first sees the shape of its input. (Length 4 where 3 are wanted is a PyTorch layer's two biases: add them, see GW501.)",
        fix="""
            layer = keras.layers.LSTM(units)
            layer.build((None, time, features))
            layer.set_weights([kernel, recurrent_kernel, bias])
        """,
        versions="Every Keras.",
        threads=("tensorflow/tensorflow#51974", "coxlab/prednet#9"),
        tried="message and cure in Keras 3.15.1.",
    ),
    Symptom(
        "GW211",
        title="You are trying to load a weight file containing 3 layers into a model with 0 layers",
        says=("You are trying to load a weight file containing {n} layers <into a model with 0 layers>",),
        hints=("Bidirectional", "input_shape", "Sequential"),
        cause="The model read from the file is not built. In Keras 2.2 that happens when `input_shape` was given to the LSTM inside a Bidirectional: the wrapper's configuration does not hold it.",
        fix="""
        Build the model with the shape given to the wrapper, and load the weights:

            model.add(Bidirectional(LSTM(units, return_sequences=True), input_shape=(time, features)))
            model.load_weights("OLD.h5")
        """,
        versions="Keras 2.2.",
        threads=("keras-team/keras#10626",),
    ),
    Symptom(
        "GW229",
        title="Unable to create link (name already exists) when saving a Bidirectional model as .h5",
        says=("Unable to create {link|dataset} (<name already exists>)", "Unable to synchronously create {link|dataset} (<name already exists>)"),
        hints=("save", "Bidirectional", "h5", "LSTM", "create_dataset"),
        cause="Two weights of one layer have the same name, and an HDF5 group cannot hold both: a Bidirectional whose two layers were given one name, or two unnamed sublayers of one class.",
        fix="""
        Give the layers different names, or save in another format:

            model.save_weights("model.weights.h5")   # Keras 3: paths instead of names
            model.save("model.keras")
        """,
        versions="Keras 2.0, and Keras 3's legacy `.h5`. Keras 3.15 saves a plain Bidirectional as `.h5` without it.",
        threads=("keras-team/keras#6465", "keras-team/keras#19375"),
        tried="that a plain Bidirectional saves and loads in Keras 3.15.1.",
    ),
    Symptom(
        "GW230",
        title="Could not deserialize class 'Functional' because its parent module keras.src.engine.functional cannot be imported",
        says=("Could not deserialize class '{class}' because its parent module <keras.src.engine>.{name} cannot be imported", "No module named '<keras.src.engine>'"),
        hints=("load_model", "Functional", "Full object config"),
        cause="A `.keras` file of Keras 2.13 to 2.15 names the modules of that release, which Keras 3 moved. The weights in it are fine.",
        fix="""
        Rewrite the names in the archive's configuration:

            import json, zipfile

            with zipfile.ZipFile("OLD.keras") as old, zipfile.ZipFile("NEW.keras", "w") as new:
                for name in old.namelist():
                    data = old.read(name)
                    if name == "config.json":
                        text = data.decode().replace("keras.src.engine.", "keras.src.models.")
                        data = text.replace('"time_major": false, ', "").replace(', "time_major": false', "").encode()
                    new.writestr(name, data)
            model = keras.models.load_model("NEW.keras", compile=False)

        Or extract `model.weights.h5` from the archive and load it into the same model built by hand:

            zipfile.ZipFile("OLD.keras").extract("model.weights.h5")
            model.load_weights("model.weights.h5")

        """ + _REPAIR,
        versions="Functional models written by Keras 2.13 to 2.15 (`.keras`), read by Keras 3.",
        tried="LSTM, GRU and Bidirectional files of tf.keras 2.15.1 in Keras 3.15.1: both ways give the recorded outputs to 2e-07.",
        related=("GW204",),
    ),
    Symptom(
        "GW231",
        title="GlorotUniform.__init__() got an unexpected keyword argument 'dtype'",
        says=("{GlorotUniform|Orthogonal|Zeros|Ones|RandomUniform|RandomNormal|VarianceScaling|GlorotNormal}.__init__() got an <unexpected keyword argument 'dtype'>",
              "keras.src.initializers.{name}'{any}<could not be deserialized properly>"),
        hints=("load_model", "initializers", "could not be deserialized"),
        cause="tf.keras 1.x wrote a dtype into the configuration of every initializer; Keras 3's initializers do not take one. Initializers do not matter for a trained model.",
        fix=_REPAIR + _CONFIG + "\n" + _HARD,
        versions="Written by tf.keras 1.x (1.15 measured, `.h5`), read by Keras 3.",
        tried="files of tf.keras 1.15 in Keras 3.15.1; the edited configuration gives the recorded outputs to 5e-08 together with GW220.",
    ),
    Symptom(
        "GW232",
        title="Unknown layer: 'CuDNNLSTM'. Please ensure you are using a `keras.utils.custom_object_scope` …",
        says=("Unknown layer: '<CuDNN>{LSTM|GRU}'", "Unknown layer: <CuDNN>{LSTM|GRU}", "Could not deserialize '{name}<CuDNN>{LSTM|GRU}' because it is not a KerasSaveable subclass",
              "Could not locate class '<CuDNN>{LSTM|GRU}'"),
        hints=("load_model", "custom_object_scope"),
        cause="Keras 3 has no CuDNNLSTM and CuDNNGRU: its LSTM and GRU use cuDNN by themselves. The old layers store their weights otherwise: two biases, and a GRU's kernels in another element order.",
        fix="""
            gatewise convert OLD.h5 -o NEW.keras --to keras.LSTM --layer NAME    # keras.GRU for a CuDNNGRU

        writes an ordinary layer and proves it. By hand it is LSTM(units, recurrent_activation="sigmoid") with bias = first half + second half; for a CuDNNGRU, GRU(units, reset_after=True) and the bias
        as two rows. `custom_objects={"CuDNNLSTM": LSTM}` gets past this message and fails at the shape of the bias.
        """,
        versions="Written by Keras 2.1 to tf.keras 2.15 with a CuDNN layer, read by Keras 3.",
        threads=("keras-team/keras#8860", "keras-team/keras#8307"),
        tried="files of Keras 2.2.4 and tf.keras 1.15, 2.3.4 and 2.15.1 in Keras 3.15.1; the conversion of an LSTM is proved to 2e-08.",
        related=("GW212", "GW214"),
    ),
    Symptom(
        "GW233",
        title="TypeError: pop expected at most 1 argument, got 2 (Keras 3 opens a Keras 1 file)",
        says=("<pop expected at most 1 argument, got 2>",),
        needs=("keras",),
        hints=("load_model", "saving_utils", "model_from_config", "legacy_h5_format"),
        cause="The model is of Keras 1, whose Sequential configuration is a list; Keras 3 expects a dictionary. Its recurrent layers store a W, U and b for each gate.",
        fix=_ONE_LAYER + "The other layers' arrays are plain; `gatewise inspect OLD.h5 --tensors` lists them all.\n\n" + _HARD,
        versions="Written by Keras 1 (`.h5`), read by Keras 3.",
        tried="files of Keras 1.2.2 in Keras 3.15.1.",
        related=("GW209",),
    ),
    Symptom(
        "GW234",
        title="Layer \"lstm\" expects 1 input(s), but it received 3 input tensors (initial state)",
        says=("Layer '{any}' expects 1 input(s), but <it received 3 input tensors>", "Layer '{any}' expects 1 input(s), but <it received 2 input tensors>"),
        needs=("lstm", "gru", "rnn", "h0", "state"),
        hints=("lstm", "gru", "load_model", "Functional", "KerasTensor"),
        cause="A recurrent layer that is given its initial state. Keras 2 wrote the states as further inputs of the layer, `layer([x, h, c])`; Keras 3 takes them as `layer(x, initial_state=[h, c])` and does not understand the old call in a file.",
        fix="""
        Build the model by hand with the new call and load the weights:

            y = keras.layers.LSTM(units, name="dec_lstm")(x, initial_state=[h, c])
            model.load_weights("OLD.h5")

        The order of an LSTM's states is (h, c).
        """,
        versions="Written by Keras 2.2.4 (`.h5`), read by Keras 3.",
        tried="the message in Keras 3.15.1.",
        inferred="that load_weights takes such a file.",
    ),
    Symptom(
        "GW235",
        title="File not found: filepath=model.keras. Please ensure the file is an accessible `.keras` zip file",
        says=("<Please ensure the file is an accessible '.keras' zip file>",),
        hints=("load_model", "filepath="),
        cause="Either there is no such file, or it is there and is no zip: TensorFlow up to 2.12 wrote HDF5 whatever the suffix, so an old `model.keras` is an `.h5`.",
        fix="""
            gatewise inspect model.keras     # tells the format by the bytes, not by the name

        If it is HDF5, rename it to `model.h5` and load that (then see GW204).
        """,
        versions="Keras 3.",
        tried="a `.keras` file of tf.keras 2.3.4 in Keras 3.15.1; TensorFlow 2.6, 2.8, 2.10 and 2.12 write HDF5 under that name, 2.13 a zip.",
        related=("GW204",),
    ),
    Symptom(
        "GW236",
        title="Unknown layer: 'AttentionLSTM' (a recurrent layer of your own)",
        suggests=("Unknown layer: '{rnn}'", "Could not locate class '{rnn}'"),
        hints=("custom_object_scope", "load_model", "Attention", "register_keras_serializable"),
        unless=("Unknown layer: '{CuDNNLSTM|CuDNNGRU}", "Could not locate class '{LSTM|GRU|SimpleRNN|LSTMCell|GRUCell|SimpleRNNCell|ConvLSTM2D|CuDNNLSTM|CuDNNGRU}'"),
        cause="The file names a class that Keras does not have: a layer of the model's own code, or of a package that is not imported.",
        fix="""
        Import the code that defines it and hand it over:

            model = keras.models.load_model(path, custom_objects={"MyLSTM": MyLSTM})

        Without the code: `gatewise inspect FILE --tensors` shows its arrays, and a layout of your own (`--from mine.toml`) says what they mean.
        """,
        versions="Every Keras.",
        tried="the message in Keras 3.15.1.",
    ),
)  # fmt: skip
