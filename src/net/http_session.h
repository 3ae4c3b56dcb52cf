// One connection of the HTTP server (internal to http_server.cc). All its work runs on its strand; only the deadline,
// the phase and the client state are read from elsewhere.
//
// One read is outstanding at most. While a request is answered that read goes on (up to kReadAhead bytes), so that a
// client that resets the connection is noticed and pipelined requests wait in the buffer.
#ifndef TRUEVEC_NET_HTTP_SESSION_H_
#define TRUEVEC_NET_HTTP_SESSION_H_

#include <sched.h>

#include <array>
#include <atomic>
#include <boost/asio.hpp>
#include <boost/asio/ssl.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>
#include <mutex>
#include <optional>
#include <set>

#include "net/content_coding.h"
#include "net/http_framing.h"
#include "net/http_server.h"

namespace truevec::net_internal {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = boost::beast::http;
using Socket = asio::generic::stream_protocol::socket;
using TlsSocket = asio::ssl::stream<Socket>;
using Clock = std::chrono::steady_clock;

inline constexpr size_t kReadAhead = size_t{64} << 10;
// What one read may add to that; it bounds chunk extensions and trailer fields, which must fit whole.
inline constexpr size_t kReadBuffer = size_t{64} << 10;
inline constexpr auto kOverload = std::chrono::seconds(1);  // after a request was refused with 429
inline constexpr size_t kCompressFrom = 1400;               // smaller bodies fit one packet as they are
inline constexpr size_t kSlowestBytesPerSecond = size_t{16} << 10;

class SessionBase {
 public:
  virtual ~SessionBase() = default;
  virtual std::weak_ptr<SessionBase> weak() = 0;
  // Closes the connection: at once, or only when it waits for a request.
  virtual void Close(bool only_if_idle) = 0;
  bool idle() const { return idle_.load(std::memory_order_relaxed); }
  Clock::time_point deadline() const { return Clock::time_point(Clock::duration(deadline_.load())); }

 protected:
  std::atomic<bool> idle_{true};
  std::atomic<Clock::rep> deadline_{Clock::time_point::max().time_since_epoch().count()};
};

// What sessions share. Outlives them: each holds a reference.
struct Shared {
  HttpServerOptions options;
  HttpHandler handler;
  HttpErrorBody error_body;
  std::atomic<bool> draining{false};
  std::atomic<size_t> body_bytes{0};
  std::atomic<Clock::rep> overloaded_until{0};
  const bool normal_class = sched_getscheduler(0) == SCHED_OTHER;  // else the operator chose one
  std::mutex mutex;
  std::set<SessionBase*> sessions;
};

// While requests are refused for overload, an I/O thread that wakes does not take a busy core from a compute thread at
// once (SCHED_BATCH) but comes a moment later and finds several requests, which halves what a refusal costs. At other
// times that would delay replies. For the calling thread.
inline void ChooseSchedulingClass(const Shared& shared) {
  if (!shared.normal_class) return;
  const bool overloaded = Clock::now().time_since_epoch().count() < shared.overloaded_until.load();
  const int wanted = overloaded ? SCHED_BATCH : SCHED_OTHER;
  const sched_param none{};
  if (sched_getscheduler(0) != wanted) sched_setscheduler(0, wanted, &none);
}

template <typename Stream>
class Session : public SessionBase, public std::enable_shared_from_this<Session<Stream>> {
 public:
  Session(Stream stream, std::string peer, std::shared_ptr<Shared> shared)
      : stream_(std::move(stream)), peer_(std::move(peer)), shared_(std::move(shared)) {
    const std::lock_guard lock(shared_->mutex);
    shared_->sessions.insert(this);
  }
  ~Session() override {
    ReleaseBody();
    const std::lock_guard lock(shared_->mutex);
    shared_->sessions.erase(this);
  }
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  void Start() {
    asio::dispatch(stream_.get_executor(), [self = this->shared_from_this()] { self->Handshake(); });
  }
  std::weak_ptr<SessionBase> weak() override { return this->weak_from_this(); }
  void Close(bool only_if_idle) override {
    asio::post(stream_.get_executor(), [self = this->shared_from_this(), only_if_idle] {
      if (!only_if_idle || self->idle()) self->CloseNow();
    });
  }

 private:
  static constexpr bool kTls = std::is_same_v<Stream, TlsSocket>;
  class Exchange;

  auto& socket() { return beast::get_lowest_layer(stream_); }

  void SetDeadline(Clock::duration after) { deadline_ = (Clock::now() + after).time_since_epoch().count(); }
  void NoDeadline() { deadline_ = Clock::time_point::max().time_since_epoch().count(); }
  Clock::duration TransferTime(size_t bytes) const {
    return shared_->options.body_timeout + std::chrono::seconds(bytes / kSlowestBytesPerSecond);
  }

  void Handshake() {
    if constexpr (kTls) {
      idle_ = false;
      SetDeadline(shared_->options.header_timeout);
      stream_.async_handshake(asio::ssl::stream_base::server,
                              [self = this->shared_from_this()](beast::error_code error) {
                                if (error) return self->CloseNow();
                                self->NextRequest();
                              });
    } else {
      NextRequest();
    }
  }

  // Between requests: what is buffered is a pipelined request, else the outstanding or a new read brings one.
  void NextRequest() {
    if (!reading_) SkipEmptyLines();
    if (shared_->draining || (end_of_input_ && buffer_.size() == 0)) return CloseNow();
    if (buffer_.size() > 0 && !reading_) return ReadHeader();
    if (buffer_.size() > 0) {  // the read that watches the client must end first
      resuming_ = true;
      beast::error_code ignored;
      socket().cancel(ignored);
      return;
    }
    if (!reading_) buffer_.shrink_to_fit();
    idle_ = true;
    SetDeadline(shared_->options.idle_timeout);
    if (!reading_) ReadAhead();
  }

  // RFC 9112 2.2: some clients send an empty line after a body.
  void SkipEmptyLines() {
    const auto data = [this] {
      return std::string_view(static_cast<const char*>(buffer_.data().data()), buffer_.size());
    };
    while (data().starts_with("\r\n")) buffer_.consume(2);
  }

  void ReadAhead() {
    reading_ = true;
    stream_.async_read_some(
        buffer_.prepare(1024),
        [self = this->shared_from_this()](beast::error_code error, size_t bytes) { self->OnReadAhead(error, bytes); });
  }

  void OnReadAhead(beast::error_code error, size_t bytes) {
    reading_ = false;
    buffer_.commit(bytes);
    if (std::exchange(resuming_, false)) {
      end_of_input_ = error && error != asio::error::operation_aborted;
      return NextRequest();
    }
    if (error) {
      end_of_input_ = true;
      const bool half = error == asio::error::eof || error == asio::ssl::error::stream_truncated;
      if (answering_ != nullptr) *answering_ = half ? ClientState::kHalfClosed : ClientState::kGone;
      if (idle() || lingering_) CloseNow();
      return;
    }
    if (lingering_) buffer_.clear();
    if (idle()) {
      SkipEmptyLines();
      return buffer_.size() > 0 ? ReadHeader() : ReadAhead();
    }
    if (buffer_.size() < kReadAhead) ReadAhead();
  }

  void ReadHeader() {
    idle_ = false;
    received_ = Clock::now();
    ChooseSchedulingClass(*shared_);
    SetDeadline(shared_->options.header_timeout);
    parser_.emplace();
    parser_->body_limit(shared_->options.max_body);
    parser_->header_limit(static_cast<std::uint32_t>(shared_->options.max_header));
    http::async_read_header(stream_, buffer_, *parser_,
                            [self = this->shared_from_this()](beast::error_code error, size_t) {
                              if (error) return self->OnReadError(error);
                              self->OnHeader();
                            });
  }

  void OnHeader() {
    const auto& message = parser_->get();
    if (TooManyFields()) return;
    if (const auto fault = FramingFault(message); fault.has_value()) return Refuse(fault->first, fault->second);
    // Trailer fields, which come later, are no header fields (RFC 9110 6.5.1).
    ReadMessage();
    const bool has_body = parser_->content_length().value_or(0) > 0 || parser_->chunked();
    body_since_ = Clock::now();
    SetDeadline(TransferTime(0));
    // HTTP/1.0 has no interim replies (RFC 9110 10.1.1).
    const bool waits = version_ >= 11 && beast::iequals(message[http::field::expect], "100-continue");
    if (has_body && waits) return Continue();
    ReadBody();
  }

  bool TooManyFields() {
    const auto& message = parser_->get();
    if (static_cast<size_t>(std::distance(message.begin(), message.end())) <= shared_->options.max_header_count) {
      return false;
    }
    Refuse(431, "at most " + std::to_string(shared_->options.max_header_count) + " header fields");
    return true;
  }

  void ReadMessage() {
    const auto& message = parser_->get();
    keep_alive_ = message.keep_alive();
    head_ = message.method() == http::verb::head;
    version_ = message.version();
    coding_ = shared_->options.compress ? ChooseCoding(FieldList(message, http::field::accept_encoding)) : "";
    body_coding_ = FieldList(message, http::field::content_encoding);
    request_ = {};
    request_.method = std::string(message.method_string());
    const std::string_view target = OriginForm(message.target());
    const size_t mark = target.find('?');
    request_.path = std::string(target.substr(0, mark));
    if (mark != std::string_view::npos) request_.query = std::string(target.substr(mark + 1));
    for (const auto& field : message) {
      std::string name(field.name_string());
      for (char& c : name) c = beast::detail::ascii_tolower(c);
      request_.headers.emplace_back(std::move(name), std::string(field.value()));
    }
    request_.peer = peer_;
    request_.received = received_;
  }

  void Continue() {
    continue_.emplace(http::status::continue_, 11);
    http::async_write(stream_, *continue_, [self = this->shared_from_this()](beast::error_code error, size_t) {
      if (error) return self->CloseNow();
      self->ReadBody();
    });
  }

  // The time limit grows with what has arrived, so that a client that sends nothing, or drips, is closed.
  void ReadBody() {
    if (parser_->is_done()) return Answer();
    http::async_read_some(stream_, buffer_, *parser_,
                          [self = this->shared_from_this()](beast::error_code error, size_t) {
                            if (error) return self->OnReadError(error);
                            const size_t bytes = self->parser_->get().body().size();
                            if (!self->CountBody(bytes)) {
                              return self->Refuse(503, "too many large requests at once; try again");
                            }
                            self->SetDeadline(self->body_since_ + self->TransferTime(bytes) - Clock::now());
                            self->ReadBody();
                          });
  }

  // Bodies in memory; one request always fits.
  bool CountBody(size_t bytes) {
    const size_t others = shared_->body_bytes.fetch_add(bytes - body_counted_) - body_counted_;
    body_counted_ = bytes;
    return others == 0 || others + bytes <= shared_->options.max_bodies;
  }
  void ReleaseBody() {
    shared_->body_bytes -= body_counted_;
    body_counted_ = 0;
  }

  void OnReadError(beast::error_code error) {
    if (error == http::error::body_limit) {
      return Refuse(413, "the body is longer than " + std::to_string(shared_->options.max_body) + " bytes");
    }
    if (error == http::error::header_limit) {
      return Refuse(431, "the header is longer than " + std::to_string(shared_->options.max_header) + " bytes");
    }
    if (error == http::error::buffer_overflow) {
      return Refuse(431,
                    "chunk extensions and trailer fields are longer than " + std::to_string(kReadBuffer) + " bytes");
    }
    const bool malformed = error.category() == http::make_error_code(http::error::bad_method).category() &&
                           error != http::error::end_of_stream && error != http::error::partial_message;
    if (malformed) return Refuse(400, "not an HTTP/1.1 request: " + error.message());
    CloseNow();
  }

  // Answers without a handler and closes: what follows in the stream cannot be told apart.
  void Refuse(int status, const std::string& message) {
    ServerResponse response;
    response.status = status;
    std::string target;
    if (parser_->is_header_done()) target = std::string(parser_->get().target());
    response.body = shared_->error_body(status, message, target.substr(0, target.find('?')));
    if (status == 503) response.headers["retry-after"] = "1";
    keep_alive_ = false;
    head_ = false;
    coding_ = "";
    Write(std::move(response));
  }

  void Answer() {
    if (TooManyFields()) return;
    auto body = DecodeContent(body_coding_, std::move(parser_->get().body()), shared_->options.max_body);
    if (!body.ok()) {
      const Code code = body.status().code();
      return Refuse(code == Code::kResource ? 413 : code == Code::kUsage ? 415 : 400, body.status().message());
    }
    request_.body = std::move(body).value();
    parser_.reset();
    NoDeadline();
    auto exchange = std::make_shared<Exchange>(this->shared_from_this());
    answering_ = exchange->client_state();
    if (!reading_ && buffer_.size() < kReadAhead && !end_of_input_) ReadAhead();
    shared_->handler(std::exchange(request_, {}), std::move(exchange));
  }

  void Write(ServerResponse response) {
    answering_ = nullptr;
    if (response.status == 429) shared_->overloaded_until = (Clock::now() + kOverload).time_since_epoch().count();
    if (shared_->draining) keep_alive_ = false;
    response_ = {};
    response_.version(version_);
    response_.result(static_cast<unsigned>(response.status));
    response_.set(http::field::server, "truevec");
    const bool has_body = response.status != 204 && response.status != 304;
    if (has_body) response_.set(http::field::content_type, response.content_type);
    for (const auto& [name, value] : response.headers) response_.set(name, value);
    if (!response.encoded && !coding_.empty() && response.body.size() >= kCompressFrom) {
      response.body = EncodeContent(coding_, response.body);
      response_.set(http::field::content_encoding, coding_);
      response_.set(http::field::vary, "accept-encoding");
    }
    response_.keep_alive(keep_alive_);
    if (has_body) response_.content_length(response.body.size());
    SetDeadline(TransferTime(0));
    if (!head_) response_.body() = std::move(response.body);
    serializer_.emplace(response_);
    if (head_) {
      http::async_write_header(
          stream_, *serializer_,
          [self = this->shared_from_this()](beast::error_code error, size_t) { self->OnWritten(error); });
    } else {
      WriteSome(Clock::now(), 0);
    }
  }

  // As for bodies that are read: who takes nothing, or drips, is closed and frees what it holds.
  void WriteSome(Clock::time_point since, size_t written) {
    http::async_write_some(stream_, *serializer_,
                           [self = this->shared_from_this(), since, written](beast::error_code error, size_t bytes) {
                             if (error || self->serializer_->is_done()) return self->OnWritten(error);
                             self->SetDeadline(since + self->TransferTime(written + bytes) - Clock::now());
                             self->WriteSome(since, written + bytes);
                           });
  }

  void OnWritten(beast::error_code error) {
    ReleaseBody();
    serializer_.reset();
    response_ = {};
    if (error) return CloseNow();
    if (keep_alive_) return NextRequest();
    Linger();
  }

  // Reads on for a moment after the last reply: a close with unread input would reset the connection under it.
  void Linger() {
    beast::error_code ignored;
    if (!kTls) socket().shutdown(asio::socket_base::shutdown_send, ignored);
    if (end_of_input_) return CloseNow();
    lingering_ = true;
    SetDeadline(std::chrono::seconds(2));
    if (!reading_) Discard();
  }
  void Discard() {
    socket().async_read_some(asio::buffer(discarded_),
                             [self = this->shared_from_this()](beast::error_code error, size_t) {
                               if (error) return self->CloseNow();
                               self->Discard();
                             });
  }
  void CloseNow() {
    beast::error_code ignored;
    socket().close(ignored);
  }

  Stream stream_;
  std::string peer_;
  std::shared_ptr<Shared> shared_;
  beast::flat_buffer buffer_{kReadAhead + kReadBuffer};
  std::optional<http::request_parser<http::string_body>> parser_;
  std::optional<http::response<http::empty_body>> continue_;
  http::response<http::string_body> response_;
  std::optional<http::response_serializer<http::string_body>> serializer_;
  std::shared_ptr<std::atomic<ClientState>> answering_;
  Clock::time_point received_;
  std::array<char, 512> discarded_;
  ServerRequest request_;  // being read
  std::string body_coding_;
  std::string_view coding_;
  Clock::time_point body_since_;
  size_t body_counted_ = 0;
  unsigned version_ = 11;
  bool keep_alive_ = false;
  bool head_ = false;
  bool reading_ = false;
  bool end_of_input_ = false;
  bool lingering_ = false;
  bool resuming_ = false;
};

template <typename Stream>
class Session<Stream>::Exchange : public HttpExchange {
 public:
  explicit Exchange(std::shared_ptr<Session> session) : session_(std::move(session)) {}
  ~Exchange() override {
    if (answered_.exchange(true)) return;
    ServerResponse response;
    response.status = 500;
    response.body = session_->shared_->error_body(500, "the request was dropped", "");
    Send(std::move(response));
  }
  Exchange(const Exchange&) = delete;
  Exchange& operator=(const Exchange&) = delete;

  std::shared_ptr<std::atomic<ClientState>> client_state() const { return client_; }
  void Reply(ServerResponse response) override {
    const bool again = answered_.exchange(true);
    TV_CHECK(!again);
    Send(std::move(response));
  }
  void Post(std::function<void()> work) override { asio::post(session_->stream_.get_executor(), std::move(work)); }

 private:
  void Send(ServerResponse response) {
    asio::dispatch(session_->stream_.get_executor(), [session = session_, response = std::move(response)]() mutable {
      session->Write(std::move(response));
    });
  }
  std::shared_ptr<Session> session_;
  std::atomic<bool> answered_{false};
};

}  // namespace truevec::net_internal

#endif  // TRUEVEC_NET_HTTP_SESSION_H_
