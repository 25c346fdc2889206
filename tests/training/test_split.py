"""People are left out whole."""

import pytest

from spinalprep.errors import UsageError
from spinalprep.training.material.people import parse_fold, parse_people, people_of_fold


def test_every_person_is_in_one_fold() -> None:
    people = [*"hgfedcba", "a"]
    folds = [people_of_fold(people, k, 3) for k in (1, 2, 3)]
    assert sorted(name for fold in folds for name in fold) == list("abcdefgh")
    assert {len(fold) for fold in folds} == {2, 3}


@pytest.mark.parametrize("word", ["0/3", "4/3", "1/1", "2", "a/b", "1/-3", ""])
def test_folds_that_are_none_are_refused(word: str) -> None:
    with pytest.raises(UsageError, match="expected K/N"):
        parse_fold(word)


def test_more_folds_than_people_are_refused() -> None:
    with pytest.raises(UsageError, match="there are 2"):
        people_of_fold(["a", "b", "a"], 1, 3)


def test_people_are_named_with_commas_or_blanks() -> None:
    assert parse_people(["a,b", " sub-c,", "a"]) == ("a", "b", "c")
