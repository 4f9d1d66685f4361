// Handles whose values are no addresses and are never used twice. So the twin always recognises a
// handle that was destroyed, and a value that never was one.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>

#include "runtime/report.h"

namespace latte::twin {

enum class HandleKind : uint64_t {
  kContext = 1,
  kStream,
  kEvent,
  kTensor,
  kScalar,
  kArray,
  kExecutor
};

template <class T>
class Handles {
 public:
  Handles(HandleKind kind, const char* name)
      : first_(uint64_t{0x1e17} << 48 | static_cast<uint64_t>(kind) << 40), name_(name) {}

  void* add(std::shared_ptr<T> object) {
    const std::lock_guard lock(mutex_);
    const uint64_t value = first_ + 16 * ++made_;
    live_.emplace(value, std::move(object));
    return reinterpret_cast<void*>(value);
  }

  /// Returns the object. Returns null and reports a violation if there is none or it was destroyed.
  std::shared_ptr<T> find(const void* handle, const char* function) const {
    const std::lock_guard lock(mutex_);
    const auto found = live_.find(reinterpret_cast<uint64_t>(handle));
    if (found != live_.end()) return found->second;
    complain(handle, function);
    return nullptr;
  }

  /// Like find(), but reports no violation.
  std::shared_ptr<T> peek(const void* handle) const {
    const std::lock_guard lock(mutex_);
    const auto found = live_.find(reinterpret_cast<uint64_t>(handle));
    return found == live_.end() ? nullptr : found->second;
  }

  std::shared_ptr<T> remove(const void* handle, const char* function) {
    const std::lock_guard lock(mutex_);
    const auto found = live_.find(reinterpret_cast<uint64_t>(handle));
    if (found == live_.end()) {
      complain(handle, function);
      return nullptr;
    }
    std::shared_ptr<T> object = std::move(found->second);
    live_.erase(found);
    return object;
  }

  size_t size() const {
    const std::lock_guard lock(mutex_);
    return live_.size();
  }

  template <class Visit>
  void each(Visit visit) const {
    std::map<uint64_t, std::shared_ptr<T>> copied;
    {
      const std::lock_guard lock(mutex_);
      copied = live_;
    }
    for (const auto& [value, object] : copied) visit(reinterpret_cast<void*>(value), *object);
  }

  const char* name() const { return name_; }

 private:
  void complain(const void* handle, const char* function) const {
    const uint64_t value = reinterpret_cast<uint64_t>(handle);
    const bool ended = value > first_ && value <= first_ + 16 * made_ && value % 16 == 0;
    misuse(ACL_ERROR_RT_PARAM_INVALID, format("%s was given %p, %s%s", function, handle,
                                              handle == nullptr ? "which is null instead of a live "
                                              : ended           ? "an already destroyed "
                                                                : "which is not a ",
                                              name_));
  }

  mutable std::mutex mutex_;
  const uint64_t first_;
  const char* name_;
  uint64_t made_ = 0;
  std::map<uint64_t, std::shared_ptr<T>> live_;
};

}  // namespace latte::twin
