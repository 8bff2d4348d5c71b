"""What the names in a pickle are: harmless builders, classes, or functions that loading would call.  Tables only.

A pickle can call whatever Python can import.  Known harmless are the calls that Python's, numpy's, torch's and jax's own
``__reduce__`` write; everything else that is called and is no class runs code of the file's choosing.
Sources: CPython's Lib/pickle.py and copyreg.py, numpy's ``__reduce__`` methods, torch/_utils.py, and the lists of what
malicious pickles in public model hubs called (os, subprocess, builtins, runpy, webbrowser, socket, importlib …).
"""

from __future__ import annotations

import re
import sys

from ..containers._pickled import Global, Persistent, Stub

_HARMLESS = re.compile(
    r"""torch\._utils\._rebuild\w+ | torch\._tensor\._rebuild_from_type(_v2)? | torch\.tensor\._rebuild_from_type(_v2)?
    | torch\.nn\.parameter\.\w+ | torch\.(Size|device|dtype|Tensor|Generator|layout|memory_format) | torch\._C\.\w+Object
    | torch\.(cuda\.)?(sparse\.)?\w+(Storage|Tensor) | torch\.storage\.(Typed|Untyped)?Storage
    | torch\.serialization\._get_layout | torch\.nn\.backends\.thnn\._get_thnn_function_backend
    | torch\.jit\._pickle\.\w+ | torch\.distributions\.constraints\.\w+
    | fastai\.torch_core\._fa_rebuild_q?tensor
    | numpy\.(core|_core)\.(multiarray\.(_reconstruct|scalar|_frombuffer)|numeric\._frombuffer)
    | numpy\.(dtype|ndarray|matrix|dtypes\.\w+|ma\.core\._mareconstruct|\w?int\d*|float\d+|bool_?|complex\d+)
    | jax\._src\.(array\._reconstruct_array|device_array\.reconstruct_device_array) | jittor(\.jittor_core)?\.\w*\.?Var
    | numpy\.random\._pickle\.__\w+_ctor
    | collections\.(OrderedDict|Counter|defaultdict|deque|ChainMap) | _codecs\.encode | _operator\.getitem
    | (copyreg|copy_reg)\.(_reconstructor|__newobj__|__newobj_ex__)
    | (builtins|__builtin__)\.(set|frozenset|list|dict|tuple|int|long|float|complex|str|unicode|bool|bytes|bytearray|slice
        |x?range|object|Ellipsis|NotImplemented|\w+Error|\w+Exception)
    | datetime\.\w+ | decimal\.Decimal | fractions\.Fraction | uuid\.(UUID|SafeUUID) | pathlib\.\w+ | pathlib\._local\.\w+
    | argparse\.Namespace | types\.SimpleNamespace | array\._array_reconstructor | array\.array | re\._compile | zoneinfo\.\w+
    | functools\.partial | enum\.[A-Z]\w+ | ipaddress\.\w+ | random\.Random | inspect\.(Signature|_?Parameter\w*)
    | typing\.[A-Z]\w* | string\.Template
    """,
    re.VERBOSE,
)
# Whose functions, and classes too, do things to the machine; and what makes or runs code.
_DANGEROUS = re.compile(
    r"""(os|posix|nt|ntpath|posixpath|subprocess|_posixsubprocess|sys|shutil|importlib|_frozen_importlib\w*|runpy|pty|socket|_socket
    |ssl|http|urllib\d?|requests|ftplib|smtplib|telnetlib|webbrowser|ctypes|_ctypes|cffi|code|codeop|marshal|pickle|_pickle|cPickle
    |shelve|dill|cloudpickle|joblib|commands|popen2|platform|signal|threading|_thread|multiprocessing|asyncio|concurrent|pip
    |setuptools|distutils|ensurepip|venv|pdb|bdb|cProfile|profile|timeit|trace|doctest|unittest|pydoc|sqlite3|tempfile|zipfile
    |tarfile|glob|fileinput|linecache|mmap|fcntl|resource|gc|atexit|site|zipimport|pkgutil|imp|xmlrpc|logging|builtins_|nturl2path
    |torch\.hub|torch\.utils\.cpp_extension|torch\.utils\.model_zoo)(\..*)?
    | (builtins|__builtin__)\.(eval|exec|execfile|compile|open|file|__import__|input|raw_input|breakpoint|globals|locals|vars|apply
        |setattr|delattr|type|reload|memoryview|exit|quit|help|map|filter|reduce)
    | (operator|_operator)\.(attrgetter|methodcaller|itemgetter|call) | functools\.reduce | types\.(FunctionType|CodeType|MethodType)
    | torch\.(load|jit\.load|jit\.script|serialization\.load|compile|classes\..*|ops\..*|storage\._load_from_bytes) | numpy\.(load|fromfile|memmap|loads|save\w*)
    | numpy\.testing\..* | numpy\.distutils\..* | numpy\.f2py\..* | pandas\.(read_pickle|eval|io\..*)
    """,
    re.VERBOSE,
)
# A finding must not depend on the Python that looks: what left the standard library from 3.10 on counts everywhere, and so
# do the servers and clients of Python 2, whose names pickle.load still turns into today's.
_GONE = (
    "aifc", "asynchat", "asyncore", "audioop", "binhex", "cgi", "cgitb", "chunk", "crypt", "distutils", "imghdr",
    "imp", "lib2to3", "mailcap", "msilib", "nis", "nntplib", "ossaudiodev", "pipes", "smtpd", "sndhdr", "spwd",
    "sunau", "telnetlib", "uu", "xdrlib", "BaseHTTPServer", "CGIHTTPServer", "DocXMLRPCServer", "SimpleHTTPServer",
    "SimpleXMLRPCServer", "SocketServer", "commands", "cookielib", "httplib", "popen2", "urllib2", "xmlrpclib",
)  # fmt: skip
_KNOWN_ROOTS = frozenset((*sys.stdlib_module_names, *_GONE, "torch", "numpy", "__builtin__", "copy_reg", "__torch__"))


def is_harmless(name: Global) -> bool:
    """Is calling this one of the calls that honest pickles of Python's, numpy's and torch's own objects make?"""
    return _HARMLESS.fullmatch(str(name)) is not None


def is_dangerous(name: Global) -> bool:
    """Does this do something to the machine, or make or run code, when it is called?"""
    return not is_harmless(name) and (
        _DANGEROUS.fullmatch(name.module) is not None or _DANGEROUS.fullmatch(str(name)) is not None
    )


def is_users(name: Global) -> bool:
    """Does this come from neither Python, nor numpy, nor torch: must somebody's package be there to load it?"""
    return name.module.partition(".")[0] not in _KNOWN_ROOTS


def is_class(name: Global) -> bool:
    """By its name: classes are written Like This, functions like_this."""
    own = name.name.rpartition(".")[2].lstrip("_")
    return own[:1].isupper()


def runs_code(call: Stub) -> bool:
    """Would this call run code of the file's choosing?  Making an object of an unknown class is told apart from it."""
    cls = call.cls
    if isinstance(cls, Persistent):
        return False  # a class with its source text, as the legacy formats keep them
    if not isinstance(cls, Global):
        return True  # it calls what another call gave
    if is_dangerous(cls):
        return True
    if call.how == "newobj" or is_harmless(cls):
        return False
    if str(cls) in ("builtins.getattr", "__builtin__.getattr"):
        return not (call.args and isinstance(call.args[0], Stub | Global) and not _dangerous_part(call.args[0]))
    return not is_class(cls) or (not is_users(cls) and not cls.module.startswith("torch."))


def _dangerous_part(value: object) -> bool:
    return isinstance(value, Global) and is_dangerous(value)


def shown(value: object, depth: int = 0) -> str:
    """A call as Python would write it, shortened."""
    if isinstance(value, Global):
        return str(value)
    if isinstance(value, Stub):
        args = ", ".join(shown(arg, depth + 1) for arg in value.args[:4]) if depth < 3 else "…"
        callee = shown(value.cls, depth + 1) if isinstance(value.cls, Global | Stub) else "…"
        return f"{callee}({args}{', …' if len(value.args) > 4 else ''})"
    if isinstance(value, tuple | list) and depth < 3:
        inner = ", ".join(shown(part, depth + 1) for part in value[:4]) + (", …" if len(value) > 4 else "")
        return f"({inner}{',' if len(value) == 1 else ''})" if isinstance(value, tuple) else f"[{inner}]"
    if isinstance(value, str | bytes | int | float | bool | type(None)):
        text = repr(value)
        return text if len(text) <= 80 else f"{text[:60]}…{text[-15:]}"
    return "…"
