// Helper threads that share a caller's loop.
#pragma once

#include <cstdint>
#include <memory>

namespace latte::system {

/// Serves any number of callers at once. Each loop gets only helpers that no other loop uses. A
/// loop gets fewer, or none, if the callers and helpers that are busy already fill the pool;
/// without helpers it runs on its caller alone. The result never depends on which thread did what.
///
/// A pool is never destroyed: its helpers live as long as the process.
class ThreadPool {
 public:
  /// `threads` counts the caller. Helpers are started when a loop first asks for so many.
  explicit ThreadPool(int threads);
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;
  ~ThreadPool() = delete;

  int threads() const { return threads_; }

  /// Calls body(i) once for each i below `count`, on at most `threads` threads. `body` must not
  /// throw.
  template <class Body>
  void parallel_for(int64_t count, int threads, const Body& body) {
    run(
        count, threads,
        [](const void* context, int64_t i) { (*static_cast<const Body*>(context))(i); }, &body);
  }

  /// What the pool has done so far.
  struct Counts {
    uint64_t loops = 0;     // that asked for helpers
    uint64_t called = 0;    // helpers that loops were given
    uint64_t wake_ups = 0;  // of those: helpers that slept, each woken by one system call
    uint64_t helped = 0;    // of those: helpers that came before their loop had ended
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
  void dismiss_helpers(Loop& loop, const Claim& claim);
  bool start(int index);
  void help(Helper& helper);

  const int threads_;
  State* const state_;
};

/// How many threads a process uses by default: one for each of its `cores`, as far as its control
/// group gives it processor time (`limit` cores' worth), and no more than kMostDefaultThreads.
///
/// A loop asks for a thread for each 8 µs of work, so small forwards use few. The bound is for
/// large ones: they wait for the memory, which some tens of cores keep busy, and a caller wakes its
/// helpers one by one. LATTE_NUM_THREADS sets any other number.
constexpr int kMostDefaultThreads = 32;
int default_threads(int cores, double limit);

/// LATTE_NUM_THREADS, or else default_threads() of this process. Throws ERR_VALUE if the variable
/// holds no whole number from 1 to 1024.
int threads_of_process();

/// The pool of this process, of threads_of_process() threads. All environments share it: the main
/// thread's and every worker's.
ThreadPool& thread_pool();

}  // namespace latte::system
