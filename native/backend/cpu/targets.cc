#include "backend/cpu/targets.h"

#include <unistd.h>

#include <cstdlib>
#include <cstring>

#include "hwy/highway.h"

#if HWY_ARCH_X86
#include <cpuid.h>
#endif

namespace latte::cpu {

namespace {

Target best() {
#if HWY_ARCH_X86
  // What Highway's AVX2 and AVX3 code may use; the builtin also asks whether the system saves the
  // wide registers. Clang 14's does not know the last two.
  unsigned a = 0, b = 0, c = 0, d = 0;
  const bool f16c = __get_cpuid(1, &a, &b, &c, &d) != 0 && (c & bit_F16C) != 0;
  const bool lzcnt = __get_cpuid(0x80000001, &a, &b, &c, &d) != 0 && (c & bit_LZCNT) != 0;
  const bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
                    __builtin_cpu_supports("bmi") && __builtin_cpu_supports("bmi2") &&
                    __builtin_cpu_supports("aes") && __builtin_cpu_supports("pclmul") && f16c &&
                    lzcnt;
  const bool avx3 = avx2 && __builtin_cpu_supports("avx512f") &&
                    __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq") &&
                    __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512cd");
  if (avx3) return Target::kAvx3;
  if (avx2) return Target::kAvx2;
#endif
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
