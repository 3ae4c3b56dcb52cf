// The regex engine: matches as Oniguruma finds them (research with onig 6.9.10: Ruby syntax), refusals, and its budget.
#include <gtest/gtest.h>

#include "tokenizer/regex.h"
#include "unicode/unicode.h"

namespace truevec {
namespace {

// All matches, joined by |.
std::string All(std::string_view pattern, std::string_view text) {
  auto regex = Regex::Compile(pattern);
  if (!regex.ok()) return "refused: " + regex.status().message();
  const std::vector<uint32_t> cps = DecodeUtf8(text);
  std::string out;
  for (size_t from = 0; from <= cps.size();) {
    auto match = regex->Find(cps, from);
    if (!match.ok()) return "error: " + match.status().message();
    if (!*match) break;
    out += out.empty() ? "" : "|";
    for (size_t i = (*match)->first; i < (*match)->second; ++i) AppendUtf8(cps[i], &out);
    from = std::max((*match)->second, from + 1);
  }
  return out;
}

TEST(Regex, FindsLeftmostGreedyMatches) {
  EXPECT_EQ(All(R"( ?\p{L}+|\s+(?!\S)|\s+)", "ab  cd "), "ab| | cd| ");
  EXPECT_EQ(All(R"(\p{N}{1,3})", "1234567"), "123|456|7");
  EXPECT_EQ(All(R"([^\r\n\p{L}\p{N}]?\p{L}+)", "-ab\ncd"), "-ab|cd");
  EXPECT_EQ(All(R"((?<=a)b|(?<!a)c)", "ab cac"), "b|c");
  EXPECT_EQ(All(R"(a+?b|a*)", "aaab"), "aaab|");  // and the empty match at the end
  EXPECT_EQ(All(R"(^b$)", "a\nb\nc"), "b");
  EXPECT_EQ(All(R"([a-w&&[^c-g]]+)", "abcdefghw"), "ab|hw");
  EXPECT_EQ(All(R"(\bx\b)", "x xx x"), "x|x");
  EXPECT_EQ(All(R"(\u3042\x{3044}\x41)", "あいA"), "あいA");
}

TEST(Regex, FollowsRubySyntaxWhereEnginesDiffer) {
  EXPECT_EQ(All(R"((?i:'s))", "it'S 'ſ"), "'S|'ſ");
  EXPECT_EQ(All(R"(\p{N}{3}+)", "1234567"), "123456");  // (?:...{3})+, not possessive
  EXPECT_EQ(All(R"(a++a)", "aaa"), "");                 // ++ is possessive
  EXPECT_EQ(All(R"(a{,3})", "aaaa"), "aaa|a|");
  EXPECT_EQ(All(R"(\h+)", "xfF9g"), "fF9");
  EXPECT_EQ(All(R"(x{y)", "x{y"), "x{y");
}

TEST(Regex, FoldsToSeveralCharacters) {
  EXPECT_EQ(All("(?i)ss", "ß ẞ Sſ s"), "ß|ẞ|Sſ");
  EXPECT_EQ(All("(?i)x(?:s)sy", "xßy"), "xßy");
  EXPECT_EQ(All("(?i)x(s)sy", "xßy"), "");
  EXPECT_EQ(All("(?i)ffi", "ﬃ ﬀi FFI"), "ﬃ|FFI");
  EXPECT_EQ(All("(?i)x[ßa]y", "xssy xAy xẞy"), "xssy|xAy|xẞy");
  EXPECT_EQ(All(R"((?i)x\p{Ll}y)", "xßy xssy xAy"), "xßy");  // a property alone is not folded
  EXPECT_EQ(All("(?i)[^ß]", "ßs"), "s");
}

TEST(Regex, ReadsClassesAsOniguruma) {
  EXPECT_EQ(All("[[:alpha:]&&[^a]]+", "abcé1"), "bcé");
  EXPECT_EQ(All("[[:^alpha:]a]+", "a1b"), "a1");
  EXPECT_EQ(All("[[:alpha]]", "a]:"), "a|:");
  EXPECT_EQ(All("[]a]+", "a]b"), "a]");
  EXPECT_EQ(All("[a-c-e]+", "b-ed"), "b-e");
  EXPECT_EQ(All(R"([\b\x{e9}]+)", "\bé"), "\bé");
  EXPECT_EQ(All(R"(\p{Greek}+|\p{lowercase letter}|\p{In_Basic_Latin})", "αβaA"), "αβ|a|A");
  EXPECT_EQ(All(R"(\pL)", "pLa"), "pL");
}

TEST(Regex, OptionsCommentsAndBackreferences) {
  EXPECT_EQ(All("a(?i)b|c", "aB aC ab"), "aB|aC|ab");
  EXPECT_EQ(All("(?x: a +b # c\n )(?#d)+", "aab"), "aab");
  EXPECT_EQ(All(R"((\w)\1)", "abbacc"), "bb|cc");
  EXPECT_EQ(All(R"((?i)(?<n>a|b)\k<n>)", "aA ab"), "aA");
  EXPECT_EQ(All(R"((?i)([as])\1)", "sſ ſsa"), "ſs");  // no more bytes than the group has
  EXPECT_EQ(All(R"(\x{61 62}+)", "abbab"), "abb|ab");
  EXPECT_EQ(All(R"((?>(a|b))\1)", "aabab"), "aa");
  EXPECT_EQ(All(R"(a\Kb)", "ab"), "b");
  EXPECT_EQ(All(R"(\R)", "a\r\nb\n"), "\r\n|\n");
  EXPECT_EQ(All(R"(\141\cA\xc3\xa9)", "a\001é"), "a\001é");
  EXPECT_EQ(All("a{2}?b", "aab"), "aab");
  EXPECT_EQ(All("(?:a{2,1})a", "aa aaa"), "aaa");  // a possessive {1,2}
}

TEST(Regex, LeavesALoopAfterAnEmptyTurn) {
  EXPECT_EQ(All("(?:a*)*b", "aab"), "aab");
  EXPECT_EQ(All(R"((?:\s*b?)+c)", " b bc"), " b bc");
  EXPECT_EQ(All(R"(a\Z)", "a\na\n"), "a");
  EXPECT_EQ(All(R"(\Ga)", "aaba"), "a|a");
}

TEST(Regex, RefusesWhatItDoesNotKnow) {
  for (const char* pattern : {"(a", "a)", "[a", "*a", R"(\1)", R"(\k<n>)", R"(\X)", R"((?=a\K))", "(?~a)", "[[:foo:]]",
                              "[]", R"(\xe9)", R"(\p{Klingon})", "(?s)a", "[b-a]", "a\\"}) {
    EXPECT_TRUE(All(pattern, "a").starts_with("refused: pattern \"")) << pattern;
  }
}

TEST(Regex, StopsAtItsBudgetInsteadOfHanging) {
  const std::string text(3000, 'a');
  EXPECT_TRUE(All("(?:a+)+b", text).find("too many steps") != std::string::npos);
}

}  // namespace
}  // namespace truevec
