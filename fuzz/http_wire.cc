// Bytes of a connection: HTTP framing, content codings, header fields (traceparent, x-request-id, authorization,
// origin) and the application behind them, over a real socket with a tiny fake model. The client sends everything,
// stops sending and reads to the end. The server must answer in whole messages, close the connection and go on.
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>

#include "fake_app.h"

namespace truevec {
namespace {

std::string StartServer() {
  static App* const app = MakeFakeApp();
  HttpServerOptions options;
  options.unix_socket = "/tmp/truevec-fuzz-" + std::to_string(getpid()) + ".sock";
  options.io_threads = 1;
  options.max_body = 1 << 16;
  auto server = HttpServer::Start(
      options,
      [](ServerRequest request, std::shared_ptr<HttpExchange> exchange) {
        app->Handle(std::move(request), std::move(exchange));
      },
      [](int status, const std::string& message, const std::string& path) {
        return app->ErrorBody(status, message, path);
      });
  if (!server.ok()) std::abort();
  std::move(server).value().release();  // until the process ends
  return options.unix_socket;
}

std::string Talk(const std::string& path, std::string_view bytes) {
  const int client = socket(AF_UNIX, SOCK_STREAM, 0);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  path.copy(address.sun_path, sizeof address.sun_path - 1);
  if (connect(client, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) std::abort();
  while (!bytes.empty()) {
    const ssize_t sent = send(client, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent <= 0) break;  // refused already
    bytes.remove_prefix(static_cast<size_t>(sent));
  }
  shutdown(client, SHUT_WR);
  std::string received;
  char buffer[65536];
  for (ssize_t got = 0; (got = recv(client, buffer, sizeof buffer, 0)) > 0;) {
    received.append(buffer, static_cast<size_t>(got));
  }
  close(client);
  return received;
}

void Demand(bool good, const char* what) {
  if (good) return;
  std::fprintf(stderr, "reply: %s\n", what);
  std::abort();
}

// Replies to HEAD have a length and no body, so a body need not follow.
void CheckReplies(std::string_view replies, bool may_be_head) {
  while (!replies.empty()) {
    Demand(replies.starts_with("HTTP/1.1 ") || replies.starts_with("HTTP/1.0 "), "no status line");
    const size_t end = replies.find("\r\n\r\n");
    Demand(end != std::string_view::npos, "a header without an end");
    const std::string_view header = replies.substr(0, end + 2);
    const std::string_view status = replies.substr(9, 3);
    Demand(header.find('\0') == std::string_view::npos, "a NUL in the header");
    replies.remove_prefix(end + 4);
    constexpr std::string_view kLength = "\r\nContent-Length: ";
    const size_t at = header.find(kLength);
    Demand(at != std::string_view::npos || status == "204" || status == "100", "no length");
    if (at == std::string_view::npos) continue;
    const size_t length = std::strtoull(header.data() + at + kLength.size(), nullptr, 10);
    if (may_be_head && (replies.empty() || replies.starts_with("HTTP/1."))) continue;
    Demand(replies.size() >= length, "a body that is cut");
    replies.remove_prefix(length);
  }
}

}  // namespace
}  // namespace truevec

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const std::string path = truevec::StartServer();
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  const std::string replies = truevec::Talk(path, bytes);
  truevec::CheckReplies(replies, bytes.find("HEAD") != std::string_view::npos);
  return 0;
}
