// Normalizers on UTF-8 bytes. What a character becomes is asked of the Text form once and kept in a table.
#include <algorithm>
#include <array>
#include <cstring>

#include "tokenizer/byte_stages.h"
#include "tokenizer/char_table.h"
#include "tokenizer/normalizers.h"
#include "tokenizer/utf8-inl.h"
#include "unicode/unicode.h"

namespace truevec {

void ToText(std::string_view bytes, Text* out) {
  out->clear();
  out->reserve(bytes.size());
  int32_t index = 0;
  for (size_t i = 0; i < bytes.size(); ++index) out->push_back({NextCodePoint(bytes, &i), index, index + 1});
}

void AppendText(const Text& text, ByteBuffer* out) {
  out->Reserve(out->size() + 4 * text.size());
  char* p = out->end();
  for (const Char& c : text) p += EncodeAt(c.cp, p);
  out->set_size(static_cast<size_t>(p - out->data()));
}

namespace {

// Runs `slow` on `bytes` and appends the result to `out`.
Status NormalizeThroughText(const Normalizer& slow, std::string_view bytes, ByteBuffer* out) {
  Text text;
  ToText(bytes, &text);
  TV_RETURN_IF_ERROR(slow.Normalize(&text));
  AppendText(text, out);
  return Status::Ok();
}

class TextNormalizer : public ByteNormalizer {
 public:
  explicit TextNormalizer(const Normalizer* slow) : slow_(slow) {}
  Status Normalize(ByteWork* work) const override {
    work->spare_text.clear();
    TV_RETURN_IF_ERROR(NormalizeThroughText(*slow_, View(work->text), &work->spare_text));
    work->SwapText();
    return Status::Ok();
  }

 private:
  const Normalizer* slow_;
};

class CharacterMap : public ByteNormalizer {
 public:
  CharacterMap(const Normalizer* slow, bool keeps_start, std::function<bool(const Text&)> depends)
      : slow_(slow),
        keeps_start_(keeps_start),
        table_([this, depends = std::move(depends)](uint32_t cp) { return Compute(cp, depends); }) {
    printable_ = lower_ = true;
    for (uint32_t c = 0x20; c < 0x7F; ++c) {
      const Entry& entry = table_[c];
      const uint32_t lower = c >= 'A' && c <= 'Z' ? c + 32 : c;
      printable_ = printable_ && entry.kind == kCopy;
      lower_ = lower_ && ((entry.kind == kCopy && lower == c) ||
                          (entry.kind == kReplace && entry.size == 1 && entry.bytes[0] == static_cast<char>(lower)));
    }
  }
  bool keeps_start() const override { return keeps_start_; }

  Status Normalize(ByteWork* work) const override {
    if (Map(View(work->text), &work->spare_text)) {
      work->SwapText();
      return Status::Ok();
    }
    work->spare_text.clear();
    TV_RETURN_IF_ERROR(NormalizeThroughText(*slow_, View(work->text), &work->spare_text));
    work->SwapText();
    return Status::Ok();
  }

 private:
  enum Kind : uint8_t { kCopy, kReplace, kDepends };
  struct Entry {
    Kind kind;
    uint8_t size;
    char bytes[14];
  };

  Entry Compute(uint32_t cp, const std::function<bool(const Text&)>& depends) const {
    if (cp >= 0xD800 && cp < 0xE000) return {kCopy, 0, {}};
    Text text = {{cp, 0, 1}};
    if (!slow_->Normalize(&text).ok() || (depends && depends(text))) return {kDepends, 0, {}};
    if (text.size() == 1 && text[0].cp == cp) return {kCopy, 0, {}};
    const std::string bytes = ToUtf8(text.data(), text.data() + text.size());
    if (bytes.size() > sizeof(Entry::bytes)) return {kDepends, 0, {}};
    Entry entry{kReplace, static_cast<uint8_t>(bytes.size()), {}};
    std::memcpy(entry.bytes, bytes.data(), bytes.size());
    return entry;
  }

  // False: a character depends on its neighbours.
  bool Map(std::string_view text, ByteBuffer* out) const {
    out->clear();
    out->Reserve(text.size() + 64);
    const char* p = text.data();
    const char* end = p + text.size();
    char* q = out->data();
    while (p < end) {
      if ((printable_ || lower_) && end - p >= 8) {
        const uint64_t block = Load8(p);
        if (AllPrintable8(block)) {
          const uint64_t mapped = lower_ ? Lower8(block) : block;
          std::memcpy(q, &mapped, 8);
          p += 8;
          q += 8;
          continue;
        }
      }
      unsigned length;
      const Entry& entry = table_[DecodeAt(p, &length)];
      if (entry.kind == kDepends) return false;
      if (entry.kind == kCopy) {
        std::memcpy(q, p, 4);  // the buffers have room behind their ends
        q += length;
      } else {
        if (entry.size > length) {
          const auto used = static_cast<size_t>(q - out->data());
          out->set_size(used);
          out->Reserve(used + entry.size + static_cast<size_t>(end - p) + 64);
          q = out->data() + used;
        }
        std::memcpy(q, entry.bytes, sizeof entry.bytes);
        q += entry.size;
      }
      p += length;
    }
    out->set_size(static_cast<size_t>(q - out->data()));
    return true;
  }

  const Normalizer* slow_;
  bool keeps_start_;
  CharTable<Entry> table_;
  bool printable_;  // printable ASCII stays as it is
  bool lower_;      // printable ASCII becomes lower case
};

// A character is inert when it stays as it is whatever stands around it: a normal form of a text is the normal forms of
// its parts, cut before inert characters (Unicode 15 annex 15, section 9).
class NormalFormBytes : public ByteNormalizer {
 public:
  explicit NormalFormBytes(const Normalizer* slow)
      : slow_(slow), inert_([slow](uint32_t cp) -> uint8_t {
          if (cp < 0x80 || (cp >= 0xD800 && cp < 0xE000)) return 1;
          if (CombiningClass(cp) != 0 || ComposesWithPrevious(cp)) return 0;
          Text text = {{cp, 0, 1}};
          return slow->Normalize(&text).ok() && text.size() == 1 && text[0].cp == cp ? 1 : 0;
        }) {}
  bool keeps_start() const override { return true; }

  Status Normalize(ByteWork* work) const override {
    const std::string_view text = View(work->text);
    const char* const begin = text.data();
    const char* const end = begin + text.size();
    const char* copied = begin;  // what is before this is in the spare text
    const char* last = begin;    // the last inert character
    bool changed = false;
    for (const char* p = begin; p < end;) {
      if (end - p >= 8 && AllAscii8(Load8(p))) {
        p += 8;
        last = p - 1;
        continue;
      }
      unsigned length;
      if (inert_[DecodeAt(p, &length)] != 0) {
        last = p;
        p += length;
        continue;
      }
      const char* stop = p + length;
      while (stop < end) {
        if (inert_[DecodeAt(stop, &length)] != 0) break;
        stop += length;
      }
      if (!changed) work->spare_text.clear();
      changed = true;
      const char* start = std::max(last, copied);
      work->spare_text.Append(copied, static_cast<size_t>(start - copied));
      TV_RETURN_IF_ERROR(NormalizeThroughText(*slow_, {start, static_cast<size_t>(stop - start)}, &work->spare_text));
      copied = last = p = stop;
    }
    if (!changed) return Status::Ok();
    work->spare_text.Append(copied, static_cast<size_t>(end - copied));
    work->SwapText();
    return Status::Ok();
  }

 private:
  const Normalizer* slow_;
  CharTable<uint8_t> inert_;
};

class ReplaceLiteral : public ByteNormalizer {
 public:
  ReplaceLiteral(std::string pattern, std::string content)
      : pattern_(std::move(pattern)), content_(std::move(content)) {}
  // The new text takes the place of the match's last character.
  bool keeps_start() const override { return !content_.empty() && DecodeUtf8(pattern_).size() == 1; }

  Status Normalize(ByteWork* work) const override {
    const std::string_view text = View(work->text);
    size_t at = text.find(pattern_);
    if (at == std::string_view::npos) return Status::Ok();
    ByteBuffer* out = &work->spare_text;
    out->clear();
    out->Reserve(text.size() + text.size() / 2);
    if (pattern_.size() == 1 && content_.size() <= 4) {
      ReplaceByte(text, out);
      work->SwapText();
      return Status::Ok();
    }
    size_t copied = 0;
    for (; at != std::string_view::npos; at = text.find(pattern_, copied)) {
      Append(text.substr(copied, at - copied), out);
      Append(content_, out);
      copied = at + pattern_.size();
    }
    Append(text.substr(copied), out);
    work->SwapText();
    return Status::Ok();
  }

 private:
  void ReplaceByte(std::string_view text, ByteBuffer* out) const {
    char content[4] = {};
    std::memcpy(content, content_.data(), content_.size());
    const size_t size = content_.size();
    const char byte = pattern_[0];
    out->Reserve(text.size() * std::max<size_t>(size, 1));
    char* q = out->data();
    for (const char c : text) {
      if (c == byte) {
        std::memcpy(q, content, 4);
        q += size;
      } else {
        *q++ = c;
      }
    }
    out->set_size(static_cast<size_t>(q - out->data()));
  }
  std::string pattern_;
  std::string content_;
};

class ReplaceSpaces : public ByteNormalizer {
 public:
  explicit ReplaceSpaces(std::string content) : content_(std::move(content)) {}
  Status Normalize(ByteWork* work) const override {
    const std::string_view text = View(work->text);
    size_t at = text.find("  ");
    if (at == std::string_view::npos) return Status::Ok();
    ByteBuffer* out = &work->spare_text;
    out->clear();
    size_t copied = 0;
    for (; at != std::string_view::npos; at = text.find("  ", copied)) {
      Append(text.substr(copied, at - copied), out);
      Append(content_, out);
      copied = std::min(text.find_first_not_of(' ', at), text.size());
    }
    Append(text.substr(copied), out);
    work->SwapText();
    return Status::Ok();
  }

 private:
  std::string content_;
};

class PrependBytes : public ByteNormalizer {
 public:
  explicit PrependBytes(std::string content) : content_(std::move(content)) {}
  bool keeps_start() const override { return true; }
  Status Normalize(ByteWork* work) const override {
    if (work->text.empty()) return Status::Ok();
    work->spare_text.clear();
    Append(content_, &work->spare_text);
    Append(View(work->text), &work->spare_text);
    work->SwapText();
    return Status::Ok();
  }

 private:
  std::string content_;
};

class StripBytes : public ByteNormalizer {
 public:
  StripBytes(bool left, bool right) : left_(left), right_(right) {}
  bool keeps_start() const override { return !left_; }
  Status Normalize(ByteWork* work) const override {
    const char* begin = work->text.data();
    const char* end = begin + work->text.size();
    unsigned length;
    while (right_ && end > begin && IsWhiteSpace(DecodeAt(Previous(end), &length))) end = Previous(end);
    while (left_ && begin < end && IsWhiteSpace(DecodeAt(begin, &length))) begin += length;
    const auto size = static_cast<size_t>(end - begin);
    if (size > 0) std::memmove(work->text.data(), begin, size);
    work->text.set_size(size);
    return Status::Ok();
  }

 private:
  bool left_, right_;
};

}  // namespace

std::unique_ptr<ByteNormalizer> ThroughText(const Normalizer* normalizer) {
  return std::make_unique<TextNormalizer>(normalizer);
}
std::unique_ptr<ByteNormalizer> MakeCharacterMap(const Normalizer* slow, bool keeps_start,
                                                 std::function<bool(const Text&)> depends) {
  return std::make_unique<CharacterMap>(slow, keeps_start, std::move(depends));
}
std::unique_ptr<ByteNormalizer> MakeNormalForm(const Normalizer* slow) {
  return std::make_unique<NormalFormBytes>(slow);
}
std::unique_ptr<ByteNormalizer> MakeReplaceLiteral(std::string pattern, std::string content) {
  return std::make_unique<ReplaceLiteral>(std::move(pattern), std::move(content));
}
std::unique_ptr<ByteNormalizer> MakeReplaceSpaces(std::string content) {
  return std::make_unique<ReplaceSpaces>(std::move(content));
}
std::unique_ptr<ByteNormalizer> MakePrepend(std::string content) {
  return std::make_unique<PrependBytes>(std::move(content));
}
std::unique_ptr<ByteNormalizer> MakeStrip(bool left, bool right) { return std::make_unique<StripBytes>(left, right); }

}  // namespace truevec
