#!/usr/bin/env python3
"""The texts of the tokenizer benchmark: the Debian Administrator's Handbook (Debian package debian-handbook, GPL or CC
BY-SA), in English and in ten other languages. Paragraphs that a translation left in English are dropped.

Usage: texts.py HTML_FOLDER OUTPUT_FOLDER   (HTML_FOLDER has en-US, de-DE, ...)
Writes english.jsonl and multilingual.jsonl: one {"text": ...} a line, about 2,000 characters each, paragraphs joined
by blank lines.
"""
import html.parser
import json
import sys
from pathlib import Path

LANGUAGES = ["de-DE", "fr-FR", "es-ES", "ru-RU", "el-GR", "ar-MA", "fa-IR", "ja-JP", "zh-CN", "ko-KR"]
DOCUMENT_CHARACTERS = 2_000
BYTES_PER_LANGUAGE = 150_000


class Paragraphs(html.parser.HTMLParser):
    BLOCKS = {"p", "h1", "h2", "h3", "h4", "pre", "li", "td", "dt", "dd"}

    def __init__(self):
        super().__init__()
        self.paragraphs, self.current, self.skip = [], [], 0

    def flush(self):
        text = "".join(self.current).strip()
        self.current = []
        if len(text) >= 3:
            self.paragraphs.append(text)

    def handle_starttag(self, tag, attrs):
        if tag in ("script", "style", "head"):
            self.skip += 1
        elif tag in self.BLOCKS:
            self.flush()

    def handle_endtag(self, tag):
        if tag in ("script", "style", "head"):
            self.skip -= 1
        elif tag in self.BLOCKS:
            self.flush()

    def handle_data(self, data):
        if not self.skip:
            self.current.append(data)


def paragraphs(folder):
    out = []
    for path in sorted(folder.glob("*.html")):
        if path.name in ("index.html", "ix01.html"):
            continue
        parser = Paragraphs()
        parser.feed(path.read_text(encoding="utf-8"))
        parser.flush()
        out += parser.paragraphs
    return list(dict.fromkeys(out))  # navigation repeats on every page


def documents(texts):
    out, current = [], ""
    for text in texts:
        current += ("\n\n" if current else "") + text
        if len(current) >= DOCUMENT_CHARACTERS:
            out.append(current)
            current = ""
    return out


def main():
    source, target = Path(sys.argv[1]), Path(sys.argv[2])
    target.mkdir(parents=True, exist_ok=True)
    english = paragraphs(source / "en-US")
    sets = {"english": documents(english), "multilingual": []}
    known = set(english)
    for language in LANGUAGES:
        size = 0
        for text in documents(p for p in paragraphs(source / language) if p not in known):
            sets["multilingual"].append(text)
            size += len(text.encode())
            if size >= BYTES_PER_LANGUAGE:
                break
    for name, texts in sets.items():
        with open(target / f"{name}.jsonl", "w", encoding="utf-8") as file:
            for text in texts:
                file.write(json.dumps({"text": text}, ensure_ascii=False) + "\n")
        print(f"{name}: {len(texts)} texts, {sum(len(t.encode()) for t in texts)} bytes")


if __name__ == "__main__":
    main()
