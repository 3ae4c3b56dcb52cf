"""Random texts for the tokenizer comparisons: scripts, marks, emoji, jamo, controls, specials' literals, code."""
BLOCKS = [(0x20, 0x7F)] * 12 + [(0xA0, 0x250)] * 3 + [(0x300, 0x370)] * 3 + [
    (0x370, 0x530), (0x590, 0x700), (0x900, 0xE80), (0x1100, 0x1200), (0x1E00, 0x2100), (0x2000, 0x2070),
    (0x3000, 0x3100), (0x4E00, 0x4F00), (0xAC00, 0xAD00), (0xFB00, 0xFFFE), (0x1F300, 0x1F700), (0x20000, 0x20100),
    (0x2B7F0, 0x2B950), (0xE000, 0xE010), (0, 0x20)]
LITERALS = ["[CLS]", "[SEP]", "<s>", "</s>", "<mask>", "<|endoftext|>", "[MASK]", "▁", "Ġ", "##", "\r\n", "\n\n", "   ",
            "'s", "'RE", "'ſ", "’s", "don't", "123456", "٣½Ⅷ", "https://a.b/c?d=e", "x" * 101, "e\u0301\u0302", "İ",
            "ΟΔΟΣ", "가각", "か\u3099", "ﾊﾟ", "👩‍👩‍👧", "🇫🇷", "\u00ad", "\u200b", "\ufeff", "\u3000", "a  b", "[CL", "<s<s>>",
            "[cls]", "\u0378", "\u1885", "㋿", "½\u0301", "\u0600a", "\u0600a\u0300", "™\u200d™\u0301", "A\u102b", "K", "ẞ", "ς", "\x00", "\x85", "\u2028", "\u180e",
            "ー", "<0x41>", "\ufffd"]
CORPUS = ["The quick brown fox jumps over the lazy dog's back, doesn't it? 1234 times!",
          "Größe naïve façade 日本語 한국어 русский язык العربية हिन्दी", "def f(x):\n    return x**2  # code",
          "hello world hello there world wide web", "it's we're they'll I'm you've 2024-01-02 3.14"] * 4


def random_text(rng, extra=()):
    """`extra`: pieces that this tokenizer may treat specially (its added tokens, vocabulary entries)."""
    out = []
    for _ in range(rng.choice([0, 1, 2, 3, 5, 8, 13, 30, 60])):
        kind = rng.random()
        if kind < 0.15:
            out.append(rng.choice(LITERALS))
        elif kind < 0.35:
            out.append(rng.choice(rng.choice(CORPUS).split()) + rng.choice(["", " ", "  "]))
        elif kind < 0.5 and extra:
            out.append(rng.choice(["", " ", "  ", "a"]) + rng.choice(extra) + rng.choice(["", " ", "\t", "b"]))
        else:
            low, high = rng.choice(BLOCKS)
            out.append(chr(rng.randrange(low, high)))
    return "".join(out)
