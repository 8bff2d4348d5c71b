"""Errors speak of options as their reader spells them: the command line's own, or Python's arguments."""

import pytest

from gatewise.errors import UsageError, in_python

SPELLED = {
    "Name the layers to compare with --layer.": "Name the layers to compare with layer=.",
    "Say --dtype float16, or convert one --layer at a time.": 'Say dtype="float16", or convert one layer= at a time.',
    "Choose another name, or pass --force to replace it.": "Choose another name, or pass force=True to replace it.",
    "nothing tells: --from torch.GRU settles it.": 'nothing tells: layout="torch.GRU" settles it.',
    "Choose a wider --dtype, or say --no-verify.": "Choose a wider dtype=, or say verify=False.",
    "--verify full runs everything.": 'verify="full" runs everything.',
    "a keras-zip file says nothing of --batch-first.": "a keras-zip file says nothing of batch_first=True.",
    "Leave out --role and --layer-index.": "Leave out role= and layer=.",
    "say what it is with --recurrent-activation": "say what it is with recurrent_activation=",
    "a name--like this, a-b, -- and ---": "a name--like this, a-b, -- and ---",
}


@pytest.mark.parametrize("said", SPELLED)
def test_an_option_is_an_argument_in_python(said):
    assert in_python(said) == SPELLED[said]


def test_the_command_line_keeps_its_own_spelling_and_the_files_words_are_left_alone():
    error = UsageError("is off.", path="--layer.pt", where="layer --to", next="Say --layer.")
    assert str(error) == "--layer.pt: layer --to: is off. Say layer=."
    assert error.on_the_command_line() == "--layer.pt: layer --to: is off. Say --layer."
