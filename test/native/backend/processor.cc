#include "backend/cpu/simd/processor.h"

#include <string>

#include "backend/cpu/simd/targets.h"
#include "check.h"

// The choice of an instruction set, from what CPUID and XGETBV return on processors that the
// machine of the test need not have. The bits are written as the manuals of the processors number
// them.
namespace latte::test {

namespace {

using cpu::Target;
using cpu::X86Words;

/// A bit without which a processor has less.
struct Needed {
  unsigned X86Words::*word;
  int bit;
  const char* name;
};

constexpr Needed kForAvx2[] = {
    {&X86Words::leaf1_c, 1, "PCLMULQDQ"}, {&X86Words::leaf1_c, 12, "FMA"},
    {&X86Words::leaf1_c, 25, "AES"},      {&X86Words::leaf1_c, 27, "OSXSAVE"},
    {&X86Words::leaf1_c, 28, "AVX"},      {&X86Words::leaf1_c, 29, "F16C"},
    {&X86Words::leaf7_b, 3, "BMI1"},      {&X86Words::leaf7_b, 5, "AVX2"},
    {&X86Words::leaf7_b, 8, "BMI2"},      {&X86Words::extended1_c, 5, "LZCNT"},
    {&X86Words::saved, 1, "XMM"},         {&X86Words::saved, 2, "YMM"},
};
constexpr Needed kForAvx512[] = {
    {&X86Words::leaf7_b, 16, "AVX512F"},          {&X86Words::leaf7_b, 17, "AVX512DQ"},
    {&X86Words::leaf7_b, 28, "AVX512CD"},         {&X86Words::leaf7_b, 30, "AVX512BW"},
    {&X86Words::leaf7_b, 31, "AVX512VL"},         {&X86Words::saved, 5, "opmask"},
    {&X86Words::saved, 6, "ZMM0-15, upper half"}, {&X86Words::saved, 7, "ZMM16-31"},
};
constexpr Needed kForBf16[] = {
    {&X86Words::leaf7_a, 0, "a subleaf 1"},
    {&X86Words::leaf7_1_a, 5, "AVX512_BF16"},
};

template <size_t N>
X86Words with(X86Words words, const Needed (&bits)[N]) {
  for (const Needed& bit : bits) words.*bit.word |= 1U << bit.bit;
  return words;
}

void expect(const X86Words& words, Target target, bool bf16, const std::string& what) {
  const cpu::X86Features features = cpu::x86_features(words);
  const Target chosen = cpu::best_target(features, false);
  if (chosen != target || features.avx512_bf16 != bf16) {
    wrong(what, ": target ", static_cast<int>(chosen), " and bfloat16 ", features.avx512_bf16,
          " instead of ", static_cast<int>(target), " and ", bf16);
  }
}

/// Takes each bit away from `words`, by itself.
template <size_t N>
void without_each(const X86Words& words, const Needed (&bits)[N], Target target) {
  for (const Needed& bit : bits) {
    X86Words less = words;
    less.*bit.word &= ~(1U << bit.bit);
    expect(less, target, false, std::string("without ") + bit.name);
  }
}

const X86Words avx2 = with({}, kForAvx2);
const X86Words avx512 = with(avx2, kForAvx512);
const X86Words bf16 = with(avx512, kForBf16);

}  // namespace

const bool chosen = test("the best instruction set is chosen that a processor has", [] {
  expect({}, Target::kBaseline, false, "nothing but x86-64");
  expect(avx2, Target::kAvx2, false, "AVX2");
  expect(avx512, Target::kAvx3, false, "AVX-512");
  expect(bf16, Target::kAvx3, true, "AVX-512 with bfloat16");
  if (cpu::best_target({}, true) != Target::kNeonBf16) wrong("AArch64 with BF16 is not chosen");
  constexpr unsigned kAll = ~0U;
  expect({kAll, kAll, kAll, kAll, kAll, kAll}, Target::kAvx3, true, "all bits");
});

const bool refused = test("an instruction set is not chosen if one of its features is missing", [] {
  without_each(bf16, kForAvx2, Target::kBaseline);
  without_each(bf16, kForAvx512, Target::kAvx2);
  without_each(bf16, kForBf16, Target::kAvx3);
});

}  // namespace latte::test
