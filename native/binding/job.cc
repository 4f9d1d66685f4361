#include "binding/job.h"

#include <cstring>
#include <string>
#include <utility>

#include "binding/environment.h"

namespace latte::binding {

Napi::Array run_now(Napi::Env env, Forward forward, const ForwardArguments& arguments) {
  BoundForward bound(std::move(forward), arguments);
  for (auto& input : bound.inputs()) {
    if (bound.is_foreign(input)) input = on_host(*input);
  }
  run_and_wait(bound.device(), [&](Queue& queue) { bound.run(queue); });
  return bound.make_results(env);
}

namespace {

/// Held by its tasks while they wait and run, and by its `cancel` function.
class Job : public std::enable_shared_from_this<Job> {
 public:
  Job(Napi::Env env, Forward forward, const ForwardArguments& arguments)
      : env_(env),
        bound_(std::make_shared<BoundForward>(std::move(forward), arguments)),
        deferred_(env) {
    take_outs(arguments);
    take_inputs();
  }

  Napi::Promise promise() const { return deferred_.Promise(); }

  void start() {
    Lanes& lanes = Environment::of(env_).lanes;
    task_ = make_task(bound_->device(), [bound = bound_](Queue& queue) { bound->run(queue); });
    task_->finished = [self = shared_from_this()] { self->settle(self->outcome()); };
    try {
      for (size_t i = 0; i < bound_->inputs().size(); ++i) {
        if (bound_->is_foreign(bound_->inputs()[i])) start_copy(lanes, i);
      }
      lanes.add(task_);
    } catch (...) {
      leave(lanes);
      throw;
    }
  }

  /// A job that runs stops at its next piece of work; one that waits leaves its lane at once.
  void cancel() {
    if (settled_) return;
    Lanes& lanes = Environment::of(env_).lanes;
    if (leave(lanes)) {
      settle(aborted());
      lanes.advance(bound_->device());
    }
  }

 private:
  static Error aborted() { return {ErrorCode::kAborted, "the operation was aborted"}; }

  static std::shared_ptr<Task> make_task(Device& device, std::function<void(Queue&)> work) {
    return std::make_shared<Task>(Task{device, std::make_shared<Run>(std::move(work)), nullptr});
  }

  /// An out that belongs to the caller is filled at the end.
  void take_outs(const ForwardArguments& arguments) {
    for (size_t i = 0; i < bound_->results().size(); ++i) {
      Napi::ObjectReference caller;
      Tensor& result = bound_->results()[i];
      if (result.buffer == nullptr) {
        caller = Napi::Persistent(arguments.outs[i].As<Napi::Object>());
        result = allocate(bound_->device(), result);
      }
      callers_.push_back(std::move(caller));
    }
  }

  /// Copies what belongs to the caller.
  void take_inputs() {
    for (auto& input : bound_->inputs()) {
      if (!input || input->buffer != nullptr) continue;
      Tensor copy = *input;
      copy.buffer = bound_->device().allocate_staging(input->bytes());
      copy.data = copy.buffer->data();
      if (copy.bytes() > 0) std::memcpy(copy.data, input->data, copy.bytes());
      input = std::move(copy);
    }
  }

  /// Another device copies its tensor to the host before this job's own task.
  void start_copy(Lanes& lanes, size_t i) {
    auto& input = bound_->inputs()[i];
    auto copy = std::make_shared<const CopyOut>(*input);
    const auto task = make_task(place(*input), [copy](Queue& queue) { copy->run(queue); });
    input = copy->to;
    task->finished = [self = shared_from_this(), raw = task.get()] {
      if (self->settled_) return;
      Lanes& own = Environment::of(self->env_).lanes;
      if (raw->run->error) {
        self->leave(own);
        self->settle(raw->run->error);
      } else {
        --self->task_->waits_for;
      }
      own.advance(self->bound_->device());
    };
    ++task_->waits_for;
    copies_.push_back(task);
    lanes.add(task);
  }

  /// Takes the tasks that were not submitted out of their lanes, asks the others to end early; true
  /// if the job's own task will not run.
  bool leave(Lanes& lanes) {
    for (const auto& copy : copies_) {
      copy->run->cancelled.store(true, std::memory_order_relaxed);
      if (lanes.withdraw(copy)) lanes.advance(copy->device);
    }
    task_->run->cancelled.store(true, std::memory_order_relaxed);
    return lanes.withdraw(task_);
  }

  /// What became of the task. Whoever aborted it in time hears so, even where its last piece of
  /// work was done already.
  std::optional<Error> outcome() const {
    const Run& run = *task_->run;
    if (!run.error && run.cancelled.load(std::memory_order_relaxed)) return aborted();
    return run.error;
  }

  void settle(std::optional<Error> error) {
    settled_ = true;
    try {
      if (!error) error = fill_callers();
      if (error) {
        deferred_.Reject(to_javascript(env_, *error).Value());
      } else {
        deferred_.Resolve(bound_->make_results(env_));
      }
    } catch (const Napi::Error& thrown) {
      // JavaScript ran out of stack, say: that is what the promise is told.
      deferred_.Reject(thrown.Value());
    }
    bound_->release();
    bound_->results().clear();
    callers_.clear();
    copies_.clear();
  }

  std::optional<Error> fill_callers() {
    try {
      for (size_t i = 0; i < callers_.size(); ++i) {
        if (callers_[i].IsEmpty()) continue;
        const Tensor to = TensorObject::unwrap(callers_[i].Value()).resolve();
        bound_->device().copy_out(to.data, bound_->results()[i].data, to.bytes());
      }
    } catch (const Error& error) {
      return Error(error.code(), std::string("out: ") + error.what());
    } catch (const Napi::Error& error) {
      return Error(ErrorCode::kState, "out: " + error.Message());
    }
    return std::nullopt;
  }

  Napi::Env env_;
  std::shared_ptr<BoundForward> bound_;
  Napi::Promise::Deferred deferred_;
  std::vector<Napi::ObjectReference> callers_;
  std::shared_ptr<Task> task_;
  std::vector<std::shared_ptr<Task>> copies_;
  bool settled_ = false;
};

}  // namespace

Napi::Object run_later(Napi::Env env, Forward forward, const ForwardArguments& arguments) {
  const auto job = std::make_shared<Job>(env, std::move(forward), arguments);
  job->start();
  auto handle = Napi::Object::New(env);
  handle.Set("promise", job->promise());
  handle.Set("cancel", Napi::Function::New(env, [job](const Napi::CallbackInfo& info) {
               job->cancel();
               return info.Env().Undefined();
             }));
  return handle;
}

}  // namespace latte::binding
