"""The house plan, held to: reads every import of the package with ``ast`` and reports what breaks the plan.

Rooms, in the order of docs/architecture.md: a room imports only rooms above it.  A twin test at the end builds a small
package with every sin in it and checks that each is reported, so that a green test here means something.
"""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parent.parent / "src" / "gatewise"

ROOMS = (
    "errors", "folders", "record", "cursor", "tar", "source", "pieces", "tensors", "containers", "effective", "weights", "selection", "layouts", "conventions", "cell", "proof", "pairs",
    "checkpoint", "live", "flat", "edit", "ailments", "symptoms", "doctor", "solve", "fleet", "report", "cli",
)  # fmt: skip
SHOP_WINDOW = ("__init__", "__main__")  # may import every room
STRANGERS = {("containers", "layouts"), ("layouts", "containers")}  # never, whatever the order says
FRAMEWORKS = frozenset((
    "torch", "torchvision", "torchaudio", "tensorflow", "tf_keras", "keras", "jax", "jaxlib", "flax", "haiku",
    "equinox", "sonnet", "optax", "orbax", "mxnet", "paddle", "mlx", "onnx", "onnxruntime", "openvino", "chainer",
    "cupy", "theano", "lasagne", "dynet", "cntk", "nnabla", "mindspore", "jittor", "tinygrad", "thinc", "coremltools",
    "tflite_runtime", "fastai", "lightning", "pytorch_lightning", "transformers", "safetensors",
))  # fmt: skip
HEAVY = frozenset((
    "numpy", "h5py", "ml_dtypes", "scipy", "pandas", "pyarrow", "matplotlib", "PIL", "ray", "rich", "fsspec",
    "tomli", "tomllib", "requests", "multiprocessing", "concurrent", "asyncio", "unittest",
))  # fmt: skip
LINES = 400
REASON = "longer than"  # a long module says in its docstring: "This file is longer than 400 lines because …"


@dataclass(frozen=True)
class Import:
    """One import: of ``name``, absolute and dotted, in ``module`` of ``room``.  ``late``: inside a function."""

    room: str
    module: str
    line: int
    name: str
    late: bool

    @property
    def place(self) -> str:
        return f"{self.module}:{self.line}"

    @property
    def top(self) -> str:
        return self.name.partition(".")[0]


def sins(package: Path) -> list[str]:
    """Everything in ``package`` that breaks the house plan, as sentences.  Empty is well."""
    modules = {path.relative_to(package).as_posix(): ast.parse(path.read_text()) for path in package.rglob("*.py")}
    imports = [found for module, tree in sorted(modules.items()) for found in _imports(package.name, module, tree)]
    found = [*_unknown_rooms(modules), *_cycles(package.name, imports)]
    for each in imports:
        found += _wrong_arrow(package.name, each)
        found += _wrong_guest(each)
    for path in sorted(package.rglob("*.py")):
        found += _too_long(path, path.relative_to(package).as_posix())
    return found


def _room(module: str) -> str:
    return module.partition("/")[0].removesuffix(".py")


def _imports(package: str, module: str, tree: ast.Module) -> Iterator[Import]:
    inside = [package, *module.removesuffix(".py").split("/")][:-1]  # the package that a relative import starts from
    for node, late in _import_nodes(tree, late=False):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        else:
            base = inside[: len(inside) - node.level + 1] if node.level else []
            start = ".".join([*base, *([node.module] if node.module else [])])
            names = [f"{start}.{alias.name}" for alias in node.names]
        for name in names:
            yield Import(_room(module), module, node.lineno, name, late)


def _import_nodes(node: ast.AST, late: bool) -> Iterator[tuple[ast.Import | ast.ImportFrom, bool]]:
    for child in _statements(node):
        if isinstance(child, ast.Import | ast.ImportFrom):
            yield child, late
        elif isinstance(child, ast.If) and _asks_for_the_type_checker(child.test):
            for other in child.orelse:  # what is imported for the type checker alone is never imported
                yield from _import_nodes(ast.Module([other], []), late)
        else:
            yield from _import_nodes(child, late or isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef))


def _statements(node: ast.AST) -> Iterator[ast.AST]:
    """What is in it, but for expressions, in which nothing is imported and which are nearly all of a tree."""
    for field in ("body", "orelse", "handlers", "finalbody", "cases"):
        yield from getattr(node, field, ())


def _asks_for_the_type_checker(test: ast.expr) -> bool:
    return (
        test.id if isinstance(test, ast.Name) else test.attr if isinstance(test, ast.Attribute) else ""
    ) == "TYPE_CHECKING"


def _unknown_rooms(modules: dict[str, ast.Module]) -> Iterator[str]:
    for room in sorted({_room(module) for module in modules} - set(ROOMS) - set(SHOP_WINDOW)):
        yield f"{room}: is no room of the plan; add it to ROOMS and to docs/architecture.md, where it belongs."


def _target(package: str, each: Import) -> str | None:
    """The room an import leads to, or None when it leads outside the package or to the shop window."""
    parts = each.name.split(".")
    return parts[1] if len(parts) > 1 and parts[0] == package and parts[1] in ROOMS else None


def _wrong_arrow(package: str, each: Import) -> Iterator[str]:
    target = _target(package, each)
    if each.room not in ROOMS or target is None or target == each.room:
        return
    if (each.room, target) in STRANGERS:
        yield f"{each.place}: {each.room} imports {target}; these two never know each other."
    elif ROOMS.index(target) > ROOMS.index(each.room):
        yield f"{each.place}: {each.room} imports {target}, a room below it."


def _wrong_guest(each: Import) -> Iterator[str]:
    if each.top in FRAMEWORKS and each.room != "live":
        yield f"{each.place}: imports the framework {each.top}; only live/ may, when it is handed one of its objects."
    elif each.top in FRAMEWORKS | HEAVY and not each.late:
        yield f"{each.place}: imports {each.top} at import time; import it in the function that uses it."


def _cycles(package: str, imports: list[Import]) -> Iterator[str]:
    """Import-time cycles between modules, which the order of rooms cannot see inside one room."""
    modules = {each.module for each in imports}
    graph: dict[str, set[str]] = {module: set() for module in modules}
    for each in imports:
        target = _module(package, each.name, modules)
        if target and target != each.module and not each.late and each.room not in SHOP_WINDOW:
            graph[each.module].add(target)
    seen: set[str] = set()
    for start in sorted(graph):
        yield from _walk(start, graph, (), seen)


def _walk(at: str, graph: dict[str, set[str]], path: tuple[str, ...], seen: set[str]) -> Iterator[str]:
    if at in path:
        yield f"{' -> '.join((*path[path.index(at) :], at))}: a cycle of imports."
    elif at not in seen:
        for target in sorted(graph[at]):
            yield from _walk(target, graph, (*path, at), seen)
        seen.add(at)


def _module(package: str, name: str, modules: set[str]) -> str | None:
    """The file that an absolute name comes from: a module, a package, or the one that defines the name."""
    parts = name.split(".")
    if parts[0] != package:
        return None
    for end in (len(parts), len(parts) - 1):
        stem = "/".join(parts[1:end])
        for candidate in (f"{stem}.py", f"{stem}/__init__.py"):
            if candidate in modules:
                return candidate
    return None


def _too_long(path: Path, module: str) -> Iterator[str]:
    text = path.read_text()
    lines = text.count("\n")
    if lines > LINES and REASON not in (ast.get_docstring(ast.parse(text)) or ""):
        yield f"{module}: has {lines} lines; split it, or say at its top why it is {REASON} {LINES}."


def test_the_package_keeps_the_house_plan() -> None:
    assert sins(PACKAGE) == []


def test_the_plan_names_its_rooms_in_the_same_order_as_the_architecture_page() -> None:
    page = (PACKAGE.parent.parent / "docs" / "architecture.md").read_text()
    told = page.split("<!-- rooms -->")[1]
    places = [told.find(f"\n{room}") for room in ROOMS]
    assert -1 not in places, "a room is missing from docs/architecture.md"
    assert places == sorted(places)


# The twin: every sin, committed on purpose in a small package of its own.

SINS = {
    "an upward arrow is reported": ({"cursor.py": "from .weights import Stack\n"}, "cursor imports weights, a room below it"),
    "an upward arrow inside a function is reported": (
        {"cell.py": "def f():\n    from .cli import main\n"}, "cell imports cli, a room below it",
    ),
    "an absolute upward arrow is reported": ({"errors.py": "import gatewise.cli.table\n"}, "errors imports cli"),
    "an upward arrow for the type checker is allowed to nobody but it": (
        {"errors.py": "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    pass\nelse:\n    from .cli import main\n"},
        "errors imports cli",
    ),
    "layouts that import containers are reported": (
        {"layouts/torch.py": "from ..containers import open_tensors\n"}, "these two never know each other",
    ),
    "containers that import layouts are reported": (
        {"containers/zip.py": "def f():\n    from ..layouts import layouts\n"}, "these two never know each other",
    ),
    "a cycle within a room is reported": (
        {"containers/a.py": "from .b import x\n", "containers/b.py": "from .c import x\n", "containers/c.py": "from . import a\n"},
        "containers/a.py -> containers/b.py -> containers/c.py -> containers/a.py: a cycle",
    ),
    "a framework at import time is reported": ({"cell.py": "import torch\n"}, "imports the framework torch"),
    "a framework inside a function is reported": (
        {"checkpoint.py": "def f():\n    from keras.layers import LSTM\n"}, "imports the framework keras",
    ),
    "a framework at import time of live/ is reported": ({"live/jax.py": "import jax.numpy\n"}, "imports jax at import time"),
    "numpy at import time is reported": ({"cell.py": "import numpy as np\n"}, "imports numpy at import time"),
    "h5py in a class body is reported": (
        {"containers/h5.py": "class A:\n    import h5py\n"}, "imports h5py at import time",
    ),
    "a heavy import under try is reported": (
        {"layouts/_toml.py": "try:\n    import ml_dtypes\nexcept ImportError:\n    pass\n"}, "imports ml_dtypes at import time",
    ),
    "a long module without a reason is reported": ({"flat.py": '"""Flat."""\n' + "x = 1\n" * 401}, "flat.py: has 402 lines"),
    "a room that is not in the plan is reported": ({"utils.py": ""}, "utils: is no room of the plan"),
}  # fmt: skip

VIRTUES = {
    "downward arrows": {"cli/inspect.py": "def run():\n    from ..checkpoint import open\n", "checkpoint.py": "from .errors import E\n"},
    "heavy imports for the type checker": {"cell.py": "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import numpy as np\n"},
    "heavy imports inside functions": {"cell.py": "def f():\n    import numpy as np\n"},
    "a framework inside a function of live/": {"live/torch.py": "def f():\n    import torch\n"},
    "the shop window, which sees every room": {"__init__.py": "from .checkpoint import open\n", "__main__.py": "from .cli import main\n"},
    "a late import that closes a circle": {"containers/a.py": "from . import b\n", "containers/b.py": "def f():\n    from . import a\n"},
    "a long module with its reason": {"flat.py": '"""This file is longer than 400 lines because it is a table."""\n' + "x = 1\n" * 401},
}  # fmt: skip


def _build(folder: Path, files: dict[str, str]) -> Path:
    package = folder / "gatewise"
    for name, text in {"__init__.py": "", **files}.items():
        path = package / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return package


@pytest.mark.parametrize(("files", "reported"), SINS.values(), ids=SINS)
def test_the_twin(tmp_path: Path, files: dict[str, str], reported: str) -> None:
    found = sins(_build(tmp_path, files))
    assert any(reported in sentence for sentence in found), found
    assert len(found) == 1, "one sin, one sentence"


@pytest.mark.parametrize("files", VIRTUES.values(), ids=VIRTUES)
def test_the_plan_allows(tmp_path: Path, files: dict[str, str]) -> None:
    assert sins(_build(tmp_path, files)) == []


def test_the_tests_files_have_names_of_their_own() -> None:
    """Folders of tests are no packages, so that two files of one name are one module to pytest, which then runs nothing."""
    files = Path(__file__).parent.rglob("*.py")
    names = Counter(path.name for path in files if "fixtures" not in path.parts and path.name != "conftest.py")
    assert [name for name, count in names.items() if count > 1] == []
