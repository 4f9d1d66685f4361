// One forward: its inputs, its results, and the promise that settles once.
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "binding/schedule.h"
#include "binding/tensor.h"
#include "layers/layer.h"

namespace latte::binding {

/// The tensors that JavaScript gave a forward. All that can run JavaScript is done when this has
/// been made; addresses are asked for afterwards.
class ForwardArguments {
 public:
  /// Arrays of handles, or undefined. A result that is undefined is made by the forward, which puts
  /// its handle there.
  ForwardArguments(napi_env env, napi_value input_array, napi_value result_array);

  std::vector<std::optional<TensorSpec>> input_specs() const;

  std::vector<std::optional<TensorHandle>> inputs;
  std::vector<std::optional<TensorHandle>> outs;
  napi_value results;
};

/// The computation of a forward: all that the thread which runs it needs.
class ForwardWork final : public ScheduledWork {
 public:
  ForwardWork(Device& device, Plan plan);

  void run(Queue& queue) override;
  /// Takes the outs. The other results, and memory of the device for the caller's outs, are
  /// allocated by run(): that may take as long as the opening of the device.
  void take_outs(const ForwardArguments& arguments);
  /// Asks for the addresses of inputs and outs, and checks that no memory is used twice.
  void resolve(const ForwardArguments& arguments);
  /// Copies the caller's inputs, and leaves the caller's outs to copies at the end.
  void take_from_caller();
  /// Whether an input has to be copied to the host by its own device first.
  bool is_distant(const std::optional<Tensor>& input) const;
  /// Gives back all memory. Not while a device has the work.
  void release() noexcept;

  std::vector<std::optional<Tensor>> inputs;
  std::vector<Tensor> results;  // complete when run() has returned

 private:
  void allocate_results();
  TensorView upload(Queue& queue, const Tensor& host, size_t i);

  Plan plan_;
  std::vector<std::shared_ptr<Buffer>> converted_;
};

/// Computes while the calling thread waits.
void forward_now(napi_env env, Device& device, Plan plan, const ForwardArguments& arguments);

/// Adds a forward to the schedule. The caller's arrays are copied before this returns.
/// @param id what Schedule::cancel() knows it by; 0: it cannot be cancelled.
/// @return a promise of undefined. It is rejected after this returns, if at all.
napi_value forward_later(Environment& environment, Device& device, Plan plan,
                         const ForwardArguments& arguments, int64_t id);

/// An asynchronous forward. The schedule owns it, by its places, and it is the JavaScript thread's.
class Forward {
 public:
  Forward(Environment& environment, std::shared_ptr<ForwardWork> work, int64_t id);
  Forward(const Forward&) = delete;
  Forward& operator=(const Forward&) = delete;

  /// Called by the schedule when a work of this forward has ended and has left its place.
  void finished(ScheduledWork& work) noexcept;
  /// A forward that its device has not yet got is rejected at once. One that runs stops at its next
  /// operation. An NPU gets a forward at once, unless copies from other devices come first: a
  /// forward that waits in its queue is rejected when its turn comes.
  void cancel() noexcept;

 private:
  friend napi_value forward_later(Environment&, Device&, Plan, const ForwardArguments&, int64_t);

  void keep_results(const ForwardArguments& arguments);
  void add_works(const std::shared_ptr<Forward>& self);
  void submit() noexcept;
  bool withdraw() noexcept;
  void settle(std::optional<Error> error) noexcept;
  void fill_outs();
  std::optional<Error> deliver() noexcept;

  Environment& environment_;
  const int64_t id_;
  std::shared_ptr<ForwardWork> work_;
  std::vector<std::shared_ptr<ScheduledWork>> copies_;  // of inputs on other devices
  size_t copies_left_ = 0;
  std::vector<Reference> outs_;       // of the caller, by result; filled at the end
  std::vector<bool> given_;           // by result: whether it is an out
  Reference results_;                 // JavaScript's array, which gets the others at the end
  napi_deferred deferred_ = nullptr;  // null: settled
};

}  // namespace latte::binding
