// Functions that make tensors: zeros, conversions and copies between devices.
#pragma once

#include <napi.h>

namespace latte::binding {

/// (dtype, shape, device)
Napi::Value zeros(const Napi::CallbackInfo& info);
/// (tensor, dtype, device): a copy.
Napi::Value convert_sync(const Napi::CallbackInfo& info);
Napi::Value convert(const Napi::CallbackInfo& info);
/// (tensor, times): each row as often as that.
Napi::Value repeat_rows(const Napi::CallbackInfo& info);
/// (pointer, dtype, shape, device, event): a tensor over memory that another API owns.
Napi::Value from_device_pointer(const Napi::CallbackInfo& info);

}  // namespace latte::binding
