// Shares of a fixed number of compute threads, for batches that run side by side (internal to scheduler.cc).
//
// A binary tree of thread pools over the same number of cores: the root has all threads, its children half each, down
// to one thread. A pool is lent only while none above or below it is, so that no more threads compute than there are.
// Pools are made when first lent; the threads of idle ones sleep. Not thread-safe, but a lent pool may be used
// anywhere.
#ifndef TRUEVEC_ENGINE_THREAD_SHARES_H_
#define TRUEVEC_ENGINE_THREAD_SHARES_H_

#include <memory>
#include <vector>

#include "base/thread_pool.h"

namespace truevec {

class ThreadShares {
 public:
  // REQUIRES: threads >= 1.
  explicit ThreadShares(int threads);

  int threads() const { return nodes_.front().threads; }
  // Threads that are not lent.
  int free() const { return free_; }
  // The largest pool of at most `want` threads that is free, at least one thread. REQUIRES: free() > 0, want >= 1.
  ThreadPool* Take(int want);
  // REQUIRES: taken and not returned yet.
  void Return(const ThreadPool* pool);
  // The pool of all threads, for work beside the shares.
  ThreadPool* all() { return PoolOf(&nodes_.front()); }

 private:
  struct Node {
    int threads = 0;
    int parent = -1;
    int lent_below = 0;  // pools lent among its descendants
    bool lent = false;
    std::unique_ptr<ThreadPool> pool = {};
  };
  void Split(int index);
  bool IsFree(const Node& node) const;
  // A free node whose sibling is in use leaves larger ones whole.
  bool SiblingInUse(const Node& node) const;
  ThreadPool* PoolOf(Node* node);
  void CountLent(const Node& node, int change);

  std::vector<Node> nodes_;
  int free_ = 0;
};

}  // namespace truevec

#endif  // TRUEVEC_ENGINE_THREAD_SHARES_H_
