// Where a request ends, and what it is for: what Boost.Beast's parser lets pass although another server on the way
// could read it differently (request smuggling). RFC 9112 sections 3.2 and 6.
#ifndef TRUEVEC_NET_HTTP_FRAMING_H_
#define TRUEVEC_NET_HTTP_FRAMING_H_

#include <boost/beast/http/message.hpp>
#include <boost/beast/http/string_body.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace truevec::net_internal {

// A status and why, when the connection must be closed: a transfer coding that is not exactly "chunked", one in
// HTTP/1.0, a Host field too many, none in HTTP/1.1, or one that can be no host.
std::optional<std::pair<int, std::string>> FramingFault(const boost::beast::http::request_header<>& header);

// All fields of that name as one list (RFC 9110 5.3).
std::string FieldList(const boost::beast::http::fields& fields, boost::beast::http::field name);

// "http://host/path?query" as "/path?query"; other targets as they are. Borrows.
std::string_view OriginForm(std::string_view target);

}  // namespace truevec::net_internal

#endif  // TRUEVEC_NET_HTTP_FRAMING_H_
