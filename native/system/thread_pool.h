// A pool of helper threads that run the iterations of a caller's loop together with the caller.
#pragma once

#include <cstdint>
#include <memory>

namespace latte::system {

/// May be used by any number of callers at once. Each loop gets helpers that no other loop uses. It
/// gets fewer than it wants, or none, if busy callers and helpers already fill the pool. Without
/// helpers a loop runs on its caller alone.
///
/// A pool is never destroyed: its helpers live as long as the process.
class ThreadPool {
 public:
  /// `threads` includes the caller. A helper is started when a loop first uses it.
  explicit ThreadPool(int threads);
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;
  ~ThreadPool() = delete;

  int threads() const { return threads_; }

  /// Calls body(i) once for each i below `count`, on at most `threads` threads, in no particular
  /// order, and returns when all calls have returned. `body` must not throw.
  template <class Body>
  void parallel_for(int64_t count, int threads, const Body& body) {
    run(
        count, threads,
        [](const void* context, int64_t i) { (*static_cast<const Body*>(context))(i); }, &body);
  }

  /// What the pool has done so far.
  struct Counts {
    uint64_t loops = 0;     // that got helpers
    uint64_t called = 0;    // helpers that loops were given
    uint64_t wake_ups = 0;  // of those: helpers that slept, each woken by one system call
    uint64_t helped = 0;    // of those: helpers that came before their loop had ended
    uint64_t moved = 0;     // late helpers that were kept off their caller's core for a moment
  };
  Counts counts() const;

 private:
  using Call = void (*)(const void* context, int64_t index);
  struct Helper;
  struct Loop;
  class Claim;
  struct State;

  void run(int64_t count, int threads, Call call, const void* context);
  void call_helpers(Loop& loop, Claim& claim);
  void work_as_caller(Loop& loop, const Claim& claim);
  void dismiss_helpers(Loop& loop, const Claim& claim);
  bool start(int index);
  void help(Helper& helper);

  const int threads_;
  State* const state_;
};

/// How many threads a process uses by default: one for each of its `cores`, but no more than
/// `limit` (the cores' worth of time that its control groups allow) and no more than
/// kMostDefaultThreads.
///
/// The last bound is for large forwards; small ones use few threads anyway. Large ones are limited
/// by memory bandwidth, which some tens of cores exhaust, and a caller wakes its helpers one by
/// one. LATTE_NUM_THREADS sets any other number.
constexpr int kMostDefaultThreads = 32;
int default_threads(int cores, double limit);

/// LATTE_NUM_THREADS, or else default_threads() of this process. Throws ERR_VALUE if the variable
/// holds no whole number from 1 to 1024.
int threads_of_process();

/// The pool of this process, with threads_of_process() threads. All JavaScript environments share
/// it: the main thread's and every worker's.
ThreadPool& thread_pool();

}  // namespace latte::system
