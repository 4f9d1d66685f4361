#include "kernel_operator.h"
#include "kernel_tiling.h"
extern "C" __global__ __aicore__ void latte_patch_projection(GM_ADDR, GM_ADDR, GM_ADDR,
                                                             latte_fused_tiling) {}
