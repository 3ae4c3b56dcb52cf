#include "tokenizer/encoding_ops.h"

#include <algorithm>

namespace truevec {
namespace {

constexpr int64_t kMaxOverflowTokens = int64_t{1} << 23;

// Calls f(list) for the per-token list of each encoding.
template <typename F, typename... Encodings>
void ForEachList(F f, Encodings*... encodings) {
  f(&encodings->ids...);
  f(&encodings->type_ids...);
  f(&encodings->tokens...);
  f(&encodings->offsets...);
  f(&encodings->special_tokens_mask...);
  f(&encodings->attention_mask...);
  f(&encodings->sequence_ids...);
}

Encoding Slice(const Encoding& encoding, int64_t begin, int64_t end) {
  Encoding out;
  ForEachList([=](const auto* from, auto* to) { to->assign(from->begin() + begin, from->begin() + end); }, &encoding,
              &out);
  return out;
}

int64_t Size(const Encoding& encoding) { return static_cast<int64_t>(encoding.ids.size()); }

Status TooManyWindows() {
  return InputError("the windows of the overflow hold more than " + std::to_string(kMaxOverflowTokens) +
                    " tokens; a larger max_length or a smaller stride gives fewer");
}

int64_t OverflowTokens(const Encoding& encoding) {
  int64_t total = 0;
  for (const Encoding& window : encoding.overflowing) total += Size(window);
  return total;
}

// Appends the tokens of `other`, not its windows.
void Append(Encoding* encoding, const Encoding& other) {
  ForEachList([](auto* to, const auto* from) { to->insert(to->end(), from->begin(), from->end()); }, encoding, &other);
}

void PadTo(const Padding& padding, bool details, int64_t target, Encoding* out) {
  for (Encoding& window : out->overflowing) PadTo(padding, details, target, &window);
  if (Size(*out) >= target) return;
  const auto count = static_cast<size_t>(target - Size(*out));
  const auto pad = [&](auto* list, auto value) {
    list->insert(padding.side == Side::kRight ? list->end() : list->begin(), count, value);
  };
  pad(&out->ids, padding.id);
  pad(&out->type_ids, padding.type_id);
  if (!details) return;
  pad(&out->tokens, padding.token);
  pad(&out->offsets, std::pair<int32_t, int32_t>(0, 0));
  pad(&out->special_tokens_mask, uint8_t{1});
  pad(&out->attention_mask, uint8_t{0});
  pad(&out->sequence_ids, -1);
}

// The stride must leave a step in every sequence that is cut to something.
Status CheckStride(const Truncation& truncation, int64_t size, int64_t keep) {
  if (keep >= size || keep == 0 || truncation.stride < keep) return Status::Ok();
  return InputError("a truncation stride of " + std::to_string(truncation.stride) + " is not below the " +
                    std::to_string(keep) + " tokens that stay of a sequence");
}

}  // namespace

Result<Kept> KeptTokens(const Truncation& truncation, int64_t added, Kept sizes, bool pair) {
  const int64_t limit = truncation.max_length - added;
  if (limit < 0) {
    return InputError("a maximum of " + std::to_string(truncation.max_length) + " tokens leaves no room for the " +
                      std::to_string(added) + " special tokens");
  }
  if (limit == 0) return Kept{0, 0};
  const int64_t total = sizes.first + sizes.second;
  if (total <= limit) return sizes;
  Kept kept = sizes;
  if (truncation.strategy != TruncationStrategy::kLongestFirst) {
    const bool first = truncation.strategy == TruncationStrategy::kOnlyFirst;
    if (!first && !pair) return InputError("truncation of only the second text, and there is none");
    int64_t* target = first ? &kept.first : &kept.second;
    if (*target <= total - limit) {
      return InputError("the text to truncate is too short to respect the maximum length");
    }
    *target -= total - limit;
  } else if (!pair) {
    kept.first = limit;
  } else {
    const bool swapped = sizes.first > sizes.second;  // n1 is the shorter sequence
    int64_t n1 = std::min(sizes.first, sizes.second);
    int64_t n2 = n1 > limit ? n1 : std::max(n1, limit - n1);
    if (n1 + n2 > limit) {
      n1 = limit / 2;
      n2 = n1 + limit % 2;
    }
    kept = swapped ? Kept{n2, n1} : Kept{n1, n2};
    kept = {std::min(kept.first, sizes.first), std::min(kept.second, sizes.second)};
  }
  TV_RETURN_IF_ERROR(CheckStride(truncation, sizes.first, kept.first));
  TV_RETURN_IF_ERROR(CheckStride(truncation, sizes.second, kept.second));
  return kept;
}

Status CutIntoWindows(Encoding* encoding, int64_t keep, int64_t stride, Side side) {
  const int64_t size = Size(*encoding);
  if (keep >= size) return Status::Ok();
  if (keep == 0) {
    Encoding empty;
    empty.overflowing.push_back(std::move(*encoding));
    *encoding = std::move(empty);
    return Status::Ok();
  }
  const int64_t step = keep - stride;
  if ((size - keep + step - 1) / step * keep > kMaxOverflowTokens) return TooManyWindows();
  Encoding cut;
  bool first = true;
  for (int64_t at = 0; at < size; at += step) {
    const int64_t begin = side == Side::kRight ? at : std::max<int64_t>(0, size - at - keep);
    const int64_t end = side == Side::kRight ? std::min(at + keep, size) : size - at;
    if (first) {
      cut = Slice(*encoding, begin, end);
    } else {
      cut.overflowing.push_back(Slice(*encoding, begin, end));
    }
    first = false;
    if (side == Side::kRight ? end == size : begin == 0) break;
  }
  *encoding = std::move(cut);
  return Status::Ok();
}

Status MergeInto(Encoding* encoding, const Encoding& other) {
  const auto windows = static_cast<int64_t>(encoding->overflowing.size());
  const auto other_windows = static_cast<int64_t>(other.overflowing.size());
  const int64_t tokens = OverflowTokens(*encoding) * (1 + other_windows) + windows * Size(other) +
                         OverflowTokens(other) * (1 + windows) + other_windows * Size(*encoding);
  if (tokens > kMaxOverflowTokens) return TooManyWindows();
  std::vector<Encoding> combined;
  for (const Encoding& window : encoding->overflowing) {
    combined.push_back(window);
    Append(&combined.back(), other);
    for (const Encoding& other_window : other.overflowing) {
      combined.push_back(window);
      Append(&combined.back(), other_window);
    }
  }
  for (const Encoding& other_window : other.overflowing) {
    combined.push_back(Encoding());
    Append(&combined.back(), *encoding);
    Append(&combined.back(), other_window);
  }
  Append(encoding, other);
  encoding->overflowing = std::move(combined);
  return Status::Ok();
}

void PadEncoding(const Padding& padding, bool details, Encoding* encoding) {
  int64_t target = padding.fixed_length.value_or(Size(*encoding));
  if (padding.multiple_of > 0) target = (target + padding.multiple_of - 1) / padding.multiple_of * padding.multiple_of;
  PadTo(padding, details, target, encoding);
}

}  // namespace truevec
