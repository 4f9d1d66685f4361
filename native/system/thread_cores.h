// The cores that a thread may use, and moving it away from one of them.
#pragma once

#include <sched.h>
#include <sys/types.h>

#include <atomic>

namespace latte::system {

/// Of one thread, which calls learn() when it starts. Then other threads may move it.
class ThreadCores {
 public:
  void learn();

  /// How many cores the thread may use; 0 until it has learnt them, or if they cannot be set.
  int count() const { return thread_.load(std::memory_order_acquire) == 0 ? 0 : count_; }

  /// Keeps the thread off `core` for a moment: if it runs or waits there, it goes to another core.
  /// Returns false if it may use no other, or if its cores are not those that it has learnt:
  /// somebody has given it others, or its control group has others by now. Then it is left alone.
  bool leave(int core) const;

 private:
  cpu_set_t allowed_{};   // when the thread started
  cpu_set_t restored_{};  // what leave() sets again
  int count_ = 0;
  std::atomic<pid_t> thread_{0};
};

}  // namespace latte::system
