// Runs a kernel on the model: every block after another, on a core of its own.
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

/// Returns what all blocks moved. Throws Fault.
Traffic run(const Launch& launch, const std::function<void()>& kernel);

/// Of the kernel that this thread runs.
uint32_t block_index();
uint32_t block_count();

}  // namespace latte::model
