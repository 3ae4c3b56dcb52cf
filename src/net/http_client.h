// A blocking HTTP/1.1 client: http and https, keep-alive connections, time limits. RFC 9112 through Boost.Beast;
// certificates are checked against the system's store (SSL_CERT_FILE and SSL_CERT_DIR as OpenSSL reads them).
#ifndef TRUEVEC_NET_HTTP_CLIENT_H_
#define TRUEVEC_NET_HTTP_CLIENT_H_

#include <map>
#include <memory>
#include <string>

#include "base/status.h"

namespace truevec {

struct Url {
  std::string scheme;  // http or https
  std::string host;    // without brackets
  std::string port;
  std::string path;  // without a trailing slash; "" at the root

  static Result<Url> Parse(const std::string& text);
  std::string Text() const;
};

struct HttpCall {
  std::string method = "GET";
  std::string path;  // appended to the base URL's path
  std::string body;  // JSON
  std::map<std::string, std::string> headers;
};

struct HttpAnswer {
  int status = 0;
  std::string body;
  std::map<std::string, std::string> headers;  // names in lower case
};

class HttpClient {
 public:
  // No connection is made yet. `timeout_seconds` bounds each of connecting, writing and reading.
  static Result<std::unique_ptr<HttpClient>> Create(const Url& base, int timeout_seconds);
  virtual ~HttpClient() = default;
  virtual const Url& base() const = 0;
  // Any HTTP status is an answer, not an error; errors are kEndpoint and name the URL. A kept connection that the
  // server closed is opened again once.
  // Thread rule: any number of calls at once, each on a connection of its own.
  virtual Result<HttpAnswer> Send(const HttpCall& call) = 0;
};

}  // namespace truevec

#endif  // TRUEVEC_NET_HTTP_CLIENT_H_
