"""Random tokenizer.json files: every component with random settings, over small random vocabularies."""
import json

SPLITS = [r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+", r"\s+", r"\p{L}+|\d", r"\w+", r"[0-9]{1,3}",
          r"(?i:'s|'t)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+", r"\S", r"(?<=a)b", r"$", r"a*",
          r"[^\S\n]+", r"\p{Lu}(?=\p{Ll})", r"[\p{P}\p{S}]", r"\b", r"[一-龥぀-ゟ゠-ヿ]+", r" {2,}"]
WORDS = ["a", "b", "c", "ab", "bc", "abc", "the", "he", "in", "ing", "er", "x", "1", "12", "3", "é", "e\u0301", "日", "本", "日本", "語",
         "한", "ᄒ", "я", "ж", "ß", "ss", "'", "'s", "-", "--", ".", ",", "!", "?", "▁", "▁a", "▁the", "Ġ", "Ġa", "Ġthe", " ", "  ", "\n", "_",
         "##", "I", "T", "The", "ΟΣ", "σ", "<", ">", "/", "👩", "\u200d", "q", "w", "o", "r", "l", "d", "h", "t", "s", "n", "g", "i", "u", "k"]
SPECIALS = ["<unk>", "<s>", "</s>", "<pad>", "[CLS]", "[SEP]", "<mask>"]
BYTES = [f"<0x{b:02X}>" for b in range(256)]


def chance(rng, p=0.5):
    return rng.random() < p


def alphabet(rng):
    words = WORDS + BYTE_CHARS if chance(rng, 0.4) else list(WORDS)
    rng.shuffle(words)
    return words[:rng.randint(5, len(words))]


def byte_chars():
    printable = list(range(33, 127)) + list(range(161, 173)) + list(range(174, 256))
    rest = [b for b in range(256) if b not in printable]
    return [chr(b) for b in printable] + [chr(256 + i) for i in range(len(rest))]


BYTE_CHARS = byte_chars()


def ids_of(rng, tokens):
    """Ids for distinct tokens, mostly dense, some with holes."""
    tokens = list(dict.fromkeys(tokens))
    if chance(rng, 0.3):
        rng.shuffle(tokens)
    if chance(rng, 0.1):
        return dict(zip(tokens, sorted(rng.sample(range(2 * len(tokens)), len(tokens)))))
    return {t: i for i, t in enumerate(tokens)}


def word_piece(rng):
    prefix = rng.choice(["##", "##", "##", "", "@@", "▁"])
    words = alphabet(rng)
    words += [prefix + w for w in alphabet(rng)]
    return {"type": "WordPiece", "unk_token": "<unk>", "continuing_subword_prefix": prefix,
            "max_input_chars_per_word": rng.choice([100, 100, 3, 7, 0, 1]), "vocab": ids_of(rng, SPECIALS + words)}


def word_level(rng):
    words = alphabet(rng) + ["hello", "world", "don", "fox", "dog", "def", "return"]
    return {"type": "WordLevel", "vocab": ids_of(rng, SPECIALS + words), "unk_token": "<unk>"}


def bpe(rng):
    prefix = rng.choice([None, None, None, "", "##"])
    suffix = rng.choice([None, None, None, "", "</w>"])
    chars = [w for w in alphabet(rng) if len(w) == 1] + ["a", "b", "h", "e", "t"]
    tokens = list(chars)
    if prefix:
        tokens += [prefix + c for c in chars if chance(rng, 0.9)]
    if suffix:
        tokens += [t + suffix for t in tokens if chance(rng, 0.8)]
    merges = []
    for _ in range(rng.randint(0, 60)):
        left, right = rng.choice(tokens), rng.choice(tokens)
        if (prefix and not right.startswith(prefix)) or (suffix and left.endswith(suffix)):
            continue
        merges.append((left, right))
        tokens.append(left + right[len(prefix or ""):])
    # With a prefix or suffix the reference's bytes are more than the piece has: its offsets make no sense then.
    fallback = chance(rng, 0.3) and not prefix and not suffix
    if fallback or chance(rng, 0.05):
        tokens += [b for b in BYTES if chance(rng, rng.choice([1, 1, 0.6]))]
    as_pairs = chance(rng) or any(" " in m[0] + m[1] for m in merges)
    return {"type": "BPE", "dropout": None, "unk_token": rng.choice(["<unk>", "<unk>", None]),
            "continuing_subword_prefix": prefix, "end_of_word_suffix": suffix, "fuse_unk": chance(rng),
            "byte_fallback": fallback, "ignore_merges": chance(rng, 0.3), "vocab": ids_of(rng, SPECIALS + tokens),
            "merges": [list(m) if as_pairs else " ".join(m) for m in merges]}


def unigram(rng):
    words = list(dict.fromkeys(SPECIALS + alphabet(rng) + ["▁" + w for w in alphabet(rng)]))
    fallback = chance(rng, 0.3)
    if fallback:
        words += [b for b in BYTES if chance(rng, rng.choice([1, 1, 0.9]))]
    ties = chance(rng, 0.3)
    vocab = [[w, 0.0 if w in SPECIALS else -float(rng.randint(1, 4)) if ties else -12 * rng.random()] for w in words]
    return {"type": "Unigram", "unk_id": rng.choice([0, 0, 0, 3, len(vocab) - 1]), "vocab": vocab, "byte_fallback": fallback}


def normalizer(rng, charsmaps, depth=0):
    kind = rng.choice(["BertNormalizer", "NFC", "NFD", "NFKC", "NFKD", "Lowercase", "Strip", "StripAccents", "Nmt", "Replace",
                       "Prepend", "Precompiled", "ByteLevel", "Sequence", "Sequence"])
    if kind == "BertNormalizer":
        return {"type": kind, "clean_text": chance(rng), "handle_chinese_chars": chance(rng),
                "strip_accents": rng.choice([None, True, False]), "lowercase": chance(rng)}
    if kind == "Strip":
        return {"type": kind, "strip_left": chance(rng), "strip_right": chance(rng)}
    if kind == "Replace":
        pattern = {"Regex": rng.choice(SPLITS)} if chance(rng) else {"String": rng.choice([" ", "a", "``", "'", "ab", ".", "\n"])}
        return {"type": kind, "pattern": pattern, "content": rng.choice(["", " ", "▁", "xy", "$1", "\""])}
    if kind == "Prepend":
        return {"type": kind, "prepend": rng.choice(["▁", " ", "ab"])}
    if kind == "Precompiled":
        return {"type": kind, "precompiled_charsmap": rng.choice(charsmaps)} if charsmaps else {"type": "NFKC"}
    if kind == "Sequence" and depth < 2:
        return {"type": kind, "normalizers": [normalizer(rng, charsmaps, depth + 1) for _ in range(rng.randint(0, 3))]}
    return {"type": "NFC" if kind == "Sequence" else kind}


def pre_tokenizer(rng, depth=0):
    kind = rng.choice(["BertPreTokenizer", "ByteLevel", "CharDelimiterSplit", "Metaspace", "Metaspace", "Whitespace", "Split", "Split",
                       "Punctuation", "WhitespaceSplit", "Digits", "UnicodeScripts", "FixedLength", "Sequence", "Sequence"])
    behavior = rng.choice(["Removed", "Isolated", "MergedWithPrevious", "MergedWithNext", "Contiguous"])
    if kind == "ByteLevel":
        return {"type": kind, "add_prefix_space": chance(rng), "trim_offsets": chance(rng), "use_regex": chance(rng)}
    if kind == "CharDelimiterSplit":
        return {"type": kind, "delimiter": rng.choice([" ", "-", "a", "日"])}
    if kind == "Metaspace":
        return {"type": kind, "replacement": rng.choice(["▁", "▁", "▁", "_"]),
                "prepend_scheme": rng.choice(["always", "first", "never"]), "split": chance(rng)}
    if kind == "Split":
        pattern = {"Regex": rng.choice(SPLITS)} if chance(rng, 0.7) else {"String": rng.choice([" ", "a", "ab", ".", "", "本"])}
        return {"type": kind, "pattern": pattern, "behavior": behavior, "invert": chance(rng, 0.3)}
    if kind == "Punctuation":
        return {"type": kind, "behavior": behavior}
    if kind == "Digits":
        return {"type": kind, "individual_digits": chance(rng)}
    if kind == "FixedLength":
        return {"type": kind, "length": rng.randint(1, 6)}
    if kind == "Sequence" and depth < 2:
        return {"type": kind, "pretokenizers": [pre_tokenizer(rng, depth + 1) for _ in range(rng.randint(0, 3))]}
    return {"type": "Whitespace" if kind == "Sequence" else kind}


def template(rng, ids):
    special = {}
    for name in rng.sample(SPECIALS, 3):
        count = rng.choice([1, 1, 1, 2])
        tokens = [name] if count == 1 else [name, "<s>"]
        special[name] = {"id": name, "ids": [ids.get(t, 0) for t in tokens], "tokens": tokens}

    def pieces(sequences):
        out = [{"Sequence": {"id": s, "type_id": rng.randint(0, 2)}} for s in sequences]
        for _ in range(rng.randint(0, 4)):
            out.insert(rng.randint(0, len(out)), {"SpecialToken": {"id": rng.choice(list(special)), "type_id": rng.randint(0, 2)}})
        return out
    return {"type": "TemplateProcessing", "single": pieces(rng.choice([["A"], ["A"], ["A"], ["A", "A"]])),
            "pair": pieces(rng.choice([["A", "B"], ["A", "B"], ["B", "A"], ["A", "B", "A"]])), "special_tokens": special}


def post_processor(rng, ids, depth=0):
    kind = rng.choice(["TemplateProcessing", "TemplateProcessing", "BertProcessing", "RobertaProcessing", "ByteLevel", "Sequence"])
    pair = [["</s>", ids.get("</s>", 2)], ["<s>", ids.get("<s>", 1)]]
    if kind == "BertProcessing":
        return {"type": kind, "sep": pair[0], "cls": pair[1]}
    if kind == "RobertaProcessing":
        return {"type": kind, "sep": pair[0], "cls": pair[1], "trim_offsets": chance(rng), "add_prefix_space": chance(rng)}
    if kind == "ByteLevel":
        return {"type": kind, "add_prefix_space": chance(rng), "trim_offsets": chance(rng, 0.8), "use_regex": chance(rng)}
    if kind == "Sequence" and depth == 0:
        # A second TemplateProcessing panics in the reference where it gets more than two parts.
        parts = [post_processor(rng, ids, 1) for _ in range(rng.randint(0, 3))]
        at = [i for i, p in enumerate(parts) if p["type"] == "TemplateProcessing"]
        return {"type": kind, "processors": [p for i, p in enumerate(parts) if i not in at[1:]]}
    return template(rng, ids)


def decoder(rng, depth=0):
    kind = rng.choice(["BPEDecoder", "ByteLevel", "WordPiece", "Metaspace", "CTC", "Sequence", "Sequence", "Replace", "Fuse", "Strip",
                       "ByteFallback"])
    if kind == "BPEDecoder":
        return {"type": kind, "suffix": rng.choice(["</w>", "a", ""])}
    if kind == "ByteLevel":
        return {"type": kind, "add_prefix_space": True, "trim_offsets": True, "use_regex": True}
    if kind == "WordPiece":
        return {"type": kind, "prefix": rng.choice(["##", "", "a"]), "cleanup": chance(rng)}
    if kind == "Metaspace":
        return {"type": kind, "replacement": rng.choice("▁a"), "prepend_scheme": rng.choice(["always", "first", "never"]), "split": True}
    if kind == "CTC":
        return {"type": kind, "pad_token": rng.choice(["<pad>", "a"]), "word_delimiter_token": rng.choice("|b"), "cleanup": chance(rng)}
    if kind == "Replace":
        return {"type": kind, "pattern": rng.choice([{"String": "▁"}, {"Regex": r"a+|\s"}, {"Regex": "x*"}]), "content": rng.choice([" ", "", "z"])}
    if kind == "Strip":
        return {"type": kind, "content": rng.choice(" ▁a"), "start": rng.randint(0, 2), "stop": 0}
    if kind == "Sequence" and depth < 2:
        return {"type": kind, "decoders": [decoder(rng, depth + 1) for _ in range(rng.randint(0, 3))]}
    return {"type": "Fuse" if kind == "Sequence" else kind}


def added_tokens(rng, ids):
    contents = SPECIALS + ["<l>", "<r>", "word", "wor", "quick", "the ", " a", "日本", "<a><b>", "[CLS", "X", "é", "E\u0301", "new token",
                           "##", "1", "\n\n", "fox jumps", "İ"]
    tokens = []
    for content in rng.sample(contents, rng.randint(0, 9)):
        special = content in SPECIALS or chance(rng, 0.2)
        tokens.append({"id": ids.get(content, len(ids) + len(tokens)), "content": content, "single_word": chance(rng, 0.2),
                       "lstrip": chance(rng, 0.3), "rstrip": chance(rng, 0.3), "normalized": chance(rng, 0.4), "special": special})
    return tokens


def tokenizer(rng, charsmaps=()):
    model = rng.choice([word_piece, bpe, bpe, unigram, word_level])(rng)
    vocab = model["vocab"]
    ids = vocab if isinstance(vocab, dict) else {piece: i for i, (piece, _) in enumerate(vocab)}
    optional = lambda make, *arguments: make(rng, *arguments) if chance(rng, 0.8) else None  # noqa: E731
    return {"version": "1.0", "truncation": None, "padding": None, "added_tokens": added_tokens(rng, ids),
            "normalizer": optional(normalizer, charsmaps), "pre_tokenizer": optional(pre_tokenizer),
            "post_processor": optional(post_processor, ids), "decoder": optional(decoder), "model": model}


def smaller(root):
    """Trees with one part less, for shrinking."""
    for key, inner in (("normalizer", "normalizers"), ("pre_tokenizer", "pretokenizers"), ("post_processor", "processors"),
                       ("decoder", "decoders")):
        part = root[key]
        if part is None:
            continue
        yield {**root, key: None}
        for i, child in enumerate(part.get(inner, [])):
            yield {**root, key: child}
            yield {**root, key: {**part, inner: part[inner][:i] + part[inner][i + 1:]}}
    for i in range(len(root["added_tokens"])):
        yield {**root, "added_tokens": root["added_tokens"][:i] + root["added_tokens"][i + 1:]}
    for i, token in enumerate(root["added_tokens"]):
        for flag in ("single_word", "lstrip", "rstrip", "normalized"):
            if token[flag]:
                yield {**root, "added_tokens": root["added_tokens"][:i] + [{**token, flag: False}] + root["added_tokens"][i + 1:]}


def dump(root):
    return json.dumps(root, ensure_ascii=False)
