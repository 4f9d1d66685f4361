// Small tables of floats in device memory. They do not change from one work to the next, so they
// are copied once and kept while the device is open.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "backend/ascend/acl/device_memory.h"

namespace latte::ascend {

/// Copies of constants in device memory, found by their values. Used on the device's thread.
class ConstantCache {
 public:
  explicit ConstantCache(DeviceMemory& memory) : memory_(memory) {}

  /// The address of these floats in device memory. If they are not there yet, calls copy(to), which
  /// copies them to `to`.
  const void* get(const std::vector<float>& values, const std::function<void(void*)>& copy) {
    const size_t bytes = values.size() * sizeof(float);
    // The key is their bits: a map of floats could not find NaN, which compares with nothing.
    std::string key(reinterpret_cast<const char*>(values.data()), bytes);
    const auto found = kept_.find(key);
    if (found != kept_.end()) return found->second->data();
    auto buffer = memory_.allocate(bytes);
    copy(buffer->data());
    return kept_.emplace(std::move(key), std::move(buffer)).first->second->data();
  }
  /// Forgets all copies. Call it also after an asynchronous error: copies under way at that time
  /// may not have arrived.
  void clear() { kept_.clear(); }

 private:
  DeviceMemory& memory_;
  std::map<std::string, std::shared_ptr<Buffer>> kept_;
};

}  // namespace latte::ascend
