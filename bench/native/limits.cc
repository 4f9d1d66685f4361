// The most that this machine can do, as a program that the benchmark runs in alternation with
// layers.
//
// Reads lines `<kind> <threads> <amount>` and answers each with the nanoseconds that so much took:
//   write   bytes written past the caches (non-temporal stores), into pages that are there already
//   read    bytes of a buffer that was read just before: the speed of the cache that holds it
//   cold    bytes of a buffer that was read once, before the pause between two lines
//   fma     float32 operations (a fused multiply-add counts two), from registers
//   bf16    operations of the bfloat16 dot product instruction, from registers
// `limits --busy <threads>` instead keeps the processor at work until its standard input ends, like
// a machine that others use, too. The line `info` is answered with the instruction set that it
// chose. The clock starts when all threads are running, so that figures do not include waking them.
#include <sched.h>
#include <sys/mman.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <cstdio>
#include <cstring>
#include <functional>
#include <iostream>
#include <string>
#include <thread>
#include <vector>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace {

using Clock = std::chrono::steady_clock;

volatile float sink = 0;

// ---- kernels: one plain version, and those of x86-64, chosen when the program starts ----

struct Kernels {
  const char* name;
  void (*write)(char* to, size_t bytes);
  void (*read)(const char* from, size_t bytes);
  void (*fma)(int64_t operations);
  void (*bf16)(int64_t operations);  // null if the processor lacks the instruction
};

// The text of the kernels is the same for every vector type. 12 accumulators hide the latency of
// two fused multiply-adds a cycle. Values are not zeros: some memory treats those specially.
#define LATTE_LIMIT_KERNELS(SUFFIX, TARGET, VEC, BYTES, STREAM, FMA)                    \
  TARGET void write_##SUFFIX(char* to, size_t bytes) {                                  \
    VEC v[4] = {};                                                                      \
    for (size_t k = 0; k < 4; ++k) {                                                    \
      for (size_t i = 0; i < (BYTES) / sizeof(float); ++i) {                            \
        v[k][i] = 0.731F * static_cast<float>(k + i * i + 1);                           \
      }                                                                                 \
    }                                                                                   \
    for (size_t i = 0; i + 4 * (BYTES) <= bytes; i += 4 * (BYTES)) {                    \
      for (size_t k = 0; k < 4; ++k) {                                                  \
        STREAM(reinterpret_cast<float*>(to + i + k * (BYTES)), v[k]);                   \
      }                                                                                 \
    }                                                                                   \
  }                                                                                     \
  TARGET void read_##SUFFIX(const char* from, size_t bytes) {                           \
    VEC sum[8] = {};                                                                    \
    for (size_t i = 0; i + 8 * (BYTES) <= bytes; i += 8 * (BYTES)) {                    \
      for (size_t k = 0; k < 8; ++k) {                                                  \
        sum[k] += *reinterpret_cast<const VEC*>(from + i + k * (BYTES));                \
      }                                                                                 \
    }                                                                                   \
    for (size_t k = 1; k < 8; ++k) sum[0] += sum[k];                                    \
    sink = sum[0][0];                                                                   \
  }                                                                                     \
  TARGET void fma_##SUFFIX(int64_t operations) {                                        \
    constexpr int kSums = 12;                                                           \
    VEC sum[kSums];                                                                     \
    for (int k = 0; k < kSums; ++k) sum[k] = VEC{} + sink; /* none known to be equal */ \
    VEC a = VEC{} + sink + 1.1F, b = VEC{} + sink + 0.7F;                               \
    const int64_t each = kSums * 2 * static_cast<int64_t>((BYTES) / sizeof(float));     \
    for (int64_t done = 0; done < operations; done += each) {                           \
      for (int k = 0; k < kSums; ++k) sum[k] = FMA(a, b, sum[k]);                       \
    }                                                                                   \
    for (int k = 1; k < kSums; ++k) sum[0] += sum[k];                                   \
    sink = sum[0][0] * 1e-30F;                                                          \
  }

#if defined(__x86_64__)
#define LATTE_AVX512 __attribute__((target("avx512f,avx512bw,avx512vl")))
#define LATTE_AVX2 __attribute__((target("avx2,fma")))
#define LATTE_SSE2
using Vec64 = __m512;
using Vec32 = __m256;
using Vec16 = __m128;
#define LATTE_MUL_ADD(a, b, c) ((a) * (b) + (c))
LATTE_LIMIT_KERNELS(avx512, LATTE_AVX512, Vec64, 64, _mm512_stream_ps, _mm512_fmadd_ps)
LATTE_LIMIT_KERNELS(avx2, LATTE_AVX2, Vec32, 32, _mm256_stream_ps, _mm256_fmadd_ps)
LATTE_LIMIT_KERNELS(sse2, LATTE_SSE2, Vec16, 16, _mm_stream_ps, LATTE_MUL_ADD)

__attribute__((target("avx512f,avx512bw,avx512vl,avx512bf16"))) void bf16_avx512(
    int64_t operations) {
  constexpr int kSums = 24;
  __m512 sum[kSums];
#pragma GCC unroll 24
  for (int k = 0; k < kSums; ++k) sum[k] = _mm512_set1_ps(sink);
  const __m512 value = _mm512_set1_ps(sink + 1.1F);
  const __m512bh a = _mm512_cvtne2ps_pbh(value, value);
  const int64_t each = kSums * 2 * 32;  // 32 products and 32 additions an instruction
  for (int64_t done = 0; done < operations; done += each) {
#pragma GCC unroll 24  // otherwise the sums would be stored in memory
    for (int k = 0; k < kSums; ++k) sum[k] = _mm512_dpbf16_ps(sum[k], a, a);
  }
#pragma GCC unroll 24
  for (int k = 1; k < kSums; ++k) sum[0] += sum[k];
  sink = sum[0][0] * 1e-30F;
}

Kernels choose() {
  // The benchmark's limit uses the instruction set that the product may use.
  const char* given = std::getenv("LATTE_CPU_TARGET");
  const std::string target = given == nullptr ? "" : given;
  if (target.empty() && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
      __builtin_cpu_supports("avx512vl")) {
    return {"AVX-512", write_avx512, read_avx512, fma_avx512,
            __builtin_cpu_supports("avx512bf16") ? bf16_avx512 : nullptr};
  }
  if (target != "SSE2" && __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) {
    return {"AVX2", write_avx2, read_avx2, fma_avx2, nullptr};
  }
  return {"SSE2", write_sse2, read_sse2, fma_sse2, nullptr};
}
void fence() { _mm_sfence(); }
#else
using Vec16 = float __attribute__((vector_size(16)));
// AArch64 has no store that certainly bypasses the caches, so the limit is that of ordinary stores.
#define LATTE_STORE(to, v) (*reinterpret_cast<Vec16*>(to) = (v))
#define LATTE_MUL_ADD(a, b, c) ((a) * (b) + (c))
LATTE_LIMIT_KERNELS(plain, , Vec16, 16, LATTE_STORE, LATTE_MUL_ADD)
Kernels choose() { return {"128 bits", write_plain, read_plain, fma_plain, nullptr}; }
void fence() {}
#endif

// ---- threads ----

/// Runs body(0 … threads-1), each on a core of its own. Returns the nanoseconds from when all run
/// to the end.
double timed(int threads, const std::function<void(int)>& body) {
  std::vector<int> cores;
  cpu_set_t allowed;
  sched_getaffinity(0, sizeof allowed, &allowed);
  for (int core = 0; core < CPU_SETSIZE; ++core) {
    if (CPU_ISSET(core, &allowed)) cores.push_back(core);
  }
  std::atomic<int> ready{0}, done{0};
  std::atomic<bool> go{false};
  std::vector<std::thread> helpers;
  for (int t = 1; t < threads; ++t) {
    helpers.emplace_back([&, t] {
      cpu_set_t own;
      CPU_ZERO(&own);
      CPU_SET(cores[static_cast<size_t>(t) % cores.size()], &own);
      sched_setaffinity(0, sizeof own, &own);
      ++ready;
      while (!go) {
      }
      body(t);
      ++done;
    });
  }
  cpu_set_t first;
  CPU_ZERO(&first);
  CPU_SET(cores[0], &first);
  if (threads > 1) sched_setaffinity(0, sizeof first, &first);
  while (ready < threads - 1) sched_yield();
  const auto start = Clock::now();
  go = true;
  body(0);
  while (done < threads - 1) {
  }
  const auto end = Clock::now();
  for (std::thread& helper : helpers) helper.join();
  sched_setaffinity(0, sizeof allowed, &allowed);
  return std::chrono::duration<double, std::nano>(end - start).count();
}

/// Returns memory with huge pages, if the system has them, every page touched.
char* buffer(size_t bytes) {
  static char* memory = nullptr;
  static size_t size = 0;
  constexpr size_t kHuge = size_t{2} << 20;
  if (bytes > size) {
    if (memory != nullptr) munmap(memory, size);
    size = (bytes + kHuge - 1) / kHuge * kHuge + kHuge;
    void* mapped = mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (mapped == MAP_FAILED) {
      std::perror("mmap");
      std::exit(1);
    }
    memory = static_cast<char*>(mapped);
    madvise(memory, size, MADV_HUGEPAGE);
    std::memset(memory, 1, size);
  }
  const auto address = reinterpret_cast<uintptr_t>(memory);
  return reinterpret_cast<char*>((address + kHuge - 1) / kHuge * kHuge);
}

double run(const Kernels& kernels, const std::string& kind, int threads, double amount) {
  const auto share = static_cast<int64_t>(amount) / threads;
  const auto bytes = static_cast<size_t>(share) / 4096 * 4096;
  const bool reads = kind == "read" || kind == "cold";
  char* memory = reads || kind == "write" ? buffer(bytes * static_cast<size_t>(threads)) : nullptr;
  const auto part = [&](int t) { return memory + static_cast<size_t>(t) * bytes; };
  if (kind == "write") {
    return timed(threads, [&](int t) {
      kernels.write(part(t), bytes);
      fence();
    });
  }
  if (reads) {
    // Repeated, because a core reads from the next larger cache what its own cache cannot hold.
    const int repeat = kind == "read" ? 16 : 1;
    return timed(threads,
                 [&](int t) {
                   for (int i = 0; i < repeat; ++i) kernels.read(part(t), bytes);
                 }) /
           repeat;
  }
  if (kind == "fma") return timed(threads, [&](int) { kernels.fma(share); });
  if (kind == "bf16" && kernels.bf16 != nullptr) {
    return timed(threads, [&](int) { kernels.bf16(share); });
  }
  return -1;  // this machine has no such limit
}

}  // namespace

/// Keeps so many threads at work until standard input ends, at the latest with the parent process.
int stay_busy(int threads) {
  for (int t = 0; t < threads; ++t) {
    std::thread([] {
      for (volatile uint64_t turns = 0;; turns = turns + 1) {
      }
    }).detach();
  }
  for (std::string line; std::getline(std::cin, line);) std::cout << "busy" << std::endl;
  std::_Exit(0);
}

int main(int count, char** arguments) {
  if (count == 3 && std::string(arguments[1]) == "--busy")
    return stay_busy(std::atoi(arguments[2]));
  const Kernels kernels = choose();
  std::string kind;
  while (std::cin >> kind) {
    if (kind == "info") {
      std::cout << kernels.name << (kernels.bf16 != nullptr ? " with bf16" : "") << std::endl;
      continue;
    }
    int threads = 0;
    double amount = 0;
    std::cin >> threads >> amount;
    std::cout << static_cast<int64_t>(run(kernels, kind, threads, amount)) << std::endl;
  }
}
