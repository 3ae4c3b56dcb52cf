// Truncation and chunking: root causes R16 to R18.
#include <algorithm>

#include "verify/hypothesis.h"

namespace truevec {
namespace {

using Ids = std::vector<int32_t>;

size_t Limit(const IdContext& c, size_t content) {
  const size_t around = c.prefix.size() + c.suffix.size();
  const auto limit = static_cast<size_t>(c.max_length);
  return c.max_length <= 0 || limit <= around ? content : limit - around;
}

Edit* OnLong(Hypotheses* out, const char* cause, const std::string& variant, const char* says,
             std::function<Ids(const Ids& content, size_t keep)> cut) {
  Edit* edit = AddHypothesis(out, cause, variant, says);
  out->back().long_only = true;
  edit->untruncated = true;
  edit->ids = [cut](const Part& part, const IdContext& c) {
    const Ids content = ContentOf(part, c);
    const size_t keep = Limit(c, content.size());
    return std::vector<Part>{
        WithIds(part, Join(c.prefix, content.size() > keep ? cut(content, keep) : content, c.suffix))};
  };
  return edit;
}

void NormalizeVector(Vector* v) {
  const double norm = Norm(*v);
  if (norm == 0) return;
  for (float& x : *v) x = static_cast<float>(x / norm);
}

}  // namespace

Hypothesis UncutRow() {
  Hypothesis row;
  row.variant = "uncut";
  row.edit.untruncated = true;
  return row;
}

Hypothesis MaxLengthRow(int64_t length) {
  Hypothesis row;
  row.cause = "max-length";
  row.variant = std::to_string(length);
  row.says = "cut at " + row.variant + " tokens the vectors agree";
  row.edit.max_length = length;
  row.long_only = true;
  row.parameter = "max_length";
  row.value = length;
  return row;
}

Hypothesis ChunkRow(const Chunks& how) {
  Hypothesis row;
  row.cause = "chunk-averaging";
  row.variant = (how.size > 0 ? "chunks of " + std::to_string(how.size) : "chunks of the limit") +
                (how.overlap > 0 ? ", overlap " + std::to_string(how.overlap) : "") +
                (how.weighted ? ", by length" : ", plain mean") + (how.raw ? ", before normalising" : "");
  row.says = "with long texts averaged over " + row.variant + " the vectors agree";
  row.long_only = true;
  row.parameter = "chunk_size";
  row.value = how.size > 0 ? json::value(how.size) : json::value("the limit");
  row.edit.untruncated = true;
  if (how.raw) {
    row.edit.normalize = false;
    row.edit.output = NormalizeVector;
  }
  row.edit.ids = [how](const Part& part, const IdContext& c) {
    const Ids content = ContentOf(part, c);
    const size_t step = how.size > 0 ? static_cast<size_t>(how.size) : Limit(c, content.size());
    if (content.size() <= step) return std::vector<Part>{WithIds(part, Join(c.prefix, content, c.suffix))};
    std::vector<Part> parts;
    for (size_t at = 0; at < content.size(); at += step - std::min(step - 1, static_cast<size_t>(how.overlap))) {
      const size_t last = std::min(at + step, content.size());
      const Ids chunk(content.begin() + static_cast<ptrdiff_t>(at), content.begin() + static_cast<ptrdiff_t>(last));
      parts.push_back(WithIds(part, Join(c.prefix, chunk, c.suffix)));
      parts.back().weight = how.weighted ? static_cast<double>(chunk.size()) : 1;
      if (last == content.size()) break;
    }
    return parts;
  };
  return row;
}

void AddLengthHypotheses(const ModelTraits& model, Hypotheses* out) {
  for (const int64_t length : {8,   16,  32,  48,  64,  96,  100, 126, 128,  130,  192,  200,  250, 254,
                               256, 258, 300, 384, 400, 500, 510, 512, 1000, 1024, 2048, 4096, 8192}) {
    if (length == model.max_length) continue;
    out->push_back(MaxLengthRow(length));
  }
  if (model.max_length < 4) return;
  OnLong(
      out, "truncation-side", "left", "with the end of long texts kept the vectors agree",
      [](const Ids& content, size_t keep) { return Ids(content.end() - static_cast<ptrdiff_t>(keep), content.end()); });
  OnLong(out, "truncation-side", "middle", "with the middle of long texts dropped the vectors agree",
         [](const Ids& content, size_t keep) {
           const size_t head = (keep + 1) / 2;
           Ids ids(content.begin(), content.begin() + static_cast<ptrdiff_t>(head));
           ids.insert(ids.end(), content.end() - static_cast<ptrdiff_t>(keep - head), content.end());
           return ids;
         });
  Edit* lost = AddHypothesis(out, "truncation-side", "closing token lost",
                             "with the closing token cut off long texts the vectors agree");
  out->back().long_only = true;
  lost->untruncated = true;
  lost->ids = [](const Part& part, const IdContext& c) {
    Ids ids = part.text.ids;
    if (c.max_length > 0) ids.resize(std::min(ids.size(), static_cast<size_t>(c.max_length)));
    return std::vector<Part>{WithIds(part, std::move(ids))};
  };
  Edit* again = AddHypothesis(out, "truncation-side", "tokens to text and back",
                              "with long texts cut, turned back into text and tokenised again the vectors agree");
  out->back().long_only = true;
  again->untruncated = true;
  again->ids = [](const Part& part, const IdContext& c) {
    Ids content = ContentOf(part, c);
    const size_t keep = Limit(c, content.size());
    if (content.size() <= keep) return std::vector<Part>{part};
    content.resize(keep);
    const auto text = c.tokenizer->Decode(content, true);
    EncodeOptions options;
    options.truncation = Truncation{c.max_length};
    const auto encoding =
        text.ok() ? c.tokenizer->Encode(*text, std::nullopt, options) : Result<Encoding>(text.status());
    return std::vector<Part>{encoding.ok() ? WithIds(part, encoding->ids) : part};
  };
  const int64_t around = model.prefix + model.suffix;
  for (const int64_t size : {0, 50, 64, 100, 128, 200, 256, 510, 512}) {
    if (size == model.max_length - around || size > model.max_length) continue;
    for (const bool weighted : {false, true}) {
      out->push_back(ChunkRow({.size = size, .weighted = weighted}));
      if (size == 0 && model.normalizes) out->push_back(ChunkRow({.weighted = weighted, .raw = true}));
    }
  }
  for (const int64_t overlap : {10, 16, 20, 32, 50, 64}) {
    if (overlap * 2 >= model.max_length) continue;
    for (const bool weighted : {false, true}) {
      out->push_back(ChunkRow({.overlap = overlap, .weighted = weighted}));
    }
  }
  for (Hypothesis& row : *out) {
    if (row.cause == "chunk-averaging" && !row.value.is_int64()) row.value = model.max_length - around;
  }
}

}  // namespace truevec
