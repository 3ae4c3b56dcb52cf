#include "net/http_framing.h"

#include <boost/beast/core/string.hpp>

namespace truevec::net_internal {

namespace http = boost::beast::http;

namespace {

// RFC 9112 3.2: exactly one Host field in HTTP/1.1; RFC 9110 7.2: uri-host [":" port], RFC 3986 3.2.2. May be empty.
std::optional<std::string> HostFault(const http::request_header<>& header) {
  const auto fields = header.count(http::field::host);
  if (fields > 1) return "more than one Host field";
  if (fields == 0) return header.version() < 11 ? std::nullopt : std::optional<std::string>("no Host field");
  constexpr std::string_view kMarks = "-._~!$&'()*+,;=:%[]";
  for (const char c : header[http::field::host]) {
    const bool alphanumeric = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
    if (!alphanumeric && kMarks.find(c) == std::string_view::npos) return "the Host field is no host name or address";
  }
  return std::nullopt;
}

}  // namespace

std::optional<std::pair<int, std::string>> FramingFault(const http::request_header<>& header) {
  if (auto fault = HostFault(header); fault.has_value()) return std::pair(400, std::move(*fault));
  if (header.count(http::field::transfer_encoding) == 0) return std::nullopt;
  if (header.version() < 11) return std::pair(400, std::string("HTTP/1.0 has no transfer-encoding"));
  const std::string coding(header[http::field::transfer_encoding]);
  if (header.count(http::field::transfer_encoding) == 1 && boost::beast::iequals(coding, "chunked")) {
    return std::nullopt;
  }
  const bool chunked_last = boost::beast::iequals(coding.substr(coding.rfind(' ') + 1), "chunked");
  return std::pair(chunked_last ? 501 : 400, "transfer-encoding \"" + coding.substr(0, 100) + "\": expected chunked");
}

std::string FieldList(const http::fields& fields, http::field name) {
  std::string list;
  const auto [begin, end] = fields.equal_range(name);
  for (auto field = begin; field != end; ++field) list += (field == begin ? "" : ", ") + std::string(field->value());
  return list;
}

std::string_view OriginForm(std::string_view target) {
  const size_t scheme = target.find("://");
  if (scheme == std::string_view::npos || target.starts_with('/')) return target;
  const size_t path = target.find_first_of("/?", scheme + 3);
  return path == std::string_view::npos || target[path] == '?' ? "/" : target.substr(path);
}

}  // namespace truevec::net_internal
