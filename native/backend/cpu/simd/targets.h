// Which instruction sets the kernels are compiled for, and which of them runs.
//
// A kernel file includes this before Highway's foreach_target.h; Highway then compiles the file
// once for each target. Only Highway's headers are used, because Debian ships its library as a
// shared one. So target() chooses at run time instead of Highway's own dispatch.
#pragma once

#if defined(__x86_64__)
// The baseline, SSE2, runs on every x86-64. AVX2 and AVX-512 (of Skylake servers) are the ones that
// matter for speed.
#define HWY_DISABLED_TARGETS (HWY_SSSE3 | HWY_SSE4 | HWY_AVX3_DL)
#else
#define HWY_COMPILE_ONLY_STATIC  // AArch64: NEON is part of the architecture
#endif
#include "hwy/detect_targets.h"
#if defined(__x86_64__) && defined(HWY_AVX3_ZEN4)  // Highway 1.0.4 and newer have more of them
#undef HWY_DISABLED_TARGETS
#if defined(HWY_AVX10_2)
#define HWY_DISABLED_TARGETS \
  (HWY_SSSE3 | HWY_SSE4 | HWY_AVX3_DL | HWY_AVX3_ZEN4 | HWY_AVX3_SPR | HWY_AVX10_2)
#elif defined(HWY_AVX3_SPR)
#define HWY_DISABLED_TARGETS (HWY_SSSE3 | HWY_SSE4 | HWY_AVX3_DL | HWY_AVX3_ZEN4 | HWY_AVX3_SPR)
#else
#define HWY_DISABLED_TARGETS (HWY_SSSE3 | HWY_SSE4 | HWY_AVX3_DL | HWY_AVX3_ZEN4)
#endif
#endif

#include <cstdint>

namespace latte::cpu {

/// kBaseline: SSE2 or NEON. kAvx3: AVX-512, by Highway's name. kNeonBf16: the baseline's code,
/// except for products of bfloat16 (bfloat_dot.h).
enum class Target { kBaseline, kAvx2, kAvx3, kNeonBf16 };

struct X86Features;

/// The best target for a processor with these features; `arm_bf16` is has_arm_bf16() (processor.h).
Target best_target(const X86Features& features, bool arm_bf16);

/// The best target that this processor runs, or a lesser one that LATTE_CPU_TARGET names
/// ('SSE2', 'AVX2', 'AVX3'; 'NEON', 'NEON_BF16').
Target target();

/// 'SSE2', 'AVX2', 'AVX3', 'NEON' or 'NEON_BF16'.
const char* target_name();

/// Bytes of a core's second-level cache, or of a small one if the system does not report it.
int64_t second_level_cache();

/// The version of a kernel for target(); a version that was not compiled is null.
template <class Function>
Function select(Function baseline, Function avx2, Function avx3) {
  if (target() == Target::kAvx3 && avx3 != nullptr) return avx3;
  if (target() >= Target::kAvx2 && avx2 != nullptr) return avx2;
  return baseline;
}

}  // namespace latte::cpu
