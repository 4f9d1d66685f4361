#include "binding/arguments.h"

#include <algorithm>
#include <utility>

#include "backend/registry.h"

namespace latte::binding {

namespace {

Device& host() { return open_device("cpu"); }

bool overlap(const Tensor& a, const Tensor& b) {
  if (&place(a) != &place(b)) return false;
  const auto begin_a = reinterpret_cast<uintptr_t>(a.data);
  const auto begin_b = reinterpret_cast<uintptr_t>(b.data);
  return begin_a < begin_b + b.bytes() && begin_b < begin_a + a.bytes();
}

/// The memory of `out`, once it is known to be fit for this result.
Tensor check_out(TensorObject& out, const TensorSpec& expected, const Device& device,
                 const std::vector<std::optional<Tensor>>& inputs,
                 const std::vector<Tensor>& others) {
  const TensorSpec& spec = out.spec();
  if (spec.dtype != expected.dtype) {
    fail(ErrorCode::kDType, "out must have dtype ", dtype_name(expected.dtype), ", but has ",
         dtype_name(spec.dtype));
  }
  if (spec.shape != expected.shape) {
    fail(ErrorCode::kShape, "out must have shape ", ShowShape{expected.shape}, ", but has ",
         ShowShape{spec.shape});
  }
  Tensor resolved = out.resolve();
  if (&place(resolved) != &device) {
    fail(ErrorCode::kValue, "out must be on ", device.name(), ", where the layer is, but is on ",
         place(resolved).name());
  }
  const auto overlaps = [&](const Tensor& tensor) { return overlap(resolved, tensor); };
  for (const auto& input : inputs) {
    if (input && overlaps(*input)) fail(ErrorCode::kValue, "out overlaps an input in memory");
  }
  if (std::any_of(others.begin(), others.end(), overlaps)) {
    fail(ErrorCode::kValue, "two outs overlap in memory");
  }
  return resolved;
}

}  // namespace

ForwardArguments::ForwardArguments(const Napi::Array& input_array, const Napi::Array& out_array) {
  std::vector<Napi::Value> values;
  for (uint32_t i = 0; i < input_array.Length(); ++i) values.push_back(input_array.Get(i));
  for (uint32_t i = 0; i < out_array.Length(); ++i) outs.push_back(out_array.Get(i));
  for (const Napi::Value& value : values) {
    inputs.emplace_back();
    if (!value.IsUndefined()) inputs.back() = TensorObject::unwrap(value).resolve();
  }
}

BoundForward::BoundForward(Forward forward, const ForwardArguments& arguments)
    : forward_(std::move(forward)), inputs_(arguments.inputs) {
  const auto& outputs = forward_.plan.outputs;
  for (size_t i = 0; i < outputs.size(); ++i) {
    given_.push_back(arguments.has_out(i));
    if (given_[i]) {
      results_.push_back(check_out(TensorObject::unwrap(arguments.outs[i]), outputs[i], device(),
                                   inputs_, results_));
    } else {
      results_.push_back(forward_.gives_host ? allocate_on_host(outputs[i])
                                             : allocate(device(), outputs[i]));
    }
  }
}

bool BoundForward::is_foreign(const std::optional<Tensor>& input) const {
  if (!input) return false;
  const Device* on = &place(*input);
  return on != &device() && on != &host();
}

void BoundForward::run(Queue& queue) {
  Inputs views;
  for (size_t i = 0; i < inputs_.size(); ++i) {
    const auto& input = inputs_[i];
    if (!input || forward_.takes_host || &place(*input) == &device()) {
      views.emplace_back(input);
    } else {
      views.emplace_back(upload(queue, *input, i));
    }
  }
  forward_.plan.run(queue, views, Outputs(results_.begin(), results_.end()));
}

/// In the dtype that the plan wants, where it says so: converted by the host, there are fewer bytes
/// to copy in most cases, and one launch less.
TensorView BoundForward::upload(Queue& queue, const Tensor& tensor, size_t i) {
  const auto& wanted = forward_.plan.input_dtypes;
  if (i >= wanted.size() || wanted[i] == tensor.dtype) return queue.upload(tensor);
  TensorView converted{{wanted[i], tensor.shape}, nullptr};
  converted_.push_back(device().allocate_staging(converted.bytes()));
  converted.data = converted_.back()->data();
  run_and_wait(host(), [&](Queue& on_host) { on_host.convert(tensor, converted); });
  return queue.upload(converted);
}

Napi::Array BoundForward::make_results(Napi::Env env) {
  auto array = Napi::Array::New(env, results_.size());
  for (uint32_t i = 0; i < results_.size(); ++i) {
    if (!given_[i]) array.Set(i, TensorObject::make(env, std::move(results_[i])));
  }
  return array;
}

void BoundForward::release() {
  inputs_.clear();
  converted_.clear();
  forward_.plan = {};
}

Tensor on_host(const Tensor& tensor) {
  if (&place(tensor) == &host()) return tensor;
  const CopyOut copy(tensor);
  run_and_wait(place(tensor), [&](Queue& queue) { copy.run(queue); });
  return copy.to;
}

CopyOut::CopyOut(Tensor tensor) : from(std::move(tensor)) {
  static_cast<TensorSpec&>(to) = from;
  to.buffer = place(from).allocate_staging(from.bytes());
  to.data = to.buffer->data();
  to.device = &host();
}

}  // namespace latte::binding
