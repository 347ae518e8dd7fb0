"""Puts the examination to a model and counts."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from tokenizers import Tokenizer

from engine.builtin.train import refusals
from engine.builtin.train.cases import Case
from engine.builtin.train.model import Guide
from engine.builtin.train.render import render
from engine.builtin.train.tokenizer import END

ROOM = 240
"""The longest answer, in tokens."""
Answerer = Callable[[list[list[int]]], list[list[int]]]
"""From prompts to greedy answers, both as token ids, without the closing mark."""
FACT_KINDS = ("keys", "words", "app", "talk")


@dataclass
class Report:
    """What came out, per kind and condition."""

    asked: Counter[tuple[str, str]] = field(default_factory=Counter)
    right: Counter[tuple[str, str]] = field(default_factory=Counter)
    false_refusals: int = 0
    failures: list[tuple[Case, str]] = field(default_factory=list)

    def share(self, kind: str) -> float:
        """The share of right answers of a kind, over all conditions."""
        asked = sum(n for (k, _), n in self.asked.items() if k == kind)
        return sum(n for (k, _), n in self.right.items() if k == kind) / asked

    def table(self) -> str:
        """Markdown: a row per kind, a column per condition."""
        kinds = list(dict.fromkeys(kind for kind, _ in self.asked))
        lines = ["| Questions | Asked | Right | Per condition |", "|---|---:|---:|---|"]
        for kind in kinds:
            parts = [
                f"{condition} {self.right[kind, condition] / n:.0%}"
                for (k, condition), n in self.asked.items()
                if k == kind
            ]
            asked = sum(n for (k, _), n in self.asked.items() if k == kind)
            lines.append(f"| {kind} | {asked} | {self.share(kind):.1%} | {', '.join(parts)} |")
        in_scope = sum(n for (kind, _), n in self.asked.items() if kind in FACT_KINDS)
        lines.append(f"\nFalse refusals: {self.false_refusals} of {in_scope} questions in scope.")
        return "\n".join(lines)

    def listing(self) -> str:
        """Every failure: the question, what was wanted and what came."""
        return "".join(
            f"{case.kind} | {case.condition} | {case.messages[-1]['content']}\n  want {case.wanted}\n  got  {text}\n"
            for case, text in self.failures
        )


def examine(cases: list[Case], tokenizer: Tokenizer, answer: Answerer) -> Report:
    """Asks every case and judges every answer."""
    report = Report()
    prompts = [tokenizer.encode(render(case.messages, case.tools, ask=True)).ids for case in cases]
    for case, ids in zip(cases, answer(prompts), strict=True):
        text = tokenizer.decode(ids, skip_special_tokens=False)
        key = (case.kind, case.condition)
        report.asked[key] += 1
        if case.right(text):
            report.right[key] += 1
        else:
            report.failures.append((case, text))
        if case.kind in FACT_KINDS and refusals.MARK in text:
            report.false_refusals += 1
    return report


def torch_answerer(model: Guide, tokenizer: Tokenizer, group: int = 48) -> Answerer:
    """Greedy answers by the training code; prompts of one length go together, so none needs padding."""
    end = tokenizer.token_to_id(END)

    def answer(prompts: list[list[int]]) -> list[list[int]]:
        by_length: defaultdict[int, list[int]] = defaultdict(list)
        for index, prompt in enumerate(prompts):
            by_length[len(prompt)].append(index)
        answers: list[list[int]] = [[] for _ in prompts]
        for indices in by_length.values():
            for at in range(0, len(indices), group):
                part = indices[at : at + group]
                for index, ids in zip(part, _greedy(model, [prompts[i] for i in part], end), strict=True):
                    answers[index] = ids
        return answers

    return answer


@torch.inference_mode()
def _greedy(model: Guide, prompts: list[list[int]], end: int) -> list[list[int]]:
    caches: list[list[torch.Tensor]] = [[] for _ in range(model.shape.layers)]
    ids, start = torch.tensor(prompts), 0
    written: list[torch.Tensor] = []
    open_rows = torch.ones(len(prompts), dtype=torch.bool)
    for _ in range(min(ROOM, model.shape.context - ids.shape[1])):
        best = model.logits(model(ids, caches, start)[:, -1]).argmax(-1)
        start += ids.shape[1]
        written.append(best)
        open_rows &= best != end
        if not open_rows.any():
            break
        ids = best[:, None]
    rows = torch.stack(written, 1).tolist()
    return [row[: row.index(end)] if end in row else row for row in rows]
