// Follows Boost.Beast's example http_server_async; RFC 9110, RFC 9112.
#include "net/http_server.h"

#include <atomic>
#include <boost/asio.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>
#include <mutex>
#include <optional>
#include <set>
#include <thread>

namespace truevec {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = boost::beast::http;
using asio::ip::tcp;

class Session;

// What sessions share. Outlives them: each holds a reference.
struct Shared {
  HttpServerOptions options;
  HttpHandler handler;
  std::atomic<bool> draining{false};
  std::mutex mutex;
  std::set<Session*> sessions;
};

class Session : public std::enable_shared_from_this<Session> {
 public:
  Session(tcp::socket socket, std::shared_ptr<Shared> shared) : stream_(std::move(socket)), shared_(std::move(shared)) {
    const std::lock_guard lock(shared_->mutex);
    shared_->sessions.insert(this);
  }
  ~Session() {
    const std::lock_guard lock(shared_->mutex);
    shared_->sessions.erase(this);
  }
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  void Start() {
    asio::dispatch(stream_.get_executor(), [self = shared_from_this()] { self->Read(); });
  }
  // Closes the connection when it waits for a request.
  void CloseIfIdle() {
    asio::post(stream_.get_executor(), [self = shared_from_this()] {
      if (!self->answering_) self->stream_.cancel();
    });
  }

 private:
  void Read() {
    if (shared_->draining) return Close();
    answering_ = false;
    parser_.emplace();
    parser_->body_limit(shared_->options.max_body);
    parser_->header_limit(static_cast<std::uint32_t>(shared_->options.max_header));
    stream_.expires_after(shared_->options.read_timeout);
    http::async_read_header(stream_, buffer_, *parser_, [self = shared_from_this()](beast::error_code error, size_t) {
      if (error) return self->OnReadError(error);
      if (beast::iequals(self->parser_->get()[http::field::expect], "100-continue")) return self->Continue();
      self->ReadBody();
    });
  }

  void Continue() {
    continue_.emplace(http::status::continue_, 11);
    http::async_write(stream_, *continue_, [self = shared_from_this()](beast::error_code error, size_t) {
      if (!error) self->ReadBody();
    });
  }

  void ReadBody() {
    http::async_read(stream_, buffer_, *parser_, [self = shared_from_this()](beast::error_code error, size_t) {
      if (error) return self->OnReadError(error);
      self->Answer();
    });
  }

  void OnReadError(beast::error_code error) {
    const bool client_fault = error == http::error::body_limit || error == http::error::header_limit ||
                              (error.category() == http::make_error_code(http::error::bad_method).category() &&
                               error != http::error::end_of_stream && error != http::error::partial_message);
    if (!client_fault) return Close();
    HttpResponse response;
    response.status = error == http::error::body_limit ? 413 : error == http::error::header_limit ? 431 : 400;
    response.body =
        R"({"error":{"message":")" + error.message() + R"(","type":"invalid_request_error","param":null,"code":null}})";
    keep_alive_ = false;
    answering_ = true;
    Write(std::move(response));
  }

  void Answer() {
    answering_ = true;
    stream_.expires_never();
    const auto& message = parser_->get();
    keep_alive_ = message.keep_alive();
    head_ = message.method() == http::verb::head;
    version_ = message.version();
    HttpRequest request;
    request.method = std::string(message.method_string());
    const std::string target(message.target());
    request.path = target.substr(0, target.find('?'));
    request.authorization = std::string(message[http::field::authorization]);
    request.request_id = std::string(message["x-request-id"]);
    request.body = std::move(parser_->get().body());
    shared_->handler(request, [self = shared_from_this()](HttpResponse response) {
      asio::post(self->stream_.get_executor(),
                 [self, response = std::move(response)]() mutable { self->Write(std::move(response)); });
    });
  }

  void Write(HttpResponse response) {
    if (shared_->draining) keep_alive_ = false;
    response_ = {};
    response_.version(version_);
    response_.result(static_cast<unsigned>(response.status));
    response_.set(http::field::content_type, response.content_type);
    for (const auto& [name, value] : response.headers) response_.set(name, value);
    response_.keep_alive(keep_alive_);
    response_.content_length(response.body.size());
    if (!head_) response_.body() = std::move(response.body);
    serializer_.emplace(response_);
    stream_.expires_after(shared_->options.read_timeout);
    const auto done = [self = shared_from_this()](beast::error_code error, size_t) {
      if (error) return self->Close();
      if (self->keep_alive_) return self->Read();
      self->Linger();
    };
    if (head_) {
      http::async_write_header(stream_, *serializer_, done);
    } else {
      http::async_write(stream_, *serializer_, done);
    }
  }

  // Reads on for a moment after the last reply: a close with unread input would reset the connection under it.
  void Linger() {
    beast::error_code ignored;
    stream_.socket().shutdown(tcp::socket::shutdown_send, ignored);
    stream_.expires_after(std::chrono::seconds(2));
    Discard();
  }
  void Discard() {
    stream_.async_read_some(asio::buffer(discarded_), [self = shared_from_this()](beast::error_code error, size_t) {
      if (!error) self->Discard();
    });
  }
  void Close() {
    beast::error_code ignored;
    stream_.socket().shutdown(tcp::socket::shutdown_both, ignored);
  }

  beast::tcp_stream stream_;
  std::shared_ptr<Shared> shared_;
  beast::flat_buffer buffer_;
  std::optional<http::request_parser<http::string_body>> parser_;
  std::optional<http::response<http::empty_body>> continue_;
  http::response<http::string_body> response_;
  std::optional<http::response_serializer<http::string_body>> serializer_;
  std::array<char, 4096> discarded_;
  unsigned version_ = 11;
  bool keep_alive_ = false;
  bool head_ = false;
  bool answering_ = false;
};

class BeastServer : public HttpServer {
 public:
  BeastServer(const HttpServerOptions& options, HttpHandler handler)
      : io_(options.io_threads), acceptor_(io_), shared_(std::make_shared<Shared>()) {
    shared_->options = options;
    shared_->handler = std::move(handler);
  }
  ~BeastServer() override {
    io_.stop();
    for (std::thread& thread : threads_) thread.join();
  }

  Status Listen() {
    const HttpServerOptions& options = shared_->options;
    const std::string where = options.host + ":" + std::to_string(options.port);
    boost::system::error_code error;
    tcp::resolver resolver(io_);
    const auto found = resolver.resolve(options.host, std::to_string(options.port), tcp::resolver::passive, error);
    if (error || found.empty()) return EndpointError(where + ": " + error.message());
    const tcp::endpoint endpoint = found.begin()->endpoint();
    acceptor_.open(endpoint.protocol(), error);
    if (!error) acceptor_.set_option(asio::socket_base::reuse_address(true), error);
    if (!error) acceptor_.bind(endpoint, error);
    if (!error) acceptor_.listen(4096, error);
    if (error) return EndpointError(where + ": cannot listen: " + error.message());
    port_ = acceptor_.local_endpoint().port();
    Accept();
    for (int i = 0; i < options.io_threads; ++i) threads_.emplace_back([this] { io_.run(); });
    return Status::Ok();
  }

  int port() const override { return port_; }

  void Drain(std::chrono::seconds limit) override {
    shared_->draining = true;
    asio::post(io_, [this] {
      boost::system::error_code ignored;
      acceptor_.close(ignored);
    });
    const auto end = std::chrono::steady_clock::now() + limit;
    while (std::chrono::steady_clock::now() < end) {
      {
        const std::lock_guard lock(shared_->mutex);
        if (shared_->sessions.empty()) return;
        for (Session* session : shared_->sessions) {
          if (const auto alive = session->weak_from_this().lock()) kept_.push_back(alive);
        }
      }
      for (const auto& session : kept_) session->CloseIfIdle();
      kept_.clear();
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
    }
  }

 private:
  void Accept() {
    acceptor_.async_accept(asio::make_strand(io_), [this](boost::system::error_code error, tcp::socket socket) {
      if (error == asio::error::operation_aborted || !acceptor_.is_open()) return;
      if (!error) {
        boost::system::error_code ignored;
        socket.set_option(tcp::no_delay(true), ignored);
        std::make_shared<Session>(std::move(socket), shared_)->Start();
      }
      Accept();
    });
  }

  asio::io_context io_;
  tcp::acceptor acceptor_;
  std::shared_ptr<Shared> shared_;
  std::vector<std::thread> threads_;
  std::vector<std::shared_ptr<Session>> kept_;
  int port_ = 0;
};

}  // namespace

Result<std::unique_ptr<HttpServer>> HttpServer::Start(const HttpServerOptions& options, HttpHandler handler) {
  auto server = std::make_unique<BeastServer>(options, std::move(handler));
  TV_RETURN_IF_ERROR(server->Listen());
  return std::unique_ptr<HttpServer>(std::move(server));
}

}  // namespace truevec
