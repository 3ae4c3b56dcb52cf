// A token model on bytes: the ids of one pre-tokenized piece, and nothing else. Const, for many threads; each brings
// its scratch.
#ifndef TRUEVEC_TOKENIZER_WORD_ENCODER_H_
#define TRUEVEC_TOKENIZER_WORD_ENCODER_H_

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "tokenizer/pod_buffer.h"
#include "tokenizer/text.h"

namespace truevec {

class TokenModel;

// What the models need while they work; one per thread, reused.
struct ModelScratch {
  struct Symbol {
    int32_t id;  // -1: merged into its left neighbour
    int32_t previous;
    int32_t next;
  };
  PodBuffer<Symbol> symbols;
  PodBuffer<uint64_t> heap;
  struct Place {
    double score;
    uint32_t start;
    uint32_t unit;
  };
  PodBuffer<Place> places;
  SpanBuffer path;
  Text text;
  std::vector<Token> tokens;
  std::string bytes;
};

class WordEncoder {
 public:
  virtual ~WordEncoder() = default;
  // Appends the ids of `word`, which is not empty and has 16 readable bytes past its end.
  virtual void Encode(std::string_view word, ModelScratch* scratch, IdBuffer* out) const = 0;
  // Whether Cut() finds places that no token crosses, so that the parts can be encoded (and cached) alone.
  virtual bool cuts() const { return false; }
  // Appends the parts of the piece text[span.begin, span.end), as bytes of `text`.
  virtual void Cut(const char* /*text*/, ByteSpan span, SpanBuffer* out) const { out->Push(span); }
};

// Encodes through TokenModel::Tokenize; `byte_level`: pieces are bytes that stand for characters of GPT-2's alphabet.
std::unique_ptr<WordEncoder> ThroughModel(const TokenModel* model, bool byte_level);

}  // namespace truevec

#endif  // TRUEVEC_TOKENIZER_WORD_ENCODER_H_
