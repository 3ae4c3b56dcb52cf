// The whole server in one process, with a fake model: many clients at once, clients that leave, a stop under load.
// Meant for ThreadSanitizer above all (./dev tsan).
#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <thread>

#include "engine/fake_pipeline.h"
#include "server/app.h"

namespace truevec {
namespace {

class ServerTest : public testing::Test {
 protected:
  ServerTest() : app_(Options()) {
    pipeline_->before_batch = [this] {
      go_.wait(false);
      std::this_thread::sleep_for(batch_time_);
    };
    auto server = HttpServer::Start(
        {.port = 0},
        [this](ServerRequest request, std::shared_ptr<HttpExchange> exchange) {
          app_.Handle(std::move(request), std::move(exchange));
        },
        [this](int status, const std::string& message, const std::string& path) {
          return app_.ErrorBody(status, message, path);
        });
    server_ = std::move(server).value();
    app_.SetConnections([this] { return server_->connections(); });
  }
  ~ServerTest() override { StopAll(std::chrono::seconds(5)); }

  static AppOptions Options() {
    AppOptions options;
    options.queue.threads = 2;
    options.queue.max_queue_texts = 300;
    return options;
  }
  void LoadModel() {
    LoadReport report;
    report.spec.as = "dense";
    app_.SetModels({{{"m"}, ServingModel::Wrap(pipeline_, report)}});
  }
  void StopAll(std::chrono::milliseconds drain) {
    if (std::exchange(stopped_, true)) return;
    app_.SetDraining();
    server_->Drain(drain);
    app_.Stop();
    server_->Drain(std::chrono::milliseconds(500));
    server_->Stop();
  }

  int Connect() const {
    const int fd = ::socket(AF_INET, SOCK_STREAM, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(static_cast<uint16_t>(server_->port()));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (::connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0) return fd;
    ::close(fd);
    return -1;
  }
  static std::string Request(const std::string& body) {
    return "POST /v1/embeddings HTTP/1.1\r\nHost: a\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" +
           body;
  }
  // Sends, reads one whole reply; "" when the server closes first.
  static std::string Ask(int fd, const std::string& request) {
    if (::send(fd, request.data(), request.size(), MSG_NOSIGNAL) < 0) return "";
    std::string reply;
    char buffer[8192];
    for (;;) {
      const size_t end = reply.find("\r\n\r\n");
      if (end != std::string::npos) {
        const size_t at = reply.find("Content-Length: ");
        if (at < end && reply.size() >= end + 4 + std::stoul(reply.substr(at + 16))) return reply;
      }
      const ssize_t got = ::recv(fd, buffer, sizeof buffer, 0);
      if (got <= 0) return "";
      reply.append(buffer, static_cast<size_t>(got));
    }
  }

  std::shared_ptr<FakePipeline> pipeline_ = std::make_shared<FakePipeline>();
  std::chrono::milliseconds batch_time_{1};
  bool stopped_ = false;
  std::atomic<bool> go_{true};  // false: batches wait
  App app_;
  std::unique_ptr<HttpServer> server_;
};

TEST_F(ServerTest, AnswersBeforeAndAfterLoading) {
  const int fd = Connect();
  EXPECT_EQ(Ask(fd, Request(R"({"input":"a"})")).substr(0, 12), "HTTP/1.1 503");
  EXPECT_EQ(Ask(fd, "GET /live HTTP/1.1\r\nHost: a\r\n\r\n").substr(0, 12), "HTTP/1.1 200");
  LoadModel();
  EXPECT_EQ(Ask(fd, Request(R"({"input":"a"})")).substr(0, 12), "HTTP/1.1 200");
  ::close(fd);
}

TEST_F(ServerTest, EveryClientGetsItsOwnReply) {
  LoadModel();
  std::atomic<int> wrong = 0, right = 0, refused = 0;
  std::vector<std::thread> clients;
  for (int c = 0; c < 16; ++c) {
    clients.emplace_back([&, c] {
      const int fd = Connect();
      for (int i = 0; i < 30; ++i) {
        const auto length = static_cast<size_t>(1 + (c * 31 + i) % 97);
        const char first = static_cast<char>('A' + c);
        const std::string reply = Ask(fd, Request("{\"input\":[\"z\",\"" + std::string(length, first) + "\"]}"));
        const std::string vector = "[" + std::to_string(length) + "," + std::to_string(static_cast<int>(first)) + "]";
        if (reply.starts_with("HTTP/1.1 429")) {
          ++refused;
        } else {
          ++(reply.starts_with("HTTP/1.1 200") && reply.find(vector) != std::string::npos ? right : wrong);
        }
      }
      ::close(fd);
    });
  }
  for (std::thread& client : clients) client.join();
  EXPECT_EQ(wrong, 0);
  EXPECT_EQ(right + refused, 16 * 30);
  EXPECT_GT(right, 100);
}

TEST_F(ServerTest, ClientsThatLeaveHarmNobody) {
  LoadModel();
  batch_time_ = std::chrono::milliseconds(3);
  std::vector<std::thread> clients;
  for (int c = 0; c < 8; ++c) {
    clients.emplace_back([&, c] {
      for (int i = 0; i < 20; ++i) {
        const int fd = Connect();
        const std::string request = Request(R"({"input":["a","b","c"]})");
        const std::string part = request.substr(0, request.size() - static_cast<size_t>((c + i) % 3));
        ::send(fd, part.data(), part.size(), MSG_NOSIGNAL);
        if (i % 2 == 0) {
          const linger reset{1, 0};
          ::setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
        }
        ::close(fd);
      }
    });
  }
  for (std::thread& client : clients) client.join();
  const int fd = Connect();
  EXPECT_EQ(Ask(fd, Request(R"({"input":"a"})")).substr(0, 12), "HTTP/1.1 200");
  ::close(fd);
}

// A drain that runs out of time while batches run and I/O threads write.
TEST_F(ServerTest, StopUnderLoadAnswersEverybody) {
  LoadModel();
  batch_time_ = std::chrono::milliseconds(30);
  go_ = false;
  std::atomic<int> answered = 0, unanswered = 0;
  std::vector<std::thread> clients;
  for (int c = 0; c < 12; ++c) {
    clients.emplace_back([&] {
      const int fd = Connect();
      std::string body = R"({"input":["a")";
      for (int i = 0; i < 20; ++i) body += R"(,"some more text to compute")";
      const std::string reply = Ask(fd, Request(body + "]}"));
      ++(reply.starts_with("HTTP/1.1 200") || reply.starts_with("HTTP/1.1 503") ? answered : unanswered);
      ::close(fd);
    });
  }
  while (app_.scheduler().load().requests < 12) std::this_thread::yield();
  go_ = true;
  go_.notify_all();
  std::this_thread::sleep_for(std::chrono::milliseconds(20));
  StopAll(std::chrono::milliseconds(0));
  for (std::thread& client : clients) client.join();
  EXPECT_EQ(answered, 12);
  EXPECT_EQ(unanswered, 0);
}

}  // namespace
}  // namespace truevec
