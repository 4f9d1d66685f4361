// The part of CANN's C interface that we use, declared here, so that no header of CANN is needed to
// build. Names and values are CANN's; test/twin/abi_check.cc compares them, except aclnn's two
// codes, with the real headers (docs/ascend.md records which).
//
// Each X(name, result, parameters) is one function that is looked up in a library.
#pragma once

#include <cstddef>
#include <cstdint>

namespace latte::ascend {

using aclError = int;
using aclnnStatus = int32_t;
using aclrtContext = void*;
using aclrtStream = void*;
using aclrtEvent = void*;
using aclmdlRI = void*;  // a model runtime instance: captured launches

// For kernels in a device binary of our own.
using aclrtBinHandle = void*;
using aclrtFuncHandle = void*;
using aclrtArgsHandle = void*;
using aclrtParamHandle = void*;
struct aclrtBinaryLoadOptions;
struct aclrtLaunchKernelCfg;

struct aclTensor;
struct aclScalar;
struct aclIntArray;
struct aclOpExecutor;

enum aclDataType : int {
  ACL_FLOAT = 0,
  ACL_FLOAT16 = 1,
  ACL_INT32 = 3,
  ACL_INT64 = 9,
  ACL_DOUBLE = 11,
  ACL_BF16 = 27,
};
enum aclFormat : int { ACL_FORMAT_ND = 2 };
enum aclrtMemMallocPolicy : unsigned { ACL_MEM_MALLOC_HUGE_FIRST = 0 };
enum aclrtMemcpyKind : unsigned {
  ACL_MEMCPY_HOST_TO_DEVICE = 1,
  ACL_MEMCPY_DEVICE_TO_HOST = 2,
  ACL_MEMCPY_DEVICE_TO_DEVICE = 3,
};
enum aclrtMemAttr : unsigned { ACL_HBM_MEM = 1 };
enum aclrtEventRecordedStatus : unsigned {
  ACL_EVENT_RECORDED_STATUS_NOT_READY = 0,
  ACL_EVENT_RECORDED_STATUS_COMPLETE = 1,
};
enum aclDeviceInfo : int {
  ACL_DEVICE_INFO_AI_CORE_NUM = 0,
  ACL_DEVICE_INFO_VECTOR_CORE_NUM = 1,
  ACL_DEVICE_INFO_L2_SIZE = 2,
};

enum aclmdlRICaptureMode : unsigned { ACL_MODEL_RI_CAPTURE_MODE_THREAD_LOCAL = 1 };

constexpr uint32_t ACL_EVENT_SYNC = 0x00000001;
/// For aclrtSetStreamFailureMode; by default a stream continues after a failure.
constexpr uint64_t ACL_STOP_ON_FAILURE = 1;

constexpr aclError ACL_SUCCESS = 0;
constexpr aclError ACL_ERROR_REPEAT_INITIALIZE = 100002;
constexpr aclError ACL_ERROR_BAD_ALLOC = 200000;
constexpr aclError ACL_ERROR_STORAGE_OVER_LIMIT = 300000;
constexpr aclError ACL_ERROR_RT_PARAM_INVALID = 107000;
constexpr aclError ACL_ERROR_RT_CONTEXT_NULL = 107002;
constexpr aclError ACL_ERROR_RT_STREAM_CONTEXT = 107003;
constexpr aclError ACL_ERROR_RT_FEATURE_NOT_SUPPORT = 207000;
constexpr aclError ACL_ERROR_RT_MEMORY_ALLOCATION = 207001;
constexpr aclError ACL_ERROR_RT_LOST_HEARTBEAT = 507010;
constexpr aclError ACL_ERROR_RT_STREAM_SYNC_TIMEOUT = 507046;
constexpr aclError ACL_ERROR_RT_DEVICE_MEM_ERROR = 507053;
constexpr aclError ACL_ERROR_RT_HBM_MULTI_BIT_ECC_ERROR = 507054;
constexpr aclError ACL_ERROR_RT_DRV_INTERNAL_ERROR = 507899;
// Codes of aclnn (opdev/op_errno.h of 8.1.RC1): the kernels of an operator are not installed.
constexpr aclnnStatus ACLNN_ERR_INNER_FIND_KERNEL_ERROR = 561003;
constexpr aclnnStatus ACLNN_ERR_INNER_OPP_KERNEL_PKG_NOT_FOUND = 561112;

// libascendcl.so, or libacl_rt.so in newer releases.
#define LATTE_ACL_RUNTIME(X)                                                                  \
  X(aclInit, aclError, (const char* config))                                                  \
  X(aclFinalize, aclError, ())                                                                \
  X(aclGetRecentErrMsg, const char*, ())                                                      \
  X(aclrtGetSocName, const char*, ())                                                         \
  X(aclrtGetVersion, aclError, (int32_t * major, int32_t * minor, int32_t * patch))           \
  X(aclrtGetDeviceCount, aclError, (uint32_t * count))                                        \
  X(aclrtSetDevice, aclError, (int32_t device))                                               \
  X(aclrtResetDevice, aclError, (int32_t device))                                             \
  X(aclrtGetMemInfo, aclError, (aclrtMemAttr attribute, size_t * free, size_t * total))       \
  X(aclGetDeviceCapability, aclError, (uint32_t device, aclDeviceInfo info, int64_t * value)) \
  X(aclrtCreateContext, aclError, (aclrtContext * context, int32_t device))                   \
  X(aclrtDestroyContext, aclError, (aclrtContext context))                                    \
  X(aclrtSetCurrentContext, aclError, (aclrtContext context))                                 \
  X(aclrtCreateStream, aclError, (aclrtStream * stream))                                      \
  X(aclrtDestroyStream, aclError, (aclrtStream stream))                                       \
  X(aclrtSynchronizeStream, aclError, (aclrtStream stream))                                   \
  X(aclrtStreamWaitEvent, aclError, (aclrtStream stream, aclrtEvent event))                   \
  X(aclrtCreateEventExWithFlag, aclError, (aclrtEvent * event, uint32_t flag))                \
  X(aclrtDestroyEvent, aclError, (aclrtEvent event))                                          \
  X(aclrtRecordEvent, aclError, (aclrtEvent event, aclrtStream stream))                       \
  X(aclrtQueryEventStatus, aclError, (aclrtEvent event, aclrtEventRecordedStatus * status))   \
  X(aclrtSynchronizeEvent, aclError, (aclrtEvent event))                                      \
  X(aclrtMalloc, aclError, (void** memory, size_t bytes, aclrtMemMallocPolicy policy))        \
  X(aclrtFree, aclError, (void* memory))                                                      \
  X(aclrtMallocHost, aclError, (void** memory, size_t bytes))                                 \
  X(aclrtFreeHost, aclError, (void* memory))                                                  \
  X(aclrtMemsetAsync, aclError,                                                               \
    (void* memory, size_t most, int32_t value, size_t count, aclrtStream stream))             \
  X(aclrtMemcpyAsync, aclError,                                                               \
    (void* to, size_t most, const void* from, size_t count, aclrtMemcpyKind kind,             \
     aclrtStream stream))

// Of the same library, but not in every release.
#define LATTE_ACL_RUNTIME_OPTIONAL(X)                                                              \
  X(aclFinalizeReference, aclError, (uint64_t * references))                                       \
  X(aclrtSetStreamFailureMode, aclError, (aclrtStream stream, uint64_t mode))                      \
  X(aclrtDestroyStreamForce, aclError, (aclrtStream stream))                                       \
  X(aclrtSynchronizeStreamWithTimeout, aclError, (aclrtStream stream, int32_t milliseconds))       \
  X(aclmdlRICaptureBegin, aclError, (aclrtStream stream, aclmdlRICaptureMode mode))                \
  X(aclmdlRICaptureEnd, aclError, (aclrtStream stream, aclmdlRI * graph))                          \
  X(aclmdlRIExecuteAsync, aclError, (aclmdlRI graph, aclrtStream stream))                          \
  X(aclmdlRIDestroy, aclError, (aclmdlRI graph))                                                   \
  X(aclrtBinaryLoadFromFile, aclError,                                                             \
    (const char* path, aclrtBinaryLoadOptions* options, aclrtBinHandle* binary))                   \
  X(aclrtBinaryUnLoad, aclError, (aclrtBinHandle binary))                                          \
  X(aclrtBinaryGetFunction, aclError,                                                              \
    (const aclrtBinHandle binary, const char* name, aclrtFuncHandle* function))                    \
  X(aclrtKernelArgsInit, aclError, (aclrtFuncHandle function, aclrtArgsHandle * arguments))        \
  X(aclrtKernelArgsAppend, aclError,                                                               \
    (aclrtArgsHandle arguments, void* value, size_t bytes, aclrtParamHandle* parameter))           \
  X(aclrtKernelArgsFinalize, aclError, (aclrtArgsHandle arguments))                                \
  X(aclrtLaunchKernelWithConfig, aclError,                                                         \
    (aclrtFuncHandle function, uint32_t blocks, aclrtStream stream, aclrtLaunchKernelCfg * config, \
     aclrtArgsHandle arguments, void* reserved))

// libnnopbase.so.
#define LATTE_ACL_META(X)                                                                  \
  X(aclCreateTensor, aclTensor*,                                                           \
    (const int64_t* dims, uint64_t rank, aclDataType dtype, const int64_t* strides,        \
     int64_t offset, aclFormat format, const int64_t* storage_dims, uint64_t storage_rank, \
     void* data))                                                                          \
  X(aclDestroyTensor, aclnnStatus, (const aclTensor* tensor))                              \
  X(aclCreateScalar, aclScalar*, (void* value, aclDataType dtype))                         \
  X(aclDestroyScalar, aclnnStatus, (const aclScalar* scalar))                              \
  X(aclCreateIntArray, aclIntArray*, (const int64_t* values, uint64_t size))               \
  X(aclDestroyIntArray, aclnnStatus, (const aclIntArray* array))                           \
  X(aclSetAclOpExecutorRepeatable, aclnnStatus, (aclOpExecutor * executor))                \
  X(aclDestroyAclOpExecutor, aclnnStatus, (aclOpExecutor * executor))                      \
  X(aclSetInputTensorAddr, aclnnStatus,                                                    \
    (aclOpExecutor * executor, const size_t index, aclTensor* tensor, void* address))      \
  X(aclSetOutputTensorAddr, aclnnStatus,                                                   \
    (aclOpExecutor * executor, const size_t index, aclTensor* tensor, void* address))

// libopapi.so, or libopapi_math.so, libopapi_nn.so … in newer releases. Every operation is two
// functions: XGetWorkspaceSize(parameters, uint64_t* bytes, aclOpExecutor** executor), then
// X(workspace, bytes, executor, stream). Each Y(name, parameters) has those of the first.
#define LATTE_ACLNN_OPERATIONS(Y)                                                                 \
  Y(aclnnMm, const aclTensor* self, const aclTensor* mat2, aclTensor* out, int8_t cube_math_type) \
  Y(aclnnAddmm, const aclTensor* self, const aclTensor* mat1, const aclTensor* mat2,              \
    const aclScalar* beta, const aclScalar* alpha, aclTensor* out, int8_t cube_math_type)         \
  Y(aclnnAdd, const aclTensor* self, const aclTensor* other, const aclScalar* alpha,              \
    aclTensor* out)                                                                               \
  Y(aclnnInplaceAdd, const aclTensor* self, const aclTensor* other, const aclScalar* alpha)       \
  Y(aclnnMul, const aclTensor* self, const aclTensor* other, aclTensor* out)                      \
  Y(aclnnMuls, const aclTensor* self, const aclScalar* other, aclTensor* out)                     \
  Y(aclnnSin, const aclTensor* self, aclTensor* out)                                              \
  Y(aclnnCos, const aclTensor* self, aclTensor* out)                                              \
  Y(aclnnCast, const aclTensor* self, const aclDataType dtype, aclTensor* out)                    \
  Y(aclnnInplaceCopy, aclTensor* self, const aclTensor* source)                                   \
  Y(aclnnSilu, const aclTensor* self, aclTensor* out)                                             \
  Y(aclnnGeluV2, const aclTensor* self, int64_t approximate, aclTensor* out)                      \
  Y(aclnnRelu, const aclTensor* self, const aclTensor* out)                                       \
  Y(aclnnMish, const aclTensor* self, aclTensor* out)                                             \
  Y(aclnnLayerNorm, const aclTensor* input, const aclIntArray* normalized_shape,                  \
    const aclTensor* weight, const aclTensor* bias, double epsilon, aclTensor* out,               \
    aclTensor* mean, aclTensor* rstd)

/// The second function of every operation.
using AclnnRun = aclnnStatus (*)(void* workspace, uint64_t bytes, aclOpExecutor* executor,
                                 aclrtStream stream);

}  // namespace latte::ascend
