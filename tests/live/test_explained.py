"""explained(): a known error gets a note and stays itself; anything else is left alone."""

from __future__ import annotations

import sys
import types
from typing import Any

import pytest

import gatewise as gw

KNOWN = "'LSTM' object has no attribute '_flat_weights_names'"
notes_wanted = pytest.mark.skipif(sys.version_info < (3, 11), reason="notes came with Python 3.11")


def _raised(error: Exception, times: int = 1) -> Exception:
    """The exception that comes out of as many explained() around it."""
    with pytest.raises(type(error)) as caught:
        _within(error, times)
    return caught.value


def _within(error: Exception, times: int) -> None:
    with gw.explained():
        if times > 1:
            _within(error, times - 1)
        raise error


@notes_wanted
def test_a_known_error_gets_its_explanation() -> None:
    (note,) = _raised(AttributeError(KNOWN)).__notes__
    assert note.startswith("gatewise GW10")
    assert "cause: " in note
    assert "fix:   " in note
    assert "with gw.legacy_torch():" in note
    assert "gatewise explain GW10" in note


@notes_wanted
def test_it_is_explained_once_however_often_it_passes() -> None:
    assert len(_raised(AttributeError(KNOWN), times=3).__notes__) == 1


def test_it_is_the_same_exception() -> None:
    error = AttributeError(KNOWN)
    args = error.args
    assert _raised(error) is error
    assert (type(error), error.args, str(error)) == (AttributeError, args, KNOWN)


@pytest.mark.parametrize(
    "error",
    [ValueError("no such thing"), KeyError("x"), AttributeError("'Cat' object has no attribute 'dog'"), RuntimeError()],
    ids=lambda error: f"{error!r} is left alone",
)
def test_an_unknown_error_is_left_alone(error: Exception, capsys: pytest.CaptureFixture[str]) -> None:
    assert not hasattr(_raised(error), "__notes__")
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize("kind", [KeyboardInterrupt, SystemExit])
def test_leaving_is_no_error(kind: type[BaseException]) -> None:
    with pytest.raises(kind) as caught, gw.explained():
        raise kind(KNOWN)
    assert not hasattr(caught.value, "__notes__")


def test_its_own_failure_does_not_hide_the_error(monkeypatch: pytest.MonkeyPatch) -> None:
    from gatewise import symptoms

    def broken(_text: str) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(symptoms, "explain", broken)
    assert not hasattr(_raised(AttributeError(KNOWN)), "__notes__")


def test_without_notes_it_is_printed_to_standard_error(capsys: pytest.CaptureFixture[str]) -> None:
    """As on Python 3.10."""
    from gatewise.symptoms._explained import _add

    _add(types.SimpleNamespace(), "gatewise GW104: told")  # type: ignore[arg-type]
    assert capsys.readouterr() == ("", "gatewise GW104: told\n")


def test_nothing_happens_without_an_error() -> None:
    with gw.explained():
        pass


class Shell:
    """What the extension asks of IPython's InteractiveShell."""

    def __init__(self) -> None:
        self.handler: Any = None
        self.kinds: tuple[type[BaseException], ...] = ()
        self.shown: list[Any] = []

    def set_custom_exc(self, kinds: tuple[type[BaseException], ...], handler: Any) -> None:
        self.kinds, self.handler = kinds, handler

    def showtraceback(self, told: Any, tb_offset: int | None = None) -> None:
        self.shown.append((told, tb_offset))


@notes_wanted
def test_load_ext_explains_every_error_of_the_session() -> None:
    shell, error = Shell(), AttributeError(KNOWN)
    gw.load_ipython_extension(shell)
    shell.handler(shell, AttributeError, error, None, tb_offset=1)
    assert shell.kinds == (Exception,)
    assert shell.shown == [((AttributeError, error, None), 1)]
    assert "gatewise GW10" in error.__notes__[0]
    gw.unload_ipython_extension(shell)
    assert (shell.kinds, shell.handler) == ((), None)
