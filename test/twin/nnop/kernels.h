// The kernels that an aclnn operation starts, and the bytes that each of them moves. The rules are
// read in CANN's open host code of ops-math c4193324 (M) and ops-nn e5c3fa93 (N); binaries of 8.1
// may differ. docs/ascend-operations.md has them as a table.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "nnop/tensors.h"

namespace latte::twin {

#pragma GCC visibility push(default)

/// A tensor that kernels read or write: an operand of the operation, or a temporary in its
/// workspace. An index into KernelPlan's places.
using Place = size_t;

/// What an operation does on the device, kernel after kernel. Every operand is a place: first the
/// inputs, then the outputs.
class KernelPlan {
 public:
  explicit KernelPlan(const std::vector<Operand>& inputs, const std::vector<Operand>& outputs);

  Place input(size_t index) const { return index; }
  Place output(size_t index) const { return inputs_ + index; }

  /// Adds a kernel that reads `from` and makes a temporary of these elements.
  Place run(const char* kernel, const std::vector<Place>& from, int64_t elements,
            aclDataType dtype);
  /// Adds what l0op::Contiguous does: nothing for a dense tensor; else BroadcastTo, Transpose,
  /// Slice, StridedSlice or AsStrided.
  Place contiguous(Place place);
  /// Adds what l0op::Cast does: nothing for an equal dtype.
  Place cast(Place place, aclDataType dtype);
  /// Adds what l0op::ViewCopy does. A temporary that goes to a dense tensor is written there at
  /// once.
  void view_copy(Place from, Place to);

  /// Whether a kernel runs on the AI CPU.
  bool on_ai_cpu() const { return on_ai_cpu_; }
  /// The bytes of all temporaries.
  uint64_t workspace_bytes() const { return workspace_bytes_; }

  /// Counts the kernels and the bytes that they move in a run with these views.
  void count_run(int device, const std::vector<View>& inputs, const std::vector<View>& outputs,
                 const void* workspace) const;

 private:
  struct Tensor {
    View view;  // dense for a temporary
    bool temporary = false;
    uint64_t offset = 0;   // of a temporary in the workspace
    Place written_to = 0;  // the output that a temporary is written to at once
    bool moved = false;
  };
  struct Kernel {
    std::string name;
    std::vector<Place> reads, writes;
  };

  const size_t inputs_;
  std::vector<Tensor> tensors_;
  std::vector<Kernel> kernels_;
  uint64_t workspace_bytes_ = 0;
  bool on_ai_cpu_ = false;
};

#pragma GCC visibility pop

}  // namespace latte::twin
