// The stages of the ids-only path. They do what Normalizer and PreTokenizer do, but on UTF-8 bytes and without keeping
// where each character came from. A stage without a form of its own runs the other one, through Text.
#ifndef TRUEVEC_TOKENIZER_BYTE_STAGES_H_
#define TRUEVEC_TOKENIZER_BYTE_STAGES_H_

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "tokenizer/pod_buffer.h"
#include "tokenizer/text.h"

namespace truevec {

class Normalizer;
class Pattern;
class PreTokenizer;
enum class SplitBehavior;

// What the stages work on; one per thread, reused.
struct ByteWork {
  ByteBuffer text;
  SpanBuffer spans;       // the pieces of `text`, in order; set before the first splitter
  bool at_start = false;  // whether `text` begins where the text given to the tokenizer begins
  ByteBuffer spare_text;
  SpanBuffer spare_spans;

  // Makes the spare text the text.
  void SwapText() { text.swap(spare_text); }
  void SwapSpans() { spans.swap(spare_spans); }
};

class ByteNormalizer {
 public:
  virtual ~ByteNormalizer() = default;
  // Changes work->text (valid UTF-8). Fails only when a pattern exceeds its step budget.
  virtual Status Normalize(ByteWork* work) const = 0;
  // Whether the first character of the result always comes from the first character of the text.
  virtual bool keeps_start() const { return false; }
};

class ByteSplitter {
 public:
  virtual ~ByteSplitter() = default;
  // Replaces work->spans by their parts (and work->text, where characters are replaced). No part is empty.
  virtual Status Split(ByteWork* work) const = 0;
  virtual bool rewrites_text() const { return false; }
  // The pieces are the bytes that the characters of GPT-2's alphabet stand for, not those characters.
  virtual bool byte_level() const { return false; }
  // Reads work->at_start.
  virtual bool needs_start() const { return false; }
};

using ByteNormalizers = std::vector<std::unique_ptr<ByteNormalizer>>;
using ByteSplitters = std::vector<std::unique_ptr<ByteSplitter>>;

// UTF-8 to characters (their ranges are those of `bytes`) and back.
void ToText(std::string_view bytes, Text* out);
void AppendText(const Text& text, ByteBuffer* out);

// Stages that run the one given, which must outlive them.
std::unique_ptr<ByteNormalizer> ThroughText(const Normalizer* normalizer);
std::unique_ptr<ByteSplitter> ThroughText(const PreTokenizer* pre_tokenizer);

// --- normalizers (byte_normalizers.cc); `slow` is the stage that they stand for and must outlive them ---

// For a normalizer that maps each character on its own. `depends` marks characters whose result depends on their
// neighbours: a text with one goes through `slow` as a whole. May be empty.
std::unique_ptr<ByteNormalizer> MakeCharacterMap(const Normalizer* slow, bool keeps_start,
                                                 std::function<bool(const Text& result)> depends);
// NFC, NFD, NFKC, NFKD: only the stretches between characters that stay as they are go through `slow`.
std::unique_ptr<ByteNormalizer> MakeNormalForm(const Normalizer* slow);
// A literal pattern that is not empty.
std::unique_ptr<ByteNormalizer> MakeReplaceLiteral(std::string pattern, std::string content);
// Two or more spaces: the regex " {2,}".
std::unique_ptr<ByteNormalizer> MakeReplaceSpaces(std::string content);
std::unique_ptr<ByteNormalizer> MakePrepend(std::string content);
std::unique_ptr<ByteNormalizer> MakeStrip(bool left, bool right);

// --- pre-tokenizers (byte_splitters.cc) ---

enum class CharKind : uint8_t { kDrop, kAlone, kWord, kWord2 };  // neighbours of the same word kind are one piece
std::unique_ptr<ByteSplitter> MakeClassSplitter(std::function<CharKind(uint32_t cp)> classify);
// Cuts at characters.
std::unique_ptr<ByteSplitter> MakeCharacterSplitter(std::function<bool(uint32_t cp)> is_match, SplitBehavior behavior);
std::unique_ptr<ByteSplitter> MakeLiteralSplitter(std::string literal, SplitBehavior behavior, bool invert);
std::unique_ptr<ByteSplitter> MakeMetaspace(uint32_t replacement, bool prepend, bool only_at_start, bool split);
// `pattern` empty: use_regex is false. Null when there is no scanner for it.
std::unique_ptr<ByteSplitter> MakeByteLevel(bool add_prefix_space, std::string_view pattern);
// A Split with behavior Isolated by a pattern that has a scanner; null when it has none.
std::unique_ptr<ByteSplitter> MakeScannerSplitter(std::string_view pattern);

}  // namespace truevec

#endif  // TRUEVEC_TOKENIZER_BYTE_STAGES_H_
