// The layers that JavaScript can make, by the names of their classes there.
#pragma once

#include <memory>
#include <string>

#include "binding/js.h"
#include "layers/layer.h"

namespace latte::binding {

/// Options that TypeScript has checked; every one is there.
class LayerOptions {
 public:
  LayerOptions(napi_env env, napi_value object) : env_(env), object_(object) {}

  /// Dimensions are at least 1, except the optional ones.
  int64_t integer(const char* name, int64_t least = 1) const;
  double number(const char* name) const;
  bool boolean(const char* name) const;
  Activation activation(const char* name) const;

 private:
  napi_env env_;
  napi_value object_;
};

/// Throws ERR_VALUE if there is no layer of this kind, ERR_DTYPE if the device does not compute in
/// the dtype.
std::unique_ptr<Layer> make_layer(const std::string& kind, const LayerOptions& options,
                                  Device& device, DType dtype);

}  // namespace latte::binding
