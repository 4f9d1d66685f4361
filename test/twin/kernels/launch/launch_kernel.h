// Puts a kernel on a stream of the twin, where it runs on the model. Shared by the two ways of
// launching kernels: the plugin's functions and the device binary.
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "../../model/launch.h"

namespace latte::twin {

enum class Way { kFunctions, kBinary };

/// Returns 0 or an ACL code. LATTE_TWIN_KERNEL_FAULT=<kernel>:<fault>[:functions|:binary] breaks a
/// kernel: it hangs until its stream is destroyed ('hang'), fails ('fail'), leaves its output as it
/// was ('nothing'), or writes its first float wrongly ('differ').
uint32_t launch_kernel(Way way, const char* name, model::CoreKind kind, uint32_t blocks,
                       void* stream, const std::vector<const void*>& pointers,
                       std::function<void()> kernel);

}  // namespace latte::twin
