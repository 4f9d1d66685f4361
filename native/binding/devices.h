// What is known about the devices.
#pragma once

#include "binding/js.h"

namespace latte::binding {

// (): DeviceInfo[]
napi_value devices(const Call& call);
// (): NativeDiagnostics
napi_value device_diagnostics(const Call& call);
// (device: string): { live: number, pooled: number, limit: number }
napi_value memory_usage(const Call& call);

}  // namespace latte::binding
