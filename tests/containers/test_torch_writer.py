"""What torch writes we read, what we write torch reads: other shapes, dtypes, protocols, shared and strided storages."""

import numpy as np
import pytest
from torch_help import FILES, FIXTURES, named

from gatewise.containers import open_tensors
from gatewise.containers._pickle_write import dumps
from gatewise.containers.torch_zip import write
from gatewise.errors import NotRepresentable
from gatewise.tensors import StoredTensor, Strided, Tensors

pytestmark = pytest.mark.framework("torch")

DTYPES = ["float64", "float32", "float16", "bfloat16", "int64", "int32", "int16", "int8", "uint8", "bool"]
NEWER_DTYPES = ["uint16", "uint32", "uint64", "float8_e4m3fn", "float8_e5m2", "complex64", "complex128"]
SHAPES = [(), (0,), (1,), (3,), (2, 3), (4, 1, 5), (3, 0, 2), (257, 33)]


@pytest.fixture(scope="module", autouse=True)
def imported() -> None:
    """When the first of these tests runs: the quick part, which has none of them, collects this file too."""
    global torch
    import torch


def random(shape, dtype):
    known = getattr(torch, dtype)
    if dtype == "bool":
        return torch.rand(shape) > 0.5
    if dtype.startswith(("int", "uint")):
        return torch.randint(0, 100, shape).to(known)
    return torch.randn(shape).to(known)


def raw(tensor):
    """A tensor's elements as bytes, whatever its dtype."""
    return tensor.detach().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes() if tensor.numel() else b""


def equal(stored, tensor):
    return (
        stored.shape == tuple(tensor.shape)
        and stored.dtype == str(tensor.dtype).removeprefix("torch.")
        and stored.array().tobytes() == raw(tensor)
    )


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "stream"])
@pytest.mark.parametrize("dtype", DTYPES)
def test_reads_what_torch_saves(dtype, zipped, protocol, tmp_path):
    state = {f"t{i}": random(shape, dtype) for i, shape in enumerate(SHAPES)}
    path = tmp_path / "file.pt"
    torch.save(state, path, pickle_protocol=protocol, _use_new_zipfile_serialization=zipped)
    tensors = open_tensors(path)
    assert tensors.container == ("torch-zip" if zipped else "torch-legacy")
    assert tensors.keys() == state.keys()
    assert all(equal(tensors[name], state[name]) for name in state)


@pytest.mark.parametrize("dtype", NEWER_DTYPES)
def test_reads_and_writes_the_newer_dtypes(dtype, tmp_path):
    state = {"w": random((3, 4), dtype)}
    torch.save(state, tmp_path / "torch.pt")
    assert equal(open_tensors(tmp_path / "torch.pt")["w"], state["w"])
    write(tmp_path / "ours.pt", open_tensors(tmp_path / "torch.pt"))
    again = torch.load(tmp_path / "ours.pt", weights_only=True)
    assert raw(again["w"]) == raw(state["w"])
    assert again["w"].dtype == state["w"].dtype


@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "stream"])
def test_views_of_one_storage_are_views_of_one_storage(zipped, tmp_path):
    base = torch.arange(60, dtype=torch.float32)
    state = {
        "all": base,
        "offset": base[7:19],
        "transposed": base[:12].reshape(3, 4).T,
        "every other": base[::2],
        "expanded": base[5:6].expand(4),
        "a column": base.reshape(6, 10)[:, 3],
        "permuted": base.reshape(3, 4, 5).permute(2, 0, 1),
    }
    torch.save(state, tmp_path / "file.pt", _use_new_zipfile_serialization=zipped)
    tensors = open_tensors(tmp_path / "file.pt")
    assert all(equal(tensors[name], state[name]) for name in state)
    assert len({tensor.data.storage for tensor in tensors.values()}) == 1
    assert np.shares_memory(tensors["all"].array(), tensors["permuted"].array())


def test_tied_weights_have_one_identity_and_are_written_once(tmp_path):
    one = torch.randn(100, 100)
    torch.save({"a": one, "b": one, "c": one.clone()}, tmp_path / "file.pt")
    tensors = open_tensors(tmp_path / "file.pt")
    assert tensors["a"].identity == tensors["b"].identity != tensors["c"].identity
    write(tmp_path / "ours.pt", tensors)
    assert (tmp_path / "ours.pt").stat().st_size < 90_000
    again = torch.load(tmp_path / "ours.pt", weights_only=True)
    assert again["a"].data_ptr() == again["b"].data_ptr() != again["c"].data_ptr()


def test_two_files_storages_of_one_name_are_not_one_storage(tmp_path):
    for name in ("x", "y"):
        torch.save({name: torch.randn(3)}, tmp_path / f"{name}.pt")
        (tmp_path / name).mkdir()
        (tmp_path / f"{name}.pt").rename(tmp_path / name / "file.pt")
    shards = [open_tensors(tmp_path / name / "file.pt") for name in ("x", "y")]
    write(tmp_path / "ours.pt", Tensors([shards[0]["x"], shards[1]["y"]]))
    again = torch.load(tmp_path / "ours.pt", weights_only=True)
    assert raw(again["x"]) != raw(again["y"])
    assert equal(shards[1]["y"], again["y"])


@pytest.mark.parametrize("dtype", DTYPES)
def test_torch_loads_what_we_write_with_weights_only(dtype, tmp_path):
    state = {f"layer.{i}.weight": random(shape, dtype) for i, shape in enumerate(SHAPES)}
    torch.save(state, tmp_path / "torch.pt")
    write(tmp_path / "ours.pt", open_tensors(tmp_path / "torch.pt"))
    again = torch.load(tmp_path / "ours.pt", weights_only=True)
    assert type(again).__name__ == "OrderedDict"
    assert list(again) == list(state)
    for name, tensor in state.items():
        assert (again[name].dtype, again[name].shape) == (tensor.dtype, tensor.shape)
        assert raw(again[name]) == raw(tensor)
    mapped = torch.load(tmp_path / "ours.pt", weights_only=True, mmap=True)
    assert all(raw(mapped[name]) == raw(state[name]) for name in state)


def test_the_same_tensors_give_the_same_bytes(tmp_path):
    source = open_tensors(FIXTURES / "1.3.1" / "lstm_bi2.state.pt")
    for name in ("a.pt", "b.pt"):
        write(tmp_path / name, source)
    assert (tmp_path / "a.pt").read_bytes() == (tmp_path / "b.pt").read_bytes()
    write(tmp_path / "c.pt", open_tensors(tmp_path / "a.pt"))
    assert (tmp_path / "c.pt").read_bytes() == (tmp_path / "a.pt").read_bytes()


def test_arrays_that_are_no_views_are_written_row_major_and_little_endian(tmp_path):
    array = np.arange(6, dtype=">f4").reshape(2, 3).T
    swapped = StoredTensor("big", "float32", (3, 2), lambda: array)
    write(tmp_path / "ours.pt", Tensors([swapped]))
    assert torch.load(tmp_path / "ours.pt", weights_only=True)["big"].tolist() == array.tolist()


def test_a_dtype_that_torch_lacks_is_refused(tmp_path):
    odd = StoredTensor("w", "made_up", (1,), Strided(memoryview(b"\0"), 0))
    with pytest.raises(NotRepresentable, match="made_up"):
        write(tmp_path / "ours.pt", Tensors([odd]))


@pytest.mark.filterwarnings("ignore:source code of class")
@pytest.mark.parametrize("path", [p for p in FILES if ".state." in p.name and "qdyn" not in p.name], ids=named)
def test_a_real_state_dict_is_what_todays_torch_reads_in_it(path):
    state, tensors = torch.load(path, weights_only=False), open_tensors(path)
    assert list(state) == list(tensors)
    assert all(equal(tensors[name], state[name]) for name in state)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", ["1.4.0", "1.6.0", "1.8.1"])
def test_a_real_lightning_checkpoint_is_what_todays_torch_reads_in_it(name):
    path = FIXTURES / name / "tagger.ckpt"
    state, tensors = torch.load(path, weights_only=False), open_tensors(path)
    for key, tensor in state["state_dict"].items():
        assert equal(tensors[f"state_dict.{key}"], tensor)
    for number, moments in state["optimizer_states"][0]["state"].items():
        assert equal(tensors[f"optimizer_states.0.state.{number}.exp_avg"], moments["exp_avg"])


@pytest.mark.filterwarnings("ignore:LSTM with projections")
@pytest.mark.parametrize("name", ["lstm_bi2", "lstm_proj", "lstm_weightnorm"])
def test_a_module_written_back_from_its_tree_is_the_module_to_torch(name, tmp_path):
    import zipfile

    path = FIXTURES / "2.13.0" / f"{name}.module.pt"
    tree = open_tensors(path).metadata["tree"]
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(tmp_path / "new.pt", "w") as new:
        for member in old.namelist():
            new.writestr(member, dumps(tree) if member.endswith("data.pkl") else old.read(member))
    x = torch.randn(3, 2, 5)
    one, other = (torch.load(p, weights_only=False) for p in (path, tmp_path / "new.pt"))
    with torch.no_grad():
        assert torch.equal(one(x)[0], other(x)[0])


def big_endian(path, target):
    """The same archive, as a big-endian machine would have written it (float32 storages only)."""
    import zipfile

    with zipfile.ZipFile(path) as old, zipfile.ZipFile(target, "w") as new:
        for member in old.namelist():
            data = old.read(member)
            if "/data/" in member:
                data = np.frombuffer(data, "<f4").astype(">f4").tobytes()
            new.writestr(member, b"big" if member.endswith("/byteorder") else data)


def test_big_endian_archives_are_read_as_torch_reads_them(tmp_path):
    big_endian(FIXTURES / "2.13.0" / "rnn_tanh.state.pt", tmp_path / "big.pt")
    state, tensors = torch.load(tmp_path / "big.pt", weights_only=True), open_tensors(tmp_path / "big.pt")
    for name in state:
        assert tensors[name].array().dtype.byteorder == ">"
        assert tensors[name].array().tolist() == state[name].tolist()
    write(tmp_path / "little.pt", tensors)
    assert equal(open_tensors(tmp_path / "little.pt")["weight_ih_l0"], state["weight_ih_l0"])


def test_archives_saved_without_checksums_are_read(tmp_path):
    before = torch.serialization.get_crc32_options()
    torch.serialization.set_crc32_options(False)
    try:
        torch.save({"w": torch.ones(3)}, tmp_path / "file.pt")
    finally:
        torch.serialization.set_crc32_options(before)
    assert open_tensors(tmp_path / "file.pt")["w"].array().tolist() == [1, 1, 1]


@pytest.mark.parametrize("protocol", [2, 4, 5])
def test_numpy_arrays_in_a_checkpoint_are_tensors_too(protocol, tmp_path):
    array = np.random.default_rng(0).normal(size=(3, 4))
    torch.save({"mean": array, "best": np.float64(0.5)}, tmp_path / "file.pt", pickle_protocol=protocol)
    tensors = open_tensors(tmp_path / "file.pt")
    assert list(tensors) == ["mean"]
    assert np.array_equal(tensors["mean"].array(), array)


def test_a_subclass_of_parameter_with_attributes_is_its_tensor(tmp_path):
    parameter = torch.nn.Parameter(torch.randn(3))
    parameter.note = "an attribute"
    torch.save({"w": parameter}, tmp_path / "file.pt")
    assert equal(open_tensors(tmp_path / "file.pt")["w"], parameter)


def saved(tmp_path, value):
    torch.save(value, tmp_path / "file.pt")
    return open_tensors(tmp_path / "file.pt")


@pytest.mark.filterwarnings("ignore")
def test_hooks_of_todays_torch_are_told(tmp_path):
    import torch.nn.utils.prune as prune

    model = torch.nn.ModuleDict({name: torch.nn.LSTM(3, 2) for name in ("spectral", "weight", "pruned")})
    torch.nn.utils.spectral_norm(model["spectral"], "weight_hh_l0")
    torch.nn.utils.weight_norm(model["weight"], "weight_hh_l0", dim=None)
    prune.random_unstructured(model["pruned"], "weight_ih_l0", 0.5)
    prune.l1_unstructured(model["pruned"], "weight_ih_l0", 0.5)
    hooks = {d.path: d.settings["hooks"] for d in saved(tmp_path, model).declared if "hooks" in d.settings}
    assert hooks["spectral"] == [
        {
            "kind": "torch.nn.utils.spectral_norm.SpectralNorm",
            "name": "weight_hh_l0",
            "dim": 0,
            "n_power_iterations": 1,
            "eps": 1e-12,
        }
    ]
    # torch keeps dim=None as -1
    assert hooks["weight"] == [{"kind": "torch.nn.utils.weight_norm.WeightNorm", "name": "weight_hh_l0", "dim": -1}]
    (container,) = hooks["pruned"]
    assert container["kind"] == "torch.nn.utils.prune.PruningContainer"
    assert [method["kind"].rpartition(".")[2] for method in container["_pruning_methods"]] == [
        "RandomUnstructured",
        "L1Unstructured",
    ]


def test_wrapped_models_and_whole_optimizers_are_walked(tmp_path):
    model = torch.nn.DataParallel(torch.nn.Sequential(torch.nn.LSTM(3, 2), torch.nn.GRU(2, 2)))
    optimizer = torch.optim.Adam(model.parameters())
    model.module[0](torch.randn(2, 1, 3))[0].sum().backward()
    optimizer.step()
    tensors = saved(tmp_path, {"model": model, "optimizer": optimizer})
    names = {f"model.{name}" for name, _ in model.named_parameters()}
    assert names <= tensors.keys()
    assert {d.path for d in tensors.declared} >= {"model", "model.module", "model.module.0", "model.module.1"}
    first = optimizer.state[model.module[0].weight_ih_l0]["exp_avg"]
    assert any(tensor.array().tobytes() == raw(first) for name, tensor in tensors.items() if "exp_avg" in name)


def test_modules_of_todays_torch_in_a_plain_list_are_found(tmp_path):
    model = torch.nn.Sequential(torch.nn.Linear(2, 2))
    model.hidden_ones = [torch.nn.GRU(2, 2)]
    tensors = saved(tmp_path, model)
    assert equal(tensors["hidden_ones.0.weight_ih_l0"], model.hidden_ones[0].weight_ih_l0)
    assert ("hidden_ones.0", "torch.nn.modules.rnn.GRU") in {(d.path, d.kind) for d in tensors.declared}


def test_an_object_saved_behind_another_is_told(tmp_path):
    with open(tmp_path / "two.pt", "wb") as file:
        for name in ("first", "second"):
            torch.save({name: torch.ones(2)}, file, _use_new_zipfile_serialization=False)
    tensors = open_tensors(tmp_path / "two.pt")
    assert list(tensors) == ["first"]
    assert "are not read" in tensors.notes[0]


def test_a_tensor_alone_has_the_empty_name(tmp_path):
    assert equal(saved(tmp_path, torch.ones(2))[""], torch.ones(2))


def test_a_sparse_and_a_quantised_tensor_of_todays_torch_are_declared(tmp_path):
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        state = {
            "sparse": torch.eye(3).to_sparse(),
            "quantised": torch.quantize_per_tensor(torch.randn(3), 0.1, 0, torch.qint8),
            "meta": torch.empty(3, device="meta"),
            "conj": torch.randn(3, dtype=torch.complex64).conj(),
        }
        torch.save(state, tmp_path / "file.pt")
    tensors = open_tensors(tmp_path / "file.pt")
    kinds = {d.path: d.kind for d in tensors.declared}
    assert kinds == {
        "sparse": "torch.sparse tensor",
        "quantised": "torch.quantized tensor",
        "meta": "torch.meta tensor",
        "conj": "torch.lazily changed tensor",
    }
    assert not tensors


@pytest.mark.filterwarnings("ignore")
def test_the_constants_of_a_script_are_listed_as_its_code_spells_them(tmp_path):
    lstm = torch.nn.LSTM(3, 2).eval()

    class Wrap(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.rnn = lstm

        def forward(self, x):
            return self.rnn(x)[0]

    frozen = torch.jit.freeze(torch.jit.script(Wrap().eval()))
    frozen.save(str(tmp_path / "frozen.ts"))
    tensors = open_tensors(tmp_path / "frozen.ts")
    found = [tensor.array().tobytes() for name, tensor in tensors.items() if name.startswith("CONSTANTS.c")]
    assert raw(lstm.weight_ih_l0) in found
