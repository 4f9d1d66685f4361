// The CPU as a device.
#pragma once

#include "backend/backend.h"

namespace latte::cpu {

/// The one CPU of this process; it is never destroyed.
Device& device();

}  // namespace latte::cpu
