#include "binding/conversions.h"

#include <utility>

#include "backend/registry.h"
#include "binding/environment.h"
#include "binding/forward.h"

namespace latte::binding {

namespace {

/// The arguments of a forward whose only input is argument 0 of the call.
ForwardArguments one_input(const Call& call, napi_value results) {
  const napi_value inputs = make_array(call.env, 1);
  define_element(call.env, inputs, 0, call[0]);
  ForwardArguments arguments(call.env, inputs, results);
  if (!arguments.inputs[0]) fail(ErrorCode::kValue, "not a tensor of this library");
  return arguments;
}

/// The plan of a copy, and the device that runs it.
struct Copy {
  Device& device;
  Plan plan;
};

/// Plans a copy of `from` to a dtype and a device. If either side is the host, the host converts
/// the dtype, because it rounds once between any two dtypes. A chip may not.
Copy plan_copy(const Tensor& from, DType dtype, Device& to) {
  Device& source = device_of(from);
  Device& host = open_device("cpu");
  Plan plan;
  plan.outputs = {{dtype, from.shape}};
  if (&source == &to || &to == &host) {
    if (&to == &host && &source != &host && dtype == from.dtype) {
      plan.gives_host = true;
      plan.run = [](Queue& queue, const Inputs& in, const Outputs& out) {
        queue.download(*in[0], out[0].data);
      };
      return {source, std::move(plan)};
    }
    plan.run = [](Queue& queue, const Inputs& in, const Outputs& out) {
      queue.convert(*in[0], out[0]);
    };
    return {to, std::move(plan)};
  }
  plan.takes_host = true;
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
  return {to, std::move(plan)};
}

/// Calls function(device, plan, arguments) for the copy that a call asks for.
template <class Function>
auto with_copy(const Call& call, const Function& function) {
  const DType dtype = dtype_of(call.env, call[1]);
  Device& to = device_named(call.env, call[2]);
  const ForwardArguments arguments = one_input(call, call[3]);
  Copy copy = plan_copy(arguments.inputs[0]->native().tensor, dtype, to);
  return function(copy.device, std::move(copy.plan), arguments);
}

}  // namespace

napi_value convert_sync(const Call& call) {
  with_copy(call, [&](Device& device, Plan plan, const ForwardArguments& arguments) {
    forward_now(call.env, device, std::move(plan), arguments);
  });
  return nullptr;
}

napi_value convert(const Call& call) {
  return with_copy(call, [&](Device& device, Plan plan, const ForwardArguments& arguments) {
    return forward_later(*call.environment, device, std::move(plan), arguments, kNotCancellable);
  });
}

napi_value repeat_rows(const Call& call) {
  const int64_t times = integer_of(call.env, call[1]);
  const ForwardArguments arguments = one_input(call, call[2]);
  const Tensor& from = arguments.inputs[0]->native().tensor;
  if (from.shape.empty() || times < 0) fail(ErrorCode::kShape, "there are no rows to repeat");
  const int64_t rows = from.shape[0];
  Plan plan;
  plan.outputs = {from};
  plan.outputs[0].shape[0] = element_count({rows, times});
  plan.run = [times](Queue& queue, const Inputs& in, const Outputs& out) {
    queue.repeat_rows(*in[0], times, out[0]);
  };
  return forward_later(*call.environment, device_of(from), std::move(plan), arguments,
                       kNotCancellable);
}

}  // namespace latte::binding
