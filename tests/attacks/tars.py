"""Tar archives and gzip: members that are links and devices, sizes that lie, archives in archives, bombs.

Sources: POSIX.1-2008, pax; the CVEs of tar extraction (CVE-2007-4559, CVE-2025-4517, keras CVE-2025-12060): nothing is extracted here.
"""

from __future__ import annotations

import functools
import gzip
import io
import struct
import tarfile
import zlib
from collections.abc import Sequence

from bytes_of import PROTO, called, integer, name, packed_zeros, text
from museum import Attack

from gatewise.errors import ContainerError, GatewiseError

EVIL = PROTO + called("os.system", text("x")) + b"."
STORAGES = (
    PROTO + integer(1) + b"." + PROTO + b"(" + integer(7) + text("cpu") + name("torch.FloatStorage") + b"t."
    + struct.pack("<Q4f", 4, 1, 2, 3, 4) + PROTO + b"]."
)  # fmt: skip
TENSORS = (
    PROTO + integer(1) + b"." + PROTO + b"(" + integer(9) + integer(7) + name("torch.FloatTensor") + b"t."
    + struct.pack("<i4xqqq", 1, 4, 1, 0)
)  # fmt: skip
PICKLE = PROTO + b"}" + text("weight") + text("9") + b"Qs."
HONEST = {"sys_info": PROTO + b"}.", "pickle": PICKLE, "tensors": TENSORS, "storages": STORAGES}


def _tar(
    members: dict[str, bytes], links: Sequence[tuple[str, bytes, str]] = (), form: int = tarfile.USTAR_FORMAT
) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=form) as archive:
        for key, data in members.items():
            told = tarfile.TarInfo(key)
            told.size = len(data)
            archive.addfile(told, io.BytesIO(data))
        for key, kind, target in links:
            told = tarfile.TarInfo(key)
            told.type, told.linkname = kind, target
            archive.addfile(told)
    return out.getvalue()


def _with(**changes: bytes) -> bytes:
    return _tar(HONEST | changes)


def _sized(field: bytes, place: int = 124) -> bytes:
    """The first header's size field, rewritten, with a checksum that fits."""
    data = bytearray(_tar(HONEST))
    data[place : place + len(field)] = field
    data[148:156] = b" " * 8
    data[148:156] = b"%06o\0 " % sum(data[:512])
    return bytes(data)


def _gzips(layers: int) -> bytes:
    data = _tar(HONEST)
    for _ in range(layers):
        data = gzip.compress(data, mtime=0)
    return data


def _bomb(size: int) -> bytes:
    """In gzip, with the checksum that a reader that unpacked it all would find."""
    check = functools.reduce(lambda so_far, _: zlib.crc32(bytes(1 << 20), so_far), range(size >> 20), 0)
    return b"\x1f\x8b\x08" + bytes(7) + packed_zeros(size) + struct.pack("<2I", check, size)


def _tensor(shape: Sequence[int], strides: Sequence[int], offset: int = 0, axes: int | None = None) -> bytes:
    numbers = b"".join(struct.pack("<q", n) for n in (*shape, *strides, offset))
    return PROTO + integer(1) + b"." + PROTO + b"(" + integer(9) + integer(7) + name("torch.FloatTensor") + b"t." + struct.pack(
        "<i4x", len(shape) if axes is None else axes
    ) + numbers  # fmt: skip


LINKS = {
    "a symbolic link": (tarfile.SYMTYPE, "/etc/passwd"),
    "a hard link": (tarfile.LNKTYPE, "/etc/passwd"),
    "a character device": (tarfile.CHRTYPE, ""),
    "a block device": (tarfile.BLKTYPE, ""),
    "a pipe": (tarfile.FIFOTYPE, ""),
    "a folder": (tarfile.DIRTYPE, ""),
    "a contiguous file": (tarfile.CONTTYPE, ""),
    "a long name's header": (tarfile.GNUTYPE_LONGNAME, ""),
    "a sparse file": (tarfile.GNUTYPE_SPARSE, ""),
    "of a kind that there is not": (b"Z", ""),
}

ATTACKS = (
    Attack("an honest tar of torch 0.1 opens", _tar(HONEST), None),
    *(
        Attack(f"a member that is {what} is passed over", _tar(HONEST, [("sys_info2"[:8], kind, target)]), (None, ContainerError))
        for what, (kind, target) in LINKS.items()
    ),
    *(
        Attack(f"storages that are {what} are not there", _tar({k: v for k, v in HONEST.items() if k != "storages"}, [("storages", kind, target)]),
               ContainerError)
        for what, (kind, target) in LINKS.items()
    ),
    Attack("two members of one name are refused", _tar(HONEST)[:-9216] + _tar(HONEST), ContainerError),
    Attack("a tar of pickles that call opens and calls nothing", _with(sys_info=EVIL), None),
    Attack("a pickle that calls is inert", _with(pickle=EVIL), (None, ContainerError)),
    Attack("a storage count that is a call is refused", _with(storages=EVIL), ContainerError),
    Attack("a tensor count of 2^60 is refused", _with(tensors=PROTO + integer(1 << 60) + b"."), ContainerError),
    Attack("a storage count of 2^60 is refused", _with(storages=PROTO + integer(1 << 60) + b"."), ContainerError),
    Attack("a storage of 2^62 elements is refused", _with(storages=STORAGES.replace(struct.pack("<Q", 4), struct.pack("<Q", 1 << 62))), ContainerError),
    Attack("a tensor of two billion axes is refused", _with(tensors=_tensor((4,), (1,), axes=0x7FFFFFFF)), ContainerError),
    Attack("a tensor of fewer than no axes is refused", _with(tensors=_tensor((4,), (1,), axes=-1)), ContainerError),
    Attack("a tensor behind its storage is refused", _with(tensors=_tensor((4,), (1,), 1 << 40)), ContainerError),
    Attack("a tensor before its storage is refused", _with(tensors=_tensor((4,), (1,), -4)), ContainerError),
    Attack("strides that overflow are refused", _with(tensors=_tensor((2, 2), ((1 << 62), 1 << 62))), ContainerError),
    Attack("an expanded tensor of a terabyte is not made", _with(tensors=_tensor((1 << 30, 1 << 10), (0, 0))), ContainerError),
    Attack("a size of all octal sevens is refused", _sized(b"77777777777\0"), ContainerError),
    Attack("a size in base 256 is refused", _sized(b"\x80\0\0\0\0\0\0\0\xff\xff\xff\xff"), ContainerError),
    Attack("a size of fewer than no bytes is refused", _sized(b"-0000000100\0"), ContainerError),
    Attack("a size with an underscore is refused", _sized(b"0000000_100\0"), ContainerError),
    Attack("a size that is no number is refused", _sized(b"__import__()"), ContainerError),
    Attack("a tar without an end is refused", _tar(HONEST)[:-9000], ContainerError),
    Attack("a tar in pax form with a size of its own is refused", _tar(HONEST | {"a" * 120: b"x"}, form=tarfile.PAX_FORMAT), (None, ContainerError)),
    Attack("a tar in GNU form is judged", _tar(HONEST | {"a" * 120: b"x"}, form=tarfile.GNU_FORMAT), (None, ContainerError)),
    Attack("a tar in a tar is no model", _tar({"inner.tar": _tar(HONEST)}), ContainerError),
    Attack("twenty thousand empty members are no model", _tar({f"m{n}": b"" for n in range(2_000)}), ContainerError),
    Attack("names that climb are names", gzip.compress(_tar({"../../etc/passwd": b"x", "/etc/shadow": b"y"}), mtime=0), GatewiseError),
    Attack("a tar of links in gzip is no model", gzip.compress(_tar({}, [("model.json", tarfile.SYMTYPE, "/etc/passwd")]), mtime=0), ContainerError),
    Attack("gzip in gzip in gzip is opened once", _gzips(8), ContainerError),
    Attack("a gzip bomb of half a gigabyte is refused", lambda _: _bomb(512 << 20), ContainerError),
    Attack("gzip that is cut is refused", gzip.compress(_tar(HONEST))[:-20], (None, ContainerError)),
    Attack("gzip with a wrong checksum is refused", gzip.compress(_tar(HONEST))[:-8] + bytes(8), ContainerError),
    Attack("gzip of nothing is no model", gzip.compress(b""), ContainerError),
    Attack("a thousand gzip members of nothing are no model", gzip.compress(b"") * 1_000, ContainerError),
    Attack("gzip whose header is flags without end is refused", b"\x1f\x8b\x08\xff" + b"a" * 1_000_000, ContainerError),
)  # fmt: skip
