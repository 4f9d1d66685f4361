// libacl_rt.so of a newer release: everything of libascendcl.so, and aclFinalizeReference.
#include "runtime/init.h"

namespace {

struct Loaded {
  Loaded() { latte_twin_count_references(); }
} loaded;

}  // namespace

extern "C" TWIN_EXPORT int aclFinalizeReference(uint64_t* references) {
  return latte_twin_finalize_reference(references);
}
