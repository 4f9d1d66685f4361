#include "system/host_memory.h"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <string>

namespace latte::system {

namespace {

/// MemAvailable of /proc/meminfo, in bytes; MemFree if there is no such line, as in kernels before
/// 3.14. MemFree does not count the page cache, which fills most of the memory once checkpoints
/// were read.
double available_on_machine(const SystemFolders& folders) {
  std::ifstream file(folders.proc + "/meminfo");
  double free = 0;
  for (std::string line; std::getline(file, line);) {
    const auto kibibytes = [&](const std::string& key) {
      return line.starts_with(key) ? std::strtod(line.c_str() + key.size(), nullptr) * 1024 : -1;
    };
    if (const double bytes = kibibytes("MemAvailable:"); bytes >= 0) return bytes;
    if (const double bytes = kibibytes("MemFree:"); bytes >= 0) free = bytes;
  }
  return free;
}

}  // namespace

HostMemory host_memory(const SystemFolders& folders) {
  const auto group = control_group_memory(folders);
  const double machine =
      static_cast<double>(sysconf(_SC_PHYS_PAGES)) * static_cast<double>(page_size());
  const double total = std::min(machine, group.limit);
  const double available = std::min(available_on_machine(folders), group.available);
  return {static_cast<size_t>(total), static_cast<size_t>(std::min(available, total))};
}

size_t page_size() {
  static const auto bytes = static_cast<size_t>(sysconf(_SC_PAGESIZE));
  return bytes;
}

PageRange whole_pages(uintptr_t address, size_t bytes, size_t page) {
  const uintptr_t begin = (address + page - 1) & ~(uintptr_t{page} - 1);
  const uintptr_t end = (address + bytes) & ~(uintptr_t{page} - 1);
  return {begin, std::max(begin, end)};
}

void* map_memory(size_t bytes) {
  // One huge page more than asked for leaves room to align the block. What lies before and behind
  // the block is never touched, so it takes no memory.
  void* raw = mmap(nullptr, bytes + kHugePage, PROT_READ | PROT_WRITE,
                   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (raw == MAP_FAILED) return nullptr;
  const auto address = reinterpret_cast<uintptr_t>(raw);
  void* block = reinterpret_cast<void*>((address + kHugePage - 1) / kHugePage * kHugePage);
  madvise(block, bytes, MADV_HUGEPAGE);  // may fail: there are systems without huge pages
  return block;
}

bool give_back_pages(const PageRange& pages) {
  if (pages.bytes() == 0) return true;
  return madvise(reinterpret_cast<void*>(pages.begin), pages.bytes(), MADV_DONTNEED) == 0;
}

}  // namespace latte::system
