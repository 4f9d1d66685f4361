// timestep_projection: by our kernel, on the host, or by aclnn operations.
#include <algorithm>
#include <cmath>
#include <cstring>

#include "backend/ascend/queue.h"

namespace latte::ascend {

namespace {

/// The smallest range that is documented for aclnnSin and aclnnCos: that of the 310P
/// (docs/ascend-operations.md).
constexpr float kLargestArgument = 65504.0f;

/// If the host has the timesteps and there are at most so many sinusoids, computing them there and
/// copying them costs less than launching the operations.
constexpr int64_t kHostSinusoids = int64_t{64} << 10;

}  // namespace

void AscendQueue::project_on_host(const TimestepProjectionArgs& args,
                                  const std::vector<float>& timesteps) {
  const std::byte* sinusoids = sinusoids_on_host(args, timesteps);
  overwrite(args.output.data, args.output.bytes());
  copy_to_device(args.output, sinusoids);
}

const std::byte* AscendQueue::sinusoids_on_host(const TimestepProjectionArgs& args,
                                                const std::vector<float>& timesteps) {
  std::byte* sinusoids = staging(args.output.bytes());
  TimestepProjectionArgs on_host = args;
  on_host.timesteps.data = const_cast<float*>(timesteps.data());
  on_host.output.data = sinusoids;
  run_and_wait(resources_.host, [&](Queue& queue) { queue.timestep_projection(on_host); });
  return sinusoids;
}

bool AscendQueue::projects_on_host(const TimestepProjectionArgs& args) {
  return args.count() * args.sinusoids->dim <= kHostSinusoids;
}

void AscendQueue::timestep_projection(const TimestepProjectionArgs& args) {
  check_cancelled();
  if (args.count() == 0) return;
  const Sinusoids& sinusoids = *args.sinusoids;
  const int64_t count = args.count(), dim = sinusoids.dim, half = dim / 2;
  if (half > 0 && plugin_timestep_projection(args)) return;

  // The host has to know the timesteps, to tell whether all arguments are in the operations' range.
  std::vector<float> timesteps(static_cast<size_t>(count));
  const size_t bytes = timesteps.size() * sizeof(float);
  if (const void* host = uploads_.host_copy(args.timesteps.data, bytes)) {
    std::memcpy(timesteps.data(), host, bytes);
    if (projects_on_host(args)) return project_on_host(args, timesteps);
  } else {
    std::byte* copy = staging(bytes);
    read(args.timesteps.data, bytes);
    LATTE_ACL(acl_, aclrtMemcpyAsync, copy, bytes, args.timesteps.data, bytes,
              ACL_MEMCPY_DEVICE_TO_HOST, resources_.stream);
    resources_.thread.synchronise();
    std::memcpy(timesteps.data(), copy, bytes);
  }
  const auto fits = [&](float frequency) {
    return std::all_of(timesteps.begin(), timesteps.end(), [&](float timestep) {
      return std::abs(sinusoids.scale * (timestep * frequency)) <=
             kLargestArgument;  // false for NaN
    });
  };
  const auto& frequencies = sinusoids.frequencies;
  if (half == 0 || !std::all_of(frequencies.begin(), frequencies.end(), fits)) {
    return project_on_host(args, timesteps);
  }

  const auto floats = [&](std::vector<int64_t> dims, const void* data) {
    return OperandView::dense(DType::kFloat32, std::move(dims), data);
  };
  const auto scratch_floats = [&](int64_t count) {
    return scratch(static_cast<size_t>(count) * sizeof(float));
  };
  OperandView angles = floats({count, half}, scratch_floats(count * half));
  run({"aclnnMul",
       acl_.aclnnMul,
       /*repeatable=*/true,
       {floats({count, 1}, args.timesteps.data), floats({1, half}, constant(frequencies))},
       {angles},
       [&](const auto& t, uint64_t* size, aclOpExecutor** executor) {
         return acl_.aclnnMulGetWorkspaceSize(t[0], t[1], t[2], size, executor);
       }});
  if (sinusoids.scale != 1) {
    const OperandView scaled = floats({count, half}, scratch_floats(count * half));
    const ScalarHandle scalar = create_scalar(acl_, sinusoids.scale);
    run({"aclnnMuls",
         acl_.aclnnMuls,
         /*repeatable=*/false,
         {angles},
         {scaled},
         [&](const auto& t, uint64_t* size, aclOpExecutor** executor) {
           return acl_.aclnnMulsGetWorkspaceSize(t[0], scalar.get(), t[1], size, executor);
         }});
    angles = scaled;
  }

  TensorView exact = args.output;
  exact.dtype = DType::kFloat32;
  if (args.output.dtype != DType::kFloat32) exact.data = scratch_floats(count * dim);
  if (dim % 2 == 1) fill_zero(exact);
  const auto half_of_rows = [&](bool second) {
    OperandView view = floats({count, half}, static_cast<float*>(exact.data) + (second ? half : 0));
    view.strides = {dim, 1};
    return view;
  };
  const auto unary = [&](const char* name, AclnnRun launch, auto make, const OperandView& out) {
    run({name,
         launch,
         /*repeatable=*/true,
         {angles},
         {out},
         [&](const auto& t, uint64_t* size, aclOpExecutor** executor) {
           return make(t[0], t[1], size, executor);
         }});
  };
  unary("aclnnSin", acl_.aclnnSin, acl_.aclnnSinGetWorkspaceSize,
        half_of_rows(sinusoids.flip_sin_to_cos));
  unary("aclnnCos", acl_.aclnnCos, acl_.aclnnCosGetWorkspaceSize,
        half_of_rows(!sinusoids.flip_sin_to_cos));
  if (args.output.dtype != DType::kFloat32) convert(exact, args.output);
}

}  // namespace latte::ascend
