// Small tables that live on a device for as long as it is open: what does not change from one work
// to the next is copied there once.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <vector>

#include "backend/ascend/device_memory.h"

namespace latte::ascend {

/// On the device's thread.
class Constants {
 public:
  explicit Constants(DeviceMemory& memory) : memory_(memory) {}

  /// The floats in device memory; `copy(to, from, bytes)` brings them there the first time.
  const void* get(const std::vector<float>& values,
                  const std::function<void(void*, const void*, size_t)>& copy) {
    const auto found = kept_.find(values);
    if (found != kept_.end()) return found->second->data();
    const size_t bytes = values.size() * sizeof(float);
    auto buffer = memory_.allocate(bytes);
    copy(buffer->data(), values.data(), bytes);
    return kept_.emplace(values, std::move(buffer)).first->second->data();
  }
  void clear() { kept_.clear(); }

 private:
  DeviceMemory& memory_;
  std::map<std::vector<float>, std::shared_ptr<Buffer>> kept_;
};

}  // namespace latte::ascend
