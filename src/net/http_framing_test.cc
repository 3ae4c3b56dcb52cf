#include "net/http_framing.h"

#include <gtest/gtest.h>

namespace truevec::net_internal {
namespace {

namespace http = boost::beast::http;

int Fault(unsigned version, const std::vector<const char*>& hosts) {
  http::request_header<> header;
  header.version(version);
  for (const char* host : hosts) header.insert(http::field::host, host);
  const auto fault = FramingFault(header);
  return fault.has_value() ? fault->first : 0;
}

TEST(FramingTest, OneHostThatCanBeOne) {
  EXPECT_EQ(Fault(11, {}), 400);
  EXPECT_EQ(Fault(10, {}), 0);
  EXPECT_EQ(Fault(11, {"a", "a"}), 400);
  for (const char* good : {"", "localhost", "a.example:8080", "[::1]:80", "[fe80::1%25eth0]", "a_b"}) {
    EXPECT_EQ(Fault(11, {good}), 0) << good;
  }
  for (const char* bad : {"a b", "a/b", "a@b", "a\"b", "\xC3\xA4.example", "a?b", "a#b"}) {
    EXPECT_EQ(Fault(11, {bad}), 400) << bad;
  }
}

TEST(FramingTest, TargetsInOriginForm) {
  EXPECT_EQ(OriginForm("http://a.example:80/v1/models?x=1"), "/v1/models?x=1");
  EXPECT_EQ(OriginForm("http://a.example"), "/");
  EXPECT_EQ(OriginForm("http://a.example?u=/embed"), "/");
  EXPECT_EQ(OriginForm("/x?u=http://b/c"), "/x?u=http://b/c");
  EXPECT_EQ(OriginForm("*"), "*");
}

}  // namespace
}  // namespace truevec::net_internal
