#include "twin_launch.h"

#include <atomic>
#include <cstdlib>
#include <functional>
#include <memory>
#include <utility>
#include <vector>

#include "../../model/launch.h"
#include "../../twin_api.h"
#include "../entries.h"

namespace {

using latte::model::CoreKind;
using latte::model::Schedule;

// What a kernel that went wrong gives at synchronisation: ACL_ERROR_RT_VECTOR_CORE_EXCEPTION and
// ACL_ERROR_RT_AICORE_EXCEPTION.
constexpr int kVectorCoreException = 507035;
constexpr int kCubeCoreException = 507015;

struct Work {
  const char* name;
  CoreKind kind;
  uint32_t blocks;
  Schedule schedule;
  std::function<void()> kernel;
};

uint8_t* translate(uint64_t address, size_t bytes) {
  return static_cast<uint8_t*>(latte_twin_translate(reinterpret_cast<const void*>(address), bytes));
}

void run(void* argument) {
  const auto& work = *static_cast<Work*>(argument);
  try {
    latte::model::run({work.kind, work.blocks, work.schedule, translate}, work.kernel);
  } catch (const latte::model::Fault& fault) {
    latte_twin_violation("kernel %s: %s", work.name, fault.what());
    latte_twin_fail(work.kind == CoreKind::kVector ? kVectorCoreException : kCubeCoreException);
  }
}

void release(void* argument) { delete static_cast<Work*>(argument); }

uint32_t launch(const char* name, CoreKind kind, uint32_t blocks, void* stream,
                const std::vector<const void*>& pointers, std::function<void()> kernel) {
  // What CANN 8.1 generates does nothing, with success, where the chip is not the kernels' own.
  if (std::getenv("LATTE_TWIN_UNREGISTERED") != nullptr) return 0;
  // Orders take turns: whichever a kernel meets must do.
  static std::atomic<unsigned> turn{0};
  const Schedule schedule = turn++ % 2 == 0 ? Schedule::kConsumersFirst : Schedule::kProducersFirst;
  auto work = std::make_unique<Work>(Work{name, kind, blocks, schedule, std::move(kernel)});
  return static_cast<uint32_t>(latte_twin_launch(stream, name, run, work.release(), release,
                                                 pointers.data(), pointers.size()));
}

uint8_t* bytes(void* pointer) { return static_cast<uint8_t*>(pointer); }

}  // namespace

uint32_t aclrtlaunch_latte_timestep_projection(uint32_t blocks, void* stream, void* timesteps,
                                               void* frequencies, void* output,
                                               latte_timestep_tiling* tiling) {
  return launch("latte_timestep_projection", CoreKind::kVector, blocks, stream,
                {timesteps, frequencies, output}, [=, tiling = *tiling] {
                  latte_timestep_projection(bytes(timesteps), bytes(frequencies), bytes(output),
                                            tiling);
                });
}

uint32_t aclrtlaunch_latte_patchify(uint32_t blocks, void* stream, void* latent, void* patches,
                                    latte_patchify_tiling* tiling) {
  return launch("latte_patchify", CoreKind::kVector, blocks, stream, {latent, patches},
                [=, tiling = *tiling] { latte_patchify(bytes(latent), bytes(patches), tiling); });
}

uint32_t aclrtlaunch_latte_patch_projection(uint32_t blocks, void* stream, void* latent,
                                            void* operand, void* output,
                                            latte_fused_tiling* tiling) {
  return launch("latte_patch_projection", CoreKind::kCube, blocks, stream,
                {latent, operand, output}, [=, tiling = *tiling] {
                  latte_patch_projection(bytes(latent), bytes(operand), bytes(output), tiling);
                });
}
