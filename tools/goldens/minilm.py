"""tests/golden/minilm: 100 texts, their ids and float64 vectors of the real all-MiniLM-L6-v2."""
import json

import numpy as np
import torch
from sentence_transformers import SentenceTransformer

from goldens import _common

WORDS = ("the river keeps a slow ledger of every season and nobody audits it except the herons who stand in the "
         "shallows like clerks of an office that has lost its records").split()

SENTENCES = [
    "What is the capital of France?", "Paris is the capital of France.", "Hello world", "short", "a", "I",
    "The quick brown fox jumps over the lazy dog.", "How do I reset my password?",
    "Your order #48213 has shipped and will arrive on Tuesday, 3 March 2026 at 14:05.",
    "def mean(xs): return sum(xs) / len(xs)", "SELECT name, COUNT(*) FROM users GROUP BY name HAVING COUNT(*) > 1;",
    "https://example.org/a/b?c=d&e=%20f#g", "user.name+tag@example.co.uk", "C++20 vs. Rust: which is faster?",
    "He said: \"Don't!\" -- and left...", "1234567890", "3.14159265358979", "-40 °C = -40 °F", "½ cup, ¾ tsp, Ⅷ",
    "$1,299.99 (was €1.499,00)", "E=mc^2", "x_1 <= y_2 && !z", "100%", "#hashtag @mention",
    "It's the user's, isn't it?", "well-known state-of-the-art mother-in-law", "A/B testing; and/or", "...", "!?", "-",
    "QUERY EXPANSION IMPROVES RECALL", "query expansion improves recall", "NASA and ESA launched JWST in 2021.",
    "McDonald's iPhone eBay LaTeX", "Polish polish", "US us",
    "Café crème à la française, s'il vous plaît", "naïve coöperation résumé", "Übergrößenträger in Köln",
    "El niño comió piñas en España", "São Paulo não é a capital", "Žluťoučký kůň úpěl ďábelské ódy",
    "Zażółć gęślą jaźń", "İstanbul'da ılık bir gün", "Þórður á Íslandi", "Đây là tiếng Việt có dấu",
    "e\u0301te\u0301 combining accents", "A\u030angstro\u0308m", "ﬁne ﬂow ligatures", "Ｆｕｌｌ ｗｉｄｔｈ", "ΑΒΓΔ αβγδ Σίσυφος ΟΔΟΣ",
    "Привет, как дела?", "Съешь ещё этих мягких французских булок", "שלום עולם", "שָׁלוֹם", "مرحبا بالعالم", "مُحَمَّد",
    "नमस्ते दुनिया", "สวัสดีชาวโลก", "ሰላም ልዑል", "გამარჯობა მსოფლიო", "Բարև աշխարհ",
    "日本の首都は東京です。", "東京", "我爱自然语言处理", "繁體中文測試", "こんにちは世界", "カタカナ ﾊﾝｶｸ", "안녕하세요 세계", "한국어 문장입니다.",
    "𠀀𠀁 extension B", "😀", "I ❤️ NLP 🚀🔥", "👩‍👩‍👧‍👦 family", "👍🏽 thumbs", "🇫🇷 🇯🇵 flags", "1️⃣ 2️⃣",
    "", " ", "   ", "\t", "  leading and trailing  ", "tabs\tand\nnew\r\nlines", "multiple     spaces",
    "non\u00a0breaking\u2003spaces\u3000here", "zero\u200bwidth\u200djoiners\ufeff", "soft\u00adhyphen",
    "control\u0001\u0007chars\u007f", "null\u0000byte", "private \ue001 use \U000f0001", "unassigned \u0378 replacement \ufffd",
    "[CLS] literal special [SEP] tokens", "[MASK]", "hello[PAD]world", "[cls] [unk] lower case", "[UNK] ## ##ing",
]


def texts():
    out = list(SENTENCES)
    out.append("x" * 150)
    out.append(" ".join(WORDS))
    out.append(" ".join(WORDS * 4))
    while len(out) < 99:
        out.append(f"passage {len(out)}: " + " ".join(WORDS[len(out) % 7:]))
    out = out[:97]
    out.append(" ".join(WORDS * 9))  # a little over 256 tokens
    out.append(" ".join(f"{w}{i}" for i, w in enumerate(WORDS * 12)))
    out.append("日本語と English が mixed した長い文章。" * 40)
    assert len(out) == 100
    return out


def make(root, model_dir):
    folder = root / "minilm"
    folder.mkdir(parents=True, exist_ok=True)
    lines = texts()
    exact = SentenceTransformer(str(model_dir), device="cpu",
                                model_kwargs={"dtype": torch.float64, "attn_implementation": "eager"})
    vectors = _common.encode_alone(exact, lines)
    assert vectors.dtype == np.float64
    single = SentenceTransformer(str(model_dir), device="cpu", model_kwargs={"dtype": torch.float32})
    own = _common.errors(_common.encode_alone(single, lines), vectors)
    ids = [exact.preprocess([text])["input_ids"][0].tolist() for text in lines]
    with (folder / "cases.jsonl").open("w", encoding="utf-8") as file:
        for text, row, error in zip(lines, ids, own):
            file.write(json.dumps({"text": text, "ids": row, "torch_float32_error": float(error)}) + "\n")
    np.save(folder / "vectors.npy", vectors)
    _common.write_json(folder / "meta.json", {
        "model": "sentence-transformers/all-MiniLM-L6-v2", "reference": _common.versions(),
        "torch_float32_error": {"worst": float(own.max()), "mean": float(own.mean())}})
    print(f"  torch float32: worst {own.max():.3g}, mean {own.mean():.3g}")
