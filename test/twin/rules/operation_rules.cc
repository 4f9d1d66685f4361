// Rules of the operations' documentation: operands and attributes that it excludes.
#include <cmath>
#include <cstring>
#include <string>

#include "rules/rules.h"

namespace latte::twin::rules {

namespace {

uint64_t bytes = 0;
aclOpExecutor* executor = nullptr;

bool mm(const Operand& a, const Operand& b, const Operand& out, int8_t type = 0) {
  return aclnnMmGetWorkspaceSize(a.tensor, b.tensor, out.tensor, type, &bytes, &executor) == 0;
}

/// A product of [2, 2] matrices of these dtypes.
bool mm_of(aclDataType a, aclDataType b, aclDataType out, int8_t type = 0) {
  Npu npu;
  return mm(Operand(npu, {2, 2}, a), Operand(npu, {2, 2}, b), Operand(npu, {2, 2}, out), type);
}

/// An operation of one operand on two of these dims and dtypes.
template <class Make>
bool unary(Make make, std::vector<int64_t> x, std::vector<int64_t> y,
           aclDataType x_dtype = ACL_FLOAT, aclDataType y_dtype = ACL_FLOAT) {
  Npu npu;
  const Operand in(npu, std::move(x), x_dtype), out(npu, std::move(y), y_dtype);
  return make(in.tensor, out.tensor, &bytes, &executor) == 0;
}

/// Returns (1 + 2⁻¹³)·1, computed with a cubeMathType.
float product_of_narrow(int8_t type) {
  Npu npu;
  Operand a(npu, {1, 1}), b(npu, {1, 1});
  const Operand out(npu, {1, 1});
  a.fill(npu, 1 + std::ldexp(1.0f, -13));
  mm(a, b, out, type);
  aclnnMm(npu.device_memory(bytes), bytes, executor, npu.stream);
  npu.synchronise();
  return out.first(npu);
}

std::vector<Rule> product_rules() {
  return {
      {"a product of DOUBLE", "computes in FLOAT",
       [] { return !mm_of(ACL_DOUBLE, ACL_FLOAT, ACL_FLOAT); }},
      {"a product of INT32", "computes in FLOAT",
       [] { return !mm_of(ACL_FLOAT, ACL_INT32, ACL_FLOAT); }},
      {"a product into another dtype", "another dtype than the product",
       [] { return !mm_of(ACL_FLOAT16, ACL_FLOAT16, ACL_FLOAT); }},
      {"an unknown cubeMathType", "unknown cubeMathType 4",
       [] { return !mm_of(ACL_FLOAT, ACL_FLOAT, ACL_FLOAT, 4); }},
      {"HF32 of another dtype", "cubeMathType 3",
       [] { return !mm_of(ACL_FLOAT16, ACL_FLOAT16, ACL_FLOAT16, 3); }},
      {"BFLOAT16 as FLOAT16", "cubeMathType 2",
       [] { return !mm_of(ACL_BF16, ACL_BF16, ACL_BF16, 2); }},
      {"cubeMathType 0 keeps all of FLOAT", "",
       [] { return product_of_narrow(0) == 1 + std::ldexp(1.0f, -13); }},
      {"cubeMathType 1 does not", "", [] { return product_of_narrow(1) == 1; }},
      {"cubeMathType 2 does not", "", [] { return product_of_narrow(2) == 1; }},
      {"cubeMathType 3 does not", "", [] { return product_of_narrow(3) == 1; }},
      {"matrices that do not fit", "do not fit together",
       [] {
         Npu npu;
         return !mm(Operand(npu, {2, 3}), Operand(npu, {4, 2}), Operand(npu, {2, 2}));
       }},
      {"a product of vectors", "not a matrix",
       [] {
         Npu npu;
         return !mm(Operand(npu, {2}), Operand(npu, {2, 2}), Operand(npu, {2, 2}));
       }},
      {"a product into a view", "out is not contiguous",
       [] {
         Npu npu;
         void* memory = npu.device_memory(64);
         return !mm(Operand(npu, {2, 2}), Operand(npu, {2, 2}), Operand({2, 2}, {1, 2}, 4, memory));
       }},
      {"a bias that does not broadcast", "does not broadcast to the product",
       [] {
         Npu npu;
         const Operand bias(npu, {3}), a(npu, {2, 2}), b(npu, {2, 2}), out(npu, {2, 2});
         float one = 1;
         const aclScalar* scalar = aclCreateScalar(&one, ACL_FLOAT);
         return aclnnAddmmGetWorkspaceSize(bias.tensor, a.tensor, b.tensor, scalar, scalar,
                                           out.tensor, 0, &bytes, &executor) != 0;
       }},
      {"a product in place", "an output lies in an input",
       [] {
         Npu npu;
         const Operand a(npu, {2, 2}), b(npu, {2, 2});
         mm(a, b, a);
         return aclnnMm(npu.device_memory(bytes), bytes, executor, npu.stream) != 0;
       }},
  };
}

std::vector<Rule> other_rules() {
  return {
      {"a null operand", "self is null",
       [] {
         Npu npu;
         const Operand out(npu, {1});
         return aclnnSiluGetWorkspaceSize(nullptr, out.tensor, &bytes, &executor) == 161001;
       }},
      {"shapes that do not broadcast", "do not broadcast",
       [] {
         Npu npu;
         const Operand a(npu, {2, 3}), b(npu, {2}), out(npu, {2, 3});
         return aclnnMulGetWorkspaceSize(a.tensor, b.tensor, out.tensor, &bytes, &executor) != 0;
       }},
      {"another shape", "differ in shape",
       [] {
         return !unary(aclnnSiluGetWorkspaceSize, {2, 3}, {3, 2});
       }},
      {"another dtype", "differ in dtype",
       [] { return !unary(aclnnMishGetWorkspaceSize, {2}, {2}, ACL_FLOAT, ACL_FLOAT16); }},
      {"an integer activation", "computes in FLOAT",
       [] { return !unary(aclnnReluGetWorkspaceSize, {2}, {2}, ACL_INT32, ACL_INT32); }},
      {"a GELU of no kind", "neither 0 nor 1",
       [] {
         return !unary([](auto x, auto y, auto b,
                          auto e) { return aclnnGeluV2GetWorkspaceSize(x, 2, y, b, e); },
                       {2}, {2});
       }},
      {"a cast to another dtype than that of out", "not of the dtype asked for",
       [] {
         return !unary([](auto x, auto y, auto b,
                          auto e) { return aclnnCastGetWorkspaceSize(x, ACL_FLOAT16, y, b, e); },
                       {2}, {2});
       }},
      {"a cast of DOUBLE", "not documented",
       [] {
         return !unary([](auto x, auto y, auto b,
                          auto e) { return aclnnCastGetWorkspaceSize(x, ACL_FLOAT, y, b, e); },
                       {2}, {2}, ACL_DOUBLE);
       }},
      {"a copy of another shape", "does not broadcast to selfRef",
       [] {
         return !unary([](auto x, auto y, auto b,
                          auto e) { return aclnnInplaceCopyGetWorkspaceSize(y, x, b, e); },
                       {3}, {2});
       }},
      {"a copy onto itself", "memory in common",
       [] {
         Npu npu;
         const Operand whole(npu, {4});
         const Operand end({3}, {1}, 3, static_cast<float*>(whole.memory) + 1);
         const Operand begin({3}, {1}, 3, whole.memory);
         aclnnInplaceCopyGetWorkspaceSize(begin.tensor, end.tensor, &bytes, &executor);
         return aclnnInplaceCopy(nullptr, 0, executor, npu.stream) != 0;
       }},
      {"an angle beyond the range of Sin", "beyond its range",
       [] {
         Npu npu;
         Operand x(npu, {1});
         const Operand y(npu, {1});
         x.fill(npu, 2e7f);
         aclnnSinGetWorkspaceSize(x.tensor, y.tensor, &bytes, &executor);
         aclnnSin(nullptr, 0, executor, npu.stream);
         return aclrtSynchronizeStream(npu.stream) != 0;
       }},
      {"a normalised shape that is not the last one", "not the end of",
       [] {
         Npu npu;
         const Operand x(npu, {2, 3}), y(npu, {2, 3});
         const int64_t two = 2;
         return aclnnLayerNormGetWorkspaceSize(x.tensor, aclCreateIntArray(&two, 1), nullptr,
                                               nullptr, 1e-6, y.tensor, nullptr, nullptr, &bytes,
                                               &executor) != 0;
       }},
  };
}

int64_t counter(const char* name) {
  static const char* wanted;
  static int64_t found;
  wanted = name;
  found = 0;
  latte_twin_each_counter(
      [](void*, const char* each, int64_t value) {
        if (std::strcmp(each, wanted) == 0) found = value;
      },
      nullptr);
  return found;
}

/// Runs the executor that was made last. Returns how many kernels of this name it started.
int64_t kernels_of(Npu& npu, AclnnRun run, const char* kernel) {
  latte_twin_reset_counters();
  run(bytes > 0 ? npu.device_memory(bytes) : nullptr, bytes, executor, npu.stream);
  npu.synchronise();
  return counter((std::string("kernel ") + kernel).c_str());
}

/// Copies two rows of three that begin four elements apart; returns how many kernels of this name
/// ran.
int64_t copies_of_slice(int64_t storage, const char* kernel) {
  Npu npu;
  const Operand rows({2, 3}, {4, 1}, storage, npu.device_memory(32)), to(npu, {2, 3});
  aclnnInplaceCopyGetWorkspaceSize(to.tensor, rows.tensor, &bytes, &executor);
  return kernels_of(npu, aclnnInplaceCopy, kernel);
}

/// Rules about which kernels an operation starts, and what they move.
std::vector<Rule> kernel_rules() {
  return {
      {"an Add of FLOAT16 and FLOAT to FLOAT16 is an Add and a Cast", "",
       [] {
         Npu npu;
         const Operand a(npu, {8}, ACL_FLOAT16), b(npu, {8}), out(npu, {8}, ACL_FLOAT16);
         float one = 1;
         const aclScalar* scalar = aclCreateScalar(&one, ACL_FLOAT);
         aclnnAddGetWorkspaceSize(a.tensor, b.tensor, scalar, out.tensor, &bytes, &executor);
         // Bytes: the Add reads 16 + 32 and writes 32; the Cast reads 32 and writes 16.
         return kernels_of(npu, aclnnAdd, "Add") == 1 && counter("kernel Cast") == 1 &&
                counter("kernels") == 2 && counter("bytes moved") == 128;
       }},
      {"an Add of equal dtypes is one kernel", "",
       [] {
         Npu npu;
         const Operand a(npu, {8}), b(npu, {8}), out(npu, {8});
         float one = 1;
         const aclScalar* scalar = aclCreateScalar(&one, ACL_FLOAT);
         aclnnAddGetWorkspaceSize(a.tensor, b.tensor, scalar, out.tensor, &bytes, &executor);
         return kernels_of(npu, aclnnAdd, "Add") == 1 && counter("kernels") == 1;
       }},
      {"a LayerNorm without weight and bias fills them", "",
       [] {
         Npu npu;
         const Operand x(npu, {2, 3}), y(npu, {2, 3});
         const int64_t three = 3;
         aclnnLayerNormGetWorkspaceSize(x.tensor, aclCreateIntArray(&three, 1), nullptr, nullptr,
                                        1e-6, y.tensor, nullptr, nullptr, &bytes, &executor);
         return kernels_of(npu, aclnnLayerNorm, "Fill") == 2 && counter("kernels") == 3;
       }},
      {"a view whose storage holds its last row is sliced", "",
       [] { return copies_of_slice(8, "Slice") == 1; }},
      {"a view whose storage ends before is gathered", "",
       [] { return copies_of_slice(7, "AsStrided") == 1; }},
      {"rows of one distance are written by the AI Core", "",
       [] {
         Npu npu;
         const Operand x(npu, {2, 3}), y({2, 3}, {5, 1}, 8, npu.device_memory(32));
         aclnnSiluGetWorkspaceSize(x.tensor, y.tensor, &bytes, &executor);
         return kernels_of(npu, aclnnSilu, "ViewCopy") == 1;
       }},
      {"rows of two distances are written by the AI CPU", "",
       [] {
         Npu npu;
         const Operand x(npu, {2, 2, 2}), y({2, 2, 2}, {9, 3, 1}, 14, npu.device_memory(64));
         aclnnSiluGetWorkspaceSize(x.tensor, y.tensor, &bytes, &executor);
         return kernels_of(npu, aclnnSilu, "ViewCopy on the AI CPU") == 1;
       }},
      {"an executor kept whose ViewCopy runs on the AI CPU", "runs on the AI CPU",
       [] {
         Npu npu;
         const Operand x(npu, {2, 2, 2}), y({2, 2, 2}, {9, 3, 1}, 14, npu.device_memory(64));
         aclnnSiluGetWorkspaceSize(x.tensor, y.tensor, &bytes, &executor);
         return aclSetAclOpExecutorRepeatable(executor) != 0;
       }},
      {"L2 holds what is read again, and writes back what was written once", "",
       [] {
         Npu npu;
         constexpr size_t kMegabyte = size_t{1} << 20;
         void *a = npu.device_memory(kMegabyte), *b = npu.device_memory(kMegabyte);
         latte_twin_reset_counters();
         for (int i = 0; i < 3; ++i) {
           aclrtMemsetAsync(a, kMegabyte, 0, kMegabyte, npu.stream);
           aclrtMemcpyAsync(b, kMegabyte, a, kMegabyte, ACL_MEMCPY_DEVICE_TO_DEVICE, npu.stream);
         }
         npu.synchronise();
         constexpr auto kBytes = static_cast<int64_t>(kMegabyte);
         return counter("bytes moved") == 9 * kBytes && counter("bytes past L2") == 2 * kBytes;
       }},
      {"more than L2 holds goes past it at every pass", "",
       [] {
         Npu npu;
         constexpr size_t kMost = size_t{256} << 20;
         void* memory = npu.device_memory(kMost);
         latte_twin_reset_counters();
         for (int i = 0; i < 2; ++i) aclrtMemsetAsync(memory, kMost, 0, kMost, npu.stream);
         npu.synchronise();
         return counter("bytes past L2") == 2 * static_cast<int64_t>(kMost);
       }},
  };
}

/// Rules for LATTE_TWIN_SOC=Ascend910A, whose name they begin with.
std::vector<Rule> first_generation_rules() {
  return {
      {"910A: a product of FLOAT", "in which Ascend910A has no product",
       [] { return !mm_of(ACL_FLOAT, ACL_FLOAT, ACL_FLOAT); }},
      {"910A: BFLOAT16", "FLOAT, FLOAT16 alone",
       [] { return !mm_of(ACL_BF16, ACL_BF16, ACL_BF16); }},
      {"910A: a cast to BFLOAT16", "does not know",
       [] {
         return !unary([](auto x, auto y, auto b,
                          auto e) { return aclnnCastGetWorkspaceSize(x, ACL_BF16, y, b, e); },
                       {2}, {2}, ACL_FLOAT, ACL_BF16);
       }},
      {"910A: an executor kept whose output does not fill its storage", "does not fill its storage",
       [] {
         Npu npu;
         const Operand x(npu, {2});
         const Operand y({2}, {1}, 4, npu.device_memory(16));
         aclnnSiluGetWorkspaceSize(x.tensor, y.tensor, &bytes, &executor);
         return aclSetAclOpExecutorRepeatable(executor) != 0;
       }},
      {"910A: FLOAT as FLOAT16", "", [] { return product_of_narrow(1) == 1; }},
  };
}

}  // namespace

std::vector<Rule> operation_rules() {
  std::vector<Rule> rules;
  for (auto& some : {product_rules(), other_rules(), kernel_rules(), first_generation_rules()}) {
    rules.insert(rules.end(), some.begin(), some.end());
  }
  return rules;
}

}  // namespace latte::twin::rules
