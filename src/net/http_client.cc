// The blocking client over Boost.Beast; the time limits come from beast::tcp_stream, driven by a private io_context.
#include "net/http_client.h"

#include <openssl/ssl.h>

#include <boost/asio/connect.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ssl.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>
#include <boost/beast/ssl.hpp>
#include <cctype>
#include <chrono>

namespace truevec {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = beast::http;
using Error = boost::system::error_code;

constexpr size_t kMaxBody = size_t{1} << 30;

// Runs one asynchronous step to its end; the stream's own timer bounds it.
template <typename Start>
Error RunStep(asio::io_context* io, Start start) {
  Error result;
  start([&result](Error error, auto&&...) { result = error; });
  io->restart();
  io->run();
  return result;
}

template <typename Stream>
Error Exchange(asio::io_context* io, Stream* stream, const http::request<http::string_body>& request,
               std::chrono::seconds limit, http::response_parser<http::string_body>* parser) {
  beast::get_lowest_layer(*stream).expires_after(limit);
  if (const Error error = RunStep(io, [&](auto done) { http::async_write(*stream, request, done); })) return error;
  beast::flat_buffer buffer;
  beast::get_lowest_layer(*stream).expires_after(limit);
  return RunStep(io, [&](auto done) { http::async_read(*stream, buffer, *parser, done); });
}

http::request<http::string_body> BuildRequest(const Url& base, const HttpRequest& request) {
  http::request<http::string_body> out;
  out.version(11);
  out.method_string(request.method);
  const std::string path = base.path + request.path;
  out.target(path.empty() ? "/" : path);
  out.set(http::field::host, base.host + ":" + base.port);
  out.set(http::field::user_agent, "truevec/" TRUEVEC_VERSION);
  out.set(http::field::accept, "application/json");
  out.set(http::field::connection, "close");
  if (!request.body.empty()) out.set(http::field::content_type, "application/json");
  for (const auto& [name, value] : request.headers) out.set(name, value);
  out.body() = request.body;
  out.prepare_payload();
  return out;
}

HttpResponse Take(http::response<http::string_body> message) {
  HttpResponse out;
  out.status = static_cast<int>(message.result_int());
  for (const auto& field : message) {
    std::string name(field.name_string());
    for (char& c : name) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    out.headers[name] = std::string(field.value());
  }
  out.body = std::move(message.body());
  return out;
}

Error ExchangeTls(asio::io_context* io, beast::tcp_stream stream, const Url& base,
                  const http::request<http::string_body>& message, std::chrono::seconds limit,
                  http::response_parser<http::string_body>* parser) {
  asio::ssl::context tls(asio::ssl::context::tls_client);
  Error error;
  tls.set_default_verify_paths(error);
  if (error) return error;
  asio::ssl::stream<beast::tcp_stream> secure(std::move(stream), tls);
  secure.set_verify_mode(asio::ssl::verify_peer);
  secure.set_verify_callback(asio::ssl::host_name_verification(base.host));
  SSL_set_tlsext_host_name(secure.native_handle(), base.host.c_str());
  beast::get_lowest_layer(secure).expires_after(limit);
  error = RunStep(io, [&](auto done) { secure.async_handshake(asio::ssl::stream_base::client, done); });
  return error ? error : Exchange(io, &secure, message, limit, parser);
}

}  // namespace

Result<Url> Url::Parse(const std::string& text) {
  Url url;
  const size_t scheme_end = text.find("://");
  if (scheme_end == std::string::npos) return UsageError("\"" + text + "\": expected http://… or https://…");
  url.scheme = text.substr(0, scheme_end);
  if (url.scheme != "http" && url.scheme != "https") {
    return UsageError("\"" + text + "\": expected http or https, got " + url.scheme);
  }
  std::string rest = text.substr(scheme_end + 3);
  rest = rest.substr(0, rest.find_first_of("?#"));
  const size_t slash = rest.find('/');
  std::string authority = rest.substr(0, slash);
  if (slash != std::string::npos) url.path = rest.substr(slash);
  while (!url.path.empty() && url.path.back() == '/') url.path.pop_back();
  const size_t bracket = authority.rfind(']');
  const size_t colon = authority.rfind(':');
  if (colon != std::string::npos && (bracket == std::string::npos || colon > bracket)) {
    url.port = authority.substr(colon + 1);
    authority.resize(colon);
  }
  if (!authority.empty() && authority.front() == '[' && authority.back() == ']') {
    authority = authority.substr(1, authority.size() - 2);
  }
  if (authority.empty()) return UsageError("\"" + text + "\": no host");
  url.host = authority;
  if (url.port.empty()) url.port = url.scheme == "https" ? "443" : "80";
  return url;
}

std::string Url::Text() const {
  const bool v6 = host.find(':') != std::string::npos;
  return scheme + "://" + (v6 ? "[" + host + "]" : host) + ":" + port + path;
}

Result<HttpResponse> SendHttp(const Url& base, const HttpRequest& request) {
  const auto fail = [&](const Error& error) {
    return EndpointError(base.Text() + request.path + ": " + error.message());
  };
  asio::io_context io;
  Error error;
  asio::ip::tcp::resolver resolver(io);
  const auto addresses = resolver.resolve(base.host, base.port, error);
  if (error) return fail(error);
  const std::chrono::seconds limit(request.timeout_seconds);
  beast::tcp_stream stream(io);
  stream.expires_after(limit);
  error = RunStep(&io, [&](auto done) { stream.async_connect(addresses, done); });
  if (error) return fail(error);
  const http::request<http::string_body> message = BuildRequest(base, request);
  http::response_parser<http::string_body> parser;
  parser.body_limit(kMaxBody);
  error = base.scheme == "https" ? ExchangeTls(&io, std::move(stream), base, message, limit, &parser)
                                 : Exchange(&io, &stream, message, limit, &parser);
  if (error) return fail(error);
  return Take(parser.release());
}

}  // namespace truevec
