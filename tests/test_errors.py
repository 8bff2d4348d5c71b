"""Errors speak of options as their reader spells them: the command line's own, or Python's arguments."""

import pytest

from gatewise.errors import UsageError, few, in_python, instead

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


def test_a_sentence_names_a_few_things_and_how_many_more_there_are():
    assert few("abc") == "a, b, c"
    assert few(range(8)) == "0, 1, 2, 3, 4, 5, 6, 7"
    assert few(range(1009)) == "0, 1, 2, 3, 4, 5, 6, 7 and 1,001 more"
    assert few(range(4), most=3) == "0, 1, 2 and 1 more"
    assert few([]) == ""


def test_in_place_of_a_name_that_is_not_known_the_nearest_is_named_or_the_few_or_who_lists_them():
    many = [f"layout{number}" for number in range(40)]
    assert instead("lstn", ["lstm", "gru"]) == "Did you mean lstm?"
    assert instead("xyz", ["lstm", "gru"], "They are") == "They are: lstm, gru."
    assert instead("xyz", many, all="`gatewise layouts`") == "`gatewise layouts` lists them all."
    assert instead("xyz", many).endswith("and 32 more.")
