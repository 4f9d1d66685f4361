#include "binding/forward.h"

#include <algorithm>
#include <cstring>
#include <string>
#include <utility>

#include "backend/registry.h"
#include "binding/environment.h"

namespace latte::binding {

namespace {

// Constructed when the addon is loaded, because later there may be no memory for them.
const Error aborted(ErrorCode::kAborted, "the operation was aborted");
const Error no_value(ErrorCode::kState, "Node-API's napi_get_undefined failed");

Device& host() { return open_device("cpu"); }

bool overlap(const Tensor& a, const Tensor& b) {
  if (&device_of(a) != &device_of(b)) return false;
  const auto begin_a = reinterpret_cast<uintptr_t>(a.data);
  const auto begin_b = reinterpret_cast<uintptr_t>(b.data);
  return begin_a < begin_b + b.bytes() && begin_b < begin_a + a.bytes();
}

void check_out(const Tensor& out, const TensorSpec& expected, const Device& device) {
  if (out.dtype != expected.dtype) {
    fail(ErrorCode::kDType, "out must have dtype ", dtype_name(expected.dtype), ", but has ",
         dtype_name(out.dtype));
  }
  if (out.shape != expected.shape) {
    fail(ErrorCode::kShape, "out must have shape ", ShowShape{expected.shape}, ", but has ",
         ShowShape{out.shape});
  }
  if (&device_of(out) != &device) {
    fail(ErrorCode::kValue, "out must be on ", device.name(), ", where the layer is, but is on ",
         device_of(out).name());
  }
}

/// Copies an input to the host, on its own device.
class CopyWork final : public ScheduledWork {
 public:
  explicit CopyWork(const Tensor& tensor)
      : ScheduledWork(device_of(tensor)), from_(tensor), to_(tensor) {
    to_.buffer = device.allocate_staging(tensor.bytes());
    to_.data = to_.buffer->data();
    to_.device = &host();
  }

  void run(Queue& queue) override {
    from_.buffer->await_content();
    queue.download(from_, to_.data);
  }
  const Tensor& copy() const { return to_; }

 private:
  Tensor from_, to_;
};

/// Which of the results were given as outs.
std::vector<bool> given_outs(const ForwardArguments& arguments, size_t results) {
  std::vector<bool> given(results);
  for (size_t i = 0; i < results && i < arguments.outs.size(); ++i) {
    given[i] = arguments.outs[i].has_value();
  }
  return given;
}

/// Frees a result that the caller does not get. If that fails, the garbage collector frees it.
template <class GetHandle>
void free_quietly(napi_env env, GetHandle handle) noexcept {
  try {
    const napi_value value = handle();
    if (!is_undefined(env, value)) Handle<NativeTensor>::free(env, value);
  } catch (...) {
    (void)caught_error(env);
  }
}

/// Puts a handle for each result that was not given into JavaScript's array: for all of them, or
/// for none.
void publish(napi_env env, napi_value array, const std::vector<bool>& given,
             const std::vector<Tensor>& results) {
  for (uint32_t i = 0; i < results.size(); ++i) {
    if (given[i]) continue;
    napi_value made = nullptr;
    try {
      made = make_tensor(env, results[i]);
      define_element(env, array, i, made);
    } catch (...) {
      if (made != nullptr) free_quietly(env, [&] { return made; });
      for (uint32_t before = 0; before < i; ++before) {
        if (!given[before]) free_quietly(env, [&] { return element_of(env, array, before); });
      }
      throw;
    }
  }
}

}  // namespace

ForwardArguments::ForwardArguments(napi_env env, napi_value input_array, napi_value result_array)
    : results(result_array) {
  const auto values_of = [&](napi_value array) {
    std::vector<napi_value> values(length_of(env, array));
    for (uint32_t i = 0; i < values.size(); ++i) values[i] = element_of(env, array, i);
    return values;
  };
  const auto input_values = values_of(input_array);
  const auto out_values = values_of(result_array);
  // No JavaScript runs from here on.
  const auto handle_of = [&](napi_value value) {
    return is_undefined(env, value) ? std::nullopt : std::optional(TensorHandle(env, value));
  };
  for (const napi_value value : input_values) inputs.push_back(handle_of(value));
  for (const napi_value value : out_values) outs.push_back(handle_of(value));
}

std::vector<std::optional<TensorSpec>> ForwardArguments::input_specs() const {
  std::vector<std::optional<TensorSpec>> specs;
  for (const auto& input : inputs) {
    specs.push_back(input ? std::optional(input->spec()) : std::nullopt);
  }
  return specs;
}

ForwardWork::ForwardWork(Device& where, Plan plan) : ScheduledWork(where), plan_(std::move(plan)) {}

void ForwardWork::take_outs(const ForwardArguments& arguments) {
  for (size_t i = 0; i < plan_.outputs.size(); ++i) {
    if (i < arguments.outs.size() && arguments.outs[i]) {
      const TensorHandle& out = *arguments.outs[i];
      check_out(out.native().tensor, plan_.outputs[i], device);
      results.push_back(out.native().tensor);
    } else {
      Tensor& result = results.emplace_back();
      static_cast<TensorSpec&>(result) = plan_.outputs[i];
    }
  }
}

void ForwardWork::allocate_results() {
  for (Tensor& result : results) {
    if (result.buffer != nullptr) {
      result.buffer->await_content();
    } else if (result.data == nullptr) {
      result = plan_.gives_host ? allocate_on_host(result) : allocate(device, result);
    }
  }
}

void ForwardWork::resolve(const ForwardArguments& arguments) {
  for (const auto& input : arguments.inputs) {
    inputs.push_back(input ? std::optional(input->resolve()) : std::nullopt);
  }
  for (size_t i = 0; i < results.size(); ++i) {
    if (i >= arguments.outs.size() || !arguments.outs[i]) continue;
    results[i] = arguments.outs[i]->resolve();
    const auto overlaps = [&](const Tensor& tensor) { return overlap(results[i], tensor); };
    for (const auto& input : inputs) {
      if (input && overlaps(*input)) fail(ErrorCode::kValue, "out overlaps an input in memory");
    }
    if (std::any_of(results.begin(), results.begin() + static_cast<ptrdiff_t>(i), overlaps)) {
      fail(ErrorCode::kValue, "two outs overlap in memory");
    }
  }
}

void ForwardWork::take_from_caller() {
  for (auto& input : inputs) {
    if (!input || input->buffer != nullptr) continue;
    Tensor copy = *input;
    copy.buffer = device.allocate_staging(input->bytes());
    copy.data = copy.buffer->data();
    if (copy.bytes() > 0) std::memcpy(copy.data, input->data, copy.bytes());
    input = std::move(copy);
  }
  for (Tensor& result : results) {
    if (result.buffer == nullptr) result.data = nullptr;
  }
}

bool ForwardWork::is_distant(const std::optional<Tensor>& input) const {
  if (!input) return false;
  const Device* on = &device_of(*input);
  return on != &device && on != &host();
}

void ForwardWork::run(Queue& queue) {
  allocate_results();
  Inputs views;
  for (size_t i = 0; i < inputs.size(); ++i) {
    const auto& input = inputs[i];
    if (input && input->buffer != nullptr) input->buffer->await_content();
    if (!input || plan_.takes_host || &device_of(*input) == &device) {
      views.emplace_back(input);
    } else {
      views.emplace_back(upload(queue, *input, i));
    }
  }
  plan_.run(queue, views, Outputs(results.begin(), results.end()));
}

/// Uploads input i. If the plan would convert it, the host converts it first: in most cases that
/// leaves fewer bytes to copy, and it saves a launch.
TensorView ForwardWork::upload(Queue& queue, const Tensor& tensor, size_t i) {
  const auto& wanted = plan_.input_dtypes;
  if (i >= wanted.size() || wanted[i] == tensor.dtype) return queue.upload(tensor);
  TensorView converted{{wanted[i], tensor.shape}, nullptr};
  converted_.push_back(device.allocate_staging(converted.bytes()));
  converted.data = converted_.back()->data();
  run_and_wait(host(), [&](Queue& on_host) { on_host.convert(tensor, converted); });
  return queue.upload(converted);
}

void ForwardWork::release() noexcept {
  inputs.clear();
  results.clear();
  converted_.clear();
  plan_ = {};
}

void forward_now(napi_env env, Device& device, Plan plan, const ForwardArguments& arguments) {
  ForwardWork work(device, std::move(plan));
  work.take_outs(arguments);
  work.resolve(arguments);
  for (auto& input : work.inputs) {
    if (work.is_distant(input)) input = on_host(*input);
  }
  run_and_wait(device, [&](Queue& queue) { work.run(queue); });
  publish(env, arguments.results, given_outs(arguments, work.results.size()), work.results);
}

napi_value forward_later(Environment& environment, Device& device, Plan plan,
                         const ForwardArguments& arguments, int64_t id) {
  const napi_env env = environment.env;
  const auto work = std::make_shared<ForwardWork>(device, std::move(plan));
  const auto forward = std::make_shared<Forward>(environment, work, id);
  work->take_outs(arguments);
  napi_value promise = nullptr;
  try {
    forward->keep_results(arguments);
    work->resolve(arguments);
    work->take_from_caller();
    if (id != kNotCancellable) environment.schedule.name(id, forward);
    forward->add_works(forward);
    // The last step that can fail. So a promise that was made is always returned, and settled
    // later.
    LATTE_NAPI(env, napi_create_promise, &forward->deferred_, &promise);
  } catch (...) {
    forward->withdraw();
    if (id != kNotCancellable) environment.schedule.forget(id);
    throw;
  }
  forward->submit();
  return promise;
}

Forward::Forward(Environment& environment, std::shared_ptr<ForwardWork> work, int64_t id)
    : environment_(environment), id_(id), work_(std::move(work)) {}

void Forward::keep_results(const ForwardArguments& arguments) {
  given_ = given_outs(arguments, work_->results.size());
  results_ = Reference(environment_.env, arguments.results);
  for (const auto& out : arguments.outs) {
    outs_.push_back(out && out->native().borrowed() ? Reference(environment_.env, out->value())
                                                    : Reference());
  }
}

void Forward::add_works(const std::shared_ptr<Forward>& self) {
  for (auto& input : work_->inputs) {
    if (!work_->is_distant(input)) continue;
    const auto copy = std::make_shared<CopyWork>(*input);
    copies_.push_back(copy);
    input = copy->copy();
    environment_.schedule.add(copy, self);
  }
  copies_left_ = copies_.size();
  work_->ready = copies_left_ == 0;
  environment_.schedule.add(work_, self);
}

void Forward::submit() noexcept {
  // By index and with a check, because a submission that fails settles this forward, which empties
  // `copies_`.
  const auto copies = copies_.size();
  Device& own = work_->device;
  for (size_t i = 0; i < copies && i < copies_.size(); ++i) {
    environment_.schedule.advance(copies_[i]->device);
  }
  environment_.schedule.advance(own);
}

/// Removes the works that were not submitted from the schedule, and cancels the others. Returns
/// true if the forward's own work was removed.
bool Forward::withdraw() noexcept {
  Schedule& schedule = environment_.schedule;
  for (const auto& copy : copies_) {
    copy->cancel();
    schedule.withdraw(*copy);
  }
  work_->cancel();
  return schedule.withdraw(*work_);
}

void Forward::finished(ScheduledWork& work) noexcept {
  if (deferred_ == nullptr) return;  // a copy that ended after the forward was rejected
  if (&work == work_.get()) {
    // A cancelled forward is rejected, even if its last operation had already succeeded.
    const bool cancelled = work.cancelled.load(std::memory_order_relaxed);
    settle(!work.error && cancelled ? aborted : work.error);
  } else if (work.error) {
    const Error error = *work.error;
    withdraw();
    settle(error);
  } else if (--copies_left_ == 0) {
    work_->ready = true;
    environment_.schedule.advance(work_->device);
  }
}

void Forward::cancel() noexcept {
  if (deferred_ == nullptr) return;
  if (withdraw()) return settle(aborted);
  work_->device.drop_cancelled();
}

void Forward::settle(std::optional<Error> error) noexcept {
  const napi_env env = environment_.env;
  if (id_ != kNotCancellable) environment_.schedule.forget(id_);
  napi_value value = nullptr;
  if (!error && napi_get_undefined(env, &value) != napi_ok) error = no_value;
  // Delivering is the last step that can fail, so a forward that is rejected leaves no results.
  if (!error) error = deliver();
  if (error) {
    value = make_error(environment_, *error);
    if (value == nullptr) napi_get_undefined(env, &value);
  }
  // Called only once, even if it fails, because Node may have freed the deferred already. The value
  // is undefined or an error of this library, so no code of the caller runs.
  napi_deferred deferred = std::exchange(deferred_, nullptr);
  error ? napi_reject_deferred(env, deferred, value) : napi_resolve_deferred(env, deferred, value);
  work_->release();
  outs_.clear();
  results_ = {};
  // Works of other forwards may have been waiting behind works that were withdrawn.
  const auto copies = std::move(copies_);
  for (const auto& copy : copies) environment_.schedule.advance(copy->device);
  environment_.schedule.advance(work_->device);
}

/// Copies results to outs that are arrays of the caller. Only forwards on the CPU have such outs,
/// so this waits for no device.
void Forward::fill_outs() {
  for (size_t i = 0; i < outs_.size(); ++i) {
    if (!outs_[i]) continue;
    try {
      const Tensor to = TensorHandle(environment_.env, outs_[i].value()).resolve();
      work_->device.copy_out(to.data, work_->results[i].data, to.bytes());
    } catch (const Error& error) {
      if (!error.operation().empty()) throw;
      throw Error(error.code(), std::string("out: ") + error.what());
    }
  }
}

/// Gives the caller the results. Called once. Returns the error if it fails.
std::optional<Error> Forward::deliver() noexcept {
  try {
    fill_outs();
    publish(environment_.env, results_.value(), given_, work_->results);
  } catch (...) {
    return caught_error(environment_.env);
  }
  return std::nullopt;
}

}  // namespace latte::binding
