"""Make two small random models, packaged as Qwen3-Embedding and Qwen3-Reranker are; runs in vLLM's environment.

    python tiny_models.py FOLDER     makes FOLDER/Qwen3-Embedding-tiny and FOLDER/Qwen3-Reranker-tiny

Random weights tell nothing about meaning, but the way through the server is the true one: the tokenizer ends each text
with the end token, the vector is the last token's, dimensions are cut and normalised again.
"""

import json
import sys
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors
from transformers import PreTrainedTokenizerFast, Qwen3Config, Qwen3ForCausalLM

END = "<|endoftext|>"
SPECIAL = (END, "<|im_start|>", "<|im_end|>")
QUERY_PROMPT = (
    "Instruct: Given a web search query, retrieve relevant passages that answer the query\nQuery:"  # the model card's
)


def main() -> None:
    """Make both models in the folder that the command line names."""
    folder = Path(sys.argv[1])
    embedding, reranker = folder / "Qwen3-Embedding-tiny", folder / "Qwen3-Reranker-tiny"
    _save(embedding, _tokenizer(ends_texts=True))
    _write(
        embedding / "modules.json",
        [
            {"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.models.Transformer"},
            {"idx": 1, "name": "1", "path": "1_Pooling", "type": "sentence_transformers.models.Pooling"},
            {"idx": 2, "name": "2", "path": "2_Normalize", "type": "sentence_transformers.models.Normalize"},
        ],
    )
    _write(
        embedding / "1_Pooling" / "config.json",
        {"word_embedding_dimension": 128, "pooling_mode_lasttoken": True, "include_prompt": True},
    )
    _write(
        embedding / "config_sentence_transformers.json",
        {"prompts": {"query": QUERY_PROMPT, "document": ""}, "similarity_fn_name": "cosine"},
    )
    _save(reranker, _tokenizer(ends_texts=False))


def _tokenizer(*, ends_texts: bool) -> PreTrainedTokenizerFast:
    """Return a tokenizer of bytes; "yes" and "no" are tokens of their own, which a reranker is asked to choose from."""
    vocabulary = {letter: number for number, letter in enumerate(sorted(pre_tokenizers.ByteLevel.alphabet()))}
    merges = [("y", "e"), ("ye", "s"), ("n", "o")]
    for first, second in merges:
        vocabulary[first + second] = len(vocabulary)
    tokenizer = Tokenizer(models.BPE(vocabulary, merges))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens(list(SPECIAL))
    if ends_texts:
        end = (END, tokenizer.token_to_id(END))
        tokenizer.post_processor = processors.TemplateProcessing(single=f"$A {END}", special_tokens=[end])
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token=END, pad_token=END)


def _save(folder: Path, tokenizer: PreTrainedTokenizerFast) -> None:
    torch.manual_seed(20)
    config = Qwen3Config(
        vocab_size=len(tokenizer),
        hidden_size=128,
        intermediate_size=256,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        head_dim=64,  # of the least that attention on a processor knows
        max_position_embeddings=4096,
        tie_word_embeddings=True,
        # Wider than the default, or all vectors of a random model would be alike.
        initializer_range=0.3,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
        bos_token_id=None,
    )
    Qwen3ForCausalLM(config).to(torch.float32).save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def _write(path: Path, content: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content, indent=1))


if __name__ == "__main__":
    main()
