"""jieba itself, without the cache that it writes into a folder of the machine."""

import functools
from typing import Any

import jieba

__all__ = ["cut_by_jieba", "load_jieba"]


@functools.cache
def load_jieba() -> Any:  # jieba is untyped
    tokenizer = jieba.Tokenizer()
    tokenizer.FREQ, tokenizer.total = tokenizer.gen_pfdict(tokenizer.get_dict_file())
    tokenizer.initialized = True
    return tokenizer


def cut_by_jieba(text: str) -> list[str]:
    return list(load_jieba().cut(text, HMM=False))
