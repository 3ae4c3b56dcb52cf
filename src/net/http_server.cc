#include "net/http_server.h"

#include <sys/stat.h>
#include <unistd.h>

#include <thread>

#include "net/http_session.h"

namespace truevec {

std::string_view ServerRequest::Header(std::string_view name) const {
  for (const auto& [key, value] : headers) {
    if (key == name) return value;
  }
  return {};
}

namespace {

using namespace net_internal;  // NOLINT(google-build-using-namespace)
using asio::ip::tcp;
using Local = asio::local::stream_protocol;

constexpr auto kSweep = std::chrono::milliseconds(200);

class BeastServer : public HttpServer {
 public:
  BeastServer(const HttpServerOptions& options, HttpHandler handler, HttpErrorBody error_body)
      : io_(options.io_threads), tcp_(io_), local_(io_), sweep_(io_), shared_(std::make_shared<Shared>()) {
    shared_->options = options;
    shared_->handler = std::move(handler);
    shared_->error_body = std::move(error_body);
  }
  ~BeastServer() override { Stop(); }

  Status Listen() {
    if (!options().tls_certificate.empty() || !options().tls_key.empty()) TV_RETURN_IF_ERROR(LoadTls());
    TV_RETURN_IF_ERROR(options().unix_socket.empty() ? ListenTcp() : ListenLocal());
    Sweep();
    for (int i = 0; i < options().io_threads; ++i) threads_.emplace_back([this] { io_.run(); });
    return Status::Ok();
  }

  int port() const override { return port_; }
  std::string address() const override {
    if (!options().unix_socket.empty()) return "unix:" + options().unix_socket;
    const bool v6 = options().host.find(':') != std::string::npos;
    return (tls_ ? "https://" : "http://") + (v6 ? "[" + options().host + "]" : options().host) + ":" +
           std::to_string(port_);
  }
  size_t connections() const override {
    const std::lock_guard lock(shared_->mutex);
    return shared_->sessions.size();
  }

  void Drain(std::chrono::milliseconds limit) override {
    if (!shared_->draining.exchange(true)) {
      asio::post(io_, [this] {
        boost::system::error_code ignored;
        tcp_.close(ignored);
        local_.close(ignored);
      });
    }
    const auto end = Clock::now() + limit;
    while (CloseSessions(/*only_idle=*/true) > 0 && Clock::now() < end) {
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
    }
  }

  void Stop() override {
    io_.stop();
    for (std::thread& thread : threads_) thread.join();
    threads_.clear();
    if (bound_local_) ::unlink(options().unix_socket.c_str());
    bound_local_ = false;
  }

 private:
  const HttpServerOptions& options() const { return shared_->options; }

  Status LoadTls() {
    if (options().tls_certificate.empty() || options().tls_key.empty()) {
      return UsageError("TLS needs both a certificate and a key");
    }
    tls_.emplace(asio::ssl::context::tls_server);
    boost::system::error_code error;
    tls_->set_options(asio::ssl::context::default_workarounds | asio::ssl::context::no_tlsv1 |
                          asio::ssl::context::no_tlsv1_1 | asio::ssl::context::no_compression,
                      error);
    // Idle connections give their record buffers back.
    SSL_CTX_set_mode(tls_->native_handle(), SSL_MODE_RELEASE_BUFFERS);
    tls_->use_certificate_chain_file(options().tls_certificate, error);
    if (error) return UsageError(options().tls_certificate + ": no PEM certificate: " + error.message());
    tls_->use_private_key_file(options().tls_key, asio::ssl::context::pem, error);
    if (error) return UsageError(options().tls_key + ": no PEM key for the certificate: " + error.message());
    return Status::Ok();
  }

  Status ListenTcp() {
    const std::string where = options().host + ":" + std::to_string(options().port);
    boost::system::error_code error;
    tcp::resolver resolver(io_);
    const auto found = resolver.resolve(options().host, std::to_string(options().port), tcp::resolver::passive, error);
    if (error || found.empty()) return EndpointError(where + ": " + error.message());
    const tcp::endpoint endpoint = found.begin()->endpoint();
    tcp_.open(endpoint.protocol(), error);
    if (!error) tcp_.set_option(asio::socket_base::reuse_address(true), error);
    if (!error) tcp_.bind(endpoint, error);
    if (!error) tcp_.listen(4096, error);
    if (error) return EndpointError(where + ": cannot listen: " + error.message());
    port_ = tcp_.local_endpoint().port();
    Accept(tcp_);
    return Status::Ok();
  }

  // A socket file that nobody listens on any more is replaced.
  Status ListenLocal() {
    const std::string& path = options().unix_socket;
    boost::system::error_code error;
    struct stat info{};
    if (::lstat(path.c_str(), &info) == 0) {
      if (!S_ISSOCK(info.st_mode)) return EndpointError(path + ": exists and is no socket");
      Local::socket probe(io_);
      probe.connect(Local::endpoint(path), error);
      if (!error) return EndpointError(path + ": another server listens here");
      ::unlink(path.c_str());
    }
    if (path.size() > 107) return UsageError(path + ": a Unix socket path has at most 107 bytes");
    const Local::endpoint endpoint(path);
    error = {};
    local_.open(endpoint.protocol(), error);
    if (!error) local_.bind(endpoint, error);
    if (!error) local_.listen(4096, error);
    if (error) return EndpointError(path + ": cannot listen: " + error.message());
    bound_local_ = true;
    Accept(local_);
    return Status::Ok();
  }

  template <typename Acceptor>
  void Accept(Acceptor& acceptor) {
    acceptor.async_accept(asio::make_strand(io_), [this, &acceptor](boost::system::error_code error, auto socket) {
      if (error == asio::error::operation_aborted || !acceptor.is_open()) return;
      if (error) return AcceptLater(acceptor);
      Serve(std::move(socket));
      Accept(acceptor);
    });
  }

  // Out of file descriptors or memory: closes who is idle longest and tries again shortly.
  template <typename Acceptor>
  void AcceptLater(Acceptor& acceptor) {
    MakeRoom();
    auto timer = std::make_shared<asio::steady_timer>(io_, std::chrono::milliseconds(20));
    timer->async_wait([this, timer, &acceptor](boost::system::error_code error) {
      if (!error && acceptor.is_open()) Accept(acceptor);
    });
  }

  template <typename Accepted>
  void Serve(Accepted accepted) {
    std::string peer = "unix";
    if constexpr (std::is_same_v<typename Accepted::protocol_type, tcp>) {
      boost::system::error_code error;
      accepted.set_option(tcp::no_delay(true), error);
      peer = accepted.remote_endpoint(error).address().to_string();
    }
    if (connections() >= options().max_connections && !MakeRoom()) return;
    Socket socket(std::move(accepted));
    if (tls_) {
      std::make_shared<Session<TlsSocket>>(TlsSocket(std::move(socket), *tls_), std::move(peer), shared_)->Start();
    } else {
      std::make_shared<Session<Socket>>(std::move(socket), std::move(peer), shared_)->Start();
    }
  }

  // Closes the connection that has been idle longest.
  bool MakeRoom() {
    const std::lock_guard lock(shared_->mutex);
    SessionBase* oldest = nullptr;
    for (SessionBase* session : shared_->sessions) {
      if (session->idle() && (oldest == nullptr || session->deadline() < oldest->deadline())) oldest = session;
    }
    const auto alive = oldest == nullptr ? nullptr : oldest->weak().lock();
    if (alive != nullptr) alive->Close(/*only_if_idle=*/true);
    return alive != nullptr;
  }

  // One timer for all connections: each only notes until when it may take.
  void Sweep() {
    sweep_.expires_after(kSweep);
    sweep_.async_wait([this](boost::system::error_code error) {
      if (error) return;
      std::vector<std::shared_ptr<SessionBase>> late;
      const auto now = Clock::now();
      {
        const std::lock_guard lock(shared_->mutex);
        for (SessionBase* session : shared_->sessions) {
          if (session->deadline() < now) late.push_back(session->weak().lock());
        }
      }
      for (const auto& session : late) {
        if (session != nullptr) session->Close(/*only_if_idle=*/false);
      }
      Sweep();
    });
  }

  // Returns how many sessions there are.
  size_t CloseSessions(bool only_idle) {
    std::vector<std::shared_ptr<SessionBase>> alive;
    size_t count = 0;
    {
      const std::lock_guard lock(shared_->mutex);
      count = shared_->sessions.size();
      for (SessionBase* session : shared_->sessions) alive.push_back(session->weak().lock());
    }
    for (const auto& session : alive) {
      if (session != nullptr) session->Close(only_idle);
    }
    return count;
  }

  asio::io_context io_;
  std::optional<asio::ssl::context> tls_;
  tcp::acceptor tcp_;
  Local::acceptor local_;
  asio::steady_timer sweep_;
  std::shared_ptr<Shared> shared_;
  std::vector<std::thread> threads_;
  int port_ = 0;
  bool bound_local_ = false;
};

}  // namespace

Result<std::unique_ptr<HttpServer>> HttpServer::Start(const HttpServerOptions& options, HttpHandler handler,
                                                      HttpErrorBody error_body) {
  auto server = std::make_unique<BeastServer>(options, std::move(handler), std::move(error_body));
  TV_RETURN_IF_ERROR(server->Listen());
  return std::unique_ptr<HttpServer>(std::move(server));
}

}  // namespace truevec
