// The host's memory: how much of it there is, its pages, and mapping blocks of it.
#pragma once

#include <cstddef>
#include <cstdint>

#include "system/control_group.h"

namespace latte::system {

/// The bytes of a transparent huge page.
constexpr size_t kHugePage = size_t{2} << 20;

/// The memory of this machine for this process, in bytes.
struct HostMemory {
  size_t total = 0;      // the machine's, or the control group's limit if that is less
  size_t available = 0;  // what can be used without swapping, page cache included
};
HostMemory host_memory(const SystemFolders& folders = {});

/// The bytes of a page: 4096, or up to 65536 on AArch64.
size_t page_size();

/// The whole pages inside [address, address + bytes), as [begin, end); begin == end if there are
/// none. `page` is a power of two.
struct PageRange {
  uintptr_t begin;
  uintptr_t end;
  size_t bytes() const { return end - begin; }
};
PageRange whole_pages(uintptr_t address, size_t bytes, size_t page);

/// `bytes` of new memory, which reads as zeros, aligned to a huge page and backed by huge pages if
/// the system has them. Returns null if the system has no memory.
void* map_memory(size_t bytes);

/// Gives pages back to the system. Their addresses stay valid, and read as zeros from now on.
/// Returns whether the system took them.
bool give_back_pages(const PageRange& pages);

}  // namespace latte::system
