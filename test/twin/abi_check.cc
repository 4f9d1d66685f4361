// Compiles only if acl_api.h agrees with CANN's own headers: every prototype, enumerator, constant
// and type of ours is compared with theirs. scripts/check-toolkit.sh compiles this file over an
// installed toolkit, and so does the build if it finds one. The result is never run.
//
// Our header is included first and its values are saved, because some of CANN's names are macros.
#include "backend/ascend/acl/acl_api.h"

#include <type_traits>

// Every enumerator and constant of acl_api.h; the script fails if one is missing here.
#define LATTE_CONSTANTS(X)                  \
  X(ACL_FLOAT)                              \
  X(ACL_FLOAT16)                            \
  X(ACL_INT32)                              \
  X(ACL_INT64)                              \
  X(ACL_DOUBLE)                             \
  X(ACL_BF16)                               \
  X(ACL_FORMAT_ND)                          \
  X(ACL_MEM_MALLOC_HUGE_FIRST)              \
  X(ACL_MEMCPY_HOST_TO_DEVICE)              \
  X(ACL_MEMCPY_DEVICE_TO_HOST)              \
  X(ACL_MEMCPY_DEVICE_TO_DEVICE)            \
  X(ACL_HBM_MEM)                            \
  X(ACL_EVENT_RECORDED_STATUS_NOT_READY)    \
  X(ACL_EVENT_RECORDED_STATUS_COMPLETE)     \
  X(ACL_DEVICE_INFO_AI_CORE_NUM)            \
  X(ACL_DEVICE_INFO_VECTOR_CORE_NUM)        \
  X(ACL_DEVICE_INFO_L2_SIZE)                \
  X(ACL_MODEL_RI_CAPTURE_MODE_THREAD_LOCAL) \
  X(ACL_EVENT_SYNC)                         \
  X(ACL_STOP_ON_FAILURE)                    \
  X(ACL_SUCCESS)                            \
  X(ACL_ERROR_REPEAT_INITIALIZE)            \
  X(ACL_ERROR_BAD_ALLOC)                    \
  X(ACL_ERROR_STORAGE_OVER_LIMIT)           \
  X(ACL_ERROR_RT_PARAM_INVALID)             \
  X(ACL_ERROR_RT_CONTEXT_NULL)              \
  X(ACL_ERROR_RT_STREAM_CONTEXT)            \
  X(ACL_ERROR_RT_FEATURE_NOT_SUPPORT)       \
  X(ACL_ERROR_RT_MEMORY_ALLOCATION)         \
  X(ACL_ERROR_RT_LOST_HEARTBEAT)            \
  X(ACL_ERROR_RT_STREAM_SYNC_TIMEOUT)       \
  X(ACL_ERROR_RT_DEVICE_MEM_ERROR)          \
  X(ACL_ERROR_RT_HBM_MULTI_BIT_ECC_ERROR)   \
  X(ACL_ERROR_RT_DRV_INTERNAL_ERROR)

namespace latte::ascend {

#define LATTE_OURS(name) constexpr auto our_##name = name;
LATTE_CONSTANTS(LATTE_OURS)
#undef LATTE_OURS

#define LATTE_OURS(name, result, parameters) using our_##name = result parameters;
LATTE_ACL_RUNTIME(LATTE_OURS)
LATTE_ACL_RUNTIME_OPTIONAL(LATTE_OURS)
LATTE_ACL_META(LATTE_OURS)
#undef LATTE_OURS

#define LATTE_OURS(name, ...)                                              \
  using our_##name##GetWorkspaceSize =                                     \
      aclnnStatus(__VA_ARGS__, uint64_t* bytes, aclOpExecutor** executor); \
  using our_##name = std::remove_pointer_t<AclnnRun>;
LATTE_ACLNN_OPERATIONS(LATTE_OURS)
#undef LATTE_OURS

}  // namespace latte::ascend

// If CANN's headers declare the optional function, this adds a second overload; else it is the only
// one.
struct LatteFallback {};
#define LATTE_FALLBACK(name, result, parameters) LatteFallback name(...);
LATTE_ACL_RUNTIME_OPTIONAL(LATTE_FALLBACK)
#undef LATTE_FALLBACK

#include <acl/acl.h>
#include <aclnn/acl_meta.h>
#include <aclnnop/aclnn_add.h>
#include <aclnnop/aclnn_addmm.h>
#include <aclnnop/aclnn_cast.h>
#include <aclnnop/aclnn_copy.h>
#include <aclnnop/aclnn_cos.h>
#include <aclnnop/aclnn_gelu_v2.h>
#include <aclnnop/aclnn_layer_norm.h>
#include <aclnnop/aclnn_mish.h>
#include <aclnnop/aclnn_mm.h>
#include <aclnnop/aclnn_mul.h>
#include <aclnnop/aclnn_relu.h>
#include <aclnnop/aclnn_silu.h>
#include <aclnnop/aclnn_sin.h>

namespace latte::ascend {

/// Maps one of our types to CANN's; a type that is not ours to itself.
template <class T>
struct Theirs {
  using Type = T;
};

// Our types, by their names. CANN's must be of the same kind, and enumerations of the same width
// and sign.
#define LATTE_ENUM(name)                                                                      \
  template <>                                                                                 \
  struct Theirs<name> {                                                                       \
    using Type = ::name;                                                                      \
  };                                                                                          \
  static_assert(std::is_enum_v<::name>, #name);                                               \
  static_assert(std::is_same_v<std::underlying_type_t<name>, std::underlying_type_t<::name>>, \
                "the underlying type of " #name);
LATTE_ENUM(aclDataType)
LATTE_ENUM(aclFormat)
LATTE_ENUM(aclrtMemMallocPolicy)
LATTE_ENUM(aclrtMemcpyKind)
LATTE_ENUM(aclrtMemAttr)
LATTE_ENUM(aclrtEventRecordedStatus)
LATTE_ENUM(aclDeviceInfo)
LATTE_ENUM(aclmdlRICaptureMode)
#undef LATTE_ENUM

#define LATTE_OPAQUE(name) \
  template <>              \
  struct Theirs<name> {    \
    using Type = ::name;   \
  };                       \
  static_assert(std::is_class_v<::name>, #name);
LATTE_OPAQUE(aclTensor)
LATTE_OPAQUE(aclScalar)
LATTE_OPAQUE(aclIntArray)
LATTE_OPAQUE(aclOpExecutor)
LATTE_OPAQUE(aclrtBinaryLoadOptions)
LATTE_OPAQUE(aclrtLaunchKernelCfg)
#undef LATTE_OPAQUE

#define LATTE_SAME_TYPE(name) static_assert(std::is_same_v<name, ::name>, #name);
LATTE_SAME_TYPE(aclError)
LATTE_SAME_TYPE(aclnnStatus)
LATTE_SAME_TYPE(aclrtContext)
LATTE_SAME_TYPE(aclrtStream)
LATTE_SAME_TYPE(aclrtEvent)
LATTE_SAME_TYPE(aclmdlRI)
#undef LATTE_SAME_TYPE

template <class T>
using TheirsOf = typename Theirs<T>::Type;

template <class T>
struct Theirs<T*> {
  using Type = TheirsOf<T>*;
};
template <class T>
struct Theirs<const T> {
  using Type = const TheirsOf<T>;
};
template <class Result, class... Parameters>
struct Theirs<Result(Parameters...)> {
  using Type = TheirsOf<Result>(TheirsOf<Parameters>...);
};

/// The values are equal and, for enumerators, of the enumeration that acl_api.h names.
template <class Ours, class Other>
constexpr bool same_constant(Ours ours, Other theirs) {
  if constexpr (std::is_enum_v<Ours>) {
    if (!std::is_same_v<TheirsOf<Ours>, Other>) return false;
  }
  return static_cast<long long>(ours) == static_cast<long long>(theirs);
}

}  // namespace latte::ascend

#define LATTE_CHECK(name) \
  static_assert(latte::ascend::same_constant(latte::ascend::our_##name, name), #name);
LATTE_CONSTANTS(LATTE_CHECK)
#undef LATTE_CHECK

#define LATTE_CHECK_FUNCTION(name)                                                          \
  static_assert(                                                                            \
      std::is_same_v<latte::ascend::TheirsOf<latte::ascend::our_##name>, decltype(::name)>, \
      "the prototype of " #name);
#define LATTE_CHECK(name, result, parameters) LATTE_CHECK_FUNCTION(name)
LATTE_ACL_RUNTIME(LATTE_CHECK)
LATTE_ACL_META(LATTE_CHECK)
#undef LATTE_CHECK
#define LATTE_CHECK(name, ...)                 \
  LATTE_CHECK_FUNCTION(name##GetWorkspaceSize) \
  LATTE_CHECK_FUNCTION(name)
LATTE_ACLNN_OPERATIONS(LATTE_CHECK)
#undef LATTE_CHECK

// An optional function is absent, so that the fallback's type can be deduced, or has our prototype.
template <class, class Function>
void deduces(Function*);
#define LATTE_CHECK(name, result, parameters)                                                 \
  template <class T>                                                                          \
  constexpr bool alone_##name = requires {                                                    \
    deduces<T>(&::name);                                                                      \
  };                                                                                          \
  template <class T>                                                                          \
  constexpr bool equal_##name = requires {                                                    \
    static_cast<T*>(&::name);                                                                 \
  };                                                                                          \
  static_assert(                                                                              \
      alone_##name<void> || equal_##name<latte::ascend::TheirsOf<latte::ascend::our_##name>>, \
      "the prototype of " #name);
LATTE_ACL_RUNTIME_OPTIONAL(LATTE_CHECK)
#undef LATTE_CHECK
