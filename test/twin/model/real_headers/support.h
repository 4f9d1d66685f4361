// What the launcher calls so that the toolkit's headers work.
#pragma once

#include "../core.h"

namespace latte::model {

/// To be called before a kernel's block begins, and after it has ended.
void begin_block(CoreKind kind, uint32_t block, uint32_t blocks);
void end_block();

}  // namespace latte::model
