#include "cli/bench_texts.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <random>

#include "base/json.h"

namespace truevec::cli {
namespace {

constexpr std::array<const char*, 96> kWords = {"the",
                                                "of",
                                                "and",
                                                "to",
                                                "in",
                                                "is",
                                                "that",
                                                "for",
                                                "with",
                                                "as",
                                                "water",
                                                "city",
                                                "history",
                                                "market",
                                                "river",
                                                "language",
                                                "science",
                                                "music",
                                                "war",
                                                "house",
                                                "government",
                                                "people",
                                                "world",
                                                "school",
                                                "energy",
                                                "computer",
                                                "doctor",
                                                "children",
                                                "country",
                                                "company",
                                                "research",
                                                "machine",
                                                "learning",
                                                "model",
                                                "question",
                                                "answer",
                                                "search",
                                                "document",
                                                "vector",
                                                "database",
                                                "engine",
                                                "result",
                                                "weather",
                                                "capital",
                                                "France",
                                                "Germany",
                                                "London",
                                                "January",
                                                "summer",
                                                "winter",
                                                "heart",
                                                "disease",
                                                "treatment",
                                                "patient",
                                                "protein",
                                                "cell",
                                                "star",
                                                "planet",
                                                "light",
                                                "gravity",
                                                "quantum",
                                                "theory",
                                                "bridge",
                                                "railway",
                                                "engineer",
                                                "bank",
                                                "interest",
                                                "rate",
                                                "price",
                                                "tax",
                                                "law",
                                                "court",
                                                "election",
                                                "president",
                                                "minister",
                                                "football",
                                                "team",
                                                "season",
                                                "player",
                                                "film",
                                                "actor",
                                                "novel",
                                                "author",
                                                "paint",
                                                "colour",
                                                "kitchen",
                                                "recipe",
                                                "bread",
                                                "garden",
                                                "tokenization",
                                                "photosynthesis",
                                                "neighbourhood",
                                                "1984",
                                                "42",
                                                "electromagnetic",
                                                "unbelievably"};

class WordSource {
 public:
  explicit WordSource(uint32_t seed) : generator_(seed) {}
  // Uniform in [0, 1) from the raw generator: the same on every platform.
  double Uniform() { return static_cast<double>(generator_()) / 4294967296.0; }
  std::string Word() { return kWords[generator_() % kWords.size()]; }
  // Box-Muller
  double Normal() { return std::sqrt(-2 * std::log(1 - Uniform())) * std::cos(2 * 3.14159265358979323846 * Uniform()); }

 private:
  std::mt19937 generator_;
};

Result<int64_t> CountTokens(const Embedder& embedder, const std::string& text, int64_t limit) {
  EmbedParams params;
  params.max_length = limit;
  std::string out;
  if (const Error error = embedder.TokenizeJson(text, params, &out); !error.ok()) return InputError(error.message);
  TV_ASSIGN_OR_RETURN(const JsonFile parsed, JsonFile::Parse(out, "tokens"));
  return static_cast<int64_t>(parsed.root()["ids"].size());
}

std::string Join(const std::vector<std::string>& words) {
  std::string text;
  for (const std::string& word : words) text += (text.empty() ? "" : " ") + word;
  return text;
}

}  // namespace

std::vector<std::string> MixedTexts(int64_t count) {
  WordSource source(20260101);
  std::vector<std::string> texts;
  for (int64_t i = 0; i < count; ++i) {
    const auto words = static_cast<int64_t>(std::clamp(std::exp(3.0 + 0.6 * source.Normal()), 2.0, 200.0));
    std::string text;
    for (int64_t w = 0; w < words; ++w) {
      std::string word = source.Word();
      if (w == 0) word[0] = static_cast<char>(std::toupper(static_cast<unsigned char>(word[0])));
      if (w > 0) text += source.Uniform() < 0.08 ? ", " : " ";
      text += word;
    }
    texts.push_back(text + ".");
  }
  return texts;
}

Result<std::vector<std::string>> TextsOfLength(const Embedder& embedder, int64_t count, int64_t tokens) {
  WordSource source(static_cast<uint32_t>(7 + tokens));
  std::vector<std::string> texts;
  while (static_cast<int64_t>(texts.size()) < count) {
    std::vector<std::string> words;
    int64_t have = 0;
    for (int attempt = 0; attempt < 40 && have != tokens; ++attempt) {
      const size_t before = words.size();
      const int64_t missing = std::max<int64_t>(1, (tokens - have) * 2 / 3);
      for (int64_t i = 0; i < missing; ++i) words.push_back(source.Word());
      TV_ASSIGN_OR_RETURN(const int64_t now, CountTokens(embedder, Join(words), tokens + 64));
      if (now > tokens) {
        words.resize(before);
      } else {
        have = now;
      }
    }
    texts.push_back(Join(words));
  }
  return texts;
}

}  // namespace truevec::cli
