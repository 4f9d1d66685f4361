// The cores that a thread may use, and moving it away from one of them.
#pragma once

#include <sched.h>
#include <sys/types.h>

#include <atomic>

namespace latte::system {

/// Of one thread, which calls learn() when it starts. Then another thread may move it.
class ThreadCores {
 public:
  void learn();

  /// How many cores the thread may use; 0 if it has not learnt them, or cannot be moved.
  int count() const { return thread_.load(std::memory_order_acquire) == 0 ? 0 : count_; }

  /// Has the thread go on elsewhere if it runs or waits on this core. Returns whether that was
  /// asked for: it is not if the thread may use no other core, or if somebody has given it other
  /// cores.
  bool leave(int core) const;

 private:
  cpu_set_t allowed_{};
  /// What is set for the thread between two moves.
  cpu_set_t set_{};
  int count_ = 0;
  std::atomic<pid_t> thread_{0};
};

}  // namespace latte::system
