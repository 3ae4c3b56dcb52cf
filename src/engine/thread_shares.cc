// Buddy allocation (Knowlton, "A fast storage allocator", 1965), of threads.
#include "engine/thread_shares.h"

#include <system_error>

#include <system_error>

#include "base/check.h"

namespace truevec {

ThreadShares::ThreadShares(int threads) : free_(threads) {
  TV_CHECK(threads >= 1);
  nodes_.reserve(2 * static_cast<size_t>(threads));
  nodes_.push_back({.threads = threads});
  Split(0);
}

void ThreadShares::Split(int index) {
  const int threads = nodes_[static_cast<size_t>(index)].threads;
  if (threads == 1) return;
  for (const int part : {(threads + 1) / 2, threads / 2}) {
    nodes_.push_back({.threads = part, .parent = index});
    Split(static_cast<int>(nodes_.size()) - 1);
  }
}

bool ThreadShares::IsFree(const Node& node) const {
  if (node.lent || node.lent_below > 0) return false;
  for (int above = node.parent; above >= 0; above = nodes_[static_cast<size_t>(above)].parent) {
    if (nodes_[static_cast<size_t>(above)].lent) return false;
  }
  return true;
}

bool ThreadShares::SiblingInUse(const Node& node) const {
  return node.parent >= 0 && nodes_[static_cast<size_t>(node.parent)].lent_below > 0;
}

ThreadPool* ThreadShares::PoolOf(Node* node) {
  if (node->pool != nullptr) return node->pool.get();
  try {
    node->pool = std::make_unique<ThreadPool>(node->threads);
  } catch (const std::system_error&) {  // the system has no more threads: the caller's own must do
    node->pool = std::make_unique<ThreadPool>(1);
  }
  return node->pool.get();
}

void ThreadShares::CountLent(const Node& node, int change) {
  free_ -= change * node.threads;
  for (int above = node.parent; above >= 0; above = nodes_[static_cast<size_t>(above)].parent) {
    nodes_[static_cast<size_t>(above)].lent_below += change;
  }
}

ThreadPool* ThreadShares::Take(int want) {
  TV_CHECK(free_ > 0 && want >= 1);
  Node* best = nullptr;
  for (Node& node : nodes_) {
    if (node.threads > want || !IsFree(node)) continue;
    if (best == nullptr || node.threads > best->threads ||
        (node.threads == best->threads && SiblingInUse(node) && !SiblingInUse(*best))) {
      best = &node;
    }
  }
  TV_CHECK(best != nullptr);
  best->lent = true;
  CountLent(*best, 1);
  return PoolOf(best);
}

void ThreadShares::Return(const ThreadPool* pool) {
  for (Node& node : nodes_) {
    if (node.pool.get() != pool) continue;
    TV_CHECK(node.lent);
    node.lent = false;
    CountLent(node, -1);
    return;
  }
  TV_CHECK(false);
}

}  // namespace truevec
