// Bisection by pairs of texts.
#include "verify/length_limit.h"

#include <algorithm>
#include <array>

namespace truevec {
namespace {

constexpr std::array<const char*, 6> kWords = {"river", "paper", "window", "garden", "music", "letter"};
constexpr std::array<const char*, 2> kLast = {"doctor", "kitchen"};

}  // namespace

std::string CommonWords(int64_t words) {
  std::string text;
  for (int64_t i = 0; i < words; ++i) text += std::string(i > 0 ? " " : "") + kWords[static_cast<size_t>(i * i % 6)];
  return text;
}

Result<Ending> AskEndings(Target* target, int64_t words, double noise) {
  Ending ending;
  std::vector<Vector> vectors;
  const std::string start = words > 1 ? CommonWords(words - 1) + " " : "";
  for (const char* last : kLast) {
    auto reply = target->Embed({start + last}, {});
    if (!reply.ok()) {
      if (reply.status().code() != Code::kBadInput) return reply.status();
      ending.refused = true;
      return ending;
    }
    if (reply->vectors.empty()) return EndpointError(target->Description() + ": expected a vector, got none");
    ending.tokens = reply->input_tokens;
    vectors.push_back(std::move(reply->vectors[0]));
  }
  ending.ignored = CosineDistance(vectors[0], vectors[1]) <= 10 * noise + 1e-13;
  return ending;
}

Result<WordLimit> FindWordLimit(Target* target, int64_t first, int64_t most, double noise) {
  WordLimit limit;
  limit.read = first;
  int64_t more = 0;  // the shortest that is not read
  const auto ask = [&](int64_t words) -> Status {
    TV_ASSIGN_OR_RETURN(const Ending ending, AskEndings(target, words, noise));
    if (ending.refused || ending.ignored) {
      more = words;
      limit.at_more = ending;
    } else {
      limit.read = words;
    }
    return Status::Ok();
  };
  for (int64_t words = std::min(first * 16, most); more == 0 && limit.read < most; words = std::min(words * 4, most)) {
    TV_RETURN_IF_ERROR(ask(words));
  }
  if (more == 0) return limit;
  limit.limited = true;
  while (more - limit.read > 1) TV_RETURN_IF_ERROR(ask((limit.read + more) / 2));
  return limit;
}

Result<TokenLimit> FindTokenLimit(Target* target, int64_t most_tokens, int64_t closing, double noise,
                                  const std::function<std::vector<int32_t>(const std::string&)>& ids) {
  struct Both {
    int64_t shared;  // tokens before the endings differ
    int64_t longer;  // tokens of the longer text
  };
  const auto look = [&](int64_t words) {
    const std::string start = words > 1 ? CommonWords(words - 1) + " " : "";
    const auto a = ids(start + kLast[0]);
    const auto b = ids(start + kLast[1]);
    return Both{std::mismatch(a.begin(), a.end(), b.begin(), b.end()).first - a.begin(),
                static_cast<int64_t>(std::max(a.size(), b.size()))};
  };
  int64_t most_words = 1;
  for (int64_t step = most_tokens; step > 0; step /= 2) {
    while (most_words + step <= most_tokens && look(most_words + step).longer <= most_tokens) most_words += step;
  }
  TV_ASSIGN_OR_RETURN(const WordLimit words,
                      FindWordLimit(target, std::min<int64_t>(4, most_words), most_words, noise));
  TokenLimit limit;
  limit.limited = words.limited;
  limit.refused = words.limited && words.at_more.refused;
  limit.least = limit.most = look(words.read).longer;
  if (limit.refused) limit.most = std::max(limit.least, look(words.read + 1).longer - 1);
  if (limit.limited && !limit.refused) {
    limit.least = look(words.read).shared + 1 + closing;
    limit.most = std::max(limit.least, look(words.read + 1).shared + closing);
  }
  return limit;
}

}  // namespace truevec
