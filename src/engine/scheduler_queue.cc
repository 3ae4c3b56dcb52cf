#include "engine/scheduler_queue.h"

#include <algorithm>

namespace truevec {

void FairLane::Push(const TaskJobPtr& job) {
  std::unique_ptr<Client>& client = clients_[job->request.client];
  if (client == nullptr) {
    client = std::make_unique<Client>();
    client->name = job->request.client;
    client->time = now_;
    client->order = ++orders_;
    turn_.emplace(Key(client->time, client->order), client.get());
  }
  client->jobs.push_back(job);
}

void FairLane::Charge(int64_t tokens, bool drop) {
  Client* client = turn_.begin()->second;
  turn_.erase(turn_.begin());
  now_ = std::max(now_, client->time);
  client->time += static_cast<double>(tokens);
  TaskJobPtr job = std::move(client->jobs.front());
  client->jobs.pop_front();
  if (!drop) client->jobs.push_back(std::move(job));
  if (client->jobs.empty()) {
    clients_.erase(client->name);
  } else {
    turn_.emplace(Key(client->time, client->order), client);
  }
}

void FairLane::Demote() {
  Client* client = turn_.begin()->second;
  client->jobs.push_back(std::move(client->jobs.front()));
  client->jobs.pop_front();
  if (turn_.size() == 1) return;
  turn_.erase(turn_.begin());
  client->time = turn_.rbegin()->first.first + 1;
  turn_.emplace(Key(client->time, client->order), client);
}

std::vector<TaskJobPtr> FairLane::All() const {
  std::vector<TaskJobPtr> jobs;
  for (const auto& [name, client] : clients_) jobs.insert(jobs.end(), client->jobs.begin(), client->jobs.end());
  return jobs;
}

GroupKey KeyOf(const TaskRequest& request) {
  const int normalize = request.embed.normalize.has_value() ? (*request.embed.normalize ? 1 : 2) : 0;
  return {request.model.get(), request.kind,         normalize, request.embed.truncate_dim.value_or(0),
          request.score.raw,   request.score.softmax};
}

void TaskQueue::Push(const TaskJobPtr& job) {
  const auto [group, fresh] = groups_.try_emplace(KeyOf(job->request));
  if (fresh) group->second.served = now_;
  group->second.lanes[static_cast<size_t>(job->lane)].Push(job);
}

Group* TaskQueue::Next() {
  Group* best = nullptr;
  const auto before = [](const Group& a, const Group& b) {
    const bool a_bulk = a.lanes[kQueries].empty();
    const bool b_bulk = b.lanes[kQueries].empty();
    return a_bulk != b_bulk ? b_bulk : a.served < b.served;
  };
  // A group of bulk work only is not passed over for ever: its turn comes when it is far behind.
  constexpr double kPatience = 16384;
  for (auto& [key, group] : groups_) {
    if (best == nullptr || group.served + kPatience < best->served ||
        (best->served + kPatience >= group.served && before(group, *best))) {
      best = &group;
    }
  }
  if (best != nullptr) now_ = std::max(now_, best->served);
  return best;
}

void TaskQueue::Sweep() {
  std::erase_if(groups_, [](const auto& entry) {
    return entry.second.lanes[kQueries].empty() && entry.second.lanes[kBulk].empty();
  });
}

std::vector<TaskJobPtr> TaskQueue::All() const {
  std::vector<TaskJobPtr> jobs;
  for (const auto& [key, group] : groups_) {
    for (const FairLane& lane : group.lanes) {
      const auto waiting = lane.All();
      jobs.insert(jobs.end(), waiting.begin(), waiting.end());
    }
  }
  return jobs;
}

}  // namespace truevec
