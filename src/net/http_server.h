// HTTP/1.1 server over Boost.Beast: keep-alive, pipelining, Expect, gzip and zstd bodies, Unix sockets, TLS, limits,
// time limits against slow clients, drain. A handler answers from any thread, once, through its HttpExchange.
// RFC 9110 (semantics), RFC 9112 (HTTP/1.1).
#ifndef TRUEVEC_NET_HTTP_SERVER_H_
#define TRUEVEC_NET_HTTP_SERVER_H_

#include <atomic>
#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/status.h"

namespace truevec {

struct ServerRequest {
  std::string method;
  std::string path;                                          // without the query
  std::string query;                                         // after the '?', undecoded
  std::vector<std::pair<std::string, std::string>> headers;  // names in lower case, in the order of arrival
  std::string body;                                          // content coding undone
  std::string peer;                                          // address of the client; "unix" on a Unix socket
  std::chrono::steady_clock::time_point received;

  // The first header of that name (lower case), or "".
  std::string_view Header(std::string_view name) const;
};

struct ServerResponse {
  int status = 200;
  std::string body = {};
  std::string content_type = "application/json";
  std::map<std::string, std::string> headers = {};
  bool encoded = false;  // `headers` names the body's own content-encoding: it is sent as it is
};

// kHalfClosed: the client sends no more; it may still read (nc, some proxies) or be gone.
enum class ClientState { kConnected, kHalfClosed, kGone };

// One request waiting for its reply. Any thread. An exchange that is dropped without a reply answers 500.
class HttpExchange {
 public:
  virtual ~HttpExchange() = default;
  // At most once.
  virtual void Reply(ServerResponse response) = 0;
  // Runs `work` on an I/O thread: for what need not hold up the caller (writing JSON).
  virtual void Post(std::function<void()> work) = 0;
  ClientState client() const { return client_->load(std::memory_order_relaxed); }

 protected:
  std::shared_ptr<std::atomic<ClientState>> client_ =
      std::make_shared<std::atomic<ClientState>>(ClientState::kConnected);
};

using HttpHandler = std::function<void(ServerRequest request, std::shared_ptr<HttpExchange> exchange)>;
// Writes the body of an answer that no handler sees: malformed HTTP, limits. JSON.
using HttpErrorBody = std::function<std::string(int status, const std::string& message, const std::string& path)>;

struct HttpServerOptions {
  std::string host = "127.0.0.1";
  int port = 8080;                   // 0: any free one
  std::string unix_socket = {};      // when set, listens there and not on host and port
  std::string tls_certificate = {};  // PEM chain; with tls_key switches TLS on
  std::string tls_key = {};
  int io_threads = 2;
  size_t max_body = size_t{32} << 20;     // after content coding is undone, too
  size_t max_bodies = size_t{256} << 20;  // of all requests that are being read or answered
  size_t max_header = size_t{16} << 10;
  size_t max_header_count = 128;
  size_t max_connections = 16384;
  bool compress = true;                     // replies, for clients that ask
  std::chrono::seconds idle_timeout{300};   // between requests
  std::chrono::seconds header_timeout{10};  // from the first byte to the end of the header
  std::chrono::seconds body_timeout{30};    // for the body and for the reply, plus a second per 16 KiB moved
};

class HttpServer {
 public:
  // Listens at once; the handler may be called before Start returns. Any thread.
  static Result<std::unique_ptr<HttpServer>> Start(const HttpServerOptions& options, HttpHandler handler,
                                                   HttpErrorBody error_body);
  virtual ~HttpServer() = default;
  virtual int port() const = 0;  // 0 for a Unix socket
  // "http://127.0.0.1:8080", "unix:/run/truevec.sock"
  virtual std::string address() const = 0;
  virtual size_t connections() const = 0;
  // Accepts no more, closes idle connections, and waits until every request is answered or `limit` is over. May be
  // called again.
  virtual void Drain(std::chrono::milliseconds limit) = 0;
  // Joins the I/O threads: after it the handler is not called any more and nothing runs. Exchanges stay valid;
  // what they are told is lost.
  virtual void Stop() = 0;
};

}  // namespace truevec

#endif  // TRUEVEC_NET_HTTP_SERVER_H_
