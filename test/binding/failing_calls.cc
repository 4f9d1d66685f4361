// Linked into a test build of the addon (test/CMakeLists.txt: latte_failing) in place of Node-API's
// functions and of the allocations that the addon calls: the n-th call fails, once. A test sets n
// through a file that LATTE_FAILING_CALLS names, which is mapped here.
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <new>

// A function of the sanitizer's runtime; null without a sanitizer.
extern "C" __attribute__((weak)) int __sanitizer_install_malloc_and_free_hooks(
    void (*allocated)(const volatile void*, size_t), void (*freed)(const volatile void*));

extern "C" void* __real_mmap(void* address, size_t size, int protection, int flags, int file,
                             off_t offset);

namespace {

struct Control {
  std::atomic<int64_t> countdown;  // the call that makes it 0 fails; 0 and less: none does
  std::atomic<int64_t> live;       // blocks that the addon has allocated and not freed
  char failed[64];                 // the name of the call that failed
};

Control* map_control() {
  const char* path = std::getenv("LATTE_FAILING_CALLS");
  if (path == nullptr) return nullptr;
  const int file = open(path, O_RDWR | O_CLOEXEC);
  if (file < 0) return nullptr;
  void* memory = __real_mmap(nullptr, sizeof(Control), PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
  close(file);
  return memory == MAP_FAILED ? nullptr : static_cast<Control*>(memory);
}

Control* control() {
  static Control* const mapped = map_control();
  return mapped;
}

bool fails(const char* name) {
  Control* const now = control();
  if (now == nullptr || now->countdown.load() <= 0 || now->countdown.fetch_sub(1) != 1)
    return false;
  std::strncpy(now->failed, name, sizeof now->failed - 1);
  return true;
}

/// The addresses of the blocks that the addon has allocated and not freed: a hash table with linear
/// probing, which allocates nothing. A count alone would not do under a sanitizer. There libstdc++
/// is a shared library: it frees blocks that the addon has allocated, and the other way round.
class LiveBlocks {
 public:
  void add(const volatile void* block) {
    const Lock lock(*this);
    if (++size_ > kSlots / 2) {
      std::fputs("failing_calls.cc: too many live blocks\n", stderr);
      std::abort();
    }
    size_t slot = home(block);
    while (slots_[slot] != nullptr) slot = next(slot);
    slots_[slot] = block;
    control()->live.store(static_cast<int64_t>(size_));
  }

  /// Does nothing for a block that is not the addon's.
  void remove(const volatile void* block) {
    const Lock lock(*this);
    size_t gap = home(block);
    while (slots_[gap] != block) {
      if (slots_[gap] == nullptr) return;
      gap = next(gap);
    }
    // Blocks behind the gap move into it if their search would end there.
    for (size_t slot = next(gap); slots_[slot] != nullptr; slot = next(slot)) {
      const size_t distance = (slot - home(slots_[slot])) % kSlots;
      if (distance < (slot - gap) % kSlots) continue;
      slots_[gap] = slots_[slot];
      gap = slot;
    }
    slots_[gap] = nullptr;
    control()->live.store(static_cast<int64_t>(--size_));
  }

 private:
  // On an NPU some thousand forwards wait at once, with tens of blocks each.
  static constexpr int kSlotBits = 18;
  static constexpr size_t kSlots = size_t{1} << kSlotBits;

  struct Lock {
    explicit Lock(LiveBlocks& of) : blocks(of) {
      while (blocks.busy_.test_and_set(std::memory_order_acquire)) {
      }
    }
    ~Lock() { blocks.busy_.clear(std::memory_order_release); }
    LiveBlocks& blocks;
  };

  static size_t home(const volatile void* block) {
    return (reinterpret_cast<uintptr_t>(block) * 0x9E3779B97F4A7C15u) >> (64 - kSlotBits);
  }
  static size_t next(size_t slot) { return (slot + 1) % kSlots; }

  std::atomic_flag busy_ = ATOMIC_FLAG_INIT;
  size_t size_ = 0;
  const volatile void* slots_[kSlots] = {};
};

LiveBlocks live_blocks;

void forget(const volatile void* block) {
  if (block != nullptr && control() != nullptr) live_blocks.remove(block);
}

void* counted(void* block) {
  if (block == nullptr || control() == nullptr) return block;
  // Only the sanitizer sees what libstdc++ frees.
  static const int hooked =
      __sanitizer_install_malloc_and_free_hooks == nullptr
          ? 0
          : __sanitizer_install_malloc_and_free_hooks([](const volatile void*, size_t) {}, forget);
  (void)hooked;
  live_blocks.add(block);
  return block;
}

using Word = uintptr_t;
constexpr int kGenericFailure = 9;  // napi_generic_failure

}  // namespace

// Node-API's functions take at most eleven arguments, integers and pointers. A function that takes
// fewer does not look at the others, in the calling conventions of x86-64 and AArch64.
#define LATTE_FAILING(name)                                                                       \
  extern "C" int __real_##name(Word, Word, Word, Word, Word, Word, Word, Word, Word, Word, Word); \
  extern "C" int __wrap_##name(Word a, Word b, Word c, Word d, Word e, Word f, Word g, Word h,    \
                               Word i, Word j, Word k) {                                          \
    return fails(#name) ? kGenericFailure : __real_##name(a, b, c, d, e, f, g, h, i, j, k);       \
  }
#include "failing_names.inc"

extern "C" {

// Node frees a deferred even if settling it fails, as these do.
#define LATTE_FAILING_DEFERRED(name)                        \
  int __real_##name(Word env, Word deferred, Word value);   \
  int __wrap_##name(Word env, Word deferred, Word value) {  \
    const int status = __real_##name(env, deferred, value); \
    return fails(#name) ? kGenericFailure : status;         \
  }
LATTE_FAILING_DEFERRED(napi_resolve_deferred)
LATTE_FAILING_DEFERRED(napi_reject_deferred)

int __real_napi_create_double(Word env, double number, Word result);
int __wrap_napi_create_double(Word env, double number, Word result) {
  return fails("napi_create_double") ? kGenericFailure
                                     : __real_napi_create_double(env, number, result);
}

int __real_napi_create_external_arraybuffer(Word env, Word data, Word bytes, Word finalize,
                                            Word hint, Word result);
int __wrap_napi_create_external_arraybuffer(Word env, Word data, Word bytes, Word finalize,
                                            Word hint, Word result) {
  constexpr int kNoExternalBuffersAllowed = 22;  // as Electron answers
  if (std::getenv("LATTE_REFUSE_EXTERNAL_BUFFERS") != nullptr) return kNoExternalBuffersAllowed;
  if (fails("napi_create_external_arraybuffer")) return kGenericFailure;
  return __real_napi_create_external_arraybuffer(env, data, bytes, finalize, hint, result);
}

void* __wrap_mmap(void* address, size_t size, int protection, int flags, int file, off_t offset) {
  return fails("mmap") ? MAP_FAILED : __real_mmap(address, size, protection, flags, file, offset);
}

// All other forms of new and delete call one of these two pairs, so each block is counted once.
void* __real__Znwm(size_t size);
void* __wrap__Znwm(size_t size) {
  if (fails("operator new")) throw std::bad_alloc();
  return counted(__real__Znwm(size));
}
void* __wrap__Znam(size_t size) { return __wrap__Znwm(size); }

void __real__ZdlPv(void* block);
void __wrap__ZdlPv(void* block) {
  forget(block);
  __real__ZdlPv(block);
}
void __wrap__ZdaPv(void* block) { __wrap__ZdlPv(block); }
void __wrap__ZdlPvm(void* block, size_t) { __wrap__ZdlPv(block); }
void __wrap__ZdaPvm(void* block, size_t) { __wrap__ZdlPv(block); }

void* __real__ZnwmSt11align_val_t(size_t size, std::align_val_t alignment);
void* __wrap__ZnwmSt11align_val_t(size_t size, std::align_val_t alignment) {
  if (fails("operator new")) throw std::bad_alloc();
  return counted(__real__ZnwmSt11align_val_t(size, alignment));
}

void __real__ZdlPvSt11align_val_t(void* block, std::align_val_t alignment);
void __wrap__ZdlPvSt11align_val_t(void* block, std::align_val_t alignment) {
  forget(block);
  __real__ZdlPvSt11align_val_t(block, alignment);
}
void __wrap__ZdlPvmSt11align_val_t(void* block, size_t, std::align_val_t alignment) {
  __wrap__ZdlPvSt11align_val_t(block, alignment);
}

}  // extern "C"
