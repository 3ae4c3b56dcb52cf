"""Tokenizers trained on the spot, one of each kind that embedding models use, with a real model's components."""
import base64

from tokenizers import AddedToken, Regex, Tokenizer, models, normalizers, pre_tokenizers, processors, trainers

from texts import CORPUS


def trained(kind, normalizer, pre_tokenizer, post=None, **options):
    unk = options.pop("unk", "<unk>")
    byte_level = options.pop("byte_level", False)
    specials = ["<s>", "</s>", "<unk>", "<mask>"]
    if kind == "BPE":
        tokenizer = Tokenizer(models.BPE(unk_token=None if byte_level else unk, **options))
        trainer = trainers.BpeTrainer(vocab_size=500, special_tokens=specials, show_progress=False,
                                      initial_alphabet=pre_tokenizers.ByteLevel.alphabet() if byte_level else [])
    elif kind == "WordPiece":
        tokenizer = Tokenizer(models.WordPiece(unk_token=unk, **options))
        trainer = trainers.WordPieceTrainer(vocab_size=400, special_tokens=specials, show_progress=False)
    elif kind == "WordLevel":
        tokenizer = Tokenizer(models.WordLevel(unk_token=unk))
        trainer = trainers.WordLevelTrainer(special_tokens=specials, show_progress=False)
    else:
        tokenizer = Tokenizer(models.Unigram())
        trainer = trainers.UnigramTrainer(vocab_size=300, special_tokens=specials, unk_token=unk, show_progress=False)
    if normalizer is not None:
        tokenizer.normalizer = normalizer
    if pre_tokenizer is not None:
        tokenizer.pre_tokenizer = pre_tokenizer
    tokenizer.train_from_iterator(CORPUS, trainer)
    if post == "template":
        tokenizer.post_processor = processors.TemplateProcessing(
            single="<s> $A </s>", pair="<s> $A </s> </s> $B:1 </s>:1", special_tokens=[("<s>", 0), ("</s>", 1)])
    elif post == "roberta":
        tokenizer.post_processor = processors.RobertaProcessing(("</s>", 1), ("<s>", 0))
    elif post == "bytelevel":
        tokenizer.post_processor = processors.ByteLevel(trim_offsets=True)
    return tokenizer


def trained_set(charsmaps=()):
    n, p = normalizers, pre_tokenizers
    gpt4 = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|"
            r"\s+(?!\S)|\s+")
    out = {
        "bert": trained("WordPiece", n.BertNormalizer(), p.BertPreTokenizer(), "template"),
        "bert-cased": trained("WordPiece", n.BertNormalizer(lowercase=False), p.BertPreTokenizer(), "template"),
        "gpt2": trained("BPE", None, p.ByteLevel(add_prefix_space=False), "bytelevel", byte_level=True),
        "roberta": trained("BPE", None, p.ByteLevel(add_prefix_space=True), "roberta", byte_level=True),
        "qwen": trained("BPE", n.NFC(), p.Sequence([p.Split(Regex(gpt4), "isolated"), p.ByteLevel(
            add_prefix_space=False, use_regex=False)]), byte_level=True),
        "llama": trained("BPE", n.Sequence([n.Prepend("▁"), n.Replace(" ", "▁")]), None, "template", fuse_unk=True),
        "gemma": trained("BPE", n.Replace(" ", "▁"), p.Split(" ", "merged_with_previous"), "template", fuse_unk=True),
        "xlm-r": trained("Unigram", n.NFKC(), p.Metaspace(), "template"),
        "t5": trained("Unigram", n.Sequence([n.Nmt(), n.NFKC()]), p.Sequence([p.WhitespaceSplit(), p.Metaspace()])),
        "first": trained("Unigram", n.Strip(), p.Metaspace(prepend_scheme="first"), "template"),
        "never": trained("BPE", n.Lowercase(), p.Metaspace(prepend_scheme="never", split=False), unk="<unk>"),
        "words": trained("WordLevel", n.Sequence([n.NFD(), n.StripAccents(), n.Lowercase()]), p.Whitespace()),
        "digits": trained("WordLevel", None, p.Sequence([p.Whitespace(), p.Digits(individual_digits=True)])),
        "digit-runs": trained("WordPiece", n.NFKD(), p.Sequence([p.WhitespaceSplit(), p.Digits()])),
        "punctuation": trained("WordPiece", None, p.Sequence([p.Punctuation("merged_with_next"), p.WhitespaceSplit()])),
        "delimiter": trained("WordLevel", None, p.CharDelimiterSplit("-")),
        "fixed": trained("WordPiece", None, p.FixedLength(4)),
        "no-unk": trained("BPE", None, p.WhitespaceSplit(), unk=None),
        "replace": trained("BPE", n.Replace(Regex(r"\s{2,}|[\n\r\t]"), " "), p.WhitespaceSplit()),
    }
    for behavior in ("removed", "isolated", "merged_with_previous", "merged_with_next", "contiguous"):
        out[f"split-{behavior}"] = trained("BPE", None, p.Split(Regex(r"\p{L}+|\d"), behavior, invert=behavior < "k"))
    for i, charsmap in enumerate(charsmaps):
        out[f"charsmap-{i}"] = trained("Unigram", n.Precompiled(base64.b64decode(charsmap)), p.Metaspace(), "template")
    flags = trained("BPE", None, p.ByteLevel(add_prefix_space=False), byte_level=True)
    flags.add_tokens([AddedToken("<l>", lstrip=True), AddedToken("<r>", rstrip=True),
                      AddedToken("word", single_word=True), AddedToken("wor", normalized=False)])
    out["flags"] = flags
    return out
