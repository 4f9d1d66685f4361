// The layers that JavaScript can create, by the names of their JavaScript classes.
#pragma once

#include <memory>
#include <string>

#include "binding/js.h"
#include "layers/layer.h"

namespace latte::binding {

/// The options of a layer. TypeScript has checked them and filled in the defaults.
class LayerOptions {
 public:
  LayerOptions(napi_env env, napi_value object) : env_(env), object_(object) {}

  /// A whole number below 2^31; throws ERR_VALUE if it is less than `least`.
  int64_t integer(const char* name, int64_t least = 1) const;
  double number(const char* name) const;
  bool boolean(const char* name) const;
  Activation activation(const char* name) const;

 private:
  napi_env env_;
  napi_value object_;
};

/// Creates a layer. Throws ERR_VALUE if there is no such kind, and ERR_DTYPE if the device does not
/// compute in the dtype.
std::unique_ptr<Layer> make_layer(const std::string& kind, const LayerOptions& options,
                                  Device& device, DType dtype);

}  // namespace latte::binding
