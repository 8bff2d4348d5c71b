"""Keras's HDF5 files: every recorded weight bit for bit, the model's order, what the config declares; and refusals."""

from __future__ import annotations

import gc
import json
import subprocess
import sys

import h5py
import keras_helpers as helpers
import numpy as np
import pytest
from damage import all_read_or_refused
from filemakers import afresh
from together import folder, in_thirds, together

from gatewise import containers
from gatewise.containers import _hdf5, _hdf5_lib, _hdf5_plain, _keras_h5, hdf5, open_tensors
from gatewise.cursor import Limits
from gatewise.errors import BrokenFile, GatewiseError, LimitExceeded, NotRepresentable, UsageError
from gatewise.source import Source
from gatewise.tensors import Strided

LEGACY = [*helpers.files("h5", "weights-only.h5"), helpers.KERAS / "tfkeras-2.3.4" / "lstm.keras"]
VARS = helpers.files("weights.h5")


def brief(tensors):
    """(path, kind, name, after) of each Declared."""
    return [(d.path, d.kind, d.name, d.after) for d in tensors.declared]


@together("path", LEGACY, of=folder, said=helpers.said)
def test_legacy_weights_are_those_recorded_in_their_order(path):
    tensors = open_tensors(path)
    assert (tensors.container, tensors.naming) == ("keras-h5", "keras-h5")
    assert helpers.same_arrays([tensor.array() for tensor in tensors.values()], helpers.recorded(path))


@together("path", LEGACY, of=folder, said=helpers.said)
def test_legacy_names_are_the_layers_group_and_the_name_that_the_framework_gave(path):
    """The recorded names are ``weight.name``; the layers' names stand in cases.json."""
    case = json.loads((path.parent / "cases.json").read_text())["cases"][path.name.partition(".")[0]]
    layers = [name for _, name in case["layers"]]
    names = [name.partition("/") for name in open_tensors(path)]
    assert [weight for _, _, weight in names] == [name for name, _ in case["weights"]]
    assert {layer for layer, _, _ in names} <= set(layers)


@together("path", VARS, of=folder, said=helpers.said)
def test_vars_weights_are_those_recorded_in_any_order(path):
    """Without a config the order of layers of different classes is not in the file, and a note says so."""
    tensors = open_tensors(path)
    assert (tensors.container, tensors.naming) == ("keras-weights-h5", "keras-vars")

    def key(array):
        return array.shape, array.tobytes()

    ours = sorted((tensor.array() for tensor in tensors.values()), key=key)
    assert helpers.same_arrays(ours, sorted(helpers.recorded(path), key=key))
    assert "order" in tensors.notes[0] or "first" in tensors.notes[0]


@together("path", LEGACY + VARS, of=folder, said=helpers.said)
def test_tensors_are_views_of_the_mapped_file(path):
    for tensor in open_tensors(path).values():
        assert isinstance(tensor.data, Strided)
        assert not tensor.array().flags.writeable


@together("path", [path for path in LEGACY if "weights-only" not in path.name], of=folder, said=helpers.said)
def test_every_weight_belongs_to_a_declared_layer(path):
    tensors = open_tensors(path)
    prefixes = tuple(f"{d.path}{mark}" for d in tensors.declared for mark in "/_")
    assert all(name.startswith(prefixes) for name in tensors)
    assert all(any(name.startswith((f"{d.path}/", f"{d.path}_")) for name in tensors) for d in tensors.declared)
    assert all(d.kind.startswith("keras.") and d.version for d in tensors.declared)


E22, TF23, K1, K3 = "keras-2.2.4_tf-1.10.1", "tfkeras-2.3.4", "keras-1.2.2_theano", "keras-3"
DECLARED = {
    (K1, "stacked_lstm.h5"): [
        ("lstm_6/lstm_6", "keras.LSTM", "lstm_6", ()),
        ("lstm_7/lstm_7", "keras.LSTM", "lstm_7", ("lstm_6/lstm_6",)),
        ("timedistributed_1/dense_1", "keras.Dense", "timedistributed_1", ("lstm_7/lstm_7",)),
    ],
    (K1, "bidir_lstm.h5"): [("bidirectional_1", "keras.LSTM", "bidirectional_1", ())],
    (E22, "nested_encoder.h5"): [
        ("encoder/bidirectional_1", "keras.LSTM", "encoder/bidirectional_1", ()),
        ("top/top", "keras.LSTM", "top", ("encoder/bidirectional_1",)),
    ],
    (E22, "rnn_gru_cell.h5"): [("rnn_1/rnn_1", "keras.GRUCell", "rnn_1", ())],
    (E22, "rnn_stacked_cells.h5"): [
        ("rnn_1/rnn_1", "keras.LSTMCell", "rnn_1/cells/0", ()),
        ("rnn_1/rnn_1", "keras.LSTMCell", "rnn_1/cells/1", ("rnn_1/rnn_1",)),
    ],
    (E22, "cudnn_bidir_lstm.h5"): [("bidirectional_1/bidirectional_1", "keras.CuDNNLSTM", "bidirectional_1", ())],
    (E22, "custom_ofgi_lstm.h5"): [("ofgi/ofgi", "keras.OfgiLSTM", "ofgi", ())],
    (E22, "lstm_states.h5"): [("dec_lstm/dec_lstm", "keras.LSTM", "dec_lstm", ())],
    (E22, "time_distributed_lstm.h5"): [
        ("time_distributed_1/time_distributed_1", "keras.LSTM", "time_distributed_1", ())
    ],
    (TF23, "rnn_stacked_cells.h5"): [
        ("rnn/rnn/stacked_rnn_cells/lstm_cell", "keras.LSTMCell", "rnn/cells/0", ()),
        (
            "rnn/rnn/stacked_rnn_cells/lstm_cell_1",
            "keras.LSTMCell",
            "rnn/cells/1",
            ("rnn/rnn/stacked_rnn_cells/lstm_cell",),
        ),
    ],
    (K3, "nested_encoder.h5"): [
        ("encoder/bidirectional", "keras.LSTM", "encoder/bidirectional", ()),
        ("top/top", "keras.LSTM", "top", ("encoder/bidirectional",)),
    ],
}


@pytest.mark.parametrize(("case", "expected"), DECLARED.items(), ids=["/".join(case) for case in DECLARED])
def test_layers_are_declared_where_their_weights_are(case, expected):
    assert brief(open_tensors(helpers.KERAS.joinpath(*case))) == expected


def test_a_bidirectional_says_its_inner_layers_settings_and_its_own():
    [found] = open_tensors(helpers.KERAS / E22 / "bidir_gru_sum.h5").declared
    assert found.kind == "keras.GRU"
    chosen = {key: found.settings[key] for key in ("units", "wrapper", "merge_mode", "reset_after", "return_sequences")}
    assert chosen == {
        "units": 5, "wrapper": "Bidirectional", "merge_mode": "sum", "reset_after": False, "return_sequences": True,
    }  # fmt: skip


def test_stacked_cells_tell_their_number_and_the_number_in_the_names_of_their_weights():
    found = open_tensors(helpers.KERAS / E22 / "rnn_stacked_cells.h5").declared
    keys = ("cell", "cells", "units", "go_backwards")
    assert [tuple(d.settings[key] for key in keys) for d in found] == [(0, 2, 5, False), (1, 2, 4, False)]
    assert [found.member for found in found] == ["", "1"]


def test_settings_are_kept_as_the_file_spells_them():
    keras1 = open_tensors(helpers.KERAS / K1 / "lstm_gpu.h5").declared[0].settings
    assert (keras1["output_dim"], keras1["inner_activation"], keras1["consume_less"]) == (5, "hard_sigmoid", "gpu")


WRITERS = {
    (K1, "bidir_lstm.h5"): ("keras", "1.2.2"),
    (K1, "bidir_lstm.weights-only.h5"): ("keras", ""),
    (E22, "lstm.h5"): ("keras", "2.2.4"),
    ("tfkeras-1.15.0", "lstm.h5"): ("tf.keras", "2.2.4-tf"),
    (TF23, "lstm.keras"): ("tf.keras", "2.4.0"),
    ("tfkeras-2.15.1", "lstm.h5"): ("tf.keras", "2.15.0"),
    (K3, "lstm.h5"): ("keras", "3.15.1"),
    (K3, "lstm.weights.h5"): ("keras", ">=3.6"),
    ("tfkeras-2.15.1", "lstm.weights.h5"): ("keras", ""),
}


@pytest.mark.parametrize(("case", "expected"), WRITERS.items(), ids=["/".join(case) for case in WRITERS])
def test_who_wrote_the_file_is_told_from_what_it_says(case, expected):
    [found] = open_tensors(helpers.KERAS.joinpath(*case)).written_by
    assert (found.framework, found.version) == expected
    assert found.because


def test_a_weights_file_of_keras_3_15_still_has_the_users_names():
    found = open_tensors(helpers.KERAS / K3 / "nested_encoder.weights.h5").declared
    names = {d.path: d.name for d in found}
    assert names["layers/lstm"] == "top"
    assert names["layers/functional"] == "encoder"
    assert {d.kind for d in found} == {""}


# Files made here.


def legacy(path, build, layers=("lstm",), weights=("lstm/kernel:0",), **attributes):
    with h5py.File(path, "w") as file:
        file.attrs["layer_names"] = [layer.encode() for layer in layers]
        group = file.create_group("lstm")
        group.attrs["weight_names"] = [weight.encode() for weight in weights]
        for key, value in attributes.items():
            file.attrs[key] = value
        build(file, group)
    return path


def kernel(_, group):
    group["lstm/kernel:0"] = np.arange(6.0).reshape(2, 3)


def test_long_lists_of_names_are_joined_from_their_parts(tmp_path):
    with h5py.File(tmp_path / "x.h5", "w") as file:
        file.attrs["layer_names0"], file.attrs["layer_names1"] = [b"b", b"a"], [b"c"]
        for name in "abc":
            group = file.create_group(name)
            group.attrs["weight_names0"], group.attrs["weight_names1"] = (
                [f"{name}/k:0"],
                np.array([f"{name}/b:0"], "S9"),
            )
            group[f"{name}/k:0"], group[f"{name}/b:0"] = np.ones((2, 2)), np.ones(2)
    assert list(open_tensors(tmp_path / "x.h5")) == ["b/b/k:0", "b/b/b:0", "a/a/k:0", "a/a/b:0", "c/c/k:0", "c/c/b:0"]


@pytest.mark.parametrize("dtype", ["<f4", ">f4", "<f2", ">f8", "<i8", "|u1", "bool", "complex64"])
@pytest.mark.parametrize("packed", [{}, {"chunks": (2, 2)}, {"compression": "gzip"}, {"compression": "lzf", "shuffle": True}],
                         ids=["contiguous", "chunked", "gzip", "lzf"])  # fmt: skip
def test_any_number_is_read_as_h5py_reads_it_in_any_packing(tmp_path, dtype, packed):
    values = np.random.default_rng(1).integers(0, 2, (5, 7)).astype(dtype)

    def build(_, group):
        group.create_dataset("lstm/kernel:0", data=values, **packed)

    [tensor] = open_tensors(legacy(tmp_path / "x.h5", build)).values()
    assert tensor.dtype == values.dtype.newbyteorder("=").name
    assert np.array_equal(tensor.array(), values)
    assert isinstance(tensor.data, Strided) == (not packed)


def test_bfloat16_is_read_as_keras_marks_it(tmp_path):
    ml_dtypes = pytest.importorskip("ml_dtypes")
    values = np.linspace(-1, 1, 6).astype(ml_dtypes.bfloat16)
    with h5py.File(tmp_path / "x.weights.h5", "w") as file:
        file.create_dataset("layers/lstm/cell/vars/0", data=values).attrs["dtype"] = "bfloat16"
        file.create_dataset("layers/lstm/cell/vars/1", data=values, chunks=(2,)).attrs["dtype"] = "bfloat16"
    tensors = open_tensors(tmp_path / "x.weights.h5")
    assert [tensor.dtype for tensor in tensors.values()] == ["bfloat16"] * 2
    assert helpers.same_arrays([tensor.array() for tensor in tensors.values()], [values, values])


def test_a_dataset_never_written_reads_as_its_fill_value(tmp_path):
    def build(_, group):
        group.create_dataset("lstm/kernel:0", shape=(3,), dtype="f4", fillvalue=0)

    with pytest.raises(LimitExceeded, match="0 stored bytes"):
        open_tensors(legacy(tmp_path / "x.h5", lambda _, g: g.create_dataset("lstm/kernel:0", (1000, 1000), "f4")))
    assert not open_tensors(legacy(tmp_path / "y.h5", build))["lstm/lstm/kernel:0"].array().any()


def test_what_is_not_a_number_is_left_out_with_a_note(tmp_path):
    def build(file, group):
        kernel(file, group)
        group["words"] = ["a", "b"]
        group["reference"] = file.ref

    path = legacy(tmp_path / "x.h5", build, weights=("lstm/kernel:0", "words", "reference"))
    tensors = open_tensors(path)
    assert list(tensors) == ["lstm/lstm/kernel:0"]
    assert len(tensors.notes) == 2
    assert "does not hold numbers" in tensors.notes[0]


def soft(_, group):
    group["lstm/kernel:0"] = h5py.SoftLink("/elsewhere")


def external(_, group):
    group["lstm/kernel:0"] = h5py.ExternalLink("/etc/passwd", "/x")


def external_storage(_, group):
    group.create_dataset("lstm/kernel:0", (3,), "f4", external=[("/etc/passwd", 0, 12)])


def virtual(_, group):
    layout = h5py.VirtualLayout((3,), "f4")
    layout[:] = h5py.VirtualSource("other.h5", "x", (3,))
    group.create_virtual_dataset("lstm/kernel:0", layout)


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (soft, "soft link"),
        (external, "link to another file"),
        (external_storage, "in another file"),
        (virtual, "virtual dataset"),
        (lambda *_: None, "named by the file and is not there"),
        (lambda _, group: group.create_group("lstm/kernel:0"), "is a group where a weight belongs"),
    ],
    ids=[
        "a soft link",
        "a link to another file",
        "external storage",
        "a virtual dataset",
        "a missing weight",
        "a group",
    ],
)
def test_weights_that_are_not_in_the_file_are_refused(tmp_path, build, message):
    with pytest.raises(BrokenFile, match=message):
        open_tensors(legacy(tmp_path / "x.h5", build))


@pytest.mark.parametrize("libver", ["earliest", "latest"])
def test_strings_are_read_from_old_and_new_object_headers(tmp_path, libver):
    names = [f"layer_{index}" for index in range(300)]
    with h5py.File(tmp_path / "x.h5", "w", libver=libver) as file:
        file.attrs["layer_names"] = names
        file.attrs["keras_version"], file.attrs["backend"] = "3.0.0", np.bytes_(b"jax")
        for name in names:
            file.create_group(name).attrs["weight_names"] = [f"{name}/kernel"]
            file[name][f"{name}/kernel"] = np.zeros(2)
    tensors = open_tensors(tmp_path / "x.h5")
    assert list(tensors) == [f"{name}/{name}/kernel" for name in names]
    assert {key: tensors.metadata[key] for key in ("keras_version", "backend")} == {
        "keras_version": "3.0.0",
        "backend": "jax",
    }
    assert "config" not in tensors.metadata


def test_a_string_that_claims_to_be_huge_costs_nothing(tmp_path):
    """libhdf5 would make room for 4 GB before it looked; one flipped bit of a length is enough."""
    path = legacy(tmp_path / "x.h5", kernel, model_config="x" * 1000)
    data = path.read_bytes()
    assert data.count((1000).to_bytes(4, "little")) >= 1
    path.write_bytes(data.replace((1000).to_bytes(4, "little"), (0xFFFFFFF0).to_bytes(4, "little"), 1))
    with pytest.raises(BrokenFile, match="4,294,967,280 bytes"):
        open_tensors(path)


def test_a_group_within_itself_is_refused(tmp_path):
    with h5py.File(tmp_path / "x.weights.h5", "w") as file:
        file.create_group("layers/lstm/vars")
        file["layers/again"] = file["layers"]
    with pytest.raises(BrokenFile, match="within itself"):
        open_tensors(tmp_path / "x.weights.h5")


def test_limits_hold_for_members_nesting_and_rank(tmp_path):
    path = legacy(tmp_path / "x.h5", kernel)
    for limits in (Limits(members=0), Limits(nesting=0), Limits(rank=1), Limits(tensors=0), Limits(header_bytes=1)):
        with pytest.raises(LimitExceeded):
            open_tensors(path, limits)


@pytest.mark.parametrize("config", ["not json", "[1, 2]", "[" * 100_000, '{"config": 1e999, "x": NaN'], ids=range(4))
def test_a_broken_config_is_refused(tmp_path, config):
    with pytest.raises(GatewiseError):
        open_tensors(legacy(tmp_path / "x.h5", kernel, model_config=config))


ODD = [
    {"config": None},
    {"config": [1, "a", None, {"class_name": 3, "config": 7}]},
    {"config": {"layers": [{"class_name": "LSTM", "inbound_nodes": 3}], "output_layers": {"a": [["lstm", 0, 0]]}}},
    {
        "config": {
            "layers": [{"class_name": "RNN", "config": {"name": "lstm", "cell": {"class_name": "StackedRNNCells"}}}]
        }
    },
    {"config": {"layers": [{"class_name": "Bidirectional", "config": {"name": "lstm", "layer": {"config": 1}}}]}},
    {"config": {"layers": [{"class_name": "TimeDistributed", "config": {"name": "lstm", "layer": {"config": []}}}]}},
]


@pytest.mark.parametrize("config", ODD, ids=range(len(ODD)))
def test_an_odd_config_never_hides_the_weights(tmp_path, config):
    tensors = open_tensors(legacy(tmp_path / "x.h5", kernel, model_config=json.dumps(config)))
    assert list(tensors) == ["lstm/lstm/kernel:0"]


def node(kind, name, *sources, **config):
    calls = [[[source, 0, 0, {}] for source in sources]] if sources else []
    return {"class_name": kind, "name": name, "config": {"name": name, **config}, "inbound_nodes": calls}


def functional(name, layers, inputs, outputs):
    ends = {"input_layers": [[n, 0, 0] for n in inputs], "output_layers": [[n, 0, 0] for n in outputs]}
    return {"class_name": "Functional", "name": name, "config": {"name": name, "layers": layers, **ends}}


def chain_file(path, config, groups):
    with h5py.File(path, "w") as file:
        file.attrs["layer_names"], file.attrs["model_config"] = list(groups), json.dumps(config)
        for layer, weights in groups.items():
            group = file.create_group(layer)
            group.attrs["weight_names"] = weights if weights else np.zeros(0)
            for weight in weights:
                group[weight] = np.zeros(2)
    return open_tensors(path)


def test_after_looks_through_layers_that_do_nothing_and_stops_at_those_that_do(tmp_path):
    layers = [
        node("InputLayer", "x"), node("LSTM", "a", "x"), node("Dropout", "d", "a"), node("GaussianNoise", "n", "d"),
        node("LSTM", "b", "n"), node("Activation", "relu", "b"), node("LSTM", "c", "relu"), node("Add", "add", "a", "d"),
        node("LSTM", "e", "a", "b"),
    ]  # fmt: skip
    groups = {name: [f"{name}/kernel:0"] for name in "abce"} | {name: [] for name in ("x", "d", "n", "relu", "add")}
    tensors = chain_file(tmp_path / "x.h5", functional("m", layers, ["x"], ["c"]), groups)
    assert {d.name: d.after for d in tensors.declared} == {"a": (), "b": ("a/a",), "c": ("relu",), "e": ("a/a", "b/b")}


def test_after_goes_in_and_out_of_a_model_that_is_used_twice(tmp_path):
    inner = functional("m", [node("InputLayer", "i"), node("LSTM", "in", "i")], ["i"], ["in"])
    inner["inbound_nodes"] = [[["a", 0, 0, {}]], [["b", 0, 0, {}]]]
    layers = [node("InputLayer", "x"), node("LSTM", "a", "x"), node("LSTM", "b", "x"), inner, node("LSTM", "c", "m")]
    groups = {"x": [], "a": ["a/k:0"], "b": ["b/k:0"], "m": ["in/k:0"], "c": ["c/k:0"]}
    tensors = chain_file(tmp_path / "x.h5", functional("top", layers, ["x"], ["c"]), groups)
    assert {d.path: d.after for d in tensors.declared} == {
        "a/a": (), "b/b": (), "m/in": ("a/a", "b/b"), "c/c": ("m/in",),
    }  # fmt: skip


def test_a_nested_sequential_of_keras_2_2_without_a_name_takes_the_group_that_is_left(tmp_path):
    nested = {"class_name": "Sequential", "config": [node("LSTM", "lstm_1")]}
    config = {"class_name": "Sequential", "config": [nested, node("Dense", "dense_1")]}
    tensors = chain_file(tmp_path / "x.h5", config, {"sequential_1": ["lstm_1/k:0"], "dense_1": ["dense_1/k:0"]})
    assert brief(tensors) == [
        ("sequential_1/lstm_1", "keras.LSTM", "lstm_1", ()),
        ("dense_1/dense_1", "keras.Dense", "dense_1", ("sequential_1/lstm_1",)),
    ]


def test_a_scope_that_tensorflow_numbered_is_found(tmp_path):
    """A model that was loaded twice in one session of TF 1 has weights lstm_1_1/kernel:0 in the group lstm_1."""
    config = {"class_name": "Sequential", "config": [node("LSTM", "lstm_1")]}
    tensors = chain_file(tmp_path / "x.h5", config, {"lstm_1": ["lstm_1_1/kernel:0"]})
    assert [d.path for d in tensors.declared] == ["lstm_1/lstm_1_1"]


def test_a_layer_name_may_end_in_a_mark_that_separates(tmp_path):
    config = {"class_name": "Sequential", "config": [node("LSTM", "lstm_"), node("LSTM", "lstm")]}
    tensors = chain_file(tmp_path / "x.h5", config, {"lstm_": ["kernel:0"], "lstm": ["lstm/kernel:0"]})
    assert [(d.path, d.after) for d in tensors.declared] == [("lstm_", ()), ("lstm/lstm", ("lstm_",))]


def test_lambda_layers_are_listed_and_never_run(tmp_path):
    code = {"function": ["4wEAAAABAAAAAwAAAEMAAABz", None, None]}
    config = {"class_name": "Sequential", "config": [node("LSTM", "a"), node("Lambda", "boom", **code)]}
    tensors = chain_file(tmp_path / "x.h5", config, {"a": ["a/k:0"], "boom": []})
    assert any("boom" in note and "never" in note for note in tensors.notes)


def test_an_hdf5_file_that_is_not_keras_is_a_plain_tree(tmp_path):
    with h5py.File(tmp_path / "x.h5", "w") as file:
        file["some/data"] = np.zeros(3)
    assert open_tensors(tmp_path / "x.h5").container == "hdf5"


@in_thirds
@pytest.mark.parametrize(
    "path",
    [
        helpers.KERAS / K1 / "lstm_gpu.h5",
        helpers.KERAS / E22 / "nested_encoder.h5",
        helpers.KERAS / K3 / "nested_encoder.h5",
        helpers.KERAS / K3 / "bidir_lstm.weights.h5",
    ],
    ids=helpers.said,
)
def test_a_damaged_file_is_refused_or_read_and_nothing_else(tmp_path, path, third):
    all_read_or_refused(tmp_path / "x.h5", path.read_bytes(), third, seed=7, count=150)


def test_every_cut_of_a_small_file_is_refused(tmp_path):
    data = (helpers.KERAS / K3 / "lstm.weights.h5").read_bytes()
    for end in range(8, len(data), 97):
        afresh(tmp_path / "x.h5", data[:end])
        with pytest.raises(GatewiseError):
            open_tensors(tmp_path / "x.h5")


# Writing.


def test_a_written_weights_file_reads_back_and_is_the_same_twice(tmp_path):
    tensors = helpers.model(
        helpers.layer("a", "LSTM", 5, 3),
        helpers.layer("b", "GRU", 4, 5, after=("a",), bidirectional=True),
        helpers.layer("c", "LSTM", 2, 8, after=("b",)),
    )
    first = helpers.write(tmp_path / "x.weights.h5", "keras-weights-h5", tensors)
    assert first == helpers.write(tmp_path / "y.weights.h5", "keras-weights-h5", tensors)
    back = open_tensors(tmp_path / "x.weights.h5")
    assert [name for name in back if name.endswith("/0")] == [
        "layers/bidirectional/forward_layer/cell/vars/0", "layers/bidirectional/backward_layer/cell/vars/0",
        "layers/lstm/cell/vars/0", "layers/lstm_1/cell/vars/0",
    ]  # fmt: skip
    kernels = {name.rpartition("/cell")[0]: back[name].array() for name in back if name.endswith("/0")}
    assert np.array_equal(kernels["layers/lstm_1"], tensors["c/cell/vars/0"].array())


def test_the_suffix_chooses_the_writer():
    assert containers.container_for_writing("m.weights.h5").name == "keras-weights-h5"
    assert containers.container_for_writing("m.keras").name == "keras-zip"
    assert containers.container_for_writing("m.h5").name == "keras-h5"
    with pytest.raises(UsageError):
        containers.container_for_writing("m.hdf")


WRONG = {
    "tensors that nobody declared": ([helpers.layer("a", "LSTM", 5, 3), (helpers.layer("b", "LSTM", 5, 3)[0], []),
                                      (helpers.layer("c", "LSTM", 1, 1)[0], helpers.layer("d", "LSTM", 1, 1)[1])], "none of"),
    "a layer without tensors": ([(helpers.layer("a", "LSTM", 5, 3)[0], [])], "no tensors"),
    "a dtype that Keras lacks": ([helpers.layer("a", "LSTM", 5, 3, dtype="int8")], "int8"),
    "two sources": ([helpers.layer("a", "LSTM", 3, 3), helpers.layer("b", "LSTM", 3, 3),
                     helpers.layer("c", "LSTM", 3, 3, after=("a", "b"))], "takes from a, b"),
    "a source that is not there": ([helpers.layer("a", "LSTM", 3, 3, after=("z",))], "takes from z"),
    "a circle": ([helpers.layer("a", "LSTM", 3, 3, after=("b",)), helpers.layer("b", "LSTM", 3, 3, after=("a",))], "circle"),
    "a merge that Keras lacks": ([helpers.layer("a", "LSTM", 3, 3, bidirectional=True, merge_mode=None)], "merges"),
    "another wrapper": ([helpers.layer("a", "LSTM", 3, 3, wrapper="TimeDistributed")], "wrapped in"),
}  # fmt: skip


@pytest.mark.parametrize(("layers", "message"), WRONG.values(), ids=WRONG)
def test_what_cannot_be_written_is_refused(tmp_path, layers, message):
    with pytest.raises(NotRepresentable, match=message):
        helpers.write(tmp_path / "x.weights.h5", "keras-weights-h5", helpers.model(*layers))


def test_the_view_reads_like_a_file():
    view = _hdf5_lib.View(memoryview(b"0123456789"))
    assert (view.seek(-3, 2), view.tell(), view.read(2), view.seek(1), view.read(3)) == (7, 7, b"78", 1, b"123")
    assert view.readable()
    assert view.seekable()


def test_names_are_sorted_as_keras_counts():
    names = ["10", "2", "lstm_10", "lstm", "lstm_2", "0"]
    assert sorted(names, key=_hdf5.natural) == ["0", "2", "10", "lstm", "lstm_2", "lstm_10"]


def test_a_source_is_looked_at_once_for_both_schemes(monkeypatch):
    calls = []
    monkeypatch.setattr(_keras_h5, "_has_vars", lambda root: calls.append(root) or True)
    source = Source(helpers.KERAS / K3 / "lstm.weights.h5")
    assert [hdf5._claims(name, source) for name in ("keras-h5", "keras-weights-h5")] == [False, True]
    assert len(calls) == 1


@pytest.mark.parametrize("name", ["keras/tfkeras-2.15.1/lstm.h5", "keras/tfkeras-2.15.1/lstm.weights.h5", "nnabla/1.39.0/lstm_1.h5",
                                  "chainer/7.8.1/NStepRNNReLU_hdf5.h5"])  # fmt: skip
@pytest.mark.parametrize("reader", [_hdf5_plain.Plain, _hdf5_lib.Library], ids=["gatewise's own", "libhdf5"])
def test_a_file_is_opened_once_for_telling_its_format_and_reading_it_and_is_closed_then(name, reader, monkeypatch):
    opened, closed = [], []

    class Counted(reader):
        def __init__(self, *arguments):
            opened.append(arguments)
            super().__init__(*arguments)

        def close(self):
            closed.append(self)
            super().close()

    monkeypatch.setattr(_hdf5, "Plain", Counted)
    _hdf5.hdf5_of.cache_clear()
    gc.collect()  # what other tests left open
    before = h5py.h5f.get_obj_count(h5py.h5f.OBJ_ALL, h5py.h5f.OBJ_FILE)
    open_tensors(helpers.KERAS.parent / name)
    assert len(opened) == len(closed) == 1
    assert h5py.h5f.get_obj_count(h5py.h5f.OBJ_ALL, h5py.h5f.OBJ_FILE) == before


def test_a_file_that_is_refused_after_its_format_was_told_can_be_opened_again(tmp_path):
    path = tmp_path / "cut.h5"
    with h5py.File(path, "w") as file:
        file.attrs["layer_names"] = [b"not_there"]
    for _ in range(2):
        with pytest.raises(BrokenFile, match="is named by the file"):
            open_tensors(path)


def test_a_file_that_libhdf5_has_open_when_python_ends_does_not_crash_it(tmp_path):
    """libhdf5 closes what is left open behind the end of Python, and calls back into it.  The command line takes its objects
    out of the last collection, so that such a file stayed open."""
    with h5py.File(tmp_path / "many.h5", "w", libver="latest") as file:
        for index in range(40):
            file.create_dataset(f"{index}/x", data=np.zeros((3, 4)), chunks=(1, 4), maxshape=(None, 4))
    code = (
        "import gc, sys\nfrom gatewise.containers import _format_of\nfrom gatewise.source import Source\n"
        "_format_of(Source(sys.argv[1]))\nassert 'h5py' in sys.modules\ngc.freeze()"
    )
    ran = subprocess.run([sys.executable, "-c", code, str(tmp_path / "many.h5")], capture_output=True, text=True)
    assert (ran.returncode, ran.stderr) == (0, "")
