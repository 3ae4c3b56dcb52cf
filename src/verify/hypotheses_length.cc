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

void AddChunks(Hypotheses* out, const std::string& variant, const char* says, int64_t size, int64_t overlap,
               bool weighted) {
  Edit* edit = AddHypothesis(out, "chunk-averaging", variant, says);
  out->back().long_only = true;
  edit->untruncated = true;
  edit->ids = [size, overlap, weighted](const Part& part, const IdContext& c) {
    const Ids content = ContentOf(part, c);
    const size_t step = size > 0 ? static_cast<size_t>(size) : Limit(c, content.size());
    if (content.size() <= step) return std::vector<Part>{WithIds(part, Join(c.prefix, content, c.suffix))};
    std::vector<Part> parts;
    for (size_t at = 0; at < content.size(); at += step - static_cast<size_t>(overlap)) {
      const size_t last = std::min(at + step, content.size());
      const Ids chunk(content.begin() + static_cast<ptrdiff_t>(at), content.begin() + static_cast<ptrdiff_t>(last));
      parts.push_back(WithIds(part, Join(c.prefix, chunk, c.suffix)));
      parts.back().weight = weighted ? static_cast<double>(chunk.size()) : 1;
      if (last == content.size()) break;
    }
    return parts;
  };
}

}  // namespace

void AddLengthHypotheses(const ModelTraits& model, Hypotheses* out) {
  for (const int64_t length : {8,   16,  32,  48,  64,  96,  100, 126, 128,  130,  192,  200,  250, 254,
                               256, 258, 300, 384, 400, 500, 510, 512, 1000, 1024, 2048, 4096, 8192}) {
    if (length == model.max_length) continue;
    AddHypothesis(out, "max-length", std::to_string(length),
                  "cut at " + std::to_string(length) + " tokens the vectors agree")
        ->max_length = length;
    out->back().long_only = true;
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
  AddChunks(out, "by length", "with chunks averaged by length the vectors agree", 0, 0, true);
  AddChunks(out, "plain mean", "with chunks averaged the vectors agree", 0, 0, false);
  for (const int64_t size : {128, 256, 510, 512}) {
    if (size == model.max_length - around || size > model.max_length) continue;
    AddChunks(out, std::to_string(size) + " by length", "with chunks averaged by length the vectors agree", size, 0,
              true);
    AddChunks(out, std::to_string(size) + " plain mean", "with chunks averaged the vectors agree", size, 0, false);
  }
  for (const int64_t overlap : {16, 20, 32, 50, 64}) {
    if (overlap * 2 >= model.max_length) continue;
    AddChunks(out, "overlap " + std::to_string(overlap), "with overlapping chunks averaged the vectors agree", 0,
              overlap, false);
    AddChunks(out, "overlap " + std::to_string(overlap) + " by length",
              "with overlapping chunks averaged by length the vectors agree", 0, overlap, true);
  }
}

}  // namespace truevec
