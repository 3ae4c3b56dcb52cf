// How far into a long text a target reads, found by asking it: texts that differ in their last word alone have one
// vector where that word was cut off.
#ifndef TRUEVEC_VERIFY_LENGTH_LIMIT_H_
#define TRUEVEC_VERIFY_LENGTH_LIMIT_H_

#include <functional>
#include <optional>

#include "verify/target.h"

namespace truevec {

struct Ending {
  bool refused = false;
  bool ignored = false;  // another last word changes nothing
  std::optional<int64_t> tokens;
};

// `words` common words.
std::string CommonWords(int64_t words);
// CommonWords(words) with two last words in turn. `noise`: distance between two answers to one request.
Result<Ending> AskEndings(Target* target, int64_t words, double noise);

struct WordLimit {
  int64_t read = 0;      // words of the longest text that is read to its end
  bool limited = false;  // one word more is not
  Ending at_more;        // what the target did with that
};
// Bisects between `first` words, taken to be read, and `most`: about 2 log2(most / first) requests.
Result<WordLimit> FindWordLimit(Target* target, int64_t first, int64_t most, double noise);

// Tokens with special ones that the target can be limited to, `least` to `most` (one word may have several).
struct TokenLimit {
  int64_t least = 0, most = 0;
  bool limited = false;  // false: texts of up to `most` tokens are read whole
  bool refused = false;  // longer texts are refused, not cut
};
// `ids`: of a text that nothing cuts, the last `closing` of them special. Texts of more than `most_tokens` are not
// asked.
Result<TokenLimit> FindTokenLimit(Target* target, int64_t most_tokens, int64_t closing, double noise,
                                  const std::function<std::vector<int32_t>(const std::string&)>& ids);

}  // namespace truevec

#endif  // TRUEVEC_VERIFY_LENGTH_LIMIT_H_
