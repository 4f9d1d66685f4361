// LATTE_SELECT(kernel): the version of a kernel for target(). Include this after highway.h; use the
// macro in the HWY_ONCE part of a kernel file.
#pragma once

#if (HWY_TARGETS & HWY_AVX2) && HWY_STATIC_TARGET != HWY_AVX2
#define LATTE_AVX2_VERSION(kernel) &N_AVX2::kernel
#else
#define LATTE_AVX2_VERSION(kernel) nullptr
#endif
#if (HWY_TARGETS & HWY_AVX3) && HWY_STATIC_TARGET != HWY_AVX3
#define LATTE_AVX3_VERSION(kernel) &N_AVX3::kernel
#else
#define LATTE_AVX3_VERSION(kernel) nullptr
#endif

#define LATTE_SELECT(kernel)                              \
  ::latte::cpu::select<decltype(&HWY_NAMESPACE::kernel)>( \
      &HWY_NAMESPACE::kernel, LATTE_AVX2_VERSION(kernel), LATTE_AVX3_VERSION(kernel))
