"""From a checkpoint to the files that ship: a Hugging Face folder (F16) and a GGUF (Q8_0)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import torch
from safetensors.torch import save_file
from tokenizers import Tokenizer
from torch import Tensor

from engine.builtin.train import tokenizer as vocabulary
from engine.builtin.train.model import Guide, Shape
from engine.builtin.train.render import TEMPLATE

GGUF = "guide-Q8_0.gguf"
DESCRIPTION = "A very small guide to Footplate, trained from scratch on the project's own text."
TEMPERATURE = 0.0
"""What serves the model best: it knows one answer to a question."""
_GGUF_NAMES = {
    "input_layernorm": "attn_norm",
    "post_attention_layernorm": "ffn_norm",
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
}


def load(checkpoint: Path) -> Guide:
    """The model of a checkpoint, its weights rounded to F16 as they will ship."""
    state = torch.load(checkpoint, weights_only=False)
    model = Guide(Shape(**state["shape"]))
    model.load_state_dict({name: tensor.half().float() for name, tensor in state["model"].items()})
    return model.eval()


def write_hugging_face(model: Guide, words: Tokenizer, folder: Path) -> None:
    """The folder that transformers and mlx-lm open."""
    folder.mkdir(parents=True, exist_ok=True)
    tensors = {f"model.{name}": tensor.half().contiguous() for name, tensor in model.state_dict().items()}
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    (folder / "model.safetensors").chmod(0o644)
    words.save(str(folder / "tokenizer.json"))
    (folder / "chat_template.jinja").write_text(TEMPLATE + "\n", encoding="utf-8")
    end, pad = (words.token_to_id(token) for token in (vocabulary.END, vocabulary.PAD))
    _write_json(folder / "config.json", _config(model.shape, end, pad))
    sampling = {"do_sample": False, "temperature": TEMPERATURE}
    _write_json(folder / "generation_config.json", sampling | {"eos_token_id": [end, pad], "pad_token_id": pad})
    _write_json(folder / "tokenizer_config.json", _tokenizer_config(model.shape, words))


def _config(shape: Shape, end: int, pad: int) -> dict[str, Any]:
    return {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "vocab_size": shape.vocabulary,
        "hidden_size": shape.width,
        "intermediate_size": shape.ffn,
        "num_hidden_layers": shape.layers,
        "num_attention_heads": shape.heads,
        "num_key_value_heads": shape.kv_heads,
        "head_dim": shape.head_dim,
        "max_position_embeddings": shape.context,
        "rope_theta": shape.rope_theta,
        "rms_norm_eps": shape.norm_eps,
        "hidden_act": "silu",
        "attention_bias": False,
        "mlp_bias": False,
        "tie_word_embeddings": True,
        "bos_token_id": None,
        "eos_token_id": end,
        "pad_token_id": pad,
        "torch_dtype": "float16",
    }


def _tokenizer_config(shape: Shape, words: Tokenizer) -> dict[str, Any]:
    added = {
        str(words.token_to_id(token)): {
            "content": token,
            "lstrip": False,
            "normalized": False,
            "rstrip": False,
            "single_word": False,
            "special": token in vocabulary.CONTROL,
        }
        for token in (*vocabulary.CONTROL, *vocabulary.PRINTED)
    }
    return {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "added_tokens_decoder": added,
        "bos_token": None,
        "eos_token": vocabulary.END,
        "pad_token": vocabulary.PAD,
        "unk_token": None,
        "add_bos_token": False,
        "clean_up_tokenization_spaces": False,
        "model_max_length": shape.context,
        "chat_template": TEMPLATE,
    }


def _write_json(path: Path, value: dict[str, Any]) -> None:
    path.write_text(json.dumps(value, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def write_gguf(model: Guide, words: Tokenizer, path: Path) -> None:
    """The file that llama.cpp and OpenVINO open: matrices in Q8_0, norms in F32."""
    path.parent.mkdir(parents=True, exist_ok=True)
    writer = gguf.GGUFWriter(path, "llama")
    _write_facts(writer, model.shape)
    _write_vocabulary(writer, words)
    for name, tensor in model.state_dict().items():
        _write_tensor(writer, _gguf_name(name), _for_llama_cpp(name, tensor, model.shape))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def _write_facts(writer: gguf.GGUFWriter, shape: Shape) -> None:
    writer.add_type("model")
    writer.add_name("Guide")
    writer.add_basename("Guide")
    writer.add_organization("Footplate")
    writer.add_size_label("5M")
    writer.add_license("apache-2.0")
    writer.add_description(DESCRIPTION)
    writer.add_languages(["en"])
    writer.add_context_length(shape.context)
    writer.add_embedding_length(shape.width)
    writer.add_block_count(shape.layers)
    writer.add_feed_forward_length(shape.ffn)
    writer.add_head_count(shape.heads)
    writer.add_head_count_kv(shape.kv_heads)
    writer.add_key_length(shape.head_dim)
    writer.add_value_length(shape.head_dim)
    writer.add_rope_dimension_count(shape.head_dim)
    writer.add_rope_freq_base(shape.rope_theta)
    writer.add_layer_norm_rms_eps(shape.norm_eps)
    writer.add_vocab_size(shape.vocabulary)
    writer.add_sampling_temp(TEMPERATURE)
    writer.add_file_type(gguf.LlamaFileType.MOSTLY_Q8_0)
    writer.add_quantization_version(gguf.GGML_QUANT_VERSION)


def _write_vocabulary(writer: gguf.GGUFWriter, words: Tokenizer) -> None:
    model = json.loads(words.to_str())["model"]
    tokens = [words.id_to_token(index) for index in range(words.get_vocab_size())]
    kinds = dict.fromkeys(vocabulary.CONTROL, gguf.TokenType.CONTROL)
    kinds |= dict.fromkeys(vocabulary.PRINTED, gguf.TokenType.USER_DEFINED)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("qwen2")
    writer.add_token_list(tokens)
    writer.add_token_types([kinds.get(token, gguf.TokenType.NORMAL) for token in tokens])
    writer.add_token_merges([" ".join(merge) for merge in model["merges"]])
    writer.add_eos_token_id(words.token_to_id(vocabulary.END))
    writer.add_pad_token_id(words.token_to_id(vocabulary.PAD))
    writer.add_add_bos_token(False)
    writer.add_chat_template(TEMPLATE)


def _gguf_name(name: str) -> str:
    if name == "embed_tokens.weight":
        return "token_embd.weight"
    if name == "norm.weight":
        return "output_norm.weight"
    _, layer, part = name.removesuffix(".weight").split(".", 2)
    return f"blk.{layer}.{_GGUF_NAMES[part]}.weight"


def _for_llama_cpp(name: str, tensor: Tensor, shape: Shape) -> Tensor:
    """llama.cpp turns neighbouring pairs of a head, where Hugging Face's layout turns its two halves."""
    heads = {"q_proj": shape.heads, "k_proj": shape.kv_heads}.get(name.split(".")[-2])
    if heads is None:
        return tensor
    rows, width = tensor.shape
    return tensor.view(heads, 2, rows // heads // 2, width).transpose(1, 2).reshape(rows, width)


def _write_tensor(writer: gguf.GGUFWriter, name: str, tensor: Tensor) -> None:
    values = tensor.float().numpy()
    if values.ndim == 1:
        writer.add_tensor(name, values)
        return
    kind = gguf.GGMLQuantizationType.Q8_0
    writer.add_tensor(name, np.ascontiguousarray(gguf.quants.quantize(values, kind)), raw_dtype=kind)


def export(checkpoint: Path, words: Tokenizer, folder: Path) -> Guide:
    """Both forms under `folder`, in the layout of `engine/builtin/guide`; returns the model as shipped in F16."""
    model = load(checkpoint)
    write_hugging_face(model, words, folder / "hf")
    write_gguf(model, words, folder / GGUF)
    return model
