// Runs a kernel on the model: one block after another, each on a core of its own.
#pragma once

#include <functional>

#include "core.h"

namespace latte::model {

struct Launch {
  CoreKind kind = CoreKind::kVector;
  uint32_t blocks = 1;
  Schedule schedule = Schedule::kConsumersFirst;
  Resolve resolve;
  OnMove on_move = {};
};

/// Returns the traffic of all blocks. Throws Fault.
Traffic run(const Launch& launch, const std::function<void()>& kernel);

/// The number of the block that this thread runs.
uint32_t block_index();
uint32_t block_count();

}  // namespace latte::model
