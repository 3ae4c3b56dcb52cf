// A small blocking HTTP/1.1 client for probing endpoints: one connection a request, http and https, a time limit.
// Follows RFC 9112 through Boost.Beast; certificates are checked against the system's store.
#ifndef TRUEVEC_NET_HTTP_CLIENT_H_
#define TRUEVEC_NET_HTTP_CLIENT_H_

#include <map>
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

struct HttpRequest {
  std::string method = "GET";
  std::string path;  // appended to the base URL's path
  std::string body;  // JSON
  std::map<std::string, std::string> headers;
  int timeout_seconds = 60;  // for each of connecting, writing, reading
};

struct HttpResponse {
  int status = 0;
  std::string body;
  std::map<std::string, std::string> headers;  // names in lower case
};

// Thread rule: const and without state; any number of calls at once.
// Errors are kEndpoint and name the URL. Any HTTP status is a response, not an error.
Result<HttpResponse> SendHttp(const Url& base, const HttpRequest& request);

}  // namespace truevec

#endif  // TRUEVEC_NET_HTTP_CLIENT_H_
