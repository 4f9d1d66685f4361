#include "backend/cpu/targets.h"

#include <unistd.h>

#include <cstdlib>
#include <cstring>

#include "backend/cpu/processor.h"
#include "hwy/highway.h"

namespace latte::cpu {

namespace {

Target best() {
  if (x86_features().avx512) return Target::kAvx3;
  if (x86_features().avx2) return Target::kAvx2;
  return Target::kBaseline;
}

constexpr const char* kBaselineName = HWY_ARCH_X86 ? "SSE2" : "NEON";

Target choose() {
  const Target most = best();
  const char* wanted = std::getenv("LATTE_CPU_TARGET");
  if (wanted == nullptr) return most;
  if (std::strcmp(wanted, "AVX2") == 0 && most >= Target::kAvx2) return Target::kAvx2;
  if (std::strcmp(wanted, kBaselineName) == 0) return Target::kBaseline;
  return most;
}

}  // namespace

Target target() {
  static const Target chosen = choose();
  return chosen;
}

int64_t second_level_cache() {
  static const int64_t bytes = [] {
    constexpr int64_t kSmall = 512 << 10;
#ifdef _SC_LEVEL2_CACHE_SIZE
    if (const int64_t known = sysconf(_SC_LEVEL2_CACHE_SIZE); known > 0) return known;
#endif
    return kSmall;
  }();
  return bytes;
}

const char* target_name() {
  switch (target()) {
    case Target::kAvx3:
      return "AVX3";
    case Target::kAvx2:
      return "AVX2";
    case Target::kBaseline:
      break;
  }
  return kBaselineName;
}

}  // namespace latte::cpu
