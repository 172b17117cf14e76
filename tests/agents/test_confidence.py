"""The heads behind the confidence of an answer: what they promise whatever they were fitted on, and the fitting."""

from __future__ import annotations

import json
import time
from pathlib import Path

import numpy as np
import pytest
from django.core.management import CommandError, call_command
from hypothesis import given
from hypothesis import strategies as st

from agents import confidence, fitting, samples
from agents.llm.base import Excerpt

RETURNS = Excerpt(
    1, "Returns", "You can return an unworn pair within 30 days. Ask Maria Lund for a label.", "", 0.8, "a", 0.3
)
TRAITS = {**fitting.CONFIDENCE_TRAITS, **fitting.ANSWERABILITY_TRAITS}
FILE = json.loads(Path(confidence.__file__).with_name("confidence.json").read_text())


def _inputs(
    answer: str, *, question: str = "How long may I return shoes?", excerpts=(RETURNS,), **rest
) -> dict[str, float]:
    values = dict.fromkeys(("cited", "unsupported", "tool_calls", "tool_errors"), 0)
    said = {**values, "escalated": False, "repeated": False, **rest}
    return confidence.inputs(question=question, answer=answer, excerpts=list(excerpts), **said)


@given(st.dictionaries(st.sampled_from(sorted(TRAITS)), st.floats(-1e300, 1e300)))
def test_confidence_is_a_probability_whatever_the_inputs_are(values):
    assert 0 <= confidence.estimate(values) <= 1


@pytest.mark.parametrize("name", sorted(fitting.CONFIDENCE_TRAITS))
def test_confidence_moves_with_each_input_in_its_direction_only(name):
    trait = fitting.CONFIDENCE_TRAITS[name]
    for others in (0.0, 0.5, 1.0):
        values = dict.fromkeys(fitting.CONFIDENCE_TRAITS, others)
        steps = [confidence.estimate({**values, name: value}) for value in np.linspace(0, trait.cap + 1, 9)]
        assert steps == sorted(steps, reverse=trait.sign < 0)


@pytest.mark.parametrize("name", sorted(fitting.ANSWERABILITY_TRAITS))
def test_answerability_moves_with_each_input_in_its_direction_only(name):
    steps = [confidence.ANSWERABILITY.probability({name: value}) for value in np.linspace(0, 2, 9)]
    assert steps == sorted(steps, reverse=fitting.ANSWERABILITY_TRAITS[name].sign < 0)


def test_an_answer_from_the_passages_is_believed_and_an_invented_one_is_not():
    told = confidence.estimate(_inputs("You can return an unworn pair within 30 days [1]."))
    invented = confidence.estimate(_inputs("Contact Gregor Hale, who refunds 85 euros of used boots after inspection."))
    assert told > 0.85 and invented < 0.15


def test_a_refusal_and_an_escalation_cost_confidence():
    told = "You can return an unworn pair within 30 days."
    assert confidence.estimate(_inputs(f"I'm not sure. {told}")) < confidence.estimate(_inputs(told))
    assert confidence.estimate(_inputs(told, escalated=True)) < confidence.estimate(_inputs(told))


def test_numbers_of_citations_and_of_list_items_are_no_facts():
    listed = _inputs("1. You can return an unworn pair [7].\n2. Ask Maria Lund for a label.")
    assert listed["unknown_facts"] == 0
    assert _inputs("Return it within 45 days and ask Olga.")["unknown_facts"] == 2


def test_what_the_visitor_said_is_not_an_invention():
    answer, before = "Your purple sandals are unworn.", "I bought purple sandals."
    assert _inputs(answer)["invention"] > _inputs(answer, history=[before])["invention"] == 0


def test_a_passage_that_stands_out_makes_a_question_answerable():
    close, crowd = RETURNS, Excerpt(1, RETURNS.title, RETURNS.text, "", RETURNS.score, "a", 0.05)
    question = "How long may I return shoes?"
    answerable = [
        confidence.coverage(question=question, excerpts=found)["answerability"] for found in ([close], [crowd], [])
    ]
    assert answerable == sorted(answerable, reverse=True) and answerable[0] > 0.5 > answerable[2]


def test_no_passages_and_no_answer_are_no_error():
    values = _inputs("", excerpts=())
    assert values["best_similarity"] == values["lead"] == values["word_support"] == 0
    assert confidence.estimate(values) < 0.5


def test_it_takes_less_than_20_ms():
    excerpts = [
        Excerpt(n, "Title", "Words of a passage that says 30 days and more. " * 20, "", 0.5, "a") for n in range(8)
    ]
    best = 1.0
    for _ in range(5):
        began = time.perf_counter()
        confidence.estimate(_inputs("You can return 30 pairs within a year, says Maria. " * 40, excerpts=excerpts))
        best = min(best, time.perf_counter() - began)
    assert best < 0.02


def test_the_committed_heads_say_what_they_are():
    assert confidence.head_version() == FILE["version"] and FILE["version"].startswith(f"{fitting.FORM}-")
    assert all(len(digest) == 64 for digest in FILE["fitted_on"].values())
    for name, traits in (("confidence", fitting.CONFIDENCE_TRAITS), ("answerability", fitting.ANSWERABILITY_TRAITS)):
        head = FILE[name]
        assert list(head["weights"]) == list(traits)
        assert sorted([*head["fitted"], *head["priors"]]) == sorted(traits)
        assert all(head["weights"][n] == traits[n].prior for n in head["priors"]), "fit it again: a prior has changed"
        assert all(weight * traits[n].sign >= 0 for n, weight in head["weights"].items())
        assert 0 < head["true"] < head["rows"] and set(head["cross_validated"]) == {"auroc", "ece", "brier"}


def test_a_weight_that_the_data_contradicts_is_nothing_and_one_it_never_varies_is_its_prior():
    random = np.random.default_rng(7)
    truth = (np.arange(200) % 3 > 0).astype(float)
    rows = [
        {"good": float(np.clip(t * 0.4 + random.random() * 0.6, 0, 1)), "wrong": t, "same": 1.0, "held": t}
        for t in truth
    ]
    traits = {
        "good": fitting.Trait(+1),
        "wrong": fitting.Trait(-1),
        "same": fitting.Trait(-1, prior=-0.7),
        "held": fitting.Trait(-1, prior=-0.5, held=True),
    }
    found = fitting.Samples(rows, truth, [str(n // 4) for n in range(200)])
    head = fitting.fit(found, traits)
    assert head.weights["good"] > 1 and head.weights["wrong"] == 0
    assert (head.weights["same"], head.weights["held"]) == (-0.7, -0.5)
    assert fitting.fitted(found, traits) == ["good", "wrong"]
    assert np.array_equal(fitting.cross_validated(found, traits), fitting.cross_validated(found, traits))


def test_figures_are_those_of_the_textbook():
    truth = np.array([0.0, 0.0, 1.0, 1.0])
    estimates = np.array([0.1, 0.6, 0.6, 0.9])
    assert fitting.auroc(estimates, truth) == pytest.approx(3.5 / 4)
    assert fitting.brier(estimates, truth) == pytest.approx((0.01 + 0.36 + 0.16 + 0.01) / 4)
    assert fitting.calibration_error(estimates, truth) == pytest.approx((0.1 + 0.6 + 0.4 + 0.1) / 4)


def test_the_same_data_gives_the_same_file_and_its_weights_serve(tmp_path):
    _write_data(tmp_path)
    for name in ("once.json", "twice.json"):
        call_command("fit_confidence", data=tmp_path, out=tmp_path / name)
    once = (tmp_path / "once.json").read_text()
    assert once == (tmp_path / "twice.json").read_text()
    written = json.loads(once)
    assert written["version"] != confidence.head_version()
    head = confidence.Head(**{key: written["confidence"][key] for key in ("intercept", "weights", "caps")})
    told, invented = (_inputs(text) for text in ("Unworn pairs within 30 days.", "Nobody knows, try Gregor in Oslo."))
    assert head.probability(told) > head.probability(invented)


def test_data_of_another_shape_is_refused_with_a_sentence(tmp_path):
    with pytest.raises(CommandError, match="Cannot read"):
        call_command("fit_confidence", data=tmp_path, out=tmp_path / "out.json")
    for name in (samples.ANSWERABILITY, samples.FAITHFULNESS):
        (tmp_path / name).write_text('{"task": 1}\n')
    with pytest.raises(CommandError, match="not the shape"):
        call_command("fit_confidence", data=tmp_path, out=tmp_path / "out.json")
    assert not (tmp_path / "out.json").exists()


def _write_data(folder: Path) -> None:
    """A dozen made-up questions: half of them have an answer, half of the answers keep to it."""
    things = "lamp kettle chair carpet mirror clock shelf heater drawer pillow blanket curtain".split()
    answers, questions = [], []
    for n, thing in enumerate(things):
        text = f"The {thing} has a guarantee of {n + 2} years and is repaired in our workshop in Malmö."
        passages = [{"id": thing, "text": text}]
        asked = [{"speaker": "user", "text": f"How long is the guarantee of the {thing}?"}]
        for right, answer in (
            (4, f"The {thing} has a guarantee of {n + 2} years."),
            (1, "Ask Boris; returns cost 99 euros."),
        ):
            answers.append(
                {
                    "task": thing,
                    "answer": answer,
                    "messages": asked,
                    "passages": passages,
                    "human": {"faithfulness": [right] * 3},
                }
            )
        questions.append(
            {"conversation": thing, "messages": asked, "passages": passages, "answerability": "ANSWERABLE"}
        )
        off = [{"speaker": "user", "text": f"Who won the {n + 1}. football match of 1974?"}]
        questions.append(
            {"conversation": f"{thing} off", "messages": off, "passages": [], "answerability": "UNANSWERABLE"}
        )
    for name, rows in ((samples.FAITHFULNESS, answers), (samples.ANSWERABILITY, questions)):
        (folder / name).write_text("".join(f"{json.dumps(row)}\n" for row in rows))
