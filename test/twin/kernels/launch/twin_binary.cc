// The device binary of the twin: the modelled kernels, found by name, with their arguments as ACL
// lays them out one after another.
#include "twin_binary.h"

#include <cstring>
#include <string>

#include "../entries.h"
#include "launch_kernel.h"

using latte::model::CoreKind;
using latte::twin::launch_kernel;
using latte::twin::Way;

namespace {

/// Reads a launch's arguments one after another.
class Arguments {
 public:
  explicit Arguments(const void* bytes) : at_(static_cast<const uint8_t*>(bytes)) {}
  template <class T>
  T next() {
    T value;
    std::memcpy(&value, at_, sizeof value);
    at_ += sizeof value;
    return value;
  }

 private:
  const uint8_t* at_;
};

uint32_t timestep_projection(uint32_t blocks, void* stream, const void* arguments) {
  Arguments in(arguments);
  auto* timesteps = in.next<uint8_t*>();
  auto* frequencies = in.next<uint8_t*>();
  auto* output = in.next<uint8_t*>();
  const auto tiling = in.next<latte_timestep_tiling>();
  return launch_kernel(Way::kBinary, "latte_timestep_projection", CoreKind::kVector, blocks, stream,
                       {timesteps, frequencies, output},
                       [=] { latte_timestep_projection(timesteps, frequencies, output, tiling); });
}

uint32_t patchify(uint32_t blocks, void* stream, const void* arguments) {
  Arguments in(arguments);
  auto* latent = in.next<uint8_t*>();
  auto* patches = in.next<uint8_t*>();
  const auto tiling = in.next<latte_patchify_tiling>();
  return launch_kernel(Way::kBinary, "latte_patchify", CoreKind::kVector, blocks, stream,
                       {latent, patches}, [=] { latte_patchify(latent, patches, tiling); });
}

uint32_t patch_projection(uint32_t blocks, void* stream, const void* arguments) {
  Arguments in(arguments);
  auto* latent = in.next<uint8_t*>();
  auto* operand = in.next<uint8_t*>();
  auto* output = in.next<uint8_t*>();
  const auto tiling = in.next<latte_fused_tiling>();
  return launch_kernel(Way::kBinary, "latte_patch_projection", CoreKind::kCube, blocks, stream,
                       {latent, operand, output},
                       [=] { latte_patch_projection(latent, operand, output, tiling); });
}

constexpr size_t kPointer = sizeof(void*);
const latte_twin_kernel kernels[] = {
    {"latte_timestep_projection", 3 * kPointer + sizeof(latte_timestep_tiling),
     timestep_projection},
    {"latte_patchify", 2 * kPointer + sizeof(latte_patchify_tiling), patchify},
    {"latte_patch_projection", 3 * kPointer + sizeof(latte_fused_tiling), patch_projection},
};

}  // namespace

const latte_twin_kernel* latte_twin_find_kernel(const char* name) {
  for (const latte_twin_kernel& kernel : kernels) {
    if (std::string(kernel.name) == name) return &kernel;
  }
  return nullptr;
}
