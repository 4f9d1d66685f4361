// Devices by name. They live as long as the process.
#pragma once

#include <string_view>
#include <vector>

#include "backend/backend.h"

namespace latte {

/// The device called 'cpu'. Throws ERR_DEVICE_UNAVAILABLE for any other.
Device& open_device(std::string_view name);

std::vector<DeviceInfo> list_devices();

/// A tensor in the host's memory, which is the CPU's.
Tensor allocate_on_host(const TensorSpec& spec);

}  // namespace latte
