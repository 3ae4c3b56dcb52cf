#include "net/http_framing.h"

#include <boost/beast/core/string.hpp>

namespace truevec::net_internal {

namespace http = boost::beast::http;

std::optional<std::pair<int, std::string>> FramingFault(const http::request_header<>& header) {
  if (header.count(http::field::host) > 1) return std::pair(400, std::string("more than one Host field"));
  if (header.count(http::field::transfer_encoding) == 0) return std::nullopt;
  if (header.version() < 11) return std::pair(400, std::string("HTTP/1.0 has no transfer-encoding"));
  const std::string coding(header[http::field::transfer_encoding]);
  if (header.count(http::field::transfer_encoding) == 1 && boost::beast::iequals(coding, "chunked")) {
    return std::nullopt;
  }
  const bool chunked_last = boost::beast::iequals(coding.substr(coding.rfind(' ') + 1), "chunked");
  return std::pair(chunked_last ? 501 : 400, "transfer-encoding \"" + coding.substr(0, 100) + "\": expected chunked");
}

std::string_view OriginForm(std::string_view target) {
  const size_t scheme = target.find("://");
  if (scheme == std::string_view::npos || target.starts_with('/')) return target;
  const size_t path = target.find('/', scheme + 3);
  return path == std::string_view::npos ? "/" : target.substr(path);
}

}  // namespace truevec::net_internal
