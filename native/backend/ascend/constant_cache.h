// Small tables that live on a device for as long as it is open: what does not change from one work
// to the next is copied there once.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "backend/ascend/acl/device_memory.h"

namespace latte::ascend {

/// Copies of constants in device memory, by value. On the device's thread.
class ConstantCache {
 public:
  explicit ConstantCache(DeviceMemory& memory) : memory_(memory) {}

  /// The floats in device memory; `copy(to)` brings them there the first time.
  const void* get(const std::vector<float>& values, const std::function<void(void*)>& copy) {
    const size_t bytes = values.size() * sizeof(float);
    // By their bits: NaN is no key, being neither more nor less than anything.
    std::string key(reinterpret_cast<const char*>(values.data()), bytes);
    const auto found = kept_.find(key);
    if (found != kept_.end()) return found->second->data();
    auto buffer = memory_.allocate(bytes);
    copy(buffer->data());
    return kept_.emplace(std::move(key), std::move(buffer)).first->second->data();
  }
  /// What was on its way may not have arrived: to be called after an asynchronous error, too.
  void clear() { kept_.clear(); }

 private:
  DeviceMemory& memory_;
  std::map<std::string, std::shared_ptr<Buffer>> kept_;
};

}  // namespace latte::ascend
