"""Opens what was exported with the runtimes that are installed, and compares them with the training code."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

from tokenizers import Tokenizer

from engine.builtin.train.cases import Case
from engine.builtin.train.evaluation import ROOM, Answerer
from engine.builtin.train.export import GGUF
from engine.builtin.train.render import render
from engine.builtin.train.tokenizer import END

STRINGS = (
    "Hello, world!",
    "how do I  switch\tthe model?\n\nnow",
    "llama.cpp 0.5b Q4_K_M 12345 3.14",
    "Grüße, naïve café — “quoted” … 日本語 🙂",
    '<|im_start|>user\nhi<|im_end|>\n<|im_start|>assistant\n<tool_call>\n{"name": "a"}\n</tool_call><|im_end|>',
    "it's we'll DON'T I'M they've",
    "   leading and trailing   ",
    "http://127.0.0.1:8080/v1 ~/models --serve",
)


def llama_cpp_answerer(gguf_file: Path, tokenizer: Tokenizer, processes: int = 1) -> Answerer:
    """Greedy answers by llama.cpp from the shipped file."""
    end = tokenizer.token_to_id(END)

    def answer(prompts: list[list[int]]) -> list[list[int]]:
        order = sorted(range(len(prompts)), key=prompts.__getitem__)  # what neighbours share is computed once
        size = -(-len(order) // processes)
        parts = [order[at : at + size] for at in range(0, len(order), size)]
        with ProcessPoolExecutor(processes, get_context("spawn")) as pool:
            work = [pool.submit(_llama_cpp, gguf_file, [prompts[index] for index in part], end) for part in parts]
            answers = [written for future in work for written in future.result()]
        return [written for _, written in sorted(zip(order, answers, strict=True))]

    return answer


def _llama_cpp(gguf_file: Path, prompts: list[list[int]], end: int) -> list[list[int]]:
    from llama_cpp import Llama  # noqa: PLC0415 - only where it is installed

    llama = Llama(str(gguf_file), n_ctx=2048, n_threads=1, n_threads_batch=1, verbose=False)
    return [_until(llama.generate(prompt, temp=0.0), end) for prompt in prompts]


def _until(tokens: Iterable[int], end: int) -> list[int]:
    written: list[int] = []
    for token in tokens:
        if token == end or len(written) == ROOM:
            break
        written.append(token)
    return written


def same_tokens(gguf_file: Path, tokenizer: Tokenizer, texts: Sequence[str]) -> list[str]:
    """The texts that llama.cpp cuts into other tokens than the Hugging Face tokenizer does."""
    from llama_cpp import Llama  # noqa: PLC0415

    llama = Llama(str(gguf_file), vocab_only=True, verbose=False)
    return [
        text
        for text in (*STRINGS, *texts)
        if llama.tokenize(text.encode(), add_bos=False, special=True) != tokenizer.encode(text).ids
    ]


def openvino_answers(gguf_file: Path, prompts: Sequence[str]) -> list[str]:
    """Greedy answers by OpenVINO GenAI from the GGUF."""
    import openvino_genai  # noqa: PLC0415

    pipeline = openvino_genai.LLMPipeline(str(gguf_file), "CPU")
    settings = openvino_genai.GenerationConfig(max_new_tokens=ROOM, do_sample=False, apply_chat_template=False)
    return [str(pipeline.generate(prompt, settings)) for prompt in prompts]


def mlx_answers(folder: Path, prompts: Sequence[str]) -> list[str]:
    """Greedy answers by mlx-lm from the Hugging Face folder."""
    import mlx_lm  # noqa: PLC0415

    model, words = mlx_lm.load(str(folder))
    return [mlx_lm.generate(model, words, prompt, max_tokens=ROOM) for prompt in prompts]


def compare(folder: Path, tokenizer: Tokenizer, reference: Answerer, cases: Sequence[Case]) -> list[str]:
    """One line for each installed runtime: how many of its answers are those of the training code."""
    prompts = [render(case.messages, case.tools, ask=True) for case in cases]
    ids = [tokenizer.encode(prompt).ids for prompt in prompts]
    wanted = [tokenizer.decode(answer, skip_special_tokens=False).strip() for answer in reference(ids)]
    gguf_file, lines = folder / GGUF, []
    if importlib.util.find_spec("llama_cpp"):
        written = llama_cpp_answerer(gguf_file, tokenizer)(ids)
        lines.append(_line("llama.cpp", [tokenizer.decode(a, skip_special_tokens=False) for a in written], wanted))
        lines.append(f"llama.cpp: {len(same_tokens(gguf_file, tokenizer, prompts))} texts tokenized otherwise")
    if importlib.util.find_spec("openvino_genai"):
        lines.append(_line("OpenVINO", openvino_answers(gguf_file, prompts), wanted))
    if importlib.util.find_spec("mlx_lm"):
        lines.append(_line("MLX", mlx_answers(folder / "hf", prompts), wanted))
    return lines


def _line(runtime: str, answers: list[str], wanted: list[str]) -> str:
    same = sum(a.strip() == w for a, w in zip(answers, wanted, strict=True))
    return f"{runtime}: {same} of {len(wanted)} answers as in training"
