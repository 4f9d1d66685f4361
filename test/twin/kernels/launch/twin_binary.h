// What the twin's device binary, a shared library, exports to the twin's runtime.
#pragma once

#include <cstddef>
#include <cstdint>

struct latte_twin_kernel {
  const char* name;
  size_t argument_bytes;
  uint32_t (*launch)(uint32_t blocks, void* stream, const void* arguments);
};

extern "C" __attribute__((visibility("default"))) const latte_twin_kernel* latte_twin_find_kernel(
    const char* name);
