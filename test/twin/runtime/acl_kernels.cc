// Kernels of an application's own binary: loaded, found by name, given arguments and launched. The
// order of the calls is that of acl_rt.h of 8.1.RC1. That a binary belongs to the context in which
// it was loaded is an assumption, the stricter one. A binary of the twin is a shared library.
#include <dlfcn.h>

#include <vector>

#include "../kernels/launch/twin_binary.h"
#include "runtime/stream.h"

using namespace latte::twin;

namespace latte::ascend {

namespace {

constexpr aclError ACL_ERROR_INVALID_FILE = 100003;  // acl_base.h of 8.1.RC1

using Find = decltype(&latte_twin_find_kernel);

struct Binary {
  void* library = nullptr;
  Find find = nullptr;
  const void* context = nullptr;
};

struct Function {
  const latte_twin_kernel* kernel = nullptr;
  std::weak_ptr<Binary> binary;
  std::vector<std::byte> arguments;
  bool open = false, complete = false;
};

Handles<Binary>& binaries() {
  static auto* handles = new Handles<Binary>(static_cast<HandleKind>(32), "binary");
  return *handles;
}
Handles<Function>& functions() {
  static auto* handles = new Handles<Function>(static_cast<HandleKind>(33), "function");
  return *handles;
}

std::shared_ptr<Function> function_of(const void* handle, const char* name) {
  auto function = functions().find(handle, name);
  if (function != nullptr && function->binary.expired()) {
    misuse(ACL_ERROR_RT_PARAM_INVALID, format("%s: the function's binary is unloaded", name));
    return nullptr;
  }
  return function;
}

}  // namespace

extern "C" {

aclError aclrtBinaryLoadFromFile(const char* path, aclrtBinaryLoadOptions*,
                                 aclrtBinHandle* binary) {
  const Entry entry = enter("aclrtBinaryLoadFromFile", Needs::kContext);
  if (entry.code != 0) return entry.code;
  void* library = dlopen(path, RTLD_LOCAL | RTLD_NOW);
  const auto find = library == nullptr
                        ? nullptr
                        : reinterpret_cast<Find>(dlsym(library, "latte_twin_find_kernel"));
  if (find == nullptr)
    return failure(ACL_ERROR_INVALID_FILE, format("%s is no device binary", path));
  *binary = binaries().add(std::make_shared<Binary>(Binary{library, find, entry.context->handle}));
  return ACL_SUCCESS;
}

aclError aclrtBinaryUnLoad(aclrtBinHandle binary) {
  const Entry entry = enter("aclrtBinaryUnLoad", Needs::kContextToGiveBack);
  if (entry.code != 0) return entry.code;
  return binaries().remove(binary, "aclrtBinaryUnLoad") == nullptr ? ACL_ERROR_RT_PARAM_INVALID
                                                                   : ACL_SUCCESS;
}

aclError aclrtBinaryGetFunction(const aclrtBinHandle binary, const char* name,
                                aclrtFuncHandle* function) {
  const Entry entry = enter("aclrtBinaryGetFunction", Needs::kContext);
  if (entry.code != 0) return entry.code;
  const auto found = binaries().find(binary, "aclrtBinaryGetFunction");
  if (found == nullptr) return ACL_ERROR_RT_PARAM_INVALID;
  const latte_twin_kernel* kernel = found->find(name);
  if (kernel == nullptr)
    return failure(ACL_ERROR_RT_PARAM_INVALID, format("there is no kernel %s", name));
  auto made = std::make_shared<Function>();
  made->kernel = kernel;
  made->binary = found;
  *function = functions().add(std::move(made));
  return ACL_SUCCESS;
}

aclError aclrtKernelArgsInit(aclrtFuncHandle function, aclrtArgsHandle* arguments) {
  const auto found = function_of(function, "aclrtKernelArgsInit");
  if (found == nullptr) return ACL_ERROR_RT_PARAM_INVALID;
  found->arguments.clear();
  found->open = true;
  found->complete = false;
  *arguments = function;
  return ACL_SUCCESS;
}

aclError aclrtKernelArgsAppend(aclrtArgsHandle arguments, void* value, size_t bytes,
                               aclrtParamHandle* parameter) {
  const auto found = function_of(arguments, "aclrtKernelArgsAppend");
  if (found == nullptr || !found->open) {
    return misuse(ACL_ERROR_RT_PARAM_INVALID, "aclrtKernelArgsAppend without aclrtKernelArgsInit");
  }
  const auto* begin = static_cast<const std::byte*>(value);
  found->arguments.insert(found->arguments.end(), begin, begin + bytes);
  *parameter = arguments;
  return ACL_SUCCESS;
}

aclError aclrtKernelArgsFinalize(aclrtArgsHandle arguments) {
  const auto found = function_of(arguments, "aclrtKernelArgsFinalize");
  if (found == nullptr || !found->open) {
    return misuse(ACL_ERROR_RT_PARAM_INVALID,
                  "aclrtKernelArgsFinalize without aclrtKernelArgsInit");
  }
  found->open = false;
  found->complete = true;
  return ACL_SUCCESS;
}

aclError aclrtLaunchKernelWithConfig(aclrtFuncHandle function, uint32_t blocks, aclrtStream stream,
                                     aclrtLaunchKernelCfg*, aclrtArgsHandle arguments, void*) {
  const auto found = function_of(function, "aclrtLaunchKernelWithConfig");
  if (found == nullptr) return ACL_ERROR_RT_PARAM_INVALID;
  const auto binary = found->binary.lock();
  const auto context = current_context();
  if (context == nullptr || context->handle != binary->context) {
    return misuse(ACL_ERROR_RT_PARAM_INVALID, "a kernel of a binary of another context");
  }
  if (arguments != function || !found->complete) {
    return misuse(ACL_ERROR_RT_PARAM_INVALID, "a launch with arguments that are not finalised");
  }
  found->complete = false;
  if (found->arguments.size() != found->kernel->argument_bytes) {
    return misuse(ACL_ERROR_RT_PARAM_INVALID,
                  format("%s: %zu bytes of arguments instead of %zu", found->kernel->name,
                         found->arguments.size(), found->kernel->argument_bytes));
  }
  count("launches of the device binary");
  return static_cast<aclError>(found->kernel->launch(blocks, stream, found->arguments.data()));
}
}

}  // namespace latte::ascend

TWIN_EXPORT int latte_twin_stream_is_gone(void* stream) {
  return streams().peek(stream) == nullptr ? 1 : 0;
}

TWIN_EXPORT int latte_twin_stream_device(void* stream) {
  const auto found = streams().peek(stream);
  return found == nullptr ? -1 : found->device();
}
