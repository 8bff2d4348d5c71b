"""``legacy_torch()``: while it is open, torch rebuilds the modules that older versions of it pickled.

How: unpickling a module ends in ``torch.nn.Module.__setstate__``, for every class of torch.nn and for most of the user's.
While open, what the state lacks for the running torch is added to a copy of it on the way in; and classes that are gone
can be looked up.  Nothing else of torch is touched, and ``torch.load`` and its arguments not at all.

Keeps to Python 3.7 and imports only the standard library and its table: ``make old-torch`` runs this very file under the
Pythons of torch 1.4 and later.  torch is imported when the context is entered, not before.
"""

from __future__ import annotations

import contextlib
import functools
import importlib
import inspect
import pickle
import threading
import warnings
from collections.abc import Iterator
from types import TracebackType
from typing import Any

from ..containers._torch_state import GONE, lacks

HINT = (
    "gatewise: this file holds whole objects, which weights_only=True (the default since torch 2.6) refuses. If you trust where"
    " it comes from, pass weights_only=False: gatewise leaves that choice to you. If you do not, `gatewise repair FILE -o OUT"
    " --as state-dict` takes the weights out without running anything that is in it."
)


class _Patch:
    """What is changed in torch, how often it was asked for, and the lock that both are changed under."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.depth = 0
        self.undo = contextlib.ExitStack()

    def enter(self) -> None:
        with self.lock:
            if not self.depth:
                with contextlib.ExitStack() as done:  # an error on the way undoes what was done
                    self._setstate(done)
                    self._gone(done)
                    self.undo = done.pop_all()
            self.depth += 1

    def leave(self) -> None:
        with self.lock:
            self.depth -= 1
            if not self.depth:
                self.undo.close()

    def _setstate(self, done: contextlib.ExitStack) -> None:
        from torch import nn

        for owner in (
            nn.Module,
            nn.Upsample,
        ):  # Upsample guesses before it hands the state on, and wrongly for 1.6 to 1.10
            if "__setstate__" in vars(owner):
                _patch(owner, done)

    def _gone(self, done: contextlib.ExitStack) -> None:
        for (where, name), instead in GONE.items():
            home = importlib.import_module(where)
            if not hasattr(home, name):
                stand_in = next(getattr(home, other) for other in instead if hasattr(home, other))
                setattr(home, name, stand_in)
                done.callback(_take_away, home, name, stand_in)


PATCH = _Patch()


def _patch(owner: Any, done: contextlib.ExitStack) -> None:
    original = owner.__setstate__

    @functools.wraps(original)
    def setstate(self: Any, state: Any) -> None:
        # Open or not is asked at every call: who took hold of this function while it was open (a wrapper of another
        # library's, say) gets torch's own behaviour from it afterwards.
        original(self, completed(self, state) if PATCH.depth else state)

    owner.__setstate__ = setstate
    done.callback(_put_back, owner, "__setstate__", setstate, original)


def _put_back(owner: Any, name: str, ours: object, original: object) -> None:
    if vars(owner).get(name) is ours:  # else another has wrapped it meanwhile: theirs stays, and ours passes through
        setattr(owner, name, original)


def _take_away(owner: Any, name: str, ours: object) -> None:
    if vars(owner).get(name) is ours:
        delattr(owner, name)


def completed(module: Any, state: Any) -> Any:
    """The state with what it lacks; the state itself when it lacks nothing, as a healthy one does."""
    missing = lacking(type(module), state) if isinstance(state, dict) else {}
    if not missing:
        return state
    whole = {**state, **missing}  # a copy: copy.copy() hands over the original's own dictionary
    whole.pop("all_weights", None)  # a property since 0.2
    return whole


def lacking(kind: type, state: dict[str, Any]) -> dict[str, Any]:
    """What the state of a module of this class lacks for the torch that is running: attributes to set, with their values.

    Only what the running classes speak of, and not what the class answers itself: an attribute would not be seen.
    """
    missing = lacks(torch_classes(kind), state)
    return {name: value for name, value in missing.items() if name in words_of(kind) and not hasattr(kind, name)}


def torch_classes(kind: type) -> Iterator[str]:
    """The names of the torch.nn classes that a class is made of, itself first."""
    return (base.__name__ for base in _bases(kind))


def _bases(kind: type) -> Iterator[type]:
    return (base for base in kind.__mro__ if base.__module__.startswith("torch.nn.modules."))


@functools.lru_cache(maxsize=None)  # noqa: UP033  (Python 3.7)
def words_of(kind: type) -> frozenset[str]:
    """Every name and text in the code of the torch.nn classes that a class is made of."""
    words: set[str] = set()
    for base in _bases(kind):
        for value in vars(base).values():
            function = getattr(value, "fget", None) or getattr(value, "__func__", value)
            words.update(_words(getattr(inspect.unwrap(function), "__code__", None)))
    return frozenset(words)


def _words(code: Any) -> Iterator[str]:
    if code is not None:
        yield from code.co_names
        for constant in code.co_consts:
            if isinstance(constant, str):
                yield constant
            elif isinstance(constant, type(code)):  # a function within it
                yield from _words(constant)


class legacy_torch(contextlib.ContextDecorator):  # noqa: N801  (a context manager is called like a function)
    """Open whole-module pickles of old torch versions, wherever ``torch.load`` is called.

        with gw.legacy_torch():
            model = torch.load("model.pt", weights_only=False)
            learner = fastai.load_learner(folder)           # … or deep inside a library

    For LSTM, GRU and RNN modules of torch 0.2 to 1.7 ("object has no attribute '_flat_weights'", "'_flat_weights_names'",
    "'proj_size'"), and for other torch.nn classes whose old pickles break today: MultiheadAttention and Transformer layers,
    GELU, CrossEntropyLoss, EmbeddingBag and more.  The loaded model is an ordinary one; it needs nothing afterwards.

    Works with every torch from 1.4 on.  May be nested, entered again, used as a decorator, and entered by several threads;
    torch is as it was when the last one leaves, also after an exception.  While it is open it is open for the whole
    process: other threads load old files too.  Modules that lack nothing are loaded exactly as without it.

    Safety is the caller's, as ever: ``weights_only`` stays what is passed.  Since torch 2.6 the default refuses whole
    modules; pass ``weights_only=False`` for a file that you trust, since such a file can run code when it is loaded.
    ``gatewise repair`` opens it without running anything.
    """

    def __enter__(self) -> legacy_torch:
        PATCH.enter()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        PATCH.leave()
        if isinstance(error, pickle.UnpicklingError) and "weights" in str(error).lower():
            _tell(error, HINT)


def _tell(error: BaseException, text: str) -> None:
    if hasattr(error, "add_note"):  # Python 3.11
        error.add_note(text)
    else:
        warnings.warn(text, stacklevel=3)
