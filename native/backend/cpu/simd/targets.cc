#include "backend/cpu/simd/targets.h"

#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <string>

#include "backend/cpu/simd/processor.h"
#include "core/setting.h"
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
  constexpr const char* kVariable = "LATTE_CPU_TARGET";
  const auto given = setting(kVariable);
  if (!given) return most;
  std::string name = *given;
  std::transform(name.begin(), name.end(), name.begin(),
                 [](unsigned char letter) { return std::toupper(letter); });
  if (name == kBaselineName) return Target::kBaseline;
#if HWY_ARCH_X86
  for (const auto& [known, wanted] : {std::pair{"AVX2", Target::kAvx2}, {"AVX3", Target::kAvx3}}) {
    if (name != known) continue;
    if (wanted > most) refuse_setting(kVariable, "an instruction set of this processor", *given);
    return wanted;
  }
  refuse_setting(kVariable, "SSE2, AVX2 or AVX3", *given);
#else
  refuse_setting(kVariable, kBaselineName, *given);
#endif
}

}  // namespace

Target target() {
  static const Target chosen = choose();
  return chosen;
}

int64_t second_level_cache() {
  static const int64_t bytes = [] {
    constexpr int64_t kSmall = 512 << 10;  // if the system does not report the size
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
