#include "backend/cpu/simd/targets.h"

#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <iterator>
#include <string>

#include "backend/cpu/simd/processor.h"
#include "core/setting.h"
#include "hwy/highway.h"

namespace latte::cpu {

Target best_target(const X86Features& features, bool arm_bf16) {
  if (features.avx512) return Target::kAvx3;
  if (features.avx2) return Target::kAvx2;
  return arm_bf16 ? Target::kNeonBf16 : Target::kBaseline;
}

namespace {

struct Name {
  Target target;
  const char* name;
};
#if HWY_ARCH_X86
constexpr Name kNames[] = {
    {Target::kBaseline, "SSE2"}, {Target::kAvx2, "AVX2"}, {Target::kAvx3, "AVX3"}};
constexpr const char* kAllNames = "SSE2, AVX2 or AVX3";
#else
constexpr Name kNames[] = {{Target::kBaseline, "NEON"}, {Target::kNeonBf16, "NEON_BF16"}};
constexpr const char* kAllNames = "NEON or NEON_BF16";
#endif

Target choose() {
  const Target most = best_target(x86_features(), has_arm_bf16());
  constexpr const char* kVariable = "LATTE_CPU_TARGET";
  const auto given = setting(kVariable);
  if (!given) return most;
  std::string wanted = *given;
  std::transform(wanted.begin(), wanted.end(), wanted.begin(),
                 [](unsigned char letter) { return std::toupper(letter); });
  for (const auto& [known, name] : kNames) {
    if (wanted != name) continue;
    if (known > most) refuse_setting(kVariable, "an instruction set of this processor", *given);
    return known;
  }
  refuse_setting(kVariable, kAllNames, *given);
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
  const auto* found = std::find_if(std::begin(kNames), std::end(kNames),
                                   [](const Name& name) { return name.target == target(); });
  return found->name;
}

}  // namespace latte::cpu
