// Layers as JavaScript holds them.
#pragma once

#include <napi.h>

#include <memory>

#include "binding/job.h"
#include "layers/layer.h"

namespace latte::binding {

class LayerObject final : public Napi::ObjectWrap<LayerObject> {
 public:
  static Napi::Function define(Napi::Env env);
  explicit LayerObject(const Napi::CallbackInfo& info);

 private:
  Napi::Value parameters(const Napi::CallbackInfo& info);
  void load(const Napi::CallbackInfo& info);
  Napi::Value state(const Napi::CallbackInfo& info);
  Napi::Value forward_sync(const Napi::CallbackInfo& info);
  Napi::Value forward(const Napi::CallbackInfo& info);
  void dispose(const Napi::CallbackInfo& info);
  Layer& layer() const;
  Plan plan(const Napi::CallbackInfo& info, const ForwardArguments& arguments) const;

  std::unique_ptr<Layer> layer_;
};

}  // namespace latte::binding
