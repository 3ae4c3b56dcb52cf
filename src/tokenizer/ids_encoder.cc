#include "tokenizer/ids_encoder.h"

#include <algorithm>
#include <functional>
#include <limits>
#include <thread>

#include "tokenizer/byte_level.h"
#include "tokenizer/utf8-inl.h"

namespace truevec {
namespace {

// Buffers that a very long text has blown up are not kept for the next one.
constexpr size_t kKeepBytes = size_t{1} << 22;
// Texts before the first this many bytes of a scratch are encoded without a cache: its pages are not worth touching.
constexpr int64_t kBytesBeforeCache = 256;

class ModelWords : public WordEncoder {
 public:
  ModelWords(const TokenModel* model, bool byte_level) : model_(model), byte_level_(byte_level) {}
  void Encode(std::string_view word, ModelScratch* scratch, IdBuffer* out) const override {
    if (byte_level_) {
      scratch->text.clear();
      for (const char c : word) scratch->text.push_back({ByteToChar(static_cast<uint8_t>(c)), 0, 1});
    } else {
      ToText(word, &scratch->text);
    }
    scratch->tokens.clear();
    model_->Tokenize(scratch->text, &scratch->tokens);
    for (const Token& token : scratch->tokens) out->Push(token.id);
  }

 private:
  const TokenModel* model_;
  bool byte_level_;
};

size_t SlotOfThread(size_t slots) { return std::hash<std::thread::id>()(std::this_thread::get_id()) % slots; }

}  // namespace

std::unique_ptr<WordEncoder> ThroughModel(const TokenModel* model, bool byte_level) {
  return std::make_unique<ModelWords>(model, byte_level);
}

std::unique_ptr<IdsScratch> ScratchPool::Take() {
  const size_t first = SlotOfThread(kSlots);
  for (size_t i = 0; i < kSlots; ++i) {
    std::atomic<IdsScratch*>& slot = slots_[(first + i) % kSlots];
    if (slot.load(std::memory_order_relaxed) == nullptr) {
      if (i >= 8) break;  // as good as none: a new one is dear once, a long search is dear always
      continue;
    }
    if (IdsScratch* scratch = slot.exchange(nullptr, std::memory_order_acquire)) {
      return std::unique_ptr<IdsScratch>(scratch);
    }
  }
  return std::make_unique<IdsScratch>();
}

void ScratchPool::Give(std::unique_ptr<IdsScratch> scratch) {
  const size_t first = SlotOfThread(kSlots);
  for (size_t i = 0; i < kSlots; ++i) {
    IdsScratch* empty = nullptr;
    if (slots_[(first + i) % kSlots].compare_exchange_strong(empty, scratch.get(), std::memory_order_release,
                                                             std::memory_order_relaxed)) {
      scratch.release();
      return;
    }
  }
}

std::unique_ptr<IdsEncoder> IdsEncoder::Make(const TokenizerParts& parts) {
  std::unique_ptr<IdsEncoder> encoder(new IdsEncoder(parts));
  if (parts.normalizer != nullptr) parts.normalizer->AddBytes(&encoder->normalizers_);
  if (parts.pre_tokenizer != nullptr) parts.pre_tokenizer->AddBytes(&encoder->splitters_);
  bool keeps_start = encoder->normalizers_.empty() || !parts.added.has_normalized();
  for (const auto& normalizer : encoder->normalizers_) keeps_start = keeps_start && normalizer->keeps_start();
  bool byte_level = false;
  for (const auto& splitter : encoder->splitters_) {
    if (byte_level || (splitter->needs_start() && !keeps_start)) return nullptr;
    byte_level = splitter->byte_level();
    keeps_start = keeps_start && !splitter->rewrites_text();
  }
  encoder->words_ = parts.model->MakeWordEncoder(byte_level);
  if (encoder->words_ == nullptr) encoder->words_ = ThroughModel(parts.model.get(), byte_level);
  return encoder;
}

Status IdsEncoder::Encode(std::string_view text, IdsScratch* scratch) const {
  scratch->ids.clear();
  scratch->bytes_seen += static_cast<int64_t>(text.size());
  if (scratch->cache == nullptr && scratch->bytes_seen > kBytesBeforeCache) {
    scratch->cache = std::make_unique<WordCache>();
  }
  if (!added_.MayMatch(text, false)) return EncodeSegment(text, true, scratch);
  scratch->raw_segments.clear();
  added_.SplitBytes(text, false, &scratch->raw_segments);
  for (const ByteSegment& segment : scratch->raw_segments) {
    if (segment.token != nullptr) {
      scratch->ids.Push(segment.token->id);
    } else {
      TV_RETURN_IF_ERROR(EncodeSegment(segment.text, segment.text.data() == text.data(), scratch));
    }
  }
  return Status::Ok();
}

Status IdsEncoder::EncodeSegment(std::string_view text, bool at_start, IdsScratch* scratch) const {
  ByteWork* work = &scratch->work;
  if (work->text.capacity() > kKeepBytes && text.size() < kKeepBytes / 8) *work = ByteWork();
  work->text.clear();
  Append(text, &work->text);
  work->at_start = at_start;
  for (const auto& normalizer : normalizers_) TV_RETURN_IF_ERROR(normalizer->Normalize(work));
  if (!added_.MayMatch(View(work->text), true)) return EncodeNormalized(work, scratch);
  scratch->normalized_segments.clear();
  added_.SplitBytes(View(work->text), true, &scratch->normalized_segments);
  for (const ByteSegment& segment : scratch->normalized_segments) {
    if (segment.token != nullptr) {
      scratch->ids.Push(segment.token->id);
      continue;
    }
    scratch->part.text.clear();
    Append(segment.text, &scratch->part.text);
    scratch->part.at_start = at_start && segment.text.data() == work->text.data();
    TV_RETURN_IF_ERROR(EncodeNormalized(&scratch->part, scratch));
  }
  return Status::Ok();
}

Status IdsEncoder::EncodeNormalized(ByteWork* work, IdsScratch* scratch) const {
  if (work->text.empty()) return Status::Ok();
  // Spans are 32 bits wide, and a splitter may write up to 4 bytes for one.
  if (work->text.size() > std::numeric_limits<uint32_t>::max() / 8) {
    return InputError("a text of " + std::to_string(work->text.size()) + " bytes is too long to tokenize");
  }
  work->spans.clear();
  work->spans.Push({0, static_cast<uint32_t>(work->text.size())});
  for (const auto& splitter : splitters_) TV_RETURN_IF_ERROR(splitter->Split(work));
  const char* const text = work->text.data();
  if (words_->cuts()) {
    work->spare_spans.clear();
    for (const ByteSpan span : work->spans) words_->Cut(text, span, &work->spare_spans);
    work->SwapSpans();
  }
  WordCache* const cache = scratch->cache.get();
  IdBuffer* const ids = &scratch->ids;
  if (cache == nullptr) {
    for (const ByteSpan span : work->spans) words_->Encode(View(work->text, span), &scratch->model, ids);
    return Status::Ok();
  }
  for (const ByteSpan span : work->spans) {
    const size_t length = span.end - span.begin;
    const char* const word = text + span.begin;
    if (length > WordCache::kShortBytes) {
      EncodeLongWord({word, length}, scratch);
      continue;
    }
    const WordCache::Key key = WordCache::MakeKey(word, length);
    const int found = cache->FindShort(key, ids->Room(WordCache::kShortIds));
    if (found >= 0) [[likely]] {
      ids->set_size(ids->size() + static_cast<size_t>(found));
      continue;
    }
    const size_t before = ids->size();
    EncodeLongWord({word, length}, scratch);
    const size_t count = ids->size() - before;
    if (count <= WordCache::kShortIds) cache->InsertShort(key, ids->data() + before, count);
  }
  return Status::Ok();
}

void IdsEncoder::EncodeLongWord(std::string_view word, IdsScratch* scratch) const {
  IdBuffer* const ids = &scratch->ids;
  if (word.size() > WordCache::kLongBytes) {
    words_->Encode(word, &scratch->model, ids);
    return;
  }
  const int found = scratch->cache->FindLong(word.data(), word.size(), ids->Room(WordCache::kLongIds));
  if (found >= 0) {
    ids->set_size(ids->size() + static_cast<size_t>(found));
    return;
  }
  const size_t before = ids->size();
  words_->Encode(word, &scratch->model, ids);
  const size_t count = ids->size() - before;
  const bool fits_short = word.size() <= WordCache::kShortBytes && count <= WordCache::kShortIds;
  if (!fits_short && count <= WordCache::kLongIds) {
    scratch->cache->InsertLong(word.data(), word.size(), ids->data() + before, count);
  }
}

}  // namespace truevec
