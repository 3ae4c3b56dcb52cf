// Pre-tokenizers on UTF-8 bytes.
#include <algorithm>
#include <array>
#include <cstring>

#include "tokenizer/byte_stages.h"
#include "tokenizer/char_table.h"
#include "tokenizer/pre_tokenizers.h"
#include "tokenizer/scanners.h"
#include "tokenizer/split.h"
#include "tokenizer/utf8-inl.h"
#include "unicode/unicode.h"

namespace truevec {
namespace {

class TextSplitter : public ByteSplitter {
 public:
  explicit TextSplitter(const PreTokenizer* slow) : slow_(slow) {}
  bool rewrites_text() const override { return true; }
  Status Split(ByteWork* work) const override {
    std::vector<Text> pieces(work->spans.size());
    for (size_t i = 0; i < pieces.size(); ++i) ToText(View(work->text, work->spans[i]), &pieces[i]);
    TV_RETURN_IF_ERROR(slow_->Split(&pieces));
    work->spare_text.clear();
    work->spans.clear();
    for (const Text& piece : pieces) {
      const auto begin = static_cast<uint32_t>(work->spare_text.size());
      AppendText(piece, &work->spare_text);
      if (!piece.empty()) work->spans.Push({begin, static_cast<uint32_t>(work->spare_text.size())});
    }
    work->SwapText();
    return Status::Ok();
  }

 private:
  const PreTokenizer* slow_;
};

class ClassSplitter : public ByteSplitter {
 public:
  explicit ClassSplitter(std::function<CharKind(uint32_t)> classify) : kinds_(std::move(classify)) {
    for (uint32_t c = 0; c < 128; ++c) ascii_[c] = kinds_[c];
  }
  Status Split(ByteWork* work) const override {
    work->spare_spans.clear();
    for (const ByteSpan span : work->spans) SplitOne(work->text.data(), span, &work->spare_spans);
    work->SwapSpans();
    return Status::Ok();
  }

 private:
  CharKind KindAt(const char* p, unsigned* length) const {
    const auto c = static_cast<unsigned char>(*p);
    *length = 1;
    return c < 0x80 ? ascii_[c] : kinds_[DecodeAt(p, length)];
  }

  void SplitOne(const char* text, ByteSpan span, SpanBuffer* out) const {
    const char* p = text + span.begin;
    const char* const end = text + span.end;
    ByteSpan* spans = out->Room(span.end - span.begin);
    const auto emit = [&](const char* from, const char* to) {
      *spans++ = {static_cast<uint32_t>(from - text), static_cast<uint32_t>(to - text)};
    };
    while (p < end) {
      unsigned length;
      const CharKind kind = KindAt(p, &length);
      const char* const begin = p;
      p += length;
      if (kind == CharKind::kDrop) continue;
      if (kind != CharKind::kAlone) {
        while (p < end && KindAt(p, &length) == kind) p += length;
      }
      emit(begin, p);
    }
    out->set_size(static_cast<size_t>(spans - out->data()));
  }

  CharTable<CharKind> kinds_;
  std::array<CharKind, 128> ascii_;
};

// Cuts each piece at the matches that `find(text, span, &matches)` gives, as bytes of the text.
template <typename Find>
void SplitAtMatches(ByteWork* work, SplitBehavior behavior, bool invert, Find find) {
  std::vector<Pattern::Span> matches;
  work->spare_spans.clear();
  for (const ByteSpan span : work->spans) {
    matches.clear();
    find(View(work->text, span), &matches);
    if (matches.empty() && !(invert && behavior == SplitBehavior::kRemoved)) {
      work->spare_spans.Push(span);
      continue;
    }
    for (const auto& [begin, end] : SplitSpans(matches, span.end - span.begin, behavior, invert)) {
      work->spare_spans.Push({span.begin + static_cast<uint32_t>(begin), span.begin + static_cast<uint32_t>(end)});
    }
  }
  work->SwapSpans();
}

class CharacterSplitter : public ByteSplitter {
 public:
  CharacterSplitter(std::function<bool(uint32_t)> is_match, SplitBehavior behavior)
      : matches_([is_match = std::move(is_match)](uint32_t cp) -> uint8_t { return is_match(cp) ? 1 : 0; }),
        behavior_(behavior) {}
  Status Split(ByteWork* work) const override {
    SplitAtMatches(work, behavior_, false, [this](std::string_view text, std::vector<Pattern::Span>* matches) {
      for (size_t i = 0; i < text.size();) {
        unsigned length;
        if (matches_[DecodeAt(text.data() + i, &length)] != 0) matches->emplace_back(i, i + length);
        i += length;
      }
    });
    return Status::Ok();
  }

 private:
  CharTable<uint8_t> matches_;
  SplitBehavior behavior_;
};

class LiteralSplitter : public ByteSplitter {
 public:
  LiteralSplitter(std::string literal, SplitBehavior behavior, bool invert)
      : literal_(std::move(literal)), behavior_(behavior), invert_(invert) {}
  Status Split(ByteWork* work) const override {
    SplitAtMatches(work, behavior_, invert_, [this](std::string_view text, std::vector<Pattern::Span>* matches) {
      for (size_t at = text.find(literal_); at != std::string_view::npos; at = text.find(literal_, at)) {
        matches->emplace_back(at, at + literal_.size());
        at += literal_.size();
      }
    });
    return Status::Ok();
  }

 private:
  std::string literal_;
  SplitBehavior behavior_;
  bool invert_;
};

class MetaspaceSplitter : public ByteSplitter {
 public:
  MetaspaceSplitter(uint32_t replacement, bool prepend, bool only_at_start, bool split)
      : prepend_(prepend), only_at_start_(only_at_start), split_(split) {
    size_ = EncodeAt(replacement, replacement_);
  }
  bool rewrites_text() const override { return true; }
  bool needs_start() const override { return prepend_ && only_at_start_; }

  Status Split(ByteWork* work) const override {
    work->spare_text.clear();
    work->spare_spans.clear();
    for (const ByteSpan span : work->spans) {
      const bool prepend = prepend_ && (!only_at_start_ || (work->at_start && span.begin == 0));
      One(View(work->text, span), prepend, &work->spare_text, &work->spare_spans);
    }
    work->SwapText();
    work->SwapSpans();
    return Status::Ok();
  }

 private:
  // Whether the replacement is at `p`, `left` bytes before the end.
  bool At(const char* p, size_t left) const { return left >= size_ && std::memcmp(p, replacement_, size_) == 0; }

  void One(std::string_view text, bool prepend, ByteBuffer* out, SpanBuffer* spans) const {
    out->Reserve(out->size() + size_ * (text.size() + 1));
    spans->Reserve(spans->size() + text.size() + 1);
    char* q = out->end();
    auto begin = static_cast<uint32_t>(out->size());
    const auto put = [&] {
      std::memcpy(q, replacement_, 4);
      q += size_;
    };
    const auto cut = [&] {
      const auto here = static_cast<uint32_t>(q - out->data());
      if (split_ && here > begin) {
        spans->Push({begin, here});
        begin = here;
      }
    };
    if (prepend && text[0] != ' ' && !At(text.data(), text.size())) put();
    const char* const end = text.data() + text.size();
    for (const char* p = text.data(); p < end;) {
      if (*p == ' ') {
        cut();
        put();
        ++p;
      } else if (*p == replacement_[0] && At(p, static_cast<size_t>(end - p))) {
        cut();
        put();
        p += size_;
      } else {
        *q++ = *p++;
      }
    }
    out->set_size(static_cast<size_t>(q - out->data()));
    if (q > out->data() + begin) spans->Push({begin, static_cast<uint32_t>(out->size())});
  }

  char replacement_[4] = {};
  size_t size_;
  bool prepend_, only_at_start_, split_;
};

class ScannerSplitter : public ByteSplitter {
 public:
  explicit ScannerSplitter(Scanner scanner) : scanner_(scanner), classes_(RegexClassOf) {}
  Status Split(ByteWork* work) const override {
    work->spare_spans.clear();
    for (const ByteSpan span : work->spans) scanner_(work->text.data(), span, classes_, &work->spare_spans);
    work->SwapSpans();
    return Status::Ok();
  }

 private:
  Scanner scanner_;
  RegexClasses classes_;
};

class ByteLevelSplitter : public ByteSplitter {
 public:
  ByteLevelSplitter(bool add_prefix_space, Scanner scanner) : add_prefix_space_(add_prefix_space) {
    if (scanner != nullptr) scanner_.emplace(scanner);
  }
  bool rewrites_text() const override { return add_prefix_space_; }
  bool byte_level() const override { return true; }
  Status Split(ByteWork* work) const override {
    if (add_prefix_space_ && std::any_of(work->spans.begin(), work->spans.end(),
                                         [&](ByteSpan span) { return work->text[span.begin] != ' '; })) {
      AddSpaces(work);
    }
    return scanner_ ? scanner_->Split(work) : Status::Ok();
  }

 private:
  static void AddSpaces(ByteWork* work) {
    ByteBuffer* out = &work->spare_text;
    out->clear();
    out->Reserve(work->text.size() + work->spans.size());
    for (ByteSpan& span : work->spans) {
      const std::string_view piece = View(work->text, span);
      const auto begin = static_cast<uint32_t>(out->size());
      if (piece[0] != ' ') out->Push(' ');
      Append(piece, out);
      span = {begin, static_cast<uint32_t>(out->size())};
    }
    work->SwapText();
  }
  bool add_prefix_space_;
  std::optional<ScannerSplitter> scanner_;  // none: use_regex is false
};

}  // namespace

std::unique_ptr<ByteSplitter> ThroughText(const PreTokenizer* pre_tokenizer) {
  return std::make_unique<TextSplitter>(pre_tokenizer);
}
std::unique_ptr<ByteSplitter> MakeClassSplitter(std::function<CharKind(uint32_t)> classify) {
  return std::make_unique<ClassSplitter>(std::move(classify));
}
std::unique_ptr<ByteSplitter> MakeCharacterSplitter(std::function<bool(uint32_t)> is_match, SplitBehavior behavior) {
  return std::make_unique<CharacterSplitter>(std::move(is_match), behavior);
}
std::unique_ptr<ByteSplitter> MakeLiteralSplitter(std::string literal, SplitBehavior behavior, bool invert) {
  return std::make_unique<LiteralSplitter>(std::move(literal), behavior, invert);
}
std::unique_ptr<ByteSplitter> MakeMetaspace(uint32_t replacement, bool prepend, bool only_at_start, bool split) {
  return std::make_unique<MetaspaceSplitter>(replacement, prepend, only_at_start, split);
}
std::unique_ptr<ByteSplitter> MakeByteLevel(bool add_prefix_space, std::string_view pattern) {
  const Scanner scanner = pattern.empty() ? nullptr : FindScanner(pattern);
  if (!pattern.empty() && scanner == nullptr) return nullptr;
  return std::make_unique<ByteLevelSplitter>(add_prefix_space, scanner);
}
std::unique_ptr<ByteSplitter> MakeScannerSplitter(std::string_view pattern) {
  const Scanner scanner = FindScanner(pattern);
  if (scanner == nullptr) return nullptr;
  return std::make_unique<ScannerSplitter>(scanner);
}

}  // namespace truevec
