#include "backend/cpu/simd/processor.h"

#if defined(__x86_64__)
#include <cpuid.h>

#include <cstdint>
#elif defined(__aarch64__)
#include <sys/auxv.h>
#endif

namespace latte::cpu {

#if defined(__x86_64__)

namespace {

struct Registers {
  unsigned a = 0, b = 0, c = 0, d = 0;
};

/// The CPUID instruction; all zero if the processor does not have the leaf.
Registers cpuid(unsigned leaf, unsigned subleaf = 0) {
  Registers r;
  if (__get_cpuid_count(leaf, subleaf, &r.a, &r.b, &r.c, &r.d) == 0) return {};
  return r;
}

constexpr bool has(unsigned value, unsigned bits) { return (value & bits) == bits; }

constexpr unsigned bit(int i) { return 1U << i; }

/// The registers that the operating system saves (XCR0). In assembly, because the intrinsic needs
/// -mxsave for its whole file.
unsigned saved_registers() {
  unsigned low = 0, high = 0;
  __asm__("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  return low;
}

/// The bits are those of Intel's Software Developer's Manual, volume 2A, CPUID.
X86Features detect() {
  X86Features features;
  const Registers one = cpuid(1), seven = cpuid(7), extended = cpuid(0x80000001);
  constexpr unsigned kOsxsave = bit(27), kAvx = bit(28);
  if (!has(one.c, kOsxsave | kAvx)) return features;
  const unsigned saved = saved_registers();
  constexpr unsigned kXmmYmm = bit(1) | bit(2), kZmm = bit(5) | bit(6) | bit(7);
  if (!has(saved, kXmmYmm)) return features;

  constexpr unsigned kPclmul = bit(1), kFma = bit(12), kAes = bit(25), kF16c = bit(29);
  constexpr unsigned kBmi = bit(3), kAvx2 = bit(5), kBmi2 = bit(8), kLzcnt = bit(5);
  features.avx2 = has(one.c, kPclmul | kFma | kAes | kF16c) && has(seven.b, kBmi | kAvx2 | kBmi2) &&
                  has(extended.c, kLzcnt);

  constexpr unsigned kF = bit(16), kDq = bit(17), kCd = bit(28), kBw = bit(30), kVl = bit(31);
  features.avx512 = features.avx2 && has(saved, kZmm) && has(seven.b, kF | kDq | kCd | kBw | kVl);
  // EAX of leaf 7 is the number of its subleaves.
  constexpr unsigned kBf16 = bit(5);
  features.avx512_bf16 = features.avx512 && seven.a >= 1 && has(cpuid(7, 1).a, kBf16);
  return features;
}

}  // namespace

const X86Features& x86_features() {
  static const X86Features features = detect();
  return features;
}

#else

const X86Features& x86_features() {
  static const X86Features none;
  return none;
}

#endif

bool has_arm_bf16() {
#if defined(__aarch64__)
  constexpr unsigned long kBf16 = 1UL << 14;  // HWCAP2_BF16 of Linux, which old headers lack
  static const bool has_it = (getauxval(AT_HWCAP2) & kBf16) != 0;
  return has_it;
#else
  return false;
#endif
}

}  // namespace latte::cpu
