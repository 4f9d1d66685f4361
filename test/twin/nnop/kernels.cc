#include "nnop/kernels.h"

#include <algorithm>
#include <functional>
#include <numeric>

#include "runtime/devices.h"
#include "runtime/report.h"
#include "runtime/traffic.h"

namespace latte::twin {

namespace {

struct Axis {
  int64_t stride, length;
};

bool is_dense(const std::vector<Axis>& axes) {
  int64_t stride = 1;
  for (size_t i = axes.size(); i-- > 0;) {
    if (axes[i].stride != stride) return false;
    stride *= axes[i].length;
  }
  return true;
}

/// Whether a slice of a dense tensor is this view: the outermost axis must lie whole in the storage
/// (BuildSliceParams in conversion/contiguous/op_host/op_api/contiguous.cpp, M).
bool is_slice(const std::vector<Axis>& axes, int64_t offset, int64_t storage) {
  int64_t row = 1;  // elements of one step of the outermost axis
  std::vector<int64_t> lengths(axes.size());
  for (size_t i = axes.size() - 1; i > 0; --i) {
    lengths[i] = axes[i - 1].stride / axes[i].stride;
    row *= lengths[i];
  }
  lengths[0] = storage / row;
  for (size_t i = 0; i < axes.size(); ++i) {
    if (lengths[i] < offset / axes[i].stride + axes[i].length) return false;
    offset %= axes[i].stride;
  }
  return true;
}

/// The kernels that make a view dense (CanOptimizeContiguous in the same file).
std::vector<const char*> gathering_kernels(const View& view) {
  std::vector<Axis> axes;
  bool broadcast = false;
  for (size_t i = 0; i < view.dims.size(); ++i) {
    if (view.strides[i] == 0) {
      broadcast = true;
    } else if (view.dims[i] != 1) {
      axes.push_back({view.strides[i], view.dims[i]});
    }
  }
  std::vector<const char*> kernels;
  const auto finished = [&] {
    if (broadcast) kernels.push_back("BroadcastTo");
    return kernels;
  };
  if (is_dense(axes)) return finished();
  const auto descends = [](const Axis& a, const Axis& b) { return a.stride > b.stride; };
  const bool transposed = !std::is_sorted(axes.begin(), axes.end(), descends);
  std::stable_sort(axes.begin(), axes.end(), descends);
  if (transposed && is_dense(axes)) {
    kernels.push_back("Transpose");
    return finished();
  }
  if (axes.size() == 1) axes.push_back({1, 1});
  int64_t common = axes[0].stride;
  bool divides = true, overlaps = false;
  for (size_t i = 1; i < axes.size(); ++i) {
    divides = divides && axes[i - 1].stride % axes[i].stride == 0;
    overlaps = overlaps || axes[i - 1].stride < axes[i].stride * (axes[i].length - 1);
    if (i + 1 < axes.size()) common = std::gcd(common, axes[i].stride);
  }
  const Axis& last = axes.back();
  if (!overlaps && divides && last.stride == 1) {
    // "CanReplaceSliceTransposeWithAsStrided": rows of a multiple of 64 elements.
    const bool rows = view.strides.back() == 1 && view.dims.back() % 64 == 0;
    if (is_slice(axes, view.offset, view.storage) && !(transposed && rows)) {
      kernels.push_back("Slice");
      if (transposed) kernels.push_back("Transpose");
      return finished();
    }
  } else if (!overlaps && common > 1 && common >= last.stride * last.length) {
    kernels.push_back("StridedSlice");
    if (transposed) kernels.push_back("Transpose");
    return finished();
  }
  return {"AsStrided"};
}

/// Whether the AI Core's ViewCopy writes this view on 910B and its predecessor (IsAiCoreSupport in
/// conversion/view_copy/op_api/view_copy.cpp, M); two forms of pairs and single rows that this
/// project never asks for are left out.
bool is_written_by_ai_core(const View& to) {
  // ReCalSize: runs of elements that lie side by side become one axis.
  int64_t run = 1, stride = 1, last_run = 0, axes = 0;
  for (size_t i = to.dims.size(); i-- > 0;) {
    if (stride * run == to.strides[i]) {
      run *= to.dims[i];
      continue;
    }
    if (axes == 0) last_run = run;
    if (to.strides[i] < last_run) return false;
    ++axes;
    run = to.dims[i];
    stride = to.strides[i];
  }
  ++axes;
  constexpr int64_t kLongRun = 32;
  if (axes >= 3 && axes <= 4 && last_run >= kLongRun) return true;
  // Otherwise every row must lie as far behind the one before it.
  std::vector<int64_t> dense(to.dims.size());
  int64_t next = 1;
  for (size_t i = to.dims.size(); i-- > 0;) {
    dense[i] = next;
    next *= to.dims[i];
  }
  int64_t difference = 0;
  bool found = false;
  for (size_t i = to.dims.size(); i-- > 0;) {
    if (found) {
      difference *= to.dims[i + 1];
      if (difference != to.strides[i] - dense[i]) return false;
    } else if (to.strides[i] != dense[i]) {
      difference = to.strides[i] - dense[i];
      found = true;
    }
  }
  return found;
}

/// Whether a permutation of a dense tensor fills this view (CanOptimizeView, contiguous.cpp, M).
bool is_permuted(const View& view) {
  std::vector<Axis> axes;
  for (size_t i = 0; i < view.dims.size(); ++i) {
    if (view.strides[i] == 0) return false;
    if (view.dims[i] != 1) axes.push_back({view.strides[i], view.dims[i]});
  }
  std::stable_sort(axes.begin(), axes.end(),
                   [](const Axis& a, const Axis& b) { return a.stride > b.stride; });
  return is_dense(axes);
}

View dense_view(int64_t elements, aclDataType dtype) {
  View view;
  view.dtype = dtype;
  view.dims = {elements};
  view.strides = {1};
  view.storage = elements;
  return view;
}

uint64_t bytes_of(const View& view) {
  return static_cast<uint64_t>(view.elements()) * item_size(view.dtype);
}

}  // namespace

KernelPlan::KernelPlan(const std::vector<Operand>& inputs, const std::vector<Operand>& outputs)
    : inputs_(inputs.size()) {
  for (const auto* operands : {&inputs, &outputs}) {
    for (const Operand& operand : *operands) tensors_.push_back({operand.view});
  }
}

Place KernelPlan::run(const char* kernel, const std::vector<Place>& from, int64_t elements,
                      aclDataType dtype) {
  Tensor made{dense_view(elements, dtype), true, workspace_bytes_};
  // "512 bytes" each: the twin's own choice.
  workspace_bytes_ += (bytes_of(made.view) + 511) / 512 * 512;
  tensors_.push_back(std::move(made));
  kernels_.push_back({kernel, from, {tensors_.size() - 1}});
  return tensors_.size() - 1;
}

Place KernelPlan::contiguous(Place place) {
  const View view = tensors_[place].view;
  if (view.is_contiguous()) return place;
  for (const char* kernel : gathering_kernels(view)) {
    place = run(kernel, {place}, view.elements(), view.dtype);
  }
  return place;
}

Place KernelPlan::cast(Place place, aclDataType dtype) {
  const View& view = tensors_[place].view;
  return view.dtype == dtype ? place : run("Cast", {place}, view.elements(), dtype);
}

void KernelPlan::view_copy(Place from, Place to) {
  const View& target = tensors_[to].view;
  if (!target.is_contiguous()) {
    if (is_permuted(target)) {
      kernels_.push_back({"Transpose", {from}, {to}});
      return;
    }
    const bool ai_core = is_written_by_ai_core(target);
    on_ai_cpu_ = on_ai_cpu_ || !ai_core;
    kernels_.push_back({ai_core ? "ViewCopy" : "ViewCopy on the AI CPU", {from}, {to}});
    return;
  }
  // The first generation moves what does not fill its storage (SupportMoveAlign, contiguous.cpp).
  const bool fills = target.storage == target.elements() + target.offset;
  if (tensors_[from].temporary && (!is_first_generation() || fills)) {
    Tensor& result = tensors_[from];
    result.moved = true;
    result.written_to = to;
    // The copy is the temporary made last, and needs no workspace of its own.
    workspace_bytes_ = result.offset;
    return;
  }
  kernels_.push_back({"TensorMove", {from}, {to}});
}

void KernelPlan::count_run(int device, const std::vector<View>& inputs,
                           const std::vector<View>& outputs, const void* workspace) const {
  const auto access = [&](Place place, bool written) {
    const Tensor* tensor = &tensors_[place];
    if (tensor->temporary && tensor->moved) place = tensor->written_to;
    tensor = &tensors_[place];
    if (tensor->temporary) {
      move_bytes(device, static_cast<const char*>(workspace) + tensor->offset,
                 bytes_of(tensor->view), 1, 0, written);
      return;
    }
    const View& view = place < inputs_ ? inputs[place] : outputs[place - inputs_];
    // Moves bytes as they lie: rows of the last dense axes.
    size_t axis = view.dims.size();
    int64_t run = 1;
    while (axis > 0 && (view.dims[axis - 1] == 1 || view.strides[axis - 1] == run)) {
      run *= view.dims[--axis];
    }
    const auto item = static_cast<int64_t>(item_size(view.dtype));
    // An axis of stride 0 is the same bytes, which are moved once.
    std::function<void(size_t, int64_t)> walk = [&](size_t at, int64_t offset) {
      if (at + 1 >= axis) {
        const bool rows = axis > 0 && view.strides[axis - 1] != 0;
        move_bytes(device, static_cast<const char*>(view.begin()) + offset * item,
                   static_cast<uint64_t>(run * item),
                   rows ? static_cast<uint64_t>(view.dims[axis - 1]) : 1,
                   rows ? static_cast<uint64_t>(view.strides[axis - 1] * item) : 0, written);
        return;
      }
      const int64_t steps = view.strides[at] == 0 ? 1 : view.dims[at];
      for (int64_t i = 0; i < steps; ++i) walk(at + 1, offset + i * view.strides[at]);
    };
    if (view.elements() > 0) walk(0, 0);
  };
  for (const Kernel& kernel : kernels_) {
    count_kernel(kernel.name.c_str());
    for (const Place place : kernel.reads) access(place, false);
    for (const Place place : kernel.writes) access(place, true);
  }
}

}  // namespace latte::twin
