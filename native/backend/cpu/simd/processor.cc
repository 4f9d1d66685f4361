#include "backend/cpu/simd/processor.h"

#if defined(__x86_64__)
#include <cpuid.h>
#elif defined(__aarch64__)
#include <sys/auxv.h>
#endif

namespace latte::cpu {

namespace {

constexpr bool has(unsigned value, unsigned bits) { return (value & bits) == bits; }

constexpr unsigned bit(int i) { return 1U << i; }

constexpr unsigned kOsxsave = bit(27);

}  // namespace

// The bits are those of Intel's Software Developer's Manual, volume 2A, CPUID.
X86Features x86_features(const X86Words& words) {
  X86Features features;
  constexpr unsigned kAvx = bit(28);
  constexpr unsigned kXmmYmm = bit(1) | bit(2), kZmm = bit(5) | bit(6) | bit(7);
  if (!has(words.leaf1_c, kOsxsave | kAvx) || !has(words.saved, kXmmYmm)) return features;

  constexpr unsigned kPclmul = bit(1), kFma = bit(12), kAes = bit(25), kF16c = bit(29);
  constexpr unsigned kBmi = bit(3), kAvx2 = bit(5), kBmi2 = bit(8), kLzcnt = bit(5);
  features.avx2 = has(words.leaf1_c, kPclmul | kFma | kAes | kF16c) &&
                  has(words.leaf7_b, kBmi | kAvx2 | kBmi2) && has(words.extended1_c, kLzcnt);

  constexpr unsigned kF = bit(16), kDq = bit(17), kCd = bit(28), kBw = bit(30), kVl = bit(31);
  features.avx512 =
      features.avx2 && has(words.saved, kZmm) && has(words.leaf7_b, kF | kDq | kCd | kBw | kVl);
  constexpr unsigned kBf16 = bit(5);
  features.avx512_bf16 = features.avx512 && words.leaf7_a >= 1 && has(words.leaf7_1_a, kBf16);
  return features;
}

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

/// XCR0. In assembly, because the intrinsic needs -mxsave for its whole file.
unsigned saved_registers() {
  unsigned low = 0, high = 0;
  __asm__("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  return low;
}

X86Words read_words() {
  X86Words words;
  words.leaf1_c = cpuid(1).c;
  const Registers seven = cpuid(7);
  words.leaf7_a = seven.a;
  words.leaf7_b = seven.b;
  words.leaf7_1_a = cpuid(7, 1).a;
  words.extended1_c = cpuid(0x80000001).c;
  if (has(words.leaf1_c, kOsxsave)) words.saved = saved_registers();
  return words;
}

}  // namespace

const X86Features& x86_features() {
  static const X86Features features = x86_features(read_words());
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
