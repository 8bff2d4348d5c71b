"""Pickles that call: every way that is known to name a function in a pickle, and every function that got past a scanner.

Sources: the advisories of picklescan (CVE-2025-1716, -1889, -1944, -1945, -10155, -10156, -10157 and the lists of its
GHSA-…), of fickling (CVE-2025-67747, -67748) and modelscan; of torch CVE-2025-32434 and CVE-2026-24747.  Each lies there
like a stone; and the doctor says of each that it is unsafe.
"""

from __future__ import annotations

import struct

from bytes_of import (
    FOUR_FLOATS,
    PROTO,
    array,
    called,
    integer,
    name,
    state,
    tensor,
    text,
    torch_state,
    torch_stream,
    torch_zip,
    zipped,
)
from museum import Attack

from gatewise.errors import BrokenFile, ContainerError, UnknownContainer

COMMAND = text("touch /tmp/gatewise-was-here")
# Functions that run something, most of which some scanner let through.
FUNCTIONS = (
    "os.system", "posix.system", "nt.system", "os.popen", "os.execv", "os.spawnlp", "os.posix_spawn", "subprocess.Popen",
    "subprocess.check_output", "subprocess.getoutput", "_posixsubprocess.fork_exec", "pty.spawn", "commands.getoutput", "popen2.popen3",
    "builtins.eval", "builtins.exec", "builtins.compile", "builtins.open", "builtins.__import__", "builtins.getattr",
    "builtins.breakpoint", "__builtin__.eval", "__builtin__.apply", "__builtin__.execfile", "operator.attrgetter",
    "operator.methodcaller", "_operator.attrgetter", "functools.reduce", "types.FunctionType", "types.CodeType", "marshal.loads",
    "pickle.loads", "_pickle.loads", "cPickle.loads", "dill.loads", "cloudpickle.loads", "joblib.load", "shelve.open", "runpy.run_path",
    "runpy._run_code", "importlib.import_module", "importlib.util.module_from_spec", "pkgutil.resolve_name", "imp.load_source",
    "zipimport.zipimporter", "code.interact", "code:InteractiveInterpreter.runcode", "codeop.compile_command", "timeit.timeit",
    "cProfile.run", "cProfile.runctx", "profile.run", "profile:Profile.runctx", "trace:Trace.run", "trace:Trace.runctx", "pdb.run",
    "bdb:Bdb.run", "doctest.debug_script", "doctest.testfile", "pydoc.pipepager", "pydoc.locate", "pip.main", "pip._internal.main",
    "ensurepip._run_pip", "venv.create", "distutils.spawn.spawn", "distutils.file_util.write_file", "setuptools.setup",
    "lib2to3.pgen2.grammar:Grammar.loads", "lib2to3.pgen2.pgen:ParserGenerator.make_label", "idlelib.pyshell:ModifiedInterpreter.runcode",
    "idlelib.run:Executive.runcode", "idlelib.autocomplete:AutoComplete.get_entity", "idlelib.calltip:Calltip.fetch_tip",
    "idlelib.debugobj:ObjectTreeItem.SetText", "asyncio.unix_events:_UnixSubprocessTransport._start", "asyncio.run",
    "multiprocessing.util.spawnv_passfds", "concurrent.futures.ProcessPoolExecutor", "uuid._get_command_stdout",
    "_osx_support._read_output", "_aix_support._read_cmd_output", "_pyrepl.pager.pipe_pager", "test.support.script_helper.assert_python_ok",
    "imaplib.IMAP4_stream", "logging.config.listen", "logging.FileHandler", "ctypes.CDLL", "_ctypes.dlopen", "cffi.FFI",
    "socket.create_connection", "urllib.request.urlopen", "urllib.request.urlretrieve", "http.client.HTTPSConnection", "requests.get",
    "ftplib.FTP", "smtplib.SMTP", "xmlrpc.client.ServerProxy", "webbrowser.open", "ssl.get_server_certificate",
    "shutil.rmtree", "shutil.move", "os.remove", "os.rename", "os.chmod", "tempfile.mktemp", "io.FileIO", "io.open_code", "_io.open",
    "linecache.getlines", "fileinput.input", "zipfile.ZipFile", "tarfile.open", "sqlite3.connect", "sys.exit", "sys.settrace",
    "signal.signal", "threading.Thread", "_thread.start_new_thread", "atexit.register", "gc.get_objects", "site.main",
    "torch.load", "torch.hub.load", "torch.jit.load", "torch.storage._load_from_bytes", "torch.utils.cpp_extension.load_inline",
    "torch.utils.model_zoo.load_url", "torch.utils.bottleneck.__main__.run_cprofile",
    "torch.utils.bottleneck.__main__.run_autograd_prof", "torch.utils.collect_env.run", "torch.utils._config_module:ConfigModule.load_config",
    "torch.utils.data.datapipes.utils.decoder.basichandlers", "torch.jit.unsupported_tensor_ops.execWrapper",
    "torch._dynamo.guards:GuardBuilder.get", "torch.fx.experimental.symbolic_shapes:ShapeEnv.evaluate_guards_expression",
    "torch._inductor.codecache.compile_file", "torch.serialization.load", "torch.ops.load_library", "torch.classes.load_library",
    "torch.distributed.rpc.rpc_sync", "numpy.load", "numpy.memmap", "numpy.fromfile", "numpy.testing._private.utils.runstring",
    "numpy.f2py.crackfortran.getlincoef", "numpy.f2py.crackfortran._eval_length", "numpy.f2py.crackfortran.myeval",
    "numpy.distutils.exec_command.exec_command", "pandas.read_pickle", "pandas.eval", "tensorflow.io.read_file", "keras.models.load_model",
    "nose.tools.nontrivial.check", "IPython.get_ipython", "PIL.ImageMath.eval", "django.core.management.call_command",
    "cgitb.lookup", "smtpd.SMTPServer", "asyncore.dispatcher", "telnetlib.Telnet", "SocketServer.TCPServer", "gatewise.open",
    # Published in 2026: subinterpreters (fickling GHSA-6ggj-6f2q-f7mx), servers and signals behind BUILD (GHSA-mhc9-48gj-9gp3), what
    # hands a function to another (modelaudit 1061, picklescan GHSA-vvpj-8cmc-gx39).
    "_interpreters.create", "_interpreters.run_string", "_xxsubinterpreters.run_string", "importlib.util.find_spec",
    "importlib.machinery:SourceFileLoader.load_module", "builtins.map", "itertools.starmap", "itertools.accumulate", "weakref.finalize",
    "string:Template.substitute", "re.sub", "socketserver.TCPServer", "http.server.HTTPServer", "asyncio.create_subprocess_shell",
    "multiprocessing.Process", "aiohttp.request", "httplib.HTTPSConnection", "platform._syscmd_ver", "xml.sax.parse", "operator.itemgetter",
)  # fmt: skip


def _calling(function: str) -> bytes:
    return torch_state(called(function, COMMAND))


def _nested() -> bytes:
    """A pickle within a pickle, for pickle.loads."""
    inner = PROTO + called("os.system", COMMAND) + b"."
    return torch_state(called("pickle.loads", b"B" + struct.pack("<I", len(inner)) + inner))


def _chain() -> bytes:
    """getattr(__import__("os"), "system")("..."): no dangerous name is named."""
    imported = called("builtins.__import__", text("os"))
    return torch_state(called("builtins.getattr", imported, text("system")) + b"(" + COMMAND + b"tR")


def _deep_chain() -> bytes:
    """A call of a call of a call …"""
    program = name("builtins.getattr")
    for _ in range(150):
        program += b"(" + text("__call__") + b"tR"
    return torch_state(program)


def _partial() -> bytes:
    return torch_state(called("functools.partial", name("os.system"), COMMAND) + b")R")


# How a function comes to be named and called, each without GLOBAL and REDUCE as a scanner expects them.
WAYS = {
    "GLOBAL and REDUCE": called("os.system", COMMAND),
    "INST": b"(" + COMMAND + b"ios\nsystem\n",
    "OBJ": b"(" + name("os.system") + COMMAND + b"o",
    "NEWOBJ": name("subprocess.Popen") + COMMAND + b"\x85\x81",
    "NEWOBJ_EX": name("subprocess.Popen") + b")" + state(args=COMMAND) + b"\x92",
    "STACK_GLOBAL": text("os") + text("system") + b"\x93" + COMMAND + b"\x85R",
    "STACK_GLOBAL with names out of the memo": text("system") + b"q\x63" + text("os") + b"q\x6200" + b"h\x62h\x63\x93" + COMMAND + b"\x85R",
    "memo numbers that MEMOIZE would count otherwise": (
        b"U\x02osq\0U\x06systemq\x01" + text("torch._utils") + b"\x94" + text("_rebuild_tensor_v2") + b"\x940000" + b"h\0h\x01\x93" + COMMAND + b"\x85R"
    ),
    "a name of bytes": b"U\x02osU\x06system\x93" + COMMAND + b"\x85R",
    "a name in UTF-16 words": text("os") + b"V\\u0073ystem\n\x93" + COMMAND + b"\x85R",
    "copyreg's reconstructor": called("copyreg._reconstructor", name("subprocess.Popen"), name("builtins.object"), b"N"),
    "copyreg's __newobj__": called("copyreg.__newobj__", name("subprocess.Popen"), COMMAND),
    "a default factory": called("collections.defaultdict", name("os.abort")) + b"0N",
    "a persistent id that is a call": called("os.system", COMMAND) + b"Q",
    "a call that is dropped again": called("os.system", COMMAND) + b"0N",
    "a call behind a mark that is dropped": b"(" + called("os.system", COMMAND) + b"1N",
    "a call whose result is a key": b"}" + called("os.system", COMMAND) + b"Ns",
    "a call whose result is a member of a set": b"\x8f(" + called("os.system", COMMAND) + b"\x90",
    "APPENDS on what was called": called("os.system", COMMAND) + b"(N" + b"e",
    "SETITEMS on what was called": called("os.system", COMMAND) + b"(NNu",
    "a number of the first protocol before it (fickling issue 322)": b"F1.0\n0" + called("os.system", COMMAND),
    "a byte array before it (fickling issue 322)": b"\x96" + struct.pack("<Q", 1) + b"a0" + called("os.system", COMMAND),
    "REDUCE and BUILD (GHSA-mhc9-48gj-9gp3)": called("os.system", COMMAND) + state(a=b"N") + b"b",
    "a default factory behind wrappers of mappings (modelaudit 1063)": called(
        "types.MappingProxyType", called("collections.ChainMap", called("collections.defaultdict", name("os.abort")))
    ),
    "a function that is handed to another": called("builtins.map", name("os.system"), b"](" + COMMAND + b"e"),
    "a name in a submodule": called("os.path.os.system", COMMAND),
    "a dotted name": called("torch:serialization.os.system", COMMAND),
    "a name that looks like torch's": called("torch._utils.os.system", COMMAND),
}  # fmt: skip


def _npy_with_objects() -> bytes:
    """numpy's object array: a pickle inside a pickle's array."""
    inner = PROTO + called("os.system", COMMAND) + b"."
    return torch_state(
        array(inner, (1,), "O8", b"(K\x03" + text("|") + b"NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x3ftb")
    )


def _setitem_on_a_tensor() -> bytes:
    """CVE-2026-24747: SETITEM and APPEND on what is no container."""
    return torch_zip(PROTO + state(weight=tensor() + b"K\0K\1s") + b".")


def _broken_after(call: bytes) -> bytes:
    return torch_zip(PROTO + call + b"0" + state(weight=tensor()) + b"\xff.")


_TAR_PICKLE = PROTO + called("os.system", COMMAND) + b"."


def _tar(members: dict[str, bytes]) -> bytes:
    import io
    import tarfile

    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for key, data in members.items():
            told = tarfile.TarInfo(key)
            told.size = len(data)
            archive.addfile(told, io.BytesIO(data))
    return out.getvalue()


ATTACKS = (
    *(Attack(f"{function} is called and nothing happens", _calling(function), None, deed="unsafe") for function in FUNCTIONS),
    *(Attack(f"{way} brings nothing about", torch_state(program), None, deed="unsafe") for way, program in WAYS.items()),
    *(
        Attack(f"{way} brings nothing about in a stream of torch 0.4", torch_stream(PROTO + state(weight=tensor(legacy=True), evil=program) + b"."),
               None, deed="unsafe")
        for way, program in WAYS.items()
    ),
    *(
        Attack(f"{way} brings nothing about in a plain pickle", b"\x80\x04" + state(weight=array(), evil=program) + b".", None, deed="unsafe")
        for way, program in WAYS.items()
    ),
    Attack("a pickle within a pickle stays bytes", _nested(), None, deed="unsafe"),
    Attack("a function that is fetched by getattr is not", _chain(), None, deed="unsafe"),
    Attack("a function that is bound and then called is not", _partial(), None, deed="unsafe"),
    Attack("a call of a call of a call, a hundred times over, is a tree", _deep_chain(), None, deed="unsafe"),
    Attack("an array of objects is not unpickled", _npy_with_objects(), (None, BrokenFile)),
    Attack("an extension code is refused", torch_zip(PROTO + b"\x82\x01."), BrokenFile, "extension code"),
    Attack("an extension code of four bytes is refused", torch_zip(PROTO + b"\x84\xff\xff\xff\x7f."), BrokenFile, "extension code"),
    Attack("a buffer outside the file is refused", torch_zip(b"\x80\x05\x97\x98."), BrokenFile, "outside the file"),
    Attack("an item set on a tensor is remembered, not set", _setitem_on_a_tensor(), (None, BrokenFile)),
    Attack("an item set on a text is refused", torch_zip(PROTO + text("a") + b"NNs."), BrokenFile, "sets an item of a str"),
    Attack("an append to a tuple is refused", torch_zip(PROTO + b")Na."), BrokenFile, "appends to a tuple"),
    Attack("the state of a list is refused", torch_zip(PROTO + b"]}b."), BrokenFile, "sets the state of a list"),
    Attack("attributes that no container has are refused",
           torch_zip(PROTO + called("collections.OrderedDict") + state(__class__=b"N") + b"b."), BrokenFile, "no container has"),
    Attack("a state that is set twice is refused", torch_zip(PROTO + called("a.b") + b"NbNb."), BrokenFile, "second time"),
    Attack("a stream that executes and then breaks off is refused", _broken_after(called("os.system", COMMAND)), BrokenFile, "no protocol has"),
    Attack("a stream that executes and then ends is refused", torch_zip(PROTO + called("os.system", COMMAND)), BrokenFile, "opcode"),
    Attack("a plain pickle that only calls holds no array", PROTO + called("os.system", COMMAND) + b".", UnknownContainer),
    Attack("a call under a name for a picture is none (CVE-2025-10155)",
           PROTO + state(evil=called("os.system", COMMAND)) + b".", UnknownContainer, name="model.png"),
    Attack("a tar of torch 0.1 whose pickles call is refused (CVE-2025-32434)",
           _tar({"storages": _TAR_PICKLE, "tensors": _TAR_PICKLE, "pickle": _TAR_PICKLE, "sys_info": _TAR_PICKLE}), BrokenFile, "the number of"),
    Attack("a tar of torch 0.1 whose sys_info calls opens and is not run",
           _tar({"sys_info": _TAR_PICKLE, "storages": PROTO + b"K\0.\x80\x02].", "tensors": PROTO + b"K\0.", "pickle": _TAR_PICKLE}),
           (None, ContainerError)),
    Attack("a class with its source text is not compiled",
           torch_state(b"(" + text("module") + name("evil.Net") + text("net.py") + text("import os; os.system('x')") + b"tQ"), None),
    Attack("a member with another pickle's suffix is not looked at (CVE-2025-1889)",
           torch_zip(PROTO + state(weight=tensor()) + b".", **{"config.p": PROTO + called("os.system", COMMAND) + b"."}), None),
    Attack("a TorchScript archive's code stays text",
           zipped({"m/constants.pkl": PROTO + b").", "m/data.pkl": PROTO + called("__torch__.M", b"") + b".", "m/version": b"3\n",
                   "m/code/__torch__.py": b"import os\nos.system('x')\n"}), (None, ContainerError)),
    Attack("a storage of a class that is not torch's is refused", torch_zip(PROTO + state(w=tensor(storage="os.system")) + b"."), BrokenFile),
    Attack("a storage that claims more than its member holds is refused (CVE-2026-24747)",
           torch_zip(PROTO + state(w=tensor(count=1 << 20)) + b"."), BrokenFile, "member archive/data/0"),
    Attack("a storage of 2^63 elements is refused", torch_zip(PROTO + state(w=tensor(count=1 << 63)) + b"."), BrokenFile),
    Attack("a storage of fewer than no elements is refused", torch_zip(PROTO + state(w=tensor(count=-1)) + b"."), BrokenFile),
    Attack("a storage whose two tensors claim two types is read as each says",
           torch_zip(PROTO + state(a=tensor(), b=tensor(2, (2,), (1,), storage="torch.DoubleStorage")) + b"."), (None, BrokenFile)),
    Attack("a view before its storage is refused", torch_zip(PROTO + state(w=tensor(offset=-4)) + b"."), BrokenFile, "negative"),
    Attack("a view behind its storage is refused", torch_zip(PROTO + state(w=tensor(offset=1 << 62)) + b"."), BrokenFile),
    Attack("strides that overflow 64 bits are refused", torch_zip(PROTO + state(w=tensor(strides=(1 << 62, 1 << 62))) + b"."), BrokenFile),
    Attack("a view whose bytes overflow 64 bits is refused",
           torch_zip(PROTO + state(w=tensor(shape=(1 << 62, 2), strides=(0, 1))) + b"."), ContainerError),
    Attack("an expanded view of a terabyte is not made", torch_zip(PROTO + state(w=tensor(shape=(1 << 30, 1 << 8), strides=(0, 0))) + b"."), ContainerError),
    Attack("a storage key that climbs is no member", torch_zip(PROTO + state(w=tensor(key="../../../etc/passwd")) + b"."), BrokenFile, "no member"),
    Attack("storages that are too short in a stream are refused",
           torch_stream(PROTO + state(w=tensor(count=1 << 40, legacy=True)) + b".", storages=struct.pack("<q", 1 << 40) + FOUR_FLOATS), BrokenFile),
    Attack("storages of fewer than no elements in a stream are refused",
           torch_stream(PROTO + state(w=tensor(legacy=True)) + b".", storages=struct.pack("<q", -4) + FOUR_FLOATS), BrokenFile),
    Attack("a stream's keys that name nothing are refused", torch_stream(PROTO + state(w=tensor(legacy=True)) + b".", keys=["7"]), BrokenFile),
    Attack("a stream whose keys are a call is refused",
           torch_stream(PROTO + state(w=tensor(legacy=True)) + b".", keys=[]) + called("os.system", COMMAND), ContainerError),
    Attack("a class that is swapped by BUILD is refused",
           torch_state(name("collections.OrderedDict") + b")\x81" + state(__class__=name("os.system")) + b"b"), (None, BrokenFile)),
    Attack("a __setstate__ that BUILD sets and calls is refused",
           torch_state(called("torch.nn.Module") + state(__setstate__=name("os.system")) + b"b" + COMMAND + b"b"), BrokenFile, "second time"),
    Attack("a pickle of a protocol to come is refused", torch_zip(b"\x80\x06N."), BrokenFile, "protocol 6"),
    Attack("an integer's text that is code is refused", torch_zip(PROTO + b"I__import__('os')\n."), BrokenFile, "integer"),
    Attack("a string's text that is code is refused", torch_zip(b"S__import__('os').system('x')\n."), BrokenFile, "quotes"),
    Attack("a storage key of a call is refused", torch_zip(
        PROTO + state(w=called("torch._utils._rebuild_tensor_v2", b"(" + text("storage") + name("torch.FloatStorage") + called("os.system", COMMAND)
        + text("cpu") + integer(4) + b"tQ", integer(0), b")", b")", b"\x89", b"N")) + b"."), BrokenFile),
)  # fmt: skip
