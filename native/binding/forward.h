// One forward: its inputs, its results, and its promise, which settles exactly once.
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "binding/schedule.h"
#include "binding/tensor.h"
#include "layers/layer.h"

namespace latte::binding {

/// The tensors that JavaScript gave a forward. Only the constructor may run JavaScript, so
/// addresses are read after it.
class ForwardArguments {
 public:
  /// Arrays of handles and undefined. A result that is undefined is allocated by the forward, which
  /// puts its handle into `result_array`.
  ForwardArguments(napi_env env, napi_value input_array, napi_value result_array);

  std::vector<std::optional<TensorSpec>> input_specs() const;

  std::vector<std::optional<TensorHandle>> inputs;
  std::vector<std::optional<TensorHandle>> outs;  // the results that were given
  napi_value results;                             // result_array
};

/// The computation of a forward, with everything that the thread needs which runs it.
class ForwardWork final : public ScheduledWork {
 public:
  ForwardWork(Device& device, Plan plan);

  void run(Queue& queue) override;
  /// Checks and stores the outs. run() allocates the other results, and device memory for outs that
  /// are arrays of the caller, because an allocation may have to wait until the device is open.
  void take_outs(const ForwardArguments& arguments);
  /// Reads the addresses of inputs and outs. Throws ERR_VALUE if an out overlaps another tensor.
  void resolve(const ForwardArguments& arguments);
  /// Copies inputs that are arrays of the caller. Outs that are such arrays are filled at the end.
  void take_from_caller();
  /// Whether an input is on another device than the forward's and the host's. Such an input is
  /// first copied to the host by its own device.
  bool is_distant(const std::optional<Tensor>& input) const;
  /// Gives back all memory. Must not be called while a device has the work.
  void release() noexcept;

  std::vector<std::optional<Tensor>> inputs;
  std::vector<Tensor> results;  // complete when run() has returned

 private:
  void allocate_results();
  TensorView upload(Queue& queue, const Tensor& host, size_t i);

  Plan plan_;
  std::vector<std::shared_ptr<Buffer>> converted_;
};

/// Computes a forward while the calling thread waits.
void forward_now(napi_env env, Device& device, Plan plan, const ForwardArguments& arguments);

/// The id of a forward that cannot be cancelled.
constexpr int64_t kNotCancellable = 0;

/// Adds a forward to the schedule. The caller's arrays are copied before this returns.
/// @param id for Schedule::cancel(), or kNotCancellable.
/// @return a promise of undefined, which settles after this has returned.
napi_value forward_later(Environment& environment, Device& device, Plan plan,
                         const ForwardArguments& arguments, int64_t id);

/// An asynchronous forward. The schedule owns it as long as one of its works has a place there.
/// Used on the JavaScript thread.
class Forward {
 public:
  Forward(Environment& environment, std::shared_ptr<ForwardWork> work, int64_t id);
  Forward(const Forward&) = delete;
  Forward& operator=(const Forward&) = delete;

  /// Called by the schedule when a work of this forward has ended and has left its place.
  void finished(ScheduledWork& work) noexcept;
  /// Rejects the forward at once if it was not submitted to its device yet. If the CPU runs it, it
  /// stops at its next piece of work (CancelFlag) and is rejected then. A forward for an NPU is
  /// submitted at once, unless inputs have to be copied from other devices first. If it still waits
  /// there, the NPU's queue drops it at once; else it is rejected when the operations that were
  /// launched have ended.
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
  std::vector<std::shared_ptr<ScheduledWork>> copies_;  // of inputs that are on other devices
  size_t copies_left_ = 0;
  std::vector<Reference> outs_;       // by result: the out if it is a caller's array
  std::vector<bool> given_;           // by result: whether it was given as an out
  Reference results_;                 // JavaScript's array, which gets the other results
  napi_deferred deferred_ = nullptr;  // null: the promise has settled, or was never made
};

}  // namespace latte::binding
