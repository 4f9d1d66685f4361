// convert: by aclnnCast, or on the host if the host has a copy of the values.
#include "backend/ascend/queue.h"

namespace latte::ascend {

namespace {

/// Up to so many bytes a conversion on the host costs less than a launch.
constexpr size_t kHostConversionBytes = size_t{16} << 10;

}  // namespace

void AscendQueue::convert(const TensorView& from, const TensorView& to) {
  check_cancelled();
  if (from.size() == 0) return;
  const void* host = uploads_.host_copy(from.data, from.bytes());
  // The host rounds float64 once; the device would convert it to float32 first and round twice.
  // Chips of the first generation have no bfloat16.
  const bool only_here =
      from.dtype == DType::kFloat64 || (resources_.float16_only && from.dtype == DType::kBFloat16);
  if (host != nullptr && (only_here || from.bytes() <= kHostConversionBytes)) {
    const TensorView source{from, const_cast<void*>(host)};
    const TensorView converted{to, staging(to.bytes())};
    run_and_wait(resources_.host, [&](Queue& queue) { queue.convert(source, converted); });
    overwrite(to.data, to.bytes());
    // Scratch memory is copied only if an operation reads it. A result must be copied in any case.
    return is_scratch(to.data, to.bytes()) ? upload_later(to, converted.data)
                                           : copy_to_device(to, converted.data);
  }
  if (from.dtype == to.dtype) return copy_on_device(from, to);
  if (resources_.float16_only && (from.dtype == DType::kBFloat16 || to.dtype == DType::kBFloat16)) {
    fail(ErrorCode::kDType, resources_.device_name, " (the first Ascend 910) has no bfloat16");
  }
  const aclDataType dtype = acl_dtype(to.dtype);
  run({"aclnnCast",
       acl_.aclnnCast,
       /*repeatable=*/true,
       {OperandView::flat(from)},
       {OperandView::flat(to)},
       [&](const auto& t, uint64_t* bytes, aclOpExecutor** executor) {
         return acl_.aclnnCastGetWorkspaceSize(t[0], dtype, t[1], bytes, executor);
       }});
}

}  // namespace latte::ascend
