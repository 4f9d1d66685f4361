// The host's memory and the pool that hands it out.
#include <sys/mman.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>
#include <fstream>
#include <set>
#include <vector>

#include "check.h"
#include "core/byte_count.h"
#include "core/error.h"
#include "failing_new.h"
#include "system/control_group.h"
#include "system/host_memory.h"
#include "system/memory_pool.h"

namespace {

using namespace latte;
using namespace latte::system;

constexpr size_t kMiB = size_t{1} << 20;

/// A folder with files that stand for /proc and /sys/fs/cgroup.
class Machine {
 public:
  Machine() {
    std::string pattern = std::filesystem::temp_directory_path() / "latte-machine.XXXXXX";
    root_ = mkdtemp(pattern.data());
    put("proc/meminfo", "MemTotal: 16777216 kB\nMemFree: 1024 kB\nMemAvailable: 2048 kB\n");
  }
  ~Machine() { std::filesystem::remove_all(root_); }
  Machine(const Machine&) = delete;
  Machine& operator=(const Machine&) = delete;

  void put(const std::string& path, const std::string& text) const {
    const auto file = std::filesystem::path(root_) / path;
    std::filesystem::create_directories(file.parent_path());
    std::ofstream(file) << text;
  }
  SystemFolders folders() const { return {root_ + "/proc", root_ + "/cgroup"}; }

 private:
  std::string root_;
};

/// The pool is never destroyed, because its trimmer's thread may outlive a test.
MemoryPool& pool_of(size_t total, size_t page) { return *new MemoryPool(total, page); }

bool all(const Memory& memory, char value) {
  const char* data = static_cast<const char*>(memory.data());
  for (size_t i = 0; i < memory.bytes(); ++i) {
    if (data[i] != value) return false;
  }
  return true;
}

TEST("whole pages lie inside the block, with pages of 4 and of 64 KiB") {
  const size_t pages[] = {4096, 65536};
  for (const size_t page : pages) {
    const auto range = [&](uintptr_t address, size_t bytes) {
      const PageRange found = whole_pages(address, bytes, page);
      EXPECT(found.begin % page == 0 && found.end % page == 0);
      EXPECT(found.bytes() == 0 || (found.begin >= address && found.end <= address + bytes));
      return found;
    };
    EXPECT_EQ(range(8 * page, 3 * page).bytes(), 3 * page);
    EXPECT_EQ(range(8 * page, 3 * page - 1).bytes(), 2 * page);
    EXPECT_EQ(range(8 * page + 64, 3 * page).bytes(), 2 * page);
    EXPECT_EQ(range(8 * page + 64, page).bytes(), size_t{0});
    EXPECT_EQ(range(8 * page + 64, 64).bytes(), size_t{0});
    EXPECT_EQ(range(9 * page - 64, page + 64).bytes(), page);
  }
});

TEST("the system takes whole pages back, which read as zeros then") {
  auto* memory = static_cast<char*>(map_memory(4 * kMiB));
  EXPECT(memory != nullptr);
  EXPECT_EQ(reinterpret_cast<uintptr_t>(memory) % kHugePage, uintptr_t{0});
  std::memset(memory, 1, 4 * kMiB);
  // With pages larger than 4 KiB, the system refuses an address at a multiple of 4 KiB.
  const auto pages = whole_pages(reinterpret_cast<uintptr_t>(memory) + 4096, kMiB, page_size());
  EXPECT(pages.bytes() >= kMiB - 2 * page_size());
  EXPECT(give_back_pages(pages));
  for (const char* at = memory; at < memory + 4 * kMiB; at += 512) {
    const auto address = reinterpret_cast<uintptr_t>(at);
    EXPECT_EQ(int{*at}, address >= pages.begin && address < pages.end ? 0 : 1);
  }
});

TEST("the pool returns what is over its bound to the system, with pages of 4 and of 64 KiB") {
  const size_t pages[] = {page_size(), std::max(page_size(), size_t{65536})};
  for (const size_t page : pages) {
    MemoryPool& pool = pool_of(64 * kMiB, page);  // keeps 8 MiB
    const size_t sizes[] = {5 * kMiB, 448 << 10};
    for (const size_t bytes : sizes) {
      std::vector<Memory> blocks;
      for (size_t i = 0; i < 16 * kMiB / bytes + 1; ++i) {
        blocks.push_back(pool.allocate(bytes));
        std::memset(blocks.back().data(), 1, bytes);
      }
      blocks.clear();
      EXPECT_EQ(pool.usage().live, size_t{0});
      EXPECT(pool.usage().pooled <= 8 * kMiB);
      // The blocks are reused, and some of them read as zeros except at their edges.
      size_t empty = 0;
      for (size_t i = 0; i < 16 * kMiB / bytes + 1; ++i) {
        blocks.push_back(pool.allocate(bytes));
        const auto inside =
            whole_pages(reinterpret_cast<uintptr_t>(blocks.back().data()), bytes, page);
        EXPECT(inside.bytes() > 0);
        if (*reinterpret_cast<const char*>(inside.begin) == 0) {
          ++empty;
          EXPECT_EQ(int{*reinterpret_cast<const char*>(inside.end - 1)}, 0);
        }
      }
      EXPECT(empty * bytes >= 8 * kMiB - bytes);
    }
  }
});

TEST("blocks too small for a whole page stay counted as resident") {
  MemoryPool& pool = pool_of(8 * kMiB, 65536);  // keeps 1 MiB
  std::vector<Memory> blocks;
  for (int i = 0; i < 64; ++i) blocks.push_back(pool.allocate(65536 - 4096));
  const size_t live = pool.usage().live;
  blocks.clear();
  EXPECT_EQ(pool.usage().pooled, live);
});

TEST("a failed allocation of the pool changes nothing, and its memory is not lost") {
  MemoryPool& pool = pool_of(256 * kMiB, page_size());
  const size_t sizes[] = {1000, kMiB, 3 * kMiB};
  for (const size_t bytes : sizes) {
    const auto before = pool.usage();
    Memory memory;
    const int made = test::fail_each_allocation([&] { memory = pool.allocate(bytes); },
                                                [&] {
                                                  EXPECT_EQ(pool.usage().live, before.live);
                                                  EXPECT_EQ(pool.usage().pooled, before.pooled);
                                                });
    EXPECT(made > 0);
    std::memset(memory.data(), 7, bytes);
    void* const address = memory.data();
    const size_t live = pool.usage().live;
    EXPECT(live >= before.live + bytes);
    memory = Memory();
    EXPECT_EQ(pool.usage().live, before.live);
    // Taking a block from the pool and giving it back allocate nothing.
    const int allocations = test::allocations_made;
    memory = pool.allocate(bytes);
    EXPECT_EQ(memory.data(), address);
    EXPECT(all(memory, 7));
    memory = Memory();
    EXPECT_EQ(test::allocations_made, allocations);
  }
});

TEST("giving memory back survives that there is no memory for anything") {
  MemoryPool& pool = pool_of(64 * kMiB, page_size());
  std::vector<Memory> blocks;
  for (int i = 0; i < 12; ++i) blocks.push_back(pool.allocate(3 * kMiB));
  std::set<void*> addresses;
  for (const Memory& memory : blocks) addresses.insert(memory.data());
  for (Memory& memory : blocks) {
    test::allocations_left = 0;  // so the trimmer's thread cannot be started, either
    { const Memory gone = std::move(memory); }
    test::allocations_left = -1;
  }
  EXPECT_EQ(pool.usage().live, size_t{0});
  // The pool has each block exactly once, whether its pages went back to the system or not.
  std::set<void*> again;
  for (Memory& memory : blocks) {
    memory = pool.allocate(3 * kMiB);
    again.insert(memory.data());
  }
  EXPECT(again == addresses);
});

TEST("the pool's limit is exact") {
  MemoryPool& pool = pool_of(10 * kMiB, page_size());
  EXPECT_EQ(pool.usage().limit, 8 * kMiB);
  const size_t sizes[] = {8 * kMiB + 1, SIZE_MAX, SIZE_MAX / 2 + 2};
  for (const size_t bytes : sizes) {
    try {
      pool.allocate(bytes);
      test::wrong("no error for ", bytes, " bytes");
    } catch (const Error& error) {
      EXPECT(error.code() == ErrorCode::kOutOfMemory);
    }
  }
  const Memory whole = pool.allocate(8 * kMiB);
  EXPECT_EQ(pool.usage().live, 8 * kMiB);
});

TEST("available memory is MemAvailable, not MemFree") {
  const Machine machine;
  EXPECT_EQ(host_memory(machine.folders()).available, size_t{2048} << 10);
  EXPECT(host_memory(machine.folders()).total > 0);
});

TEST("a control group of version 2 bounds the memory, without the files that nobody uses") {
  const Machine machine;
  machine.put("proc/meminfo", "MemFree: 1 kB\nMemAvailable: 900000000 kB\n");
  machine.put("proc/self/cgroup", "0::/outer/inner\n");
  machine.put("cgroup/outer/inner/memory.max", "max\n");
  machine.put("cgroup/outer/memory.max", "1000000\n");
  machine.put("cgroup/outer/memory.current", "700000\n");
  machine.put("cgroup/outer/memory.stat", "anon 1\nfile 300000\ninactive_file 200000\n");
  EXPECT_EQ(host_memory(machine.folders()).total, size_t{1000000});
  EXPECT_EQ(host_memory(machine.folders()).available, size_t{500000});
  machine.put("cgroup/outer/memory.current", "2000000\n");
  EXPECT_EQ(host_memory(machine.folders()).available, size_t{0});
  machine.put("cgroup/outer/inner/memory.max", "1000\n");
  machine.put("cgroup/outer/inner/memory.current", "10\n");
  EXPECT_EQ(host_memory(machine.folders()).total, size_t{1000});
});

TEST("a control group of version 1 bounds the memory, also below a mount of its own") {
  const Machine machine;
  machine.put("proc/meminfo", "MemFree: 1 kB\nMemAvailable: 900000000 kB\n");
  machine.put("proc/self/cgroup", "5:memory:/docker/1234\n2:cpu,cpuacct:/docker/1234\n");
  machine.put("cgroup/memory/memory.limit_in_bytes", "5000000\n");
  machine.put("cgroup/memory/memory.usage_in_bytes", "4000000\n");
  machine.put("cgroup/memory/memory.stat", "inactive_file 1\ntotal_inactive_file 1000000\n");
  machine.put("cgroup/cpu/cpu.cfs_quota_us", "150000\n");
  machine.put("cgroup/cpu/cpu.cfs_period_us", "100000\n");
  EXPECT_EQ(host_memory(machine.folders()).total, size_t{5000000});
  EXPECT_EQ(host_memory(machine.folders()).available, size_t{2000000});
  EXPECT_EQ(control_group_cores(machine.folders()), 1.5);
  // The largest value of a page counter stands for "no limit".
  machine.put("cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n");
  EXPECT(host_memory(machine.folders()).total > 5000000);
});

TEST("sizes that no memory has are refused before they overflow") {
  EXPECT_EQ(byte_count(4, 1000, 1000), size_t{4000000});
  EXPECT_EQ(byte_count(4, 0), size_t{0});
  const auto refused = [](auto... lengths) {
    try {
      byte_count(4, lengths...);
    } catch (const Error& error) {
      return error.code() == ErrorCode::kOutOfMemory;
    }
    return false;
  };
  EXPECT(refused(int64_t{1} << 61));
  EXPECT(refused(int64_t{1} << 40, int64_t{1} << 30));
  EXPECT(refused(int64_t{-1}));
  EXPECT(refused(int64_t{-1}, int64_t{-1}));
});

TEST("an exception is called what it is") {
  const auto code_of = [](const auto& thrown) {
    try {
      throw thrown;
    } catch (...) {
      return std::string(error_code_name(current_error().code()));
    }
  };
  EXPECT_EQ(code_of(std::bad_alloc()), "ERR_OUT_OF_MEMORY");
  EXPECT_EQ(code_of(std::length_error("vector")), "ERR_OUT_OF_MEMORY");
  EXPECT_EQ(code_of(std::logic_error("promise already satisfied")), "ERR_STATE");
  EXPECT_EQ(code_of(1), "ERR_STATE");
  EXPECT_EQ(code_of(Error(ErrorCode::kShape, "a shape")), "ERR_SHAPE");
});

}  // namespace
