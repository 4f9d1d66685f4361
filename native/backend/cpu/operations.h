// The CPU's operations, one file each, and what they share while a queue runs them.
#pragma once

#include <algorithm>
#include <atomic>
#include <exception>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

#include "backend/backend.h"
#include "core/byte_count.h"
#include "system/memory_pool.h"
#include "system/thread_pool.h"

namespace latte::cpu {

/// Outputs of at least so many bytes bypass the caches: they would only evict what is still needed.
constexpr size_t kStreamBytes = size_t{8} << 20;

/// What the operations of one work share: its scratch memory, and the flag that cancels it.
struct Context {
  const CancelFlag* cancelled = nullptr;       // null: cannot be cancelled
  std::vector<system::Memory> scratch_memory;  // kept until the work is done

  /// Throws ERR_ABORTED if the work was cancelled.
  void check_cancelled() const {
    if (cancelled != nullptr && cancelled->load(std::memory_order_relaxed)) {
      fail(ErrorCode::kAborted, "the operation was aborted");
    }
  }

  /// Memory for `count` elements, valid until the work is done. Its content is undefined.
  template <class T>
  T* scratch(int64_t count) {
    scratch_memory.push_back(system::memory_pool().allocate(byte_count(sizeof(T), count)));
    return static_cast<T*>(scratch_memory.back().data());
  }

  /// How many threads to use for work that takes one thread about so many nanoseconds. Each gets
  /// at least 8 µs of it: for less, waking a thread does not pay.
  static int threads_for(double nanoseconds) {
    constexpr double kLeastShare = 8000;
    const double threads = std::min(nanoseconds / kLeastShare, 1024.0);
    return std::clamp(static_cast<int>(threads), 1, system::thread_pool().threads());
  }

  /// Calls body(i) for each i below `count`, shared among at most `threads` threads. If a body
  /// throws (for lack of memory, for example), the rest is skipped and this rethrows. If the work
  /// is cancelled, the rest is skipped and this throws ERR_ABORTED.
  template <class Body>
  void parallel_for(int64_t count, int threads, const Body& body) const {
    std::atomic<bool> failed{false};
    std::exception_ptr failure;
    system::thread_pool().parallel_for(count, threads, [&](int64_t i) {
      if (failed.load(std::memory_order_relaxed)) return;
      if (cancelled != nullptr && cancelled->load(std::memory_order_relaxed)) return;
      try {
        body(i);
      } catch (...) {
        if (!failed.exchange(true)) failure = std::current_exception();
      }
    });
    if (failure) std::rethrow_exception(failure);
    check_cancelled();
  }
};

class CpuLinearWeights;

/// A position table as it was given, which may be whole or separable.
class CpuPositions final : public PreparedPositions {
 public:
  explicit CpuPositions(PositionTable positions) : table(std::move(positions)) {}

  /// The table's columns and rows, each plus its half of a bias.
  struct Biased {
    uint64_t weights = 0;  // whose bias it is
    std::vector<float> columns, rows;
  };
  /// Made at the first use with these weights, and kept until there are others. Only if the table
  /// is separable.
  std::shared_ptr<const Biased> biased(const CpuLinearWeights& weights) const;

  const PositionTable table;

 private:
  mutable std::mutex mutex_;
  mutable std::shared_ptr<const Biased> biased_;
};

inline const CpuPositions& as_cpu(const PreparedPositions& positions) {
  return static_cast<const CpuPositions&>(positions);
}

// The operations of Queue (backend/backend.h). Each returns when its result is there.
void timestep_projection(const TimestepProjectionArgs& args, Context& context);
void patch_projection(const PatchProjectionArgs& args, Context& context);
void linear(const LinearArgs& args, Context& context);
void layer_norm(const LayerNormArgs& args, Context& context);
void add(const TensorView& a, const TensorView& b, const TensorView& out);

}  // namespace latte::cpu
