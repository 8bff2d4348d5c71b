"""Cut, flipped and contradicting torch files: a refusal that says where, or a read; never another exception."""

import contextlib
import pickle
import struct
import zipfile

import pytest
from filemakers import afresh
from together import in_thirds
from torch_help import FIXTURES, ONE_OF_EACH, named, torch_stream, torch_zip, zip_file

from gatewise.containers import containers, open_tensors
from gatewise.containers._pickle_write import dumps
from gatewise.containers._pickled import Global, Persistent, Stub
from gatewise.cursor import Limits
from gatewise.errors import BrokenFile, ContainerError, GatewiseError, LimitExceeded
from gatewise.source import Source


def attempt(path):
    """Open a file and read every tensor; only gatewise's own errors are forgiven."""
    source = Source(path)
    for known in containers():
        if known.name.startswith("torch") and known.claims(source):
            for tensor in known.read(source).values():
                assert tensor.array().shape == tensor.shape
            return


@pytest.mark.parametrize("path", ONE_OF_EACH, ids=named)
def test_a_file_cut_anywhere_is_refused_or_read(path, tmp_path):
    data, cut = path.read_bytes(), tmp_path / "cut.pt"
    for length in range(1, len(data), 97):
        afresh(cut, data[:length])
        with contextlib.suppress(GatewiseError):
            attempt(cut)


@in_thirds
@pytest.mark.parametrize("path", ONE_OF_EACH, ids=named)
def test_a_file_with_one_byte_flipped_is_refused_or_read(path, third, tmp_path):
    data, flipped = bytearray(path.read_bytes()), tmp_path / "flipped.pt"
    for at in range(0, len(data), max(1, len(data) // 250))[third::3]:
        data[at] ^= 0x41
        afresh(flipped, data)
        with contextlib.suppress(GatewiseError):
            attempt(flipped)
        data[at] ^= 0x41


@in_thirds
@pytest.mark.parametrize("path", [p for p in ONE_OF_EACH if p.read_bytes()[:2] == b"PK"], ids=named)
def test_a_flipped_pickle_under_a_fitting_checksum_is_refused_or_read(path, third, tmp_path):
    """An archive's checksum would catch the flip; a hostile file's fits."""
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    headers = [name for name in members if name.endswith(("/data.pkl", "/model.json", "/constants.pkl"))]
    for name in headers:
        data = bytearray(members[name])
        for at in range(0, len(data), max(1, len(data) // 120))[third::3]:
            data[at] ^= 0x21
            with contextlib.suppress(GatewiseError):
                attempt(zip_file(tmp_path / "flipped.pt", members | {name: bytes(data)}))
            data[at] ^= 0x21


def test_a_cut_stream_and_a_cut_archive_say_that_the_file_is_cut(tmp_path):
    for name in ("1.0.1/rnn_tanh.state.pt", "2.13.0/rnn_tanh.state.pt"):
        cut = tmp_path / "cut.pt"
        afresh(cut, (FIXTURES / name).read_bytes()[:-30])
        with pytest.raises(BrokenFile, match="fetch it again"):
            open_tensors(cut)


# What is no torch file is not claimed.


def claimed_by(path):
    source = Source(path)
    return [known.name for known in containers() if "torch" in known.name and known.claims(source)]


@pytest.mark.parametrize("protocol", range(6))
def test_a_plain_pickle_is_not_claimed(protocol, tmp_path):
    (tmp_path / "plain.pkl").write_bytes(pickle.dumps({"a": [1, 2, 3]}, protocol))
    assert claimed_by(tmp_path / "plain.pkl") == []


@pytest.mark.parametrize("protocol", range(6))
def test_a_stream_is_known_by_its_magic_number_in_every_protocol(protocol, tmp_path):
    (tmp_path / "file.pt").write_bytes(pickle.dumps(0x1950A86A20F9469CFC6C, protocol) + b"N.")
    assert claimed_by(tmp_path / "file.pt") == ["torch-legacy"]


@pytest.mark.parametrize(
    "members",
    [
        {"word/document.xml": b"", "word/styles.xml": b""},
        {"data.pkl": b"N.", "version": b"3"},
        {"a/data.pkl": b"N.", "b/version": b"3"},
        {"model/model.json": b"{}", "model/group1-shard1of1.bin": b""},
        {"arr_0.npy": b"", "arr_1.npy": b""},
        {},
    ],
)
def test_another_zip_is_not_claimed(members, tmp_path):
    assert claimed_by(zip_file(tmp_path / "file.zip", members)) == []


def test_another_tar_is_not_claimed(tmp_path):
    import tarfile

    with tarfile.open(tmp_path / "file.tar", "w") as archive:
        archive.add(FIXTURES / "make.py", "make.py")
    assert claimed_by(tmp_path / "file.tar") == []


# Contradictions.

FLOATS = Global("torch", "FloatStorage")


def tensor(count=4, shape=(2, 2), strides=(2, 1), offset=0, key="0", kind=FLOATS):
    storage = Persistent(("storage", kind, key, "cpu", count))
    return Stub(Global("torch._utils", "_rebuild_tensor_v2"), (storage, offset, shape, strides, False, {}))


DATA = {"0": struct.pack("<4f", 1, 2, 3, 4)}
CONTRADICTIONS = {
    "a view past the end of its storage": tensor(shape=(3, 2)),
    "an offset past the end": tensor(offset=1),
    "a negative offset": tensor(offset=-1),
    "a negative stride": tensor(strides=(-2, 1), offset=2),
    "a negative size": tensor(shape=(-1, 2)),
    "a stride too many": tensor(strides=(4, 2, 1)),
    "a shape that is no shape": tensor(shape="22"),
    "a shape of texts": tensor(shape=("2", "2")),
    "a storage that the archive lacks": tensor(key="7"),
    "a storage larger than its member": tensor(count=5),
    "a negative count": tensor(count=-1),
    "a storage of an unknown type": tensor(kind=Global("torch", "MadeUpStorage")),
    "a storage that is none": Stub(Global("torch._utils", "_rebuild_tensor_v2"), (1, 0, (), (), False, {})),
    "too few arguments": Stub(Global("torch._utils", "_rebuild_tensor_v2"), (1,)),
}


@pytest.mark.parametrize("what", CONTRADICTIONS)
def test_a_contradiction_is_refused(what, tmp_path):
    path = torch_zip(tmp_path / "file.pt", dumps({"w": CONTRADICTIONS[what]}), DATA)
    with pytest.raises(BrokenFile) as refusal:
        open_tensors(path)
    assert not isinstance(refusal.value.__cause__, Exception)
    assert str(path) in str(refusal.value)


def test_two_tensors_of_one_name_are_refused(tmp_path):
    path = torch_zip(tmp_path / "file.pt", dumps({"a.b": tensor(), "a": {"b": tensor()}}), DATA)
    with pytest.raises(BrokenFile, match=r"two tensors are called 'a\.b'"):
        open_tensors(path)


def test_a_stream_whose_storages_contradict_its_pickle_is_refused(tmp_path):
    pickled = dumps({"w": tensor()})
    for storages in ([("0", 3, DATA["0"][:12])], [], [("1", 4, DATA["0"])], [("0", 4, DATA["0"])] * 2):
        with pytest.raises(BrokenFile):
            open_tensors(torch_stream(tmp_path / "file.pt", pickled, storages))


def test_a_byte_order_that_is_none_is_refused(tmp_path):
    with pytest.raises(BrokenFile, match="byte order"):
        open_tensors(torch_zip(tmp_path / "file.pt", dumps({"w": tensor()}), DATA, byteorder=b"middle"))


def test_an_endlessly_expanded_tensor_meets_a_limit(tmp_path):
    path = torch_zip(tmp_path / "file.pt", dumps({"w": tensor(shape=(2**50,), strides=(0,))}), DATA)
    with pytest.raises(LimitExceeded):
        open_tensors(path)


def test_trees_that_are_deep_wide_or_cyclic_end(tmp_path):
    deep = {}
    for _ in range(1000):
        deep = {"a": deep}
    wide: list = [0]
    for _ in range(40):
        wide = [wide] * 40
    cyclic: dict = {"w": tensor()}
    cyclic["again"] = cyclic
    with pytest.raises(LimitExceeded, match="nesting"):
        open_tensors(torch_zip(tmp_path / "deep.pt", dumps(deep), DATA))
    assert len(open_tensors(torch_zip(tmp_path / "wide.pt", dumps(wide), DATA))) == 0
    assert list(open_tensors(torch_zip(tmp_path / "cyclic.pt", dumps(cyclic), DATA))) == ["w"]


def module(parameters, modules=(), **attributes):
    stub = Stub(Global("made.up", "Net"), how="newobj")
    stub.state = {"_parameters": dict(parameters), "_buffers": {}, "_modules": dict(modules), **attributes}
    return stub


def test_modules_that_contain_each_other_or_share_a_child_end(tmp_path):
    child = module({"w": tensor()})
    root = module({}, {"one": child, "two": child})
    child.state["_modules"]["parent"] = root
    found = open_tensors(torch_zip(tmp_path / "file.pt", dumps(root), DATA))
    assert list(found) == ["one.w", "two.w"]


def test_doubling_modules_meet_a_limit(tmp_path):
    node = module({"w": tensor()})
    for _ in range(40):
        node = module({}, {"a": node, "b": node})
    path = torch_zip(tmp_path / "file.pt", dumps(node), DATA)
    with pytest.raises(LimitExceeded):
        open_tensors(path, Limits(tensors=1000))


def test_doubling_modules_without_tensors_meet_a_limit(tmp_path):
    node = module({}, size=list(range(5000)))
    for _ in range(40):
        node = module({}, {"a": node, "b": node})
    path = torch_zip(tmp_path / "file.pt", dumps(node), DATA)
    with pytest.raises(LimitExceeded):
        open_tensors(path, Limits(members=3000))


def test_a_hook_of_doubling_hooks_ends(tmp_path):
    hook = Stub(Global("made.up", "Hook"), how="newobj")
    hook.state = {"name": "w"}
    for _ in range(40):
        outer = Stub(Global("made.up", "Hooks"), how="newobj")
        outer.state = {"_pruning_methods": (hook,) * 40}
        hook = outer
    found = open_tensors(torch_zip(tmp_path / "file.pt", dumps(module({}, _forward_pre_hooks={0: hook})), DATA))
    assert found.declared[0].settings["hooks"][0]["kind"] == "made.up.Hooks"


@pytest.mark.parametrize("long", ["a key", "a path"])
def test_a_name_of_a_book_is_refused(long, tmp_path):
    book = "x" * 100_000
    tree = {"w": tensor(key=book)} if long == "a key" else {book: tensor()}
    with pytest.raises(BrokenFile) as refusal:
        open_tensors(torch_zip(tmp_path / "file.pt", dumps(tree), DATA))
    assert len(str(refusal.value)) < 1000


def test_settings_of_doubling_lists_end(tmp_path):
    doubling: list = [1]
    for _ in range(40):
        doubling = [doubling, doubling]
    found = open_tensors(torch_zip(tmp_path / "file.pt", dumps(module({}, size=3, heavy=doubling)), DATA))
    assert found.declared[0].settings == {"size": 3}


def test_modules_in_a_plain_list_are_found(tmp_path):
    root = module({}, layers=[module({"w": tensor()}), module({"w": tensor()})], stale=tensor())
    found = open_tensors(torch_zip(tmp_path / "file.pt", dumps(root), DATA))
    assert list(found) == ["layers.0.w", "layers.1.w"]


ODD = {
    "torch.quantized tensor": Stub(
        Global("torch._utils", "_rebuild_qtensor"),
        (
            Persistent(("storage", Global("torch", "QInt8Storage"), "0", "cpu", 4)),
            0, (4,), (1,), (Global("torch", "per_tensor_affine"), 0.5, 0), False, {},
        ),
    ),
    "torch.sparse tensor": Stub(Global("torch._utils", "_rebuild_sparse_tensor"), (Global("torch", "sparse_coo"), ())),
    "torch.nested tensor": Stub(Global("torch._utils", "_rebuild_nested_tensor"), (1, 2, 3, 4)),
    "torch.meta tensor": Stub(Global("torch._utils", "_rebuild_meta_tensor_no_storage"), (1, (2,), (1,), False)),
    "torch.wrapped tensor": Stub(Global("torch._utils", "_rebuild_wrapper_subclass"), ()),
    "torch.lazily changed tensor": Stub(Global("torch._utils", "_rebuild_tensor_v2"), (*tensor().args, {"conj": True})),
}  # fmt: skip


@pytest.mark.parametrize("kind", ODD)
def test_a_tensor_that_is_not_plain_numbers_is_declared_and_not_read(kind, tmp_path):
    found = open_tensors(torch_zip(tmp_path / "file.pt", dumps({"w": ODD[kind], "plain": tensor()}), DATA))
    assert list(found) == ["plain"]
    assert [(d.path, d.kind) for d in found.declared] == [("w", kind)]


def test_an_archive_with_nothing_but_its_name_is_refused_clearly(tmp_path):
    with pytest.raises(ContainerError):
        open_tensors(torch_zip(tmp_path / "file.pt", b""))
