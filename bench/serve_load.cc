// Load on an embeddings server over HTTP/1.1, from one thread (epoll): closed loop (N clients, each asks again when it
// is answered) or open loop (Poisson arrivals at a rate, whatever the server does; latency counts from the arrival, so
// that a slow server cannot hide behind a waiting client). Every reply is compared byte by byte with the vector that it
// must hold. Prints one JSON object; its "goodput" is what was answered 200 a second while requests still came, after
// the first second (a tenth of the time, when that is less).
//
//   serve_load --port P --requests FILE [--expected FILE] --seconds S (--clients N | --rate R [--connections N])
//
// FILE of requests: one JSON body a line. FILE of expected: one string a line that the reply to that request must
// contain. Requests are taken in turn.
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <fstream>
#include <memory>
#include <random>
#include <string>
#include <string_view>
#include <vector>

namespace {

using Clock = std::chrono::steady_clock;

struct Options {
  int port = 0;
  std::string path = "/v1/embeddings";
  std::string requests;
  std::string expected;
  double seconds = 10;
  int clients = 0;
  double rate = 0;
  int connections = 4096;
};

struct Connection {
  int socket = -1;
  std::string out;
  size_t written = 0;
  std::string in;
  size_t request = 0;
  Clock::time_point arrival;
  bool busy = false;
};

struct Totals {
  size_t sent = 0, ok = 0, ok_in_time = 0, refused = 0, failed = 0, mismatched = 0, lost = 0, unsent = 0;
  std::vector<double> latencies;  // seconds, of ok
};

std::vector<std::string> Lines(const std::string& path) {
  std::ifstream file(path);
  std::vector<std::string> lines;
  for (std::string line; std::getline(file, line);) lines.push_back(line);
  if (lines.empty()) {
    std::fprintf(stderr, "serve_load: %s: no lines\n", path.c_str());
    std::exit(2);
  }
  return lines;
}

// Length of a whole response in `in`, or 0. Sets status.
size_t WholeResponse(const std::string& in, int* status) {
  const size_t end = in.find("\r\n\r\n");
  if (end == std::string::npos) return 0;
  *status = std::atoi(in.c_str() + 9);
  std::string header = in.substr(0, end);
  for (char& c : header) c = static_cast<char>(c >= 'A' && c <= 'Z' ? c + 32 : c);
  const size_t at = header.find("content-length:");
  const size_t length = at == std::string::npos ? 0 : std::strtoull(header.c_str() + at + 15, nullptr, 10);
  return in.size() >= end + 4 + length ? end + 4 + length : 0;
}

class Load {
 public:
  explicit Load(const Options& options)
      : options_(options), bodies_(Lines(options.requests)), random_(12345), epoll_(epoll_create1(0)) {
    if (!options.expected.empty()) expected_ = Lines(options.expected);
    if (!expected_.empty() && expected_.size() != bodies_.size()) {
      std::fprintf(stderr, "serve_load: as many expected strings as requests\n");
      std::exit(2);
    }
  }

  void Run() {
    start_ = Clock::now();
    end_ = start_ + std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(options_.seconds));
    if (options_.clients > 0) {
      for (int i = 0; i < options_.clients; ++i) Send(Open(), Clock::now());
    }
    next_arrival_ = start_;
    const auto limit = end_ + std::chrono::seconds(60);
    while (Clock::now() < limit && (Clock::now() < end_ || busy_ > 0)) Step();
    totals_.lost = static_cast<size_t>(busy_);
    Print(std::chrono::duration<double>(last_answer_ - start_).count());
  }

 private:
  Connection* Open() {
    const int socket = ::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    const int on = 1;
    setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(static_cast<uint16_t>(options_.port));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (connect(socket, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0 && errno != EINPROGRESS) {
      std::perror("serve_load: connect");
      std::exit(1);
    }
    connections_.push_back(std::make_unique<Connection>());
    Connection* connection = connections_.back().get();
    connection->socket = socket;
    epoll_event event{};
    event.events = EPOLLIN | EPOLLOUT | EPOLLET;
    event.data.ptr = connection;
    epoll_ctl(epoll_, EPOLL_CTL_ADD, socket, &event);
    return connection;
  }

  void Send(Connection* connection, Clock::time_point arrival) {
    connection->request = next_++ % bodies_.size();
    const std::string& body = bodies_[connection->request];
    connection->out = "POST " + options_.path +
                      " HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: " +
                      std::to_string(body.size()) + "\r\n\r\n" + body;
    connection->written = 0;
    connection->arrival = arrival;
    connection->busy = true;
    ++busy_;
    ++totals_.sent;
    Write(connection);
  }

  void Write(Connection* connection) {
    while (connection->busy && connection->written < connection->out.size()) {
      const ssize_t sent = ::send(connection->socket, connection->out.data() + connection->written,
                                  connection->out.size() - connection->written, MSG_NOSIGNAL);
      if (sent < 0) return;
      connection->written += static_cast<size_t>(sent);
    }
  }

  void Read(Connection* connection) {
    char buffer[65536];
    for (;;) {
      const ssize_t got = ::recv(connection->socket, buffer, sizeof buffer, 0);
      if (got < 0) return;
      if (got == 0) return Closed(connection);
      connection->in.append(buffer, static_cast<size_t>(got));
      int status = 0;
      const size_t length = WholeResponse(connection->in, &status);
      if (length > 0) Answered(connection, status, length);
    }
  }

  void Closed(Connection* connection) {
    if (connection->busy) {
      --busy_;
      ++totals_.failed;
      connection->busy = false;
    }
    ::close(connection->socket);
    connection->socket = -1;
    std::erase(idle_, connection);
  }

  void Answered(Connection* connection, int status, size_t length) {
    const auto now = Clock::now();
    last_answer_ = now;
    if (status == 200) {
      const bool same = expected_.empty() ||
                        std::string_view(connection->in).substr(0, length).find(expected_[connection->request]) !=
                            std::string_view::npos;
      ++totals_.ok;
      totals_.ok_in_time += now >= start_ + Ramp() && now < end_ ? 1 : 0;
      if (!same) ++totals_.mismatched;
      totals_.latencies.push_back(std::chrono::duration<double>(now - connection->arrival).count());
    } else if (status == 429) {
      // On the server's cores: no switch for each refusal, but several at once.
      const sched_param none{};
      if (totals_.refused++ == 0) sched_setscheduler(0, SCHED_BATCH, &none);
    } else {
      ++totals_.failed;
    }
    connection->in.erase(0, length);
    connection->busy = false;
    --busy_;
    if (options_.clients > 0) {
      if (now < end_) Send(connection, now);
    } else {
      idle_.push_back(connection);
    }
  }

  void Arrivals() {
    while (options_.rate > 0 && next_arrival_ <= Clock::now() && next_arrival_ < end_) {
      if (idle_.empty() && static_cast<int>(connections_.size()) < options_.connections) idle_.push_back(Open());
      if (idle_.empty()) {
        ++totals_.unsent;
      } else {
        Connection* connection = idle_.back();
        idle_.pop_back();
        Send(connection, next_arrival_);
      }
      std::exponential_distribution<double> gap(options_.rate);
      next_arrival_ += std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(gap(random_)));
    }
  }

  void Step() {
    Arrivals();
    epoll_event events[256];
    int wait = 50;
    if (options_.rate > 0 && next_arrival_ < end_) {
      // Up to a millisecond late, which counts as latency: to poll for less would take the server's CPU time.
      const auto left = std::chrono::ceil<std::chrono::milliseconds>(next_arrival_ - Clock::now()).count();
      wait = static_cast<int>(std::clamp<int64_t>(left, 1, 50));
    }
    const int count = epoll_wait(epoll_, events, 256, wait);
    for (int i = 0; i < count; ++i) {
      auto* connection = static_cast<Connection*>(events[i].data.ptr);
      if (connection->socket < 0) continue;
      if ((events[i].events & EPOLLOUT) != 0) Write(connection);
      if ((events[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR)) != 0) Read(connection);
    }
  }

  Clock::duration Ramp() const { return std::min<Clock::duration>(std::chrono::seconds(1), (end_ - start_) / 10); }

  double Percentile(double share) {
    if (totals_.latencies.empty()) return 0;
    const auto index = static_cast<size_t>(share * static_cast<double>(totals_.latencies.size() - 1));
    return totals_.latencies[index] * 1000;
  }

  void Print(double seconds) {
    std::sort(totals_.latencies.begin(), totals_.latencies.end());
    std::printf(
        "{\"sent\":%zu,\"ok\":%zu,\"refused\":%zu,\"failed\":%zu,\"mismatched\":%zu,\"lost\":%zu,\"unsent\":%zu,"
        "\"seconds\":%.3f,\"ok_per_second\":%.2f,\"goodput\":%.2f,\"p50_ms\":%.2f,\"p90_ms\":%.2f,\"p99_ms\":%.2f,"
        "\"max_ms\":%.2f}\n",
        totals_.sent, totals_.ok, totals_.refused, totals_.failed, totals_.mismatched, totals_.lost, totals_.unsent,
        seconds, static_cast<double>(totals_.ok) / std::max(seconds, 1e-9),
        static_cast<double>(totals_.ok_in_time) / std::chrono::duration<double>(end_ - start_ - Ramp()).count(),
        Percentile(0.5), Percentile(0.9), Percentile(0.99), Percentile(1));
  }

  Options options_;
  std::vector<std::string> bodies_;
  std::vector<std::string> expected_;
  std::mt19937_64 random_;
  int epoll_;
  std::deque<std::unique_ptr<Connection>> connections_;
  std::vector<Connection*> idle_;
  size_t next_ = 0;
  int busy_ = 0;
  Clock::time_point start_, end_, next_arrival_, last_answer_ = Clock::now();
  Totals totals_;
};

Options ReadOptions(int argc, char** argv) {
  Options options;
  for (int i = 1; i + 1 < argc; i += 2) {
    const std::string_view name = argv[i];
    const char* value = argv[i + 1];
    if (name == "--port") options.port = std::atoi(value);
    if (name == "--path") options.path = value;
    if (name == "--requests") options.requests = value;
    if (name == "--expected") options.expected = value;
    if (name == "--seconds") options.seconds = std::atof(value);
    if (name == "--clients") options.clients = std::atoi(value);
    if (name == "--rate") options.rate = std::atof(value);
    if (name == "--connections") options.connections = std::atoi(value);
  }
  if (options.port == 0 || options.requests.empty() || (options.clients > 0) == (options.rate > 0)) {
    std::fprintf(stderr,
                 "serve_load --port P --requests FILE [--expected FILE] --seconds S (--clients N | --rate R)\n");
    std::exit(2);
  }
  return options;
}

}  // namespace

int main(int argc, char** argv) {
  rlimit files{};  // one a connection
  if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
  }
  Load load(ReadOptions(argc, argv));
  load.Run();
  return 0;
}
