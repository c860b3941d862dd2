#===- kinds.py - Small tokenizers of every kind ---------------------------===#
#
# Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#
#===----------------------------------------------------------------------===#
#
# Trains a tokenizer of each kind on the sentences of strings.py, and writes
# variants of it that between them use every component.
#
#===----------------------------------------------------------------------===#

import json
import os
import random

from tokenizers import (AddedToken, Regex, Tokenizer, decoders, models, normalizers,
                        pre_tokenizers, processors, trainers)

import strings

LLAMA3 = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}"
          r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+")
QWEN2 = LLAMA3.replace("{1,3}", "")
QWEN35 = QWEN2.replace(r"?\p{L}+", r"?[\p{L}\p{M}]+").replace(
    r"[^\s\p{L}\p{N}]", r"[^\s\p{L}\p{M}\p{N}]")
CL100K = (r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}++|\p{N}{1,3}+"
          r"| ?[^\s\p{L}\p{N}]++[\r\n]*+|\s++$|\s*[\r\n]|\s+(?!\S)|\s")
O200K = (r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+"
         r"(?i:'s|'t|'re|'ve|'m|'ll|'d)?|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+"
         r"[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|\p{N}{1,3}"
         r"| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+")
TEKKEN = O200K.replace("(?i:'s|'t|'re|'ve|'m|'ll|'d)?", "").replace("{1,3}", "")
KIMI = (r"[\p{Han}]+|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}&&[^\p{Han}]]*"
        r"[\p{Ll}\p{Lm}\p{Lo}\p{M}&&[^\p{Han}]]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|\p{N}{1,3}"
        r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+")
DEEPSEEK = [r"\p{N}{1,3}", "[一-龥぀-ゟ゠-ヿ]+",
            r"""[!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?"""
            r"[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"]
ODDITIES = (r"\h{2,}|[[:alpha:]&&[^aeiou]]{,3}+|\w+?\b|(?<num>[\d٠-٩]+)|(?i)straße|\u00e9"
            r"|[^\P{Lu}x]+|[a-c[x-z]]+|$|(?m:.)")

BYTE_TOKENS = [f"<0x{byte:02X}>" for byte in range(256)]


def corpus():
    """The sentences, many times over in random order and in parts."""
    rng = random.Random(7)
    known = strings.sentences()
    lines = list(known)
    for _ in range(3000):
        text = rng.choice(known)
        words = text.split(" ")
        rng.shuffle(words)
        lines.append(" ".join(words[:rng.randint(1, len(words))]))
    return lines


def added_tokens(tokenizer):
    """Added tokens with every option, most of which strings.SPECIAL has."""
    tokenizer.add_special_tokens([
        AddedToken("<|endoftext|>", special=True, normalized=False),
        AddedToken("<mask>", special=True, normalized=False, lstrip=True),
        AddedToken("<start_of_turn>", special=True, normalized=False, rstrip=True)])
    tokenizer.add_tokens([
        AddedToken("added", single_word=True), AddedToken("<Ünï>", normalized=True),
        AddedToken("lstrip", lstrip=True, normalized=False),
        AddedToken("rstrip", rstrip=True, normalized=True),
        AddedToken(" word ", normalized=False), AddedToken("🏳️‍🌈", normalized=True)])
    return tokenizer


def byte_level_bpe(pre_tokenizer, normalizer=None, **options):
    tokenizer = Tokenizer(models.BPE(**options))
    if normalizer:
        tokenizer.normalizer = normalizer
    tokenizer.pre_tokenizer = pre_tokenizer
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(vocab_size=1500, show_progress=False,
                                  initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
                                  special_tokens=["<s>", "</s>"])
    tokenizer.train_from_iterator(corpus(), trainer)
    return tokenizer


def split_byte_level(patterns, behavior="isolated", invert=False):
    splits = [pre_tokenizers.Split(Regex(pattern), behavior, invert) for pattern in patterns]
    last = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    return pre_tokenizers.Sequence([*splits, last])


def gpt2():
    tokenizer = byte_level_bpe(pre_tokenizers.ByteLevel(add_prefix_space=False))
    tokenizer.post_processor = processors.ByteLevel(trim_offsets=False)
    return added_tokens(tokenizer)


def roberta():
    tokenizer = byte_level_bpe(pre_tokenizers.ByteLevel(add_prefix_space=True))
    tokenizer.post_processor = processors.RobertaProcessing(("</s>", 1), ("<s>", 0))
    return added_tokens(tokenizer)


def llama3():
    tokenizer = byte_level_bpe(split_byte_level([LLAMA3]), ignore_merges=True)
    tokenizer.post_processor = processors.Sequence([
        processors.ByteLevel(trim_offsets=False),
        processors.TemplateProcessing(single="<s> $A", pair="<s> $A <s> $B",
                                      special_tokens=[("<s>", 0)])])
    return added_tokens(tokenizer)


def qwen2():
    return byte_level_bpe(split_byte_level([QWEN2]), normalizers.NFC())


def cl100k():
    return byte_level_bpe(split_byte_level([CL100K]))


def o200k():
    return byte_level_bpe(split_byte_level([O200K]))


def kimi():
    return byte_level_bpe(split_byte_level([KIMI]))


def deepseek():
    return byte_level_bpe(split_byte_level(DEEPSEEK))


def odd_patterns():
    return byte_level_bpe(split_byte_level([ODDITIES]))


def inverted():
    return byte_level_bpe(split_byte_level([r"\w+|[^\w\s]+"], "removed", True))


def normalized_bytes():
    """Bytes written as letters by the normalizer, as ModernBERT-like files do."""
    tokenizer = byte_level_bpe(
        pre_tokenizers.Split(Regex(r"Ġ?[a-zA-Z]+|."), "isolated"),
        normalizers.Sequence([normalizers.NFKC(), normalizers.ByteLevel()]))
    return added_tokens(tokenizer)


def byte_fallback_bpe(normalizer, pre_tokenizer, decoder, **options):
    """SentencePiece's BPE as tokenizer.json has it."""
    tokenizer = Tokenizer(models.BPE(unk_token="<unk>"))
    tokenizer.normalizer = normalizer
    if pre_tokenizer:
        tokenizer.pre_tokenizer = pre_tokenizer
    ascii_only = [line for line in corpus() if line.isascii()]
    trainer = trainers.BpeTrainer(
        vocab_size=1200, show_progress=False,
        special_tokens=["<pad>", "<eos>", "<bos>", "<unk>", *BYTE_TOKENS])
    tokenizer.train_from_iterator(ascii_only, trainer)
    # Byte tokens belong to the vocabulary, but are not added tokens.
    state = json.loads(tokenizer.to_str())
    state["added_tokens"] = state["added_tokens"][:4]
    state["model"].update(byte_fallback=True, fuse_unk=True, **options)
    tokenizer = Tokenizer.from_str(json.dumps(state))
    tokenizer.decoder = decoder
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<bos> $A", pair="<bos> $A $B", special_tokens=[("<bos>", 2)])
    return tokenizer


def gemma():
    return byte_fallback_bpe(
        normalizers.Replace(" ", "▁"),
        pre_tokenizers.Split(" ", "merged_with_previous"),
        decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(),
                           decoders.Fuse()]))


def llama2():
    tokenizer = byte_fallback_bpe(
        normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")]), None,
        decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(),
                           decoders.Fuse(), decoders.Strip(" ", 1, 0)]))
    return added_tokens(tokenizer)


def mistral():
    return added_tokens(byte_fallback_bpe(
        normalizers.Sequence([]),
        pre_tokenizers.Metaspace(prepend_scheme="first", split=False),
        decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(),
                           decoders.Fuse(), decoders.Strip(" ", 1, 1)])))


def first_metaspace():
    """What `first` means after normalizers that change the start of the text."""
    return added_tokens(byte_fallback_bpe(
        normalizers.Sequence([normalizers.Strip(left=True, right=False),
                              normalizers.NFKD(), normalizers.Replace("the", "THE"),
                              normalizers.Replace(Regex(r"\s+"), " "),
                              normalizers.StripAccents()]),
        pre_tokenizers.Sequence([pre_tokenizers.Digits(individual_digits=True),
                                 pre_tokenizers.Metaspace(prepend_scheme="first")]),
        decoders.Metaspace(prepend_scheme="first")))


def plain_bpe():
    """Neither bytes nor fallback: unknown characters, prefixes and suffixes."""
    tokenizer = Tokenizer(models.BPE(unk_token="[UNK]", continuing_subword_prefix="##",
                                     end_of_word_suffix="</w>"))
    tokenizer.normalizer = normalizers.Sequence([normalizers.NFKC(), normalizers.Lowercase()])
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.decoder = decoders.BPEDecoder()
    trainer = trainers.BpeTrainer(vocab_size=900, show_progress=False, special_tokens=["[UNK]"],
                                  continuing_subword_prefix="##", end_of_word_suffix="</w>")
    tokenizer.train_from_iterator([line for line in corpus() if line.isascii()], trainer)
    return added_tokens(tokenizer)


def fused_unknown():
    tokenizer = Tokenizer(models.BPE(unk_token="[UNK]", fuse_unk=True))
    tokenizer.normalizer = normalizers.Nmt()
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([
        pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Punctuation("contiguous"),
        pre_tokenizers.Digits(), pre_tokenizers.FixedLength(7)])
    trainer = trainers.BpeTrainer(vocab_size=700, show_progress=False,
                                  special_tokens=["[UNK]"])
    tokenizer.train_from_iterator([line for line in corpus() if line.isascii()], trainer)
    return tokenizer


def wordpiece(normalizer, pre_tokenizer, cleanup):
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.normalizer = normalizer
    tokenizer.pre_tokenizer = pre_tokenizer
    tokenizer.decoder = decoders.WordPiece(cleanup=cleanup)
    trainer = trainers.WordPieceTrainer(
        vocab_size=1500, show_progress=False,
        special_tokens=["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"])
    tokenizer.train_from_iterator(corpus(), trainer)
    return tokenizer


def bert():
    tokenizer = wordpiece(normalizers.BertNormalizer(), pre_tokenizers.BertPreTokenizer(), True)
    tokenizer.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    return added_tokens(tokenizer)


def cased_bert():
    tokenizer = wordpiece(
        normalizers.BertNormalizer(clean_text=True, handle_chinese_chars=True,
                                   strip_accents=False, lowercase=False),
        pre_tokenizers.Sequence([pre_tokenizers.Whitespace(),
                                 pre_tokenizers.Punctuation("removed")]), False)
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B [SEP]",
        special_tokens=[("[CLS]", 2), ("[SEP]", 3)])
    return tokenizer


def unigram(normalizer, pre_tokenizer, decoder, byte_fallback=False):
    tokenizer = Tokenizer(models.Unigram())
    if normalizer:
        tokenizer.normalizer = normalizer
    tokenizer.pre_tokenizer = pre_tokenizer
    trainer = trainers.UnigramTrainer(
        vocab_size=1200, show_progress=False, unk_token="<unk>",
        special_tokens=["<pad>", "</s>", "<unk>", *(BYTE_TOKENS if byte_fallback else [])])
    tokenizer.train_from_iterator(corpus(), trainer)
    if byte_fallback:
        state = json.loads(tokenizer.to_str())
        state["added_tokens"] = state["added_tokens"][:3]
        state["model"]["byte_fallback"] = True
        tokenizer = Tokenizer.from_str(json.dumps(state))
    tokenizer.decoder = decoder
    return tokenizer


def t5():
    tokenizer = unigram(
        normalizers.Sequence([normalizers.Nmt(), normalizers.NFKC(),
                              normalizers.Replace(Regex(" {2,}"), " ")]),
        pre_tokenizers.Metaspace(), decoders.Metaspace())
    tokenizer.post_processor = processors.TemplateProcessing(
        single="$A </s>", pair="$A </s> $B </s>", special_tokens=[("</s>", 1)])
    return added_tokens(tokenizer)


def unigram_bytes():
    return unigram(
        None, pre_tokenizers.Sequence([
            pre_tokenizers.WhitespaceSplit(),
            pre_tokenizers.Metaspace(prepend_scheme="always", split=True)]),
        decoders.Sequence([decoders.ByteFallback(), decoders.Metaspace()]),
        byte_fallback=True)


def precompiled():
    """With the table of replacements of a SentencePiece model, if that is installed."""
    import io
    import sentencepiece
    from sentencepiece import sentencepiece_model_pb2
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(corpus()), model_writer=model, vocab_size=800,
        normalization_rule_name="nmt_nfkc_cf", hard_vocab_limit=False,
        minloglevel=2)
    proto = sentencepiece_model_pb2.ModelProto.FromString(model.getvalue())
    charsmap = proto.normalizer_spec.precompiled_charsmap
    pieces = [(piece.piece, piece.score) for piece in proto.pieces]
    tokenizer = Tokenizer(models.Unigram(pieces, 0, False))
    tokenizer.normalizer = normalizers.Sequence([
        normalizers.Precompiled(charsmap), normalizers.Strip(left=False, right=True),
        normalizers.Replace(Regex(" {2,}"), "▁")])
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="first")
    tokenizer.decoder = decoders.Metaspace()
    return tokenizer


def merged_with_next():
    tokenizer = byte_level_bpe(pre_tokenizers.Sequence([
        pre_tokenizers.Split(Regex(r"[\s,.]"), "merged_with_next"),
        pre_tokenizers.Split("e", "merged_with_previous"),
        pre_tokenizers.Split(Regex("[aio]"), "contiguous"),
        pre_tokenizers.CharDelimiterSplit("-"),
        pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)]))
    tokenizer.decoder = decoders.Sequence([decoders.ByteLevel(), decoders.Replace("the", "The"),
                                           decoders.Strip(" ", 2, 1)])
    return tokenizer


ALL = [gpt2, roberta, llama3, qwen2, cl100k, o200k, kimi, deepseek, odd_patterns, inverted,
       normalized_bytes, merged_with_next, gemma, llama2, mistral, first_metaspace, plain_bpe,
       fused_unknown, bert, cased_bert, t5, unigram_bytes, precompiled]


def write_all(folder, only=None):
    """Writes the tokenizers; yields each one's name and path."""
    for make in ALL:
        name = make.__name__
        if only and only not in name:
            continue
        path = os.path.join(folder, name + ".json")
        make().save(path)
        yield name, path


def gguf_kinds(only=None):
    """Byte-level tokenizers with the GGUF metadata of the same: name, tokenizer, metadata."""
    gpt2_words = pre_tokenizers.ByteLevel(add_prefix_space=False)
    digits = pre_tokenizers.Digits(individual_digits=True)
    splits = {
        "gpt-2": gpt2_words, "llama-bpe": split_byte_level([LLAMA3]),
        "qwen2": split_byte_level([QWEN2]), "qwen35": split_byte_level([QWEN35]),
        "gpt-4o": split_byte_level([O200K]), "tekken": split_byte_level([TEKKEN]),
        "deepseek-v3": split_byte_level(DEEPSEEK),
        "starcoder": pre_tokenizers.Sequence([digits, gpt2_words])}
    for pre, splitter in splits.items():
        if only and only not in "gguf " + pre:
            continue
        ignores_merges = pre in ("llama-bpe", "tekken")
        tokenizer = byte_level_bpe(splitter, ignore_merges=ignores_merges)
        if ignores_merges:
            tokenizer.post_processor = processors.TemplateProcessing(
                single="<s> $A", pair="<s> $A $B", special_tokens=[("<s>", 0)])
        model = json.loads(tokenizer.to_str())["model"]
        tokens = sorted(model["vocab"], key=model["vocab"].get)
        special = tokenizer.get_added_tokens_decoder()
        yield "gguf " + pre, tokenizer, {
            "model": "gpt2", "pre": pre, "tokens": tokens,
            "token_type": [3 if i in special else 1 for i in range(len(tokens))],
            "merges": [" ".join(merge) for merge in model["merges"]], "bos_token_id": 0}
