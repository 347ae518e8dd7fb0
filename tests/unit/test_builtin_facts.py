"""The facts that the built-in model is made from are well-formed, and so are the questions around them."""

from collections import Counter

import pytest

from engine.builtin.train.facts import Fact, load_facts

FACTS = load_facts()


def test_there_are_enough_facts_and_each_has_its_own_id() -> None:
    assert len(FACTS) >= 150
    assert [id_ for id_, count in Counter(fact.id for fact in FACTS).items() if count > 1] == []
    assert {fact.kind for fact in FACTS} == {"keys", "words", "app", "talk"}


@pytest.mark.parametrize("fact", FACTS, ids=lambda fact: fact.id)
def test_a_fact_has_phrasings_to_learn_from_and_others_to_be_examined_with(fact: Fact) -> None:
    assert len(set(fact.ask)) >= 12
    assert len(set(fact.held_out)) >= 3
    learned = {question.lower() for question in fact.ask}
    assert not learned & {question.lower() for question in fact.held_out}


@pytest.mark.parametrize("fact", FACTS, ids=lambda fact: fact.id)
def test_every_answer_of_a_fact_satisfies_its_terms(fact: Fact) -> None:
    assert fact.answer
    assert len(fact.terms) >= 2
    for answer in fact.answer:
        assert fact.satisfied(answer)
        assert answer.isascii()


def test_no_question_belongs_to_two_facts() -> None:
    owners = Counter(question.lower().strip(" ?.!") for fact in FACTS for question in {*fact.ask, *fact.held_out})
    assert [question for question, count in owners.items() if count > 1] == []


def test_the_answer_of_one_fact_satisfies_no_other() -> None:
    clashes = [
        (fact.id, other.id)
        for fact in FACTS
        for other in FACTS
        if fact is not other and other.satisfied(fact.answer[0])
    ]
    assert clashes == []
