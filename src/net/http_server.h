// HTTP/1.1 server over Boost.Beast: keep-alive, pipelining, limits, read timeouts, drain. A handler answers from any
// thread, once, through the callback that it is given.
#ifndef TRUEVEC_NET_HTTP_SERVER_H_
#define TRUEVEC_NET_HTTP_SERVER_H_

#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <string>

#include "base/status.h"

namespace truevec {

struct HttpRequest {
  std::string method;
  std::string path;  // without the query
  std::string body;
  std::string authorization;
  std::string request_id;
};

struct HttpResponse {
  int status = 200;
  std::string body;
  std::string content_type = "application/json";
  std::map<std::string, std::string> headers;
};

using HttpReply = std::function<void(HttpResponse)>;
using HttpHandler = std::function<void(const HttpRequest&, HttpReply)>;

struct HttpServerOptions {
  std::string host = "127.0.0.1";
  int port = 8080;  // 0: any free one
  int io_threads = 2;
  size_t max_body = size_t{32} << 20;
  size_t max_header = size_t{16} << 10;
  std::chrono::seconds read_timeout{30};  // for one whole request, also while the connection is idle
};

class HttpServer {
 public:
  // Listens at once; the handler may be called before Start returns. Any thread.
  static Result<std::unique_ptr<HttpServer>> Start(const HttpServerOptions& options, HttpHandler handler);
  virtual ~HttpServer() = default;
  virtual int port() const = 0;
  // Accepts no more, closes idle connections, and waits until every request is answered or `limit` is over.
  virtual void Drain(std::chrono::seconds limit) = 0;
};

}  // namespace truevec

#endif  // TRUEVEC_NET_HTTP_SERVER_H_
