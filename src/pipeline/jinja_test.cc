// Templates of tests/golden/jinja.json give what transformers renders; what is not implemented is refused by name.
#include "pipeline/jinja.h"

#include <gtest/gtest.h>

namespace truevec {
namespace {

TEST(Jinja, RendersAsTransformers) {
  const auto golden = JsonFile::Load(std::string(TRUEVEC_SOURCE_DIR) + "/tests/golden/jinja.json", "jinja.json");
  ASSERT_TRUE(golden.ok()) << golden.status().message();
  const JsonRef cases = golden->root()["cases"];
  ASSERT_GT(cases.size(), 50u);
  for (size_t i = 0; i < cases.size(); ++i) {
    const std::string source = cases.At(i)["template"].String().value();
    const auto parsed = JinjaTemplate::Parse(source);
    ASSERT_TRUE(parsed.ok()) << source << "\n" << parsed.status().message();
    const auto text = parsed->Render(cases.At(i)["variables"].value().get_object());
    if (cases.At(i)["error"].present()) {
      EXPECT_FALSE(text.ok()) << source;
      continue;
    }
    ASSERT_TRUE(text.ok()) << source << "\n" << text.status().message();
    EXPECT_EQ(*text, cases.At(i)["expected"].String().value()) << source;
  }
}

TEST(Jinja, RefusesByName) {
  const std::pair<const char*, const char*> cases[] = {
      {"{% include 'x' %}", "tag {% include %} is not supported"},
      {"a\n{{ x | wordwrap(3) }}", "line 2: filter \"wordwrap\" is not supported"},
      {"{{ x is sorted }}", "test \"sorted\" is not supported"},
      {"{{ x.format(1) }}", "method \"format\" is not supported"},
      {"{% for x in y recursive %}{% endfor %}", "recursive loops"},
      {"{{ 1 < 2 < 3 }}", "chained comparisons"},
      {"{% if a %}", "the template ends before {% endif %}"},
      {"{{ 'open }}", "a string without its closing quote"},
      {"{{ f(*x) }}", "* and ** in calls"},
      {"{{ a", "a tag without }}"},
      {"{# a", "a comment without #}"}};
  for (const auto& [source, message] : cases) {
    const auto parsed = JinjaTemplate::Parse(source);
    ASSERT_FALSE(parsed.ok()) << source;
    EXPECT_NE(parsed.status().message().find(message), std::string::npos) << parsed.status().message();
  }
}

TEST(Jinja, EndlessTemplatesStop) {
  std::string nested = "{% for a in range(9999) %}{% for b in range(9999) %}x{% endfor %}{% endfor %}";
  EXPECT_FALSE(JinjaTemplate::Parse(nested)->Render({}).ok());
  EXPECT_FALSE(JinjaTemplate::Parse("{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}")->Render({}).ok());
  EXPECT_FALSE(
      JinjaTemplate::Parse(std::string("{{ ") + std::string(5000, '(') + "1" + std::string(5000, ')') + " }}").ok());
}

}  // namespace
}  // namespace truevec
