// What waits (internal to scheduler.cc): jobs in groups that may share a batch, two lanes each, fair between clients.
// Not thread-safe.
#ifndef TRUEVEC_ENGINE_SCHEDULER_QUEUE_H_
#define TRUEVEC_ENGINE_SCHEDULER_QUEUE_H_

#include <algorithm>
#include <array>
#include <deque>
#include <list>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <tuple>
#include <vector>

#include "engine/scheduler.h"

namespace truevec {

// One text of a request, on its way.
struct TaskUnit {
  int32_t estimate = 0;  // tokens, guessed from the bytes until it is encoded
  std::optional<EncodedText> encoded;
};

struct TaskJob {
  TaskRequest request;
  TaskDone done;
  TaskResult result;
  std::vector<TaskUnit> units;
  std::vector<std::vector<float>> rows;  // kTokens, kMultiVector, kSparse: values per text
  std::vector<std::vector<int32_t>> row_columns;
  std::once_flag values_made;
  size_t taken = 0;
  size_t finished = 0;
  bool answered = false;
  int lane = 0;
  int64_t tokens_left = 0;  // estimated, of texts not taken yet
  size_t bytes = 0;
  std::chrono::steady_clock::time_point submitted;
  std::optional<std::chrono::steady_clock::time_point> started;

  // Tokens of the text that is taken next, as far as they are known.
  int64_t NextCost() const {
    const TaskUnit& unit = units[std::min(taken, units.size() - 1)];
    return unit.encoded.has_value() ? static_cast<int64_t>(unit.encoded->ids.size()) : unit.estimate;
  }
};
using TaskJobPtr = std::shared_ptr<TaskJob>;

// Requests of up to kQueryTokens tokens are queries.
enum Lane { kQueries, kBulk, kLanes };
inline constexpr int64_t kQueryTokens = 1024;

// Jobs of one lane, by client. The client with the least virtual time (tokens served) is next; its jobs take turns.
class FairLane {
 public:
  bool empty() const { return clients_.empty(); }
  void Push(const TaskJobPtr& job);
  // The job whose text is next. REQUIRES: not empty.
  const TaskJobPtr& Front() const { return turn_.begin()->second->jobs.front(); }
  // Charges the front job's client; the job goes behind the client's others, or out when all its texts are taken.
  void Charge(int64_t tokens, bool drop);
  // The front job goes behind everything that waits now.
  void Demote();
  std::vector<TaskJobPtr> All() const;

 private:
  struct Client {
    std::string name;
    double time = 0;
    uint64_t order = 0;
    std::deque<TaskJobPtr> jobs;
  };
  using Key = std::pair<double, uint64_t>;
  std::map<std::string, std::unique_ptr<Client>, std::less<>> clients_;
  std::map<Key, Client*> turn_;
  double now_ = 0;  // virtual time of the lane
  uint64_t orders_ = 0;
};

// What may run in one batch.
using GroupKey = std::tuple<const ServingModel*, TaskKind, int, int64_t, bool, bool>;
GroupKey KeyOf(const TaskRequest& request);

struct Group {
  std::array<FairLane, kLanes> lanes;
  double served = 0;  // tokens: groups take turns
};

class TaskQueue {
 public:
  void Push(const TaskJobPtr& job);
  bool empty() const { return groups_.empty(); }
  // The group to run next: those with queries first, then who was served least.
  Group* Next();
  // Forgets groups in which nothing waits.
  void Sweep();
  std::vector<TaskJobPtr> All() const;

 private:
  std::map<GroupKey, Group> groups_;
  double now_ = 0;
};

}  // namespace truevec

#endif  // TRUEVEC_ENGINE_SCHEDULER_QUEUE_H_
