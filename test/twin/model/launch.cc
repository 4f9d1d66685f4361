#include "launch.h"

#include <memory>
#include <string>

// The real headers read the block's number from here.
int64_t block_idx = 0;
int64_t block_num = 1;
int32_t g_coreType = 0;

namespace AscendC {
extern const int AIC_TYPE = 1;
extern const int AIV_TYPE = 2;
extern const int MIX_TYPE = 0;
}  // namespace AscendC

namespace latte::model {
namespace {

thread_local Core* running = nullptr;
thread_local uint32_t block = 0;
thread_local uint32_t blocks = 0;

struct Running {
  explicit Running(Core* core) { running = core; }
  ~Running() { running = nullptr; }
};

}  // namespace

Core& core() {
  if (running == nullptr) throw Fault("an instruction outside of a kernel");
  return *running;
}

uint32_t block_index() { return block; }
uint32_t block_count() { return blocks; }

void run(const Launch& launch, const std::function<void()>& kernel) {
  if (launch.blocks == 0) throw Fault("a launch of no block");
  blocks = launch.blocks;
  for (block = 0; block < launch.blocks; ++block) {
    Core core(launch.kind, launch.schedule, launch.resolve);
    const Running guard(&core);
#ifdef LATTE_MODEL_REAL_HEADERS
    block_idx = block;
    block_num = launch.blocks;
    g_coreType = launch.kind == CoreKind::kCube ? AscendC::AIC_TYPE : AscendC::AIV_TYPE;
#endif
    try {
      kernel();
      core.finish();
    } catch (const Fault& fault) {
      throw Fault("block " + std::to_string(block) + ": " + fault.what());
    }
  }
}

}  // namespace latte::model
