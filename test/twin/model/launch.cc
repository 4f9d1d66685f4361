#include "launch.h"

#include <memory>
#include <string>

#ifdef LATTE_MODEL_REAL_HEADERS
#include "real_headers/support.h"
#endif

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

Traffic run(const Launch& launch, const std::function<void()>& kernel) {
  if (launch.blocks == 0) throw Fault("a launch of no block");
  blocks = launch.blocks;
  Traffic traffic;
  for (block = 0; block < launch.blocks; ++block) {
    Core core(launch.kind, launch.schedule, launch.resolve, launch.on_move);
    const Running guard(&core);
#ifdef LATTE_MODEL_REAL_HEADERS
    begin_block(launch.kind, block, launch.blocks);
#endif
    try {
      kernel();
      core.finish();
      traffic.read += core.traffic.read;
      traffic.written += core.traffic.written;
      traffic.writes += core.traffic.writes;
#ifdef LATTE_MODEL_REAL_HEADERS
      end_block();
#endif
    } catch (const Fault& fault) {
      throw Fault("block " + std::to_string(block) + ": " + fault.what());
    }
  }
  return traffic;
}

}  // namespace latte::model
