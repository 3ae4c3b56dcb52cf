#!/usr/bin/env python3
"""Compares the character classes of truevec's regular expressions with Oniguruma's, over every code point.

Usage: classes.py --driver BINARY
Exit 1 on a difference.
"""
import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
from driver import Driver  # noqa: E402
from tokenizers import Regex, normalizers  # noqa: E402

CATEGORIES = ("L M N P S Z C Lu Ll Lt Lm Lo Mn Mc Me Nd Nl No Pc Pd Ps Pe Pi Pf Po Sm Sc Sk So Zs Zl Zp Cc Cf Co Cn LC "
              "Letter Mark Number Punctuation Symbol Separator Other Uppercase_Letter Decimal_Number").split()
POSIX = "alnum alpha ascii blank cntrl digit graph lower print punct space upper xdigit word".split()
SCRIPTS = ("Han Hiragana Katakana Hangul Latin Greek Cyrillic Arabic Hebrew Thai Devanagari Bengali Tamil Georgian Armenian "
           "Common Inherited Ethiopic Khmer Mongolian Myanmar Lao Tibetan").split()
PROPERTIES = "Alphabetic Any Assigned ASCII Uppercase Lowercase White_Space Emoji Ideographic Extended_Pictographic".split()
PATTERNS = [r"\w", r"\W", r"\s", r"\S", r"\d", r"\D", r"\h", r"\H", ".", r"\R", r"\X", r"\N", r"\O", r"(?i:k)", r"(?i:s)", "(?i:å)", "(?i:[a-z])",
            "(?i:[^a-z])", "(?i:[à-ý])", "[^a]", r"[\W\d]", r"(?i:ß)", "(?i:σ)", "(?i:ǆ)", "(?i:i)", "(?i:ﬁ)", "(?i:Ω)"]
PATTERNS += [rf"\p{{{c}}}" for c in CATEGORIES + POSIX + SCRIPTS + PROPERTIES] + [rf"[[:{c}:]]" for c in POSIX] + [r"[[:^alpha:]]", r"\P{L}", r"\p{^N}"]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--driver", required=True)
    args = parser.parse_args()
    driver = Driver(args.driver)
    code_points = [c for c in range(0x110000) if not 0xD800 <= c < 0xE000]
    # "a" keeps clusters and line breaks apart; what a pattern matches is removed.
    chunks = ["a".join(map(chr, code_points[i:i + 20_000])) for i in range(0, len(code_points), 20_000)]
    bad = done = 0
    for pattern in PATTERNS:
        try:
            reference = normalizers.Replace(Regex(pattern), "")
        except BaseException:  # noqa: BLE001: the reference refuses it
            continue
        done += 1
        model = {"type": "WordLevel", "vocab": {"u": 0}, "unk_token": "u"}
        replace = {"type": "Replace", "pattern": {"Regex": pattern}, "content": ""}
        error = driver.load(load={"model": model, "normalizer": replace})
        if error:
            bad += 1
            print(f"{pattern}: {error}")
            continue
        wrong = []
        for chunk, answer in zip(chunks, driver.ask([{"normalize": c} for c in chunks])):
            wrong += sorted(set(reference.normalize_str(chunk)) ^ set(answer.get("text", "")))
        if wrong:
            bad += 1
            print(f"{pattern}: {len(wrong)} code points differ, e.g. {[hex(ord(w)) for w in wrong[:12]]}")
    print(f"{done} classes, {bad} differences")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
