#include "binding/job.h"

#include <algorithm>
#include <string>
#include <utility>

#include "binding/tensor.h"

namespace latte::binding {

namespace {

bool overlap(const TensorView& a, const TensorView& b) {
  const auto begin_a = reinterpret_cast<uintptr_t>(a.data);
  const auto begin_b = reinterpret_cast<uintptr_t>(b.data);
  return begin_a < begin_b + b.bytes() && begin_b < begin_a + a.bytes();
}

/// The address of `out`, once it is known to be fit for this result.
Tensor check_out(TensorObject& out, const TensorSpec& expected,
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
  const auto overlaps = [&](const Tensor& tensor) { return overlap(resolved, tensor); };
  for (const auto& input : inputs) {
    if (input && overlaps(*input)) fail(ErrorCode::kValue, "out overlaps an input in memory");
  }
  if (std::any_of(others.begin(), others.end(), overlaps)) {
    fail(ErrorCode::kValue, "two outs overlap in memory");
  }
  return resolved;
}

Inputs views(const std::vector<std::optional<Tensor>>& tensors) {
  return {tensors.begin(), tensors.end()};
}

Napi::Array make_results(Napi::Env env, std::vector<Tensor>& results,
                         const std::vector<bool>& given) {
  auto array = Napi::Array::New(env, results.size());
  for (uint32_t i = 0; i < results.size(); ++i) {
    if (!given[i]) array.Set(i, TensorObject::make(env, std::move(results[i])));
  }
  return array;
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

Napi::Array run_now(Napi::Env env, Device& device, Plan plan, const ForwardArguments& arguments) {
  const auto& inputs = arguments.inputs;
  std::vector<Tensor> results;
  std::vector<bool> given;
  for (uint32_t i = 0; i < plan.outputs.size(); ++i) {
    given.push_back(arguments.has_out(i));
    results.push_back(given[i] ? check_out(TensorObject::unwrap(arguments.outs[i]), plan.outputs[i],
                                           inputs, results)
                               : allocate(device, plan.outputs[i]));
  }
  run_and_wait(device, [&](Queue& queue) {
    plan.run(queue, views(inputs), Outputs(results.begin(), results.end()));
  });
  return make_results(env, results, given);
}

/// Held by the environment's queue while it waits and runs, and by its `cancel` function.
class Job : public std::enable_shared_from_this<Job> {
 public:
  Job(Napi::Env env, Device& device, Plan plan)
      : env_(env), device_(device), plan_(std::move(plan)), deferred_(env) {}

  /// Takes hold of the arguments: copies what belongs to the caller. Throws on bad ones.
  void take(const ForwardArguments& arguments) {
    inputs_ = arguments.inputs;
    for (uint32_t i = 0; i < plan_.outputs.size(); ++i) {
      const bool given = arguments.has_out(i);
      given_.push_back(given);
      Napi::ObjectReference caller;
      if (given) {
        TensorObject& out = TensorObject::unwrap(arguments.outs[i]);
        results_.push_back(check_out(out, plan_.outputs[i], inputs_, results_));
        if (out.borrowed()) caller = Napi::Persistent(arguments.outs[i].As<Napi::Object>());
      } else {
        results_.push_back(allocate(device_, plan_.outputs[i]));
      }
      callers_.push_back(std::move(caller));
    }
    for (size_t i = 0; i < results_.size(); ++i) {
      if (!callers_[i].IsEmpty()) results_[i] = allocate(device_, plan_.outputs[i]);
    }
    for (auto& input : inputs_) {
      if (!input || input->buffer != nullptr) continue;
      Tensor copy = allocate(device_, *input);
      device_.copy_in(copy.data, input->data, input->bytes());
      input = std::move(copy);
    }
  }

  Napi::Promise promise() const { return deferred_.Promise(); }

  /// Hands the job to a thread of libuv's pool. One at a time for each environment: the forwards
  /// run in order, share the device's threads well, and leave libuv's other threads to the rest of
  /// the program.
  void start() {
    napi_value name = Napi::String::New(env_, "latte:forward");
    if (napi_create_async_work(env_, nullptr, name, execute, complete, this, &work_) != napi_ok ||
        napi_queue_async_work(env_, work_) != napi_ok) {
      throw Napi::Error::New(env_);
    }
  }

  /// A job that runs stops at its next piece of work; one that waits leaves the queue at once.
  void cancel() {
    cancelled_.store(true, std::memory_order_relaxed);
    auto& jobs = Environment::of(env_).jobs;
    const auto waiting = std::find(jobs.begin(), jobs.end(), shared_from_this());
    if (waiting == jobs.end() || waiting == jobs.begin()) return;
    jobs.erase(waiting);
    error_ = Error(ErrorCode::kAborted, "the operation was aborted");
    settle();
  }

 private:
  static void execute(napi_env, void* data) { static_cast<Job*>(data)->run(); }

  void run() noexcept {
    device_.submit({[this](Queue& queue) {
                      plan_.run(queue, views(inputs_), Outputs(results_.begin(), results_.end()));
                    },
                    [this](const std::optional<Error>& error) { error_ = error; }, &cancelled_});
  }

  static void complete(napi_env raw, napi_status, void* data) {
    const Napi::Env env(raw);
    const Napi::HandleScope scope(env);
    Environment& environment = Environment::of(env);
    const std::shared_ptr<Job> job = static_cast<Job*>(data)->shared_from_this();
    napi_delete_async_work(raw, job->work_);
    environment.jobs.pop_front();
    try {
      try {
        job->settle();
      } catch (const Napi::Error& error) {
        // JavaScript ran out of stack, say: that is what the promise is told.
        job->deferred_.Reject(error.Value());
      }
      if (!environment.jobs.empty()) environment.jobs.front()->start();
    } catch (const Napi::Error&) {
      // JavaScript cannot run any more (a worker is being terminated): nobody waits for the rest.
      environment.jobs.clear();
    }
  }

  void settle() {
    inputs_.clear();
    plan_ = {};
    if (!error_) {
      try {
        for (size_t i = 0; i < results_.size(); ++i) {
          if (callers_[i].IsEmpty()) continue;
          const Tensor to = TensorObject::unwrap(callers_[i].Value()).resolve();
          device_.copy_out(to.data, results_[i].data, to.bytes());
        }
      } catch (const Error& error) {
        error_ = Error(error.code(), std::string("out: ") + error.what());
      } catch (const Napi::Error& error) {
        error_ = Error(ErrorCode::kState, "out: " + error.Message());
      }
    }
    callers_.clear();
    if (error_) {
      deferred_.Reject(to_javascript(env_, *error_).Value());
    } else {
      deferred_.Resolve(make_results(env_, results_, given_));
    }
    results_.clear();
  }

  Napi::Env env_;
  Device& device_;
  Plan plan_;
  Napi::Promise::Deferred deferred_;
  std::vector<std::optional<Tensor>> inputs_;
  std::vector<Tensor> results_;
  std::vector<bool> given_;
  std::vector<Napi::ObjectReference> callers_;  // outs of the caller's, filled at the end
  CancelFlag cancelled_{false};
  std::optional<Error> error_;
  napi_async_work work_ = nullptr;
};

Napi::Object run_later(Napi::Env env, Device& device, Plan plan,
                       const ForwardArguments& arguments) {
  auto job = std::make_shared<Job>(env, device, std::move(plan));
  job->take(arguments);
  auto& jobs = Environment::of(env).jobs;
  jobs.push_back(job);
  if (jobs.size() == 1) {
    try {
      job->start();
    } catch (...) {
      jobs.pop_back();
      throw;
    }
  }
  auto handle = Napi::Object::New(env);
  handle.Set("promise", job->promise());
  handle.Set("cancel", Napi::Function::New(env, [job](const Napi::CallbackInfo& info) {
               job->cancel();
               return info.Env().Undefined();
             }));
  return handle;
}

}  // namespace latte::binding
