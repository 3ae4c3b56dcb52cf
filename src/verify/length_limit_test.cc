// A target that cuts or refuses at a known count of tokens; one word in six has two.
#include "verify/length_limit.h"

#include <gtest/gtest.h>

#include <sstream>

namespace truevec {
namespace {

std::vector<int32_t> IdsOf(const std::string& text) {
  std::vector<int32_t> ids = {1};
  std::istringstream stream(text);
  for (std::string word; stream >> word;) {
    ids.push_back(100 + static_cast<int32_t>(std::hash<std::string>()(word) % 1000));
    if (word == "letter" || word == "kitchen") ids.push_back(99);
  }
  ids.push_back(2);
  return ids;
}

class Cutting : public Target {
 public:
  Cutting(size_t limit, bool refuses) : limit_(limit), refuses_(refuses) {}
  std::string Description() const override { return "a target that cuts"; }
  Result<TargetReply> Embed(const std::vector<std::string>& texts, const AskOptions&) override {
    ++asked_;
    std::vector<int32_t> ids = IdsOf(texts[0]);
    if (ids.size() > limit_ && refuses_) return InputError("too long");
    if (ids.size() > limit_) {
      ids.resize(limit_);
      ids.back() = 2;
    }
    Vector v(16, 1.0f);
    for (size_t i = 0; i < ids.size(); ++i) v[i % 16] += static_cast<float>(ids[i]) / static_cast<float>(i + 1);
    TargetReply reply;
    reply.vectors.push_back(std::move(v));
    return reply;
  }
  int asked() const { return asked_; }

 private:
  size_t limit_;
  bool refuses_;
  int asked_ = 0;
};

TEST(LengthLimit, IsFoundWhereTheTargetCuts) {
  for (const size_t cut : {9u, 64u, 77u, 100u, 187u, 511u, 512u}) {
    Cutting target(cut, false);
    const auto limit = FindTokenLimit(&target, 1024, 1, 0, IdsOf);
    ASSERT_TRUE(limit.ok());
    EXPECT_TRUE(limit->limited);
    EXPECT_FALSE(limit->refused);
    EXPECT_LE(limit->least, static_cast<int64_t>(cut));
    EXPECT_GE(limit->most, static_cast<int64_t>(cut));
    EXPECT_LE(limit->most - limit->least, 2);
    EXPECT_LT(target.asked(), 40);
  }
}

TEST(LengthLimit, IsFoundWhereTheTargetRefuses) {
  for (const size_t most : {64u, 500u, 512u}) {
    Cutting target(most, true);
    const auto limit = FindTokenLimit(&target, 1024, 1, 0, IdsOf);
    ASSERT_TRUE(limit.ok());
    EXPECT_TRUE(limit->refused);
    EXPECT_LE(limit->least, static_cast<int64_t>(most));
    EXPECT_GE(limit->most, static_cast<int64_t>(most));
  }
}

TEST(LengthLimit, NoneIsSaidWhereAllIsRead) {
  Cutting target(100000, false);
  const auto limit = FindTokenLimit(&target, 512, 1, 0, IdsOf);
  ASSERT_TRUE(limit.ok());
  EXPECT_FALSE(limit->limited);
  EXPECT_GE(limit->most, 510);
  EXPECT_LE(limit->most, 512);
}

}  // namespace
}  // namespace truevec
