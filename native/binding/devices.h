// Functions about devices.
#pragma once

#include "binding/js.h"

namespace latte::binding {

// (): void — throws ERR_VALUE if an environment variable has an invalid value
napi_value check_settings(const Call& call);
// (): DeviceInfo[]
napi_value devices(const Call& call);
// (device: string): Promise<void> — resolves when the device is open
napi_value open_device_later(const Call& call);
// (): NativeDiagnostics
napi_value device_diagnostics(const Call& call);
// (device: string): { live: number, pooled: number, limit: number }
napi_value memory_usage(const Call& call);

}  // namespace latte::binding
