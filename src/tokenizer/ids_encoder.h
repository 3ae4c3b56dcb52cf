// The ids-only path: text to the model's ids through byte stages, a word cache and a WordEncoder, without offsets.
// Gives the ids of the path with offsets (ids_encoder_test.cc compares them).
#ifndef TRUEVEC_TOKENIZER_IDS_ENCODER_H_
#define TRUEVEC_TOKENIZER_IDS_ENCODER_H_

#include <array>
#include <atomic>
#include <memory>
#include <string_view>

#include "base/status.h"
#include "tokenizer/byte_stages.h"
#include "tokenizer/hf_tokenizer.h"
#include "tokenizer/word_cache.h"
#include "tokenizer/word_encoder.h"

namespace truevec {

struct IdsScratch {
  ByteWork work;
  ByteWork part;  // a piece between added tokens that match normalised text
  ModelScratch model;
  std::unique_ptr<WordCache> cache;  // made with the first text that is worth it
  int64_t bytes_seen = 0;
  IdBuffer ids;
  std::vector<ByteSegment> raw_segments;
  std::vector<ByteSegment> normalized_segments;
};

// Scratches that no thread uses at the moment. A thread takes one for a call and gives it back; there are as many as
// calls were ever running at once (at most kSlots are kept).
class ScratchPool {
 public:
  ScratchPool() = default;
  ScratchPool(const ScratchPool&) = delete;
  ScratchPool& operator=(const ScratchPool&) = delete;
  ~ScratchPool() {
    for (auto& slot : slots_) delete slot.load(std::memory_order_relaxed);
  }

  class Lease {
   public:
    explicit Lease(ScratchPool* pool) : pool_(pool), scratch_(pool->Take()) {}
    ~Lease() { pool_->Give(std::move(scratch_)); }
    Lease(const Lease&) = delete;
    Lease& operator=(const Lease&) = delete;
    IdsScratch* get() const { return scratch_.get(); }

   private:
    ScratchPool* pool_;
    std::unique_ptr<IdsScratch> scratch_;
  };

 private:
  static constexpr size_t kSlots = 256;
  std::unique_ptr<IdsScratch> Take();
  void Give(std::unique_ptr<IdsScratch> scratch);
  std::array<std::atomic<IdsScratch*>, kSlots> slots_{};
};

class IdsEncoder {
 public:
  // Null when the parts have no form on bytes. `parts` must outlive it.
  static std::unique_ptr<IdsEncoder> Make(const TokenizerParts& parts);

  // Replaces scratch->ids by those of `text` (valid UTF-8), without special tokens.
  Status Encode(std::string_view text, IdsScratch* scratch) const;

 private:
  explicit IdsEncoder(const TokenizerParts& parts) : added_(parts.added) {}
  Status EncodeSegment(std::string_view text, bool at_start, IdsScratch* scratch) const;
  // The pieces of work->text, which is normalised and not empty.
  Status EncodeNormalized(ByteWork* work, IdsScratch* scratch) const;
  void EncodeLongWord(std::string_view word, IdsScratch* scratch) const;

  const AddedVocabulary& added_;
  ByteNormalizers normalizers_;
  ByteSplitters splitters_;
  std::unique_ptr<WordEncoder> words_;
};

}  // namespace truevec

#endif  // TRUEVEC_TOKENIZER_IDS_ENCODER_H_
