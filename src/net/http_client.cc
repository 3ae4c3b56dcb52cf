// Connections are beast streams, each with an io_context of its own; their timers give the time limits.
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
#include <mutex>
#include <vector>

namespace truevec {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = beast::http;
using Error = boost::system::error_code;
using Message = http::request<http::string_body>;
using Parser = http::response_parser<http::string_body>;

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

// One connection, plain or TLS.
class Connection {
 public:
  Connection(const Url& base, std::chrono::seconds limit) : base_(base), limit_(limit), stream_(io_) {}
  Error Open(asio::ssl::context* tls);
  // `no_answer`: the failure came before any byte of an answer.
  Error Exchange(const Message& message, Parser* parser, bool* no_answer);

 private:
  template <typename Stream>
  Error ExchangeOn(Stream* stream, const Message& message, Parser* parser, bool* no_answer);
  const Url& base_;
  std::chrono::seconds limit_;
  asio::io_context io_;
  beast::tcp_stream stream_;
  std::unique_ptr<asio::ssl::stream<beast::tcp_stream&>> secure_;
  beast::flat_buffer buffer_;
};

Error Connection::Open(asio::ssl::context* tls) {
  Error error;
  asio::ip::tcp::resolver resolver(io_);
  const auto addresses = resolver.resolve(base_.host, base_.port, error);
  if (error) return error;
  stream_.expires_after(limit_);
  error = RunStep(&io_, [&](auto done) { stream_.async_connect(addresses, done); });
  if (error || base_.scheme != "https") return error;
  secure_ = std::make_unique<asio::ssl::stream<beast::tcp_stream&>>(stream_, *tls);
  secure_->set_verify_mode(asio::ssl::verify_peer);
  secure_->set_verify_callback(asio::ssl::host_name_verification(base_.host));
  SSL_set_tlsext_host_name(secure_->native_handle(), base_.host.c_str());
  stream_.expires_after(limit_);
  return RunStep(&io_, [&](auto done) { secure_->async_handshake(asio::ssl::stream_base::client, done); });
}

template <typename Stream>
Error Connection::ExchangeOn(Stream* stream, const Message& message, Parser* parser, bool* no_answer) {
  *no_answer = true;
  stream_.expires_after(limit_);
  Error error = RunStep(&io_, [&](auto done) { http::async_write(*stream, message, done); });
  if (error) return error;
  stream_.expires_after(limit_);
  error = RunStep(&io_, [&](auto done) { http::async_read(*stream, buffer_, *parser, done); });
  *no_answer = !parser->got_some();
  stream_.expires_never();
  return error;
}

Error Connection::Exchange(const Message& message, Parser* parser, bool* no_answer) {
  return secure_ ? ExchangeOn(secure_.get(), message, parser, no_answer)
                 : ExchangeOn(&stream_, message, parser, no_answer);
}

Message BuildMessage(const Url& base, const HttpCall& call) {
  Message out;
  out.version(11);
  out.method_string(call.method);
  const std::string path = base.path + call.path;
  out.target(path.empty() ? "/" : path);
  const bool standard = base.port == (base.scheme == "https" ? "443" : "80");
  const std::string host = base.host.find(':') == std::string::npos ? base.host : "[" + base.host + "]";
  out.set(http::field::host, standard ? host : host + ":" + base.port);
  out.set(http::field::user_agent, "truevec/" TRUEVEC_VERSION);
  out.set(http::field::accept, "application/json");
  if (!call.body.empty()) out.set(http::field::content_type, "application/json");
  for (const auto& [name, value] : call.headers) out.set(name, value);
  out.body() = call.body;
  out.prepare_payload();
  return out;
}

HttpAnswer Take(http::response<http::string_body> message) {
  HttpAnswer out;
  out.status = static_cast<int>(message.result_int());
  for (const auto& field : message) {
    std::string name(field.name_string());
    for (char& c : name) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    out.headers[name] = std::string(field.value());
  }
  out.body = std::move(message.body());
  return out;
}

class Client : public HttpClient {
 public:
  Client(Url base, int timeout_seconds)
      : base_(std::move(base)), limit_(timeout_seconds), tls_(asio::ssl::context::tls_client) {}
  Status Init() {
    Error error;
    if (base_.scheme == "https") tls_.set_default_verify_paths(error);
    return error ? EndpointError("system certificates: " + error.message()) : Status::Ok();
  }
  const Url& base() const override { return base_; }
  Result<HttpAnswer> Send(const HttpCall& call) override;

 private:
  std::unique_ptr<Connection> TakeIdle();
  Url base_;
  std::chrono::seconds limit_;
  asio::ssl::context tls_;
  std::mutex mutex_;
  std::vector<std::unique_ptr<Connection>> idle_;
};

std::unique_ptr<Connection> Client::TakeIdle() {
  const std::lock_guard<std::mutex> lock(mutex_);
  if (idle_.empty()) return nullptr;
  std::unique_ptr<Connection> connection = std::move(idle_.back());
  idle_.pop_back();
  return connection;
}

Result<HttpAnswer> Client::Send(const HttpCall& call) {
  const Message message = BuildMessage(base_, call);
  for (;;) {
    std::unique_ptr<Connection> connection = TakeIdle();
    const bool kept = connection != nullptr;
    Error error;
    if (!kept) {
      connection = std::make_unique<Connection>(base_, limit_);
      error = connection->Open(&tls_);
    }
    Parser parser;
    parser.body_limit(kMaxBody);
    bool no_answer = false;
    if (!error) error = connection->Exchange(message, &parser, &no_answer);
    if (error && kept && no_answer) continue;  // the server closed it in the meantime
    if (error) return EndpointError(base_.Text() + call.path + ": " + error.message());
    if (parser.keep_alive()) {
      const std::lock_guard<std::mutex> lock(mutex_);
      idle_.push_back(std::move(connection));
    }
    return Take(parser.release());
  }
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

Result<std::unique_ptr<HttpClient>> HttpClient::Create(const Url& base, int timeout_seconds) {
  auto client = std::make_unique<Client>(base, timeout_seconds);
  TV_RETURN_IF_ERROR(client->Init());
  return std::unique_ptr<HttpClient>(std::move(client));
}

}  // namespace truevec
