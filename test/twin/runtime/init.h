// Whether ACL is initialised, and how many callers have initialised it.
#pragma once

#include "runtime/exports.h"

namespace latte::twin {

enum class InitState { kNever, kInitialised, kFinalised };
InitState init_state();

}  // namespace latte::twin

extern "C" {

/// aclFinalizeReference, which the simulated libacl_rt.so of a newer release exports.
TWIN_EXPORT int latte_twin_finalize_reference(uint64_t* references);
/// From now on the runtime counts initialisations, as newer releases do.
TWIN_EXPORT void latte_twin_count_references(void);
}
