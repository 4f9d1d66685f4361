// The CPU's operations, one file each, and what they share while a queue runs them.
#pragma once

#include <algorithm>
#include <atomic>
#include <exception>
#include <memory>
#include <vector>

#include "backend/backend.h"
#include "core/byte_count.h"
#include "system/memory_pool.h"
#include "system/thread_pool.h"

namespace latte::cpu {

/// Outputs from this size on are written past the caches, which they would only empty.
constexpr size_t kStreamBytes = size_t{8} << 20;

struct Context {
  const CancelFlag* cancelled = nullptr;
  std::vector<system::Memory> scratch_memory;

  void check_cancelled() const {
    if (cancelled != nullptr && cancelled->load(std::memory_order_relaxed)) {
      fail(ErrorCode::kAborted, "the operation was aborted");
    }
  }

  template <class T>
  T* scratch(int64_t count) {
    scratch_memory.push_back(system::memory_pool().allocate(byte_count(sizeof(T), count)));
    return static_cast<T*>(scratch_memory.back().data());
  }

  /// How many threads are worth their waking for work of about so many nanoseconds.
  static int threads_for(double nanoseconds) {
    constexpr double kWorthwhile = 8000;
    const double threads = std::min(nanoseconds / kWorthwhile, 1024.0);
    return std::clamp(static_cast<int>(threads), 1, system::thread_pool().threads());
  }

  /// body(i) for each i below count, shared among threads. Stops early, and throws, when a body
  /// throws (no memory, for example) or the work is cancelled.
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

class CpuPositions final : public PreparedPositions {
 public:
  PositionTable table;
};

void timestep_projection(const TimestepProjectionArgs& args, Context& context);
void patch_projection(const PatchProjectionArgs& args, Context& context);
void linear(const LinearArgs& args, Context& context);
void layer_norm(const LayerNormArgs& args, Context& context);
void add(const TensorView& a, const TensorView& b, const TensorView& out);

}  // namespace latte::cpu
