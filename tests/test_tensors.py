"""The waist's own words: which names lie under a path."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from gatewise.tensors import StoredTensor, Tensors


def named(*names: str) -> Tensors:
    return Tensors([StoredTensor(name, "float32", (), lambda: None) for name in names])


@given(names=st.lists(st.text("ab._/-\uffff\U0001f40d", max_size=6), unique=True), path=st.text("ab._/-", max_size=4))
def test_under_a_path_is_what_goes_on_behind_a_mark_in_the_file_s_order(names: list[str], path: str) -> None:
    marks = ("", ".", "/", "_")
    below = [name for name in names if not path or (name.startswith(path) and name[len(path) :][:1] in marks)]
    assert named(*names).below(path) == below


def test_a_path_s_neighbours_are_not_under_it() -> None:
    tensors = named("rnn.10.w", "rnn.1.w", "rnn.1", "rnn.1/v", "rnn.1_b", "rnn.1-c", "rnn")
    assert tensors.below("rnn.1") == ["rnn.1.w", "rnn.1", "rnn.1/v", "rnn.1_b"]
    assert tensors.below("nowhere") == []
