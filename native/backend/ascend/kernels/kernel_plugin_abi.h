/* The C interface between the addon and the plugin with our Ascend C kernels
 * (liblatte_ascend_kernels.so). Plain C, fixed-width fields, no header of CANN.
 *
 * Every change of a structure, of a function or of an operand's layout raises the version: the
 * addon refuses a plugin of any other version and computes with aclnn instead. */
#ifndef LATTE_KERNEL_PLUGIN_ABI_H
#define LATTE_KERNEL_PLUGIN_ABI_H

#include <stdint.h>  // NOLINT(modernize-deprecated-headers)

#include "kernel_tiling.h"

#define LATTE_KERNELS_ABI_VERSION 3u

#ifdef __cplusplus
extern "C" {
#endif

/* Each function launches a kernel on `stream` (an aclrtStream). It returns 0, or ACL's code of the
 * failure. Pointers are device memory; the tiling is read before the function returns. */
struct latte_kernels {
  uint32_t abi_version;
  uint32_t bytes; /* sizeof(struct latte_kernels) */
  int32_t (*timestep_projection)(void* stream, const struct latte_timestep_tiling* tiling,
                                 const void* timesteps, const void* frequencies, void* output);
  int32_t (*patchify)(void* stream, const struct latte_patchify_tiling* tiling, const void* latent,
                      void* patches);
  /* Null if the plugin was built without this kernel. */
  int32_t (*patch_projection_fused)(void* stream, const struct latte_fused_tiling* tiling,
                                    const void* latent, const void* operand, void* output);
};

typedef uint32_t (*latte_kernels_abi_version_function)(void);
typedef const struct latte_kernels* (*latte_kernels_open_function)(uint32_t abi_version);

/* The functions that the plugin exports. The second returns null if the caller's version is not the
 * plugin's own. */
uint32_t latte_kernels_abi_version(void);
const struct latte_kernels* latte_kernels_open(uint32_t abi_version);

#ifdef __cplusplus
}
#endif

#endif
