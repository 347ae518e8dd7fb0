"""`python -m engine.builtin.train FOLDER`: makes Guide. See README.md beside this file."""

from __future__ import annotations

import argparse
import importlib.util
import shutil
from pathlib import Path

from engine.builtin.train import cases, check, evaluation, export, rows, tokenizer, training
from engine.builtin.train.conversations import Author
from engine.builtin.train.facts import load_facts

SEED = 20261120
EXAMINATION_SEED = 7
DRAWN = 60
"""Questions of each kind that the examination draws at random; facts are asked in full."""


def make_tokenizer(folder: Path, weights: Path | None) -> None:
    """Takes the vocabulary from where the weights come from, or learns it, unless the folder has one."""
    target = folder / "tokenizer.json"
    if weights:
        shutil.copyfile(weights / "tokenizer.json", target)
    elif not target.exists():
        tokenizer.train(list(rows.texts(Author(load_facts()), 8000, SEED))).save(str(target))


def finish(folder: Path, processes: int) -> None:
    """Exports the checkpoint, examines what was exported, and opens it with every runtime that is installed."""
    words = tokenizer.load(folder / "tokenizer.json")
    out = folder / "guide"
    model = export.export(folder / "checkpoint.pt", words, out)
    by_torch = evaluation.torch_answerer(model, words)
    has_llama = importlib.util.find_spec("llama_cpp") is not None
    answer = check.llama_cpp_answerer(out / export.GGUF, words, processes) if has_llama else by_torch
    questions = cases.examination(load_facts(), EXAMINATION_SEED, DRAWN)
    report = evaluation.examine(questions, words, answer)
    (folder / "report.md").write_text(report.table() + "\n", encoding="utf-8")
    (folder / "failures.txt").write_text(report.listing(), encoding="utf-8")
    print(report.table())
    lines = check.compare(out, words, by_torch, questions[:: len(questions) // 20][:20])
    (folder / "check.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    print("\n".join(lines))


def main() -> None:
    """All steps; or, with `--finish`, those after the training."""
    parser = argparse.ArgumentParser(prog="python -m engine.builtin.train", description=__doc__)
    parser.add_argument("folder", type=Path, help="where checkpoints and the result go")
    parser.add_argument("--minutes", type=float, default=75.0, help="how long to train, in processor time")
    parser.add_argument("--processes", type=int, default=2, help="training processes, one per core")
    parser.add_argument("--start", type=Path, help="a checkpoint to start from")
    parser.add_argument("--weights", type=Path, help="a folder as guide/hf, whose weights and vocabulary to start from")
    parser.add_argument("--begin", type=float, default=0.0, help="where in the schedule to begin, 0 to 1")
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--finish", action="store_true", help="only export and examine what was trained")
    given = parser.parse_args()
    given.folder.mkdir(parents=True, exist_ok=True)
    if not given.finish:
        make_tokenizer(given.folder, given.weights)
        training.train(
            training.Run(
                given.folder,
                given.minutes,
                given.seed,
                given.processes,
                start=given.start,
                weights=given.weights,
                begin=given.begin,
            )
        )
    finish(given.folder, given.processes)


if __name__ == "__main__":
    main()
