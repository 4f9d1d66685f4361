// aclInit and aclFinalize, by the rules of 8.1.RC1 or, with libacl_rt.so, of newer releases.
//
// 8.1.RC1 (acl.h): "can be called only once in a process"; nothing works after aclFinalize.
// Newer (hicann/runtime 681ef76: docs/zh/api_ref/02_initialization_and_deinitialization.md and
// src/acl/aclrt_impl/acl.cpp): each aclInit adds one to a count, also those that return 100002.
// aclFinalizeReference takes one away, and ends ACL when none is left. aclFinalize sets the count
// to 0 at once. After either, aclInit may begin anew.
#include "runtime/init.h"

#include <cstdio>
#include <cstdlib>
#include <mutex>

#include "runtime/devices.h"

namespace latte::twin {

namespace {

struct Init {
  std::mutex mutex;
  InitState state = InitState::kNever;
  uint64_t references = 0;
  bool counts = false;
};

Init& init() {
  static auto* instance = new Init;
  return *instance;
}

/// With LATTE_TWIN_COUNT, prints how many initialisations were not ended.
struct AtExit {
  ~AtExit() {
    const char* counted = std::getenv("LATTE_TWIN_COUNT");
    if (counted == nullptr || *counted == '\0' || !init().counts) return;
    std::fprintf(stderr, "twin: %llu reference(s) to ACL are left\n",
                 static_cast<unsigned long long>(init().references));
  }
} at_exit;

/// Call it with the lock held.
void finalise() {
  std::string words = leftovers(-1);
  const std::string operations = operation_leftovers();
  if (!operations.empty()) words += (words.empty() ? "" : ", ") + operations;
  if (!words.empty()) latte_twin_violation("leaked until aclFinalize: %s", words.c_str());
  init().state = InitState::kFinalised;
  init().references = 0;
}

}  // namespace

InitState init_state() {
  const std::lock_guard lock(init().mutex);
  return init().state;
}

bool is_initialised() { return init_state() == InitState::kInitialised; }

}  // namespace latte::twin

using namespace latte::twin;

namespace latte::ascend {

extern "C" {

aclError aclInit(const char*) {
  count("call aclInit");
  const Injected injected = take_fault("aclInit", nullptr, -1);
  if (injected.code != 0) return failure(injected.code, "aclInit: an injected fault");
  const std::lock_guard lock(init().mutex);
  if (init().state == InitState::kFinalised && !init().counts) {
    return misuse(ACL_ERROR_REPEAT_INITIALIZE, "aclInit was called after aclFinalize");
  }
  ++init().references;
  if (init().state == InitState::kInitialised) {
    return failure(ACL_ERROR_REPEAT_INITIALIZE, "aclInit was called before");
  }
  init().state = InitState::kInitialised;
  return ACL_SUCCESS;
}

aclError aclFinalize() {
  const Entry entry = enter("aclFinalize", Needs::kInitialised);
  if (entry.code == ACL_ERROR_UNINITIALIZE) return ACL_ERROR_REPEAT_FINALIZE;
  if (entry.code != 0) return entry.code;
  const std::lock_guard lock(init().mutex);
  if (init().counts && init().references > 1) {
    latte_twin_violation("aclFinalize ended ACL for %llu other user(s)",
                         static_cast<unsigned long long>(init().references - 1));
  }
  finalise();
  return ACL_SUCCESS;
}
}

}  // namespace latte::ascend

extern "C" {

int latte_twin_finalize_reference(uint64_t* references) {
  const Entry entry = enter("aclFinalizeReference", Needs::kInitialised);
  if (entry.code == ACL_ERROR_UNINITIALIZE) return ACL_ERROR_REPEAT_FINALIZE;
  if (entry.code != 0) return entry.code;
  const std::lock_guard lock(init().mutex);
  if (--init().references == 0) finalise();
  if (references != nullptr) *references = init().references;
  return ACL_SUCCESS;
}

void latte_twin_count_references(void) {
  const std::lock_guard lock(init().mutex);
  init().counts = true;
}
}
