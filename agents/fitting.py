"""Fits the heads of agents.confidence: logistic, each weight with the sign that reason gives it, deterministic."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from agents.calibration import Numbers, auroc, brier, calibration_error
from agents.confidence import Head

# Of the heads' inputs: raise it when one of them is computed differently.
FORM = 3
# How strongly weights are held to their priors, in inputs of standard deviation 1; flat from 0.5 to 2.
RIDGE = 1.0
FOLDS = 10
REPEATS = 10
# Answers to a line of the risk table: fine enough for a threshold, coarse enough to be read.
LINE = 5
STEPS = 100


@dataclass(frozen=True, slots=True)
class Trait:
    """What is known of an input before any data: the direction it pulls in, how much, and up to where it counts.

    `held`: the weight is the prior whatever the data says, because it answers another question.
    """

    sign: int
    prior: float = 0.0
    cap: float = 1.0
    held: bool = False


# Priors are logits. Where the data never varies an input its weight is the prior.
ANSWERABILITY_TRAITS: Mapping[str, Trait] = {
    "lead": Trait(+1),
    "question_support": Trait(+1),
}
CONFIDENCE_TRAITS: Mapping[str, Trait] = {
    # People scored whether answers keep to the passages they were given. To them it does not matter whether those
    # answer the question, and a refusal is faithful; to us both do.
    "answerability": Trait(+1, prior=1.0, held=True),
    "hedged": Trait(-1, prior=-0.5, held=True),
    "pair_support": Trait(+1),
    "weak_sentences": Trait(-1),
    "invented_words": Trait(-1),
    "unknown_facts": Trait(-1, cap=6),
    # A quote that was checked is worth something, one that was made up costs more.
    "citations": Trait(+1, prior=0.2, cap=2),
    "unsupported_citations": Trait(-1, prior=-0.7, cap=3),
    "tool_errors": Trait(-1, prior=-0.4, cap=3),
    # The model's own word that it cannot.
    "escalated": Trait(-1, prior=-1.4),
    # What the visitor's behaviour says about the answers so far.
    "wants_person": Trait(-1, prior=-0.8),
    "repeated": Trait(-1, prior=-0.5),
}


@dataclass(frozen=True, slots=True)
class Samples:
    """Inputs by name, what is true (1 or 0), and the question that each belongs to, row by row."""

    inputs: Sequence[Mapping[str, float]]
    truth: Numbers
    groups: Sequence[str]

    def rows(self, chosen: NDArray[np.bool_]) -> Samples:
        numbers = np.flatnonzero(chosen).tolist()
        return Samples([self.inputs[n] for n in numbers], self.truth[numbers], [self.groups[n] for n in numbers])


def fit(samples: Samples, traits: Mapping[str, Trait]) -> Head:
    """The head of highest likelihood, its weights pulled to their priors and kept to their signs."""
    weights = {name: trait.prior for name, trait in traits.items()}
    caps = {name: trait.cap for name, trait in traits.items() if trait.cap != 1.0}
    prior = Head(0.0, weights, caps)
    free = fitted(samples, traits)
    values = _matrix(samples, prior, free)
    mean = values.mean(axis=0)
    # Every input points upwards, so that every weight is 0 or more.
    scale = values.std(axis=0) * np.array([traits[name].sign for name in free])
    held = _matrix(samples, prior, [name for name in traits if name not in free])
    offset = held @ np.array([weights[name] for name in traits if name not in free])
    intercept, found = _climb(
        (values - mean) / scale, samples.truth, offset, np.array([weights[name] for name in free]) * scale
    )
    raw = found / scale
    weights |= {name: round(float(weight), 4) for name, weight in zip(free, raw, strict=True)}
    return Head(round(float(intercept - mean @ raw), 4), weights, caps)


def fitted(samples: Samples, traits: Mapping[str, Trait]) -> list[str]:
    """The inputs whose weights the data has a say in."""
    head = Head(0.0, dict.fromkeys(traits, 0.0), {name: trait.cap for name, trait in traits.items()})
    spreads = _matrix(samples, head, list(traits)).std(axis=0)
    return [name for name, spread in zip(traits, spreads, strict=True) if spread > 1e-9 and not traits[name].held]


def document(*, answerability: Samples, faithfulness: Samples, sources: Mapping[str, object]) -> dict[str, object]:
    """What confidence.json holds: both heads with their figures; the same samples give the same document."""
    first = fit(answerability, ANSWERABILITY_TRAITS)
    heads = {
        "answerability": _described(answerability, ANSWERABILITY_TRAITS, first),
        "confidence": _described(rated(faithfulness, first), CONFIDENCE_TRAITS, with_risk=True),
    }
    digest = hashlib.sha256(json.dumps(heads, sort_keys=True).encode()).hexdigest()
    return {"version": f"{FORM}-{digest[:8]}", "fitted_on": dict(sources), "ridge": RIDGE, **heads}


def rated(samples: Samples, head: Head) -> Samples:
    """The samples with their answerability by `head`, not by the one in use."""
    inputs = [{**values, "answerability": head.probability(values)} for values in samples.inputs]
    return Samples(inputs, samples.truth, samples.groups)


def _described(
    samples: Samples, traits: Mapping[str, Trait], head: Head | None = None, *, with_risk: bool = False
) -> dict[str, object]:
    head = head or fit(samples, traits)
    by_data = fitted(samples, traits)
    estimates = cross_validated(samples, traits)
    measured = judged(estimates, samples.truth)
    return {
        "intercept": head.intercept,
        "weights": dict(head.weights),
        "caps": dict(head.caps),
        "fitted": by_data,
        "priors": {name: trait.prior for name, trait in traits.items() if name not in by_data},
        "rows": len(samples.truth),
        "true": int(samples.truth.sum()),
        "groups": len(set(samples.groups)),
        "cross_validated": {name: round(value, 4) for name, value in measured.items()},
        **({"risk": risk_table(estimates, samples.truth)} if with_risk else {}),
    }


def risk_table(estimates: Numbers, truth: Numbers) -> dict[str, list[float] | list[int]]:
    """Rows of neighbouring estimates from the lowest up: the lowest of each, its answers, and how many were wrong."""
    order = np.argsort(estimates, kind="stable")
    lines = [order[start : start + LINE] for start in range(0, len(order), LINE)]
    return {
        "estimate": [round(float(estimates[rows[0]]), 4) for rows in lines],
        "answers": [len(rows) for rows in lines],
        "wrong": [int((1 - truth[rows]).sum()) for rows in lines],
    }


def judged(estimates: Numbers, truth: Numbers) -> dict[str, float]:
    return {
        "auroc": auroc(estimates, truth),
        "ece": calibration_error(estimates, truth),
        "brier": brier(estimates, truth),
    }


def cross_validated(samples: Samples, traits: Mapping[str, Trait]) -> Numbers:
    """Each row's probability by heads that saw no row of its question, the mean over several ways to fold."""
    names = sorted(set(samples.groups))
    group = np.array([names.index(name) for name in samples.groups])
    folds = min(FOLDS, len(names))
    total = np.zeros(len(samples.truth))
    for repeat in range(REPEATS):
        fold = (np.random.default_rng(repeat).permutation(len(names)) % folds)[group]
        for held_out in range(folds):
            head = fit(samples.rows(fold != held_out), traits)
            for row in np.flatnonzero(fold == held_out).tolist():
                total[row] += head.probability(samples.inputs[row])
    return total / REPEATS


def applied(samples: Samples, head: Head) -> Numbers:
    return np.array([head.probability(values) for values in samples.inputs])


def _matrix(samples: Samples, head: Head, names: Sequence[str]) -> Numbers:
    return np.array([[head.clipped(name, values) for name in names] for values in samples.inputs], dtype=float)


def _climb(values: Numbers, truth: Numbers, offset: Numbers, priors: Numbers) -> tuple[float, Numbers]:
    """Newton's steps on the penalised log-likelihood, projected onto weights of 0 or more."""
    design = np.column_stack([np.ones(len(values)), values])
    centre, ridge = np.concatenate([[0.0], priors]), np.array([1e-6] + [RIDGE] * values.shape[1])
    found = centre.copy()
    for _ in range(STEPS):
        estimates = 1 / (1 + np.exp(-np.clip(design @ found + offset, -30, 30)))
        slope = design.T @ (estimates - truth) + ridge * (found - centre)
        curve = (design * (estimates * (1 - estimates))[:, None]).T @ design + np.diag(ridge)
        free = (found > 0) | (slope < 0)
        free[0] = True
        step = np.zeros_like(found)
        step[free] = np.linalg.solve(curve[np.ix_(free, free)], slope[free])
        following = found - np.clip(step, -2, 2)
        following[1:] = np.maximum(following[1:], 0.0)
        if np.abs(following - found).max() < 1e-9:
            break
        found = following
    return float(found[0]), found[1:]
