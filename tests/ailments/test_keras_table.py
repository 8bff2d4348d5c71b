"""The table of what Keras 3's layers take is what the installed Keras says."""

from __future__ import annotations

import inspect
import re

import pytest

from gatewise.ailments import _keras3_table as table

INNER = {"cell", "rank", "pool_mode", "pool_dimensions", "layers", "weights"}  # said by a class to its own base class


def accepted(cls):
    import keras

    found = set()
    for base in cls.__mro__:
        if base is keras.Layer:
            break
        if "__init__" not in base.__dict__:
            continue
        parameters = inspect.signature(base.__init__).parameters.values()
        own = {p.name for p in parameters if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)} - {"self"}
        found |= own if base is cls else own - INNER
        found |= set(re.findall(r'kwargs\.pop\(\s*"(\w+)"', inspect.getsource(base.__init__)))
        if not any(p.kind == p.VAR_KEYWORD for p in parameters):
            break
    return found - {"_"}


@pytest.mark.framework("keras")
def test_every_layer_takes_what_the_table_says():
    import keras

    if ".".join(keras.__version__.split(".")[:2]) != table.VERSION:
        pytest.skip(f"the table is of Keras {table.VERSION}, this is {keras.__version__}")
    classes = {
        name: cls for name, cls in vars(keras.layers).items() if inspect.isclass(cls) and issubclass(cls, keras.Layer)
    }
    del classes["Layer"], classes["Wrapper"]
    wrong = {name: sorted(accepted(cls) ^ (table.takes(name) - table.COMMON)) for name, cls in classes.items()}
    assert {name: names for name, names in wrong.items() if set(names) - table.COMMON} == {}
    assert set(classes) == set(table.LAYERS)


@pytest.mark.framework("keras")
def test_initializers_activations_regularizers_and_constraints_are_known_to_keras():
    import keras

    for kind in table.INITIALIZERS:
        assert getattr(keras.initializers, kind).__module__.endswith(table.INITIALIZERS[kind][0])
    for name in table.ACTIVATIONS:
        assert callable(keras.activations.get(name))
    assert all(hasattr(keras.regularizers, name) for name in table.REGULARIZERS)
    assert all(hasattr(keras.constraints, name) for name in table.CONSTRAINTS)
