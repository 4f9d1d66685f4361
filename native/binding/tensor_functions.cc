#include "binding/tensor_functions.h"

#include "backend/registry.h"
#include "binding/environment.h"
#include "binding/job.h"

namespace latte::binding {

namespace {

Device& device_argument(const Napi::Value& value) {
  return open_device(value.As<Napi::String>().Utf8Value());
}

ForwardArguments one_input(const Napi::CallbackInfo& info) {
  auto inputs = Napi::Array::New(info.Env(), 1);
  inputs.Set(0u, info[0]);
  return ForwardArguments(inputs, Napi::Array::New(info.Env(), 0));
}

/// A copy of `from` in a dtype on a device. Dtypes change on the host where either side is there:
/// it rounds once between any two of them, whatever a chip can do.
Forward plan_copy(const Tensor& from, DType dtype, Device& to) {
  Device& source = place(from);
  Device& host = open_device("cpu");
  Plan plan;
  plan.outputs = {{dtype, from.shape}};
  if (&source == &to || &to == &host) {
    if (&to == &host && &source != &host && dtype == from.dtype) {
      plan.run = [](Queue& queue, const Inputs& in, const Outputs& out) {
        queue.download(*in[0], out[0].data);
      };
      return {source, std::move(plan), false, true};
    }
    plan.run = [](Queue& queue, const Inputs& in, const Outputs& out) {
      queue.convert(*in[0], out[0]);
    };
    return {to, std::move(plan)};
  }
  plan.run = [&to, &host](Queue&, const Inputs& in, const Outputs& out) {
    const TensorView* from = &*in[0];
    TensorView converted = out[0];
    std::shared_ptr<Buffer> staging;
    if (from->dtype != out[0].dtype) {
      staging = to.allocate_staging(out[0].bytes());
      converted.data = staging->data();
      run_and_wait(host, [&](Queue& queue) { queue.convert(*from, converted); });
      from = &converted;
    }
    to.copy_in(out[0].data, from->data, out[0].bytes());
  };
  return {to, std::move(plan), true};
}

uint64_t bits_argument(const Napi::Value& value, const char* name) {
  bool lossless = false;
  const uint64_t bits = value.As<Napi::BigInt>().Uint64Value(&lossless);
  if (!lossless || bits == 0) fail(ErrorCode::kValue, name, " is not the address of anything");
  return bits;
}

}  // namespace

Napi::Value zeros(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&] {
    Device& device = device_argument(info[2]);
    Tensor tensor = allocate(device, {dtype_argument(info[0]), shape_argument(info[1])});
    run_and_wait(device, [&](Queue& queue) { queue.fill_zero(tensor); });
    return TensorObject::make(info.Env(), std::move(tensor));
  });
}

Napi::Value convert_sync(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&] {
    const ForwardArguments arguments = one_input(info);
    return run_now(info.Env(),
                   plan_copy(arguments.inputs.at(0).value(), dtype_argument(info[1]),
                             device_argument(info[2])),
                   arguments)
        .Get(0u);
  });
}

Napi::Value convert(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&] {
    const ForwardArguments arguments = one_input(info);
    return run_later(info.Env(),
                     plan_copy(arguments.inputs.at(0).value(), dtype_argument(info[1]),
                               device_argument(info[2])),
                     arguments);
  });
}

Napi::Value repeat_rows(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&] {
    const ForwardArguments arguments = one_input(info);
    const Tensor& from = arguments.inputs.at(0).value();
    const int64_t times = info[1].As<Napi::Number>().Int64Value();
    if (from.shape.empty() || times < 0) fail(ErrorCode::kShape, "there are no rows to repeat");
    const int64_t rows = from.shape[0];
    Plan plan;
    plan.outputs = {from};
    plan.outputs[0].shape[0] = element_count({rows, times});
    plan.run = [rows, times](Queue& queue, const Inputs& in, const Outputs& out) {
      if (in[0]->bytes() == 0) return;
      TensorView source = *in[0], target = out[0];
      source.shape[0] = target.shape[0] = 1;
      for (int64_t row = 0; row < rows; ++row) {
        for (int64_t i = 0; i < times; ++i) {
          queue.convert(source, target);
          target.data = static_cast<char*>(target.data) + target.bytes();
        }
        source.data = static_cast<char*>(source.data) + source.bytes();
      }
    };
    return run_later(info.Env(), {place(from), std::move(plan)}, arguments);
  });
}

Napi::Value from_device_pointer(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&] {
    Tensor tensor;
    tensor.dtype = dtype_argument(info[1]);
    tensor.shape = shape_argument(info[2]);
    tensor.device = &device_argument(info[3]);
    const uint64_t pointer = bits_argument(info[0], "pointer");
    if (pointer % item_size(tensor.dtype) != 0) {
      fail(ErrorCode::kValue, "pointer must be a multiple of the ", item_size(tensor.dtype),
           " bytes of a ", dtype_name(tensor.dtype));
    }
    uintptr_t end = 0;
    if (__builtin_add_overflow(static_cast<uintptr_t>(pointer), tensor.bytes(), &end)) {
      fail(ErrorCode::kValue, "a tensor of shape ", ShowShape{tensor.shape},
           " at pointer passes the end of all memory");
    }
    void* event = nullptr;
    if (!info[4].IsUndefined()) event = reinterpret_cast<void*>(bits_argument(info[4], "event"));
    tensor.data = reinterpret_cast<void*>(pointer);
    tensor.buffer = tensor.device->adopt(tensor.data, tensor.bytes(), event);
    return TensorObject::make_foreign(info.Env(), std::move(tensor));
  });
}

}  // namespace latte::binding
