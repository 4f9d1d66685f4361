#include "backend/ascend/queue.h"

#include <algorithm>
#include <cstring>

#include "core/setting.h"

namespace latte::ascend {

namespace {

bool synchronise_always() {
  static const bool always = flag_setting("LATTE_ASCEND_SYNC");
  return always;
}

/// Asynchronous copies need both addresses aligned like this (docs/ascend-operations.md).
bool is_copy_aligned(const void* address) { return reinterpret_cast<uintptr_t>(address) % 64 == 0; }

}  // namespace

void AscendQueue::check_cancelled() const {
  if (capturing_ != nullptr) return;  // the launches that are captured serve later works, too
  if (cancelled_ != nullptr && cancelled_->load(std::memory_order_relaxed)) {
    fail(ErrorCode::kAborted, "the operation was aborted");
  }
}

void AscendQueue::after(const char* operation) {
  if (!synchronise_always() || capturing_ != nullptr) return;
  resources_.thread.synchronise(operation);
}

void AscendQueue::run(const OperationCall& call) {
  check_cancelled();
  for (const OperandView& input : call.inputs) read(input.data, input.storage_bytes());
  for (const OperandView& output : call.outputs) overwrite(output.data, output.storage_bytes());
  resources_.executors.run(
      call, resources_.stream, [this](size_t bytes) { return scratch(bytes); },
      capturing_ != nullptr);
  after(call.name);
}

void* AscendQueue::scratch(size_t bytes) {
  if (capturing_ != nullptr) {
    const auto& blocks = capturing_->scratch;
    if (captured_blocks_ == blocks.size() || blocks[captured_blocks_]->bytes() < bytes) {
      refuse_in_capture("more scratch memory than before");
    }
    return blocks[captured_blocks_++]->data();
  }
  if (scratch_sizes_ != nullptr) scratch_sizes_->push_back(bytes);
  held_.push_back(resources_.memory.allocate(bytes));
  return held_.back()->data();
}

std::byte* AscendQueue::staging(size_t bytes) {
  refuse_in_capture("memory of the host");
  held_.push_back(resources_.memory.allocate_pinned(bytes));
  return static_cast<std::byte*>(held_.back()->data());
}

const void* AscendQueue::copied_to_staging(const std::vector<float>& values) {
  std::byte* copy = staging(values.size() * sizeof(float));
  std::memcpy(copy, values.data(), values.size() * sizeof(float));
  return copy;
}

TensorView AscendQueue::upload(const TensorView& host) {
  TensorView device = host;
  device.data = scratch(host.bytes());
  upload_later(device, host.data);
  return device;
}

void AscendQueue::upload_later(const TensorView& to, const void* host) {
  // An upload that continues another one in the same scratch block is joined with it. That makes
  // one copy of two, and its address is aligned.
  const Uploads::Upload* before = uploads_.before(to);
  if (before == nullptr || !is_scratch(before->device, before->bytes + to.bytes())) {
    return uploads_.add(to, host);
  }
  const Uploads::Upload joined = *before;
  std::byte* both = staging(joined.bytes + to.bytes());
  std::memcpy(both, joined.host, joined.bytes);
  std::memcpy(both + joined.bytes, host, to.bytes());
  const auto count = static_cast<int64_t>((joined.bytes + to.bytes()) / item_size(to.dtype));
  uploads_.add({{to.dtype, {count}}, joined.device}, both);
}

bool AscendQueue::is_scratch(const void* address, size_t bytes) const {
  const auto* begin = static_cast<const char*>(address);
  return std::any_of(held_.begin(), held_.end(), [&](const std::shared_ptr<Buffer>& held) {
    const auto* block = static_cast<const char*>(held->data());
    return block <= begin && begin + bytes <= block + held->bytes();
  });
}

void AscendQueue::copy_uploads(const std::vector<Uploads::Upload>& pending) {
  for (const Uploads::Upload& upload : pending) copy_to_device(upload.tensor(), upload.host);
}

void AscendQueue::read(const void* address, size_t bytes) {
  copy_uploads(uploads_.read(address, bytes));
}

void AscendQueue::overwrite(const void* address, size_t bytes) {
  copy_uploads(uploads_.overwrite(address, bytes));
}

void AscendQueue::copy_to_device(const TensorView& to, const void* host) {
  const size_t bytes = to.bytes();
  if (bytes == 0) return;
  refuse_in_capture("a copy");
  if (!is_copy_aligned(to.data)) {
    const TensorView aligned{to, scratch(bytes)};
    copy_to_device(aligned, host);
    return copy_elements(OperandView::flat(aligned), OperandView::flat(to));
  }
  // The device copies asynchronously only from pinned memory.
  if (!resources_.memory.is_pinned(host, bytes) || !is_copy_aligned(host)) {
    std::byte* pinned = staging(bytes);
    std::memcpy(pinned, host, bytes);
    host = pinned;
  }
  LATTE_ACL(acl_, aclrtMemcpyAsync, to.data, bytes, host, bytes, ACL_MEMCPY_HOST_TO_DEVICE,
            resources_.stream);
  after("aclrtMemcpyAsync");
}

void AscendQueue::copy_on_device(const TensorView& from, const TensorView& to) {
  const size_t bytes = from.bytes();
  if (bytes == 0) return;
  refuse_in_capture("a copy");
  if (!is_copy_aligned(from.data) || !is_copy_aligned(to.data)) {
    return copy_view(OperandView::flat(from), OperandView::flat(to));
  }
  read(from.data, bytes);
  overwrite(to.data, bytes);
  LATTE_ACL(acl_, aclrtMemcpyAsync, to.data, bytes, from.data, bytes, ACL_MEMCPY_DEVICE_TO_DEVICE,
            resources_.stream);
  after("aclrtMemcpyAsync");
}

void AscendQueue::download(const TensorView& from, void* host) {
  check_cancelled();
  refuse_in_capture("a copy");
  const size_t bytes = from.bytes();
  if (bytes == 0) return;
  if (!is_copy_aligned(from.data)) {
    const TensorView aligned{from, scratch(bytes)};
    copy_view(OperandView::flat(from), OperandView::flat(aligned));
    return download(aligned, host);
  }
  const bool direct = resources_.memory.is_pinned(host, bytes) && is_copy_aligned(host);
  void* to = direct ? host : staging(bytes);
  read(from.data, bytes);
  LATTE_ACL(acl_, aclrtMemcpyAsync, to, bytes, from.data, bytes, ACL_MEMCPY_DEVICE_TO_HOST,
            resources_.stream);
  if (!direct) downloads_.push_back({to, host, bytes});
  after("aclrtMemcpyAsync");
}

void AscendQueue::finish() {
  if (!replayed_.empty()) resources_.graphs.succeeded();
  for (const Download& download : downloads_) {
    std::memcpy(download.host, download.staging, download.bytes);
  }
}

void AscendQueue::fill_zero(const TensorView& to) {
  if (to.bytes() == 0) return;
  refuse_in_capture("aclrtMemsetAsync");
  overwrite(to.data, to.bytes());
  LATTE_ACL(acl_, aclrtMemsetAsync, to.data, to.bytes(), 0, to.bytes(), resources_.stream);
  after("aclrtMemsetAsync");
}

void AscendQueue::copy_view(const OperandView& from, const OperandView& to) {
  overwrite(to.data, to.storage_bytes());
  copy_elements(from, to);
}

void AscendQueue::copy_elements(const OperandView& from, const OperandView& to) {
  // aclnnInplaceCopy takes both as inputs.
  run({"aclnnInplaceCopy",
       acl_.aclnnInplaceCopy,
       /*repeatable=*/false,
       {to, from},
       {},
       [&](const auto& t, uint64_t* bytes, aclOpExecutor** executor) {
         return acl_.aclnnInplaceCopyGetWorkspaceSize(t[0], t[1], bytes, executor);
       }});
}

void AscendQueue::repeat_rows(const TensorView& from, int64_t times, const TensorView& to) {
  if (to.bytes() == 0) return;
  const int64_t rows = from.shape[0], width = from.size() / rows;
  OperandView repeated = OperandView::dense(from.dtype, {rows, times, width}, from.data);
  repeated.strides = {width, 0, 1};
  copy_view(repeated, OperandView::dense(to.dtype, {rows, times, width}, to.data));
}

const void* AscendQueue::constant(const std::vector<float>& values) {
  return resources_.constant_cache.get(values, [&](void* to) {
    const auto count = static_cast<int64_t>(values.size());
    copy_to_device({{DType::kFloat32, {count}}, to}, values.data());
  });
}

}  // namespace latte::ascend
