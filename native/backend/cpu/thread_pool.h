// Helpers that share the caller's loop.
#pragma once

#include <atomic>
#include <cstdint>
#include <mutex>
#include <vector>

#include <sched.h>

namespace latte::cpu {

/// One loop at a time has the helpers; a loop that finds them busy runs on its caller alone, so
/// that several layers and worker threads do not multiply threads. The result never depends on
/// which thread did what.
class ThreadPool {
 public:
  /// `threads` counts the caller.
  explicit ThreadPool(int threads);

  int threads() const { return threads_; }

  /// Calls body(i) once for each i below `count`, on at most `threads` threads. `body` must not
  /// throw.
  template <class Body>
  void parallel_for(int64_t count, int threads, const Body& body) {
    run(
        count, threads,
        [](const void* context, int64_t i) { (*static_cast<const Body*>(context))(i); }, &body);
  }

 private:
  using Call = void (*)(const void* context, int64_t index);

  void run(int64_t count, int threads, Call call, const void* context);
  void work();
  void helper(int index);
  void start_helpers();
  void keep_off_callers_core();

  const int threads_;
  std::mutex busy_;  // held by the loop that has the helpers
  bool started_ = false;
  std::vector<pid_t> helper_ids_;
  cpu_set_t allowed_;
  int callers_core_ = -1;

  // The loop that is under way; written before the gate opens.
  Call call_ = nullptr;
  const void* context_ = nullptr;
  int64_t count_ = 0;
  alignas(64) std::atomic<int64_t> next_{0};
  // How many helpers may still come in, and how many are inside: admissions << 32 | inside.
  alignas(64) std::atomic<uint64_t> gate_{0};
  alignas(64) std::atomic<uint32_t> signal_{0};
  std::atomic<int> registered_{0};
};

/// The pool of this process, of LATTE_NUM_THREADS threads or else of as many as the process's
/// affinity and control group leave it. It is never destroyed: its helpers may outlive main.
ThreadPool& thread_pool();

}  // namespace latte::cpu
