#include "verify/compare.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

namespace truevec {
namespace {

TEST(Compare, DistanceOfKnownAngles) {
  EXPECT_DOUBLE_EQ(CosineDistance(Vector{1, 0}, Vector{0, 2}), 1.0);
  EXPECT_DOUBLE_EQ(CosineDistance(Vector{1, 0}, Vector{-3, 0}), 2.0);
  EXPECT_NEAR(CosineDistance(Vector{1, 0}, Vector{1, 1e-6f}), 5e-13, 1e-15);
  EXPECT_EQ(CosineDistance(Vector{1, NAN}, Vector{1, 0}), 2.0);
  EXPECT_EQ(CosineDistance(Vector{1}, Vector{1, 0}), 2.0);
}

TEST(Compare, NormIsSeenApartFromDirection) {
  const std::vector<Vector> reference = {{0.6f, 0.8f}, {1, 0}};
  const std::vector<Vector> target = {{1.2f, 1.6f}, {2, 0}};
  const Comparison c = Compare(reference, target);
  EXPECT_LT(c.worst, 1e-12);
  EXPECT_FALSE(NormsAgree(c));
  EXPECT_NEAR(c.norm_ratio_min, 2, 1e-6);
}

TEST(Compare, TheSameBrokenAnswerTwiceIsOneAnswer) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  EXPECT_EQ(AnswerDistance(Vector{nan, 1}, Vector{nan, 1}), 0);
  EXPECT_EQ(AnswerDistance(Vector{nan, 1}, Vector{0, 1}), 2);
  EXPECT_EQ(AnswerDistance(Vector{0, 0}, Vector{0, 0}), 0);
  EXPECT_NEAR(AnswerDistance(Vector{1, 0}, Vector{0, 2}), 1, 1e-12);
}

TEST(Compare, PermutationIsFound) {
  const std::vector<Vector> singles = {{1, 0, 0}, {0, 1, 0}, {0, 0, 1}};
  const std::vector<Vector> batch = {{0, 0, 1}, {1, 0, 0}, {1, 1, 1}};
  EXPECT_EQ(MatchRows(singles, batch, 1e-6), (std::vector<int>{2, 0, -1}));
}

TEST(Compare, ClassesOfTheContract) {
  EXPECT_EQ(ClassOf(1e-7, 1e-6), Tolerance::kFloat32);
  EXPECT_EQ(ClassOf(1e-7, 1e-4), Tolerance::kFloat16);
  EXPECT_EQ(ClassOf(5e-4, 1e-2), Tolerance::kBfloat16);
  EXPECT_EQ(ClassOf(5e-3, 1e-2), Tolerance::kInt8);
  EXPECT_EQ(ClassOf(2e-2, 1e-2), Tolerance::kNone);
}

}  // namespace
}  // namespace truevec
