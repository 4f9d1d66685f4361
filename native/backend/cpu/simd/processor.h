// What this processor can do, read from the processor itself.
//
// Compilers offer __builtin_cpu_supports for this, but its answer comes from their run-time
// library, and that of some (zig's) answers no to everything.
#pragma once

namespace latte::cpu {

/// Instruction sets of x86-64 that the kernels use. One is true only if the operating system saves
/// its registers, too. All are false on other processors.
struct X86Features {
  /// AVX2 with FMA, BMI, BMI2, AES, PCLMUL, F16C and LZCNT: what Highway's AVX2 code may use.
  bool avx2 = false;
  /// AVX-512 F, VL, DQ, BW and CD, with all of `avx2`: Highway's AVX3.
  bool avx512 = false;
  /// The dot product of bfloat16 pairs (AVX-512 BF16), with all of `avx512`.
  bool avx512_bf16 = false;
};

/// What the processor's instructions CPUID and XGETBV return, as far as the features depend on it.
struct X86Words {
  unsigned leaf1_c = 0;  ///< ECX of CPUID's leaf 1
  unsigned leaf7_a = 0;  ///< EAX of leaf 7: the number of its subleaves
  unsigned leaf7_b = 0;
  unsigned leaf7_1_a = 0;    ///< EAX of leaf 7, subleaf 1
  unsigned extended1_c = 0;  ///< ECX of leaf 0x80000001
  unsigned saved = 0;  ///< XCR0, the registers that the operating system saves; 0 without XGETBV
};

/// The features of a processor that returns `words`.
X86Features x86_features(const X86Words& words);

/// Those of this processor.
const X86Features& x86_features();

/// Whether this is an AArch64 processor with FEAT_BF16.
bool has_arm_bf16();

}  // namespace latte::cpu
