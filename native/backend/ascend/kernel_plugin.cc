#include "backend/ascend/kernel_plugin.h"

#include <dlfcn.h>
#include <unistd.h>

#include "core/setting.h"

namespace latte::ascend {

namespace {

constexpr const char* kPluginVariable = "LATTE_ASCEND_KERNELS";
constexpr const char* kPluginName = "liblatte_ascend_kernels.so";

/// The folder of the library that holds this code.
std::string own_folder() {
  static const char anchor = 0;
  Dl_info info;
  if (dladdr(&anchor, &info) == 0 || info.dli_fname == nullptr) return "";
  const std::string file = info.dli_fname;
  const size_t slash = file.rfind('/');
  return slash == std::string::npos ? "" : file.substr(0, slash + 1);
}

/// The file beside the addon; if there is none, the one in the user's folder, which outlives an
/// installation of the package (scripts/build-ascend-kernels.sh).
std::string default_path() {
  std::string beside = own_folder() + kPluginName;
  if (access(beside.c_str(), R_OK) == 0) return beside;
  auto data = setting("XDG_DATA_HOME");
  if (!data) {
    const auto home = setting("HOME");
    if (!home) return beside;
    data = *home + "/.local/share";
  }
  std::string users = *data + "/latte-embeddings/kernels/" + kPluginName;
  return access(users.c_str(), R_OK) == 0 ? users : beside;
}

}  // namespace

void KernelPlugin::check_setting() {
  const auto given = setting(kPluginVariable);
  // A name without a folder is searched by the loader, so it cannot be checked here.
  if (!given || given->find('/') == std::string::npos) return;
  if (access(given->c_str(), R_OK) != 0) refuse_setting(kPluginVariable, "off or a file", *given);
}

std::unique_ptr<const KernelPlugin> KernelPlugin::load(std::string& path, std::string& reason) {
  const auto given = setting(kPluginVariable);
  if (given == "off") {
    reason = "switched off by LATTE_ASCEND_KERNELS=off";
    return nullptr;
  }
  path = given ? *given : default_path();
  void* library = dlopen(path.c_str(), RTLD_LOCAL | RTLD_NOW | RTLD_NODELETE);
  if (library == nullptr) {
    const char* message = dlerror();
    reason = message == nullptr ? "it could not be opened" : message;
    return nullptr;
  }
  const auto version = reinterpret_cast<latte_kernels_abi_version_function>(
      dlsym(library, "latte_kernels_abi_version"));
  const auto open =
      reinterpret_cast<latte_kernels_open_function>(dlsym(library, "latte_kernels_open"));
  if (version == nullptr || open == nullptr) {
    reason = "it is not a plugin with latte's kernels";
    return nullptr;
  }
  const latte_kernels* kernels = open(LATTE_KERNELS_ABI_VERSION);
  if (kernels == nullptr || kernels->abi_version != LATTE_KERNELS_ABI_VERSION ||
      kernels->bytes != sizeof(latte_kernels)) {
    reason = "it has version " + std::to_string(version()) + " of the kernels' interface, not " +
             std::to_string(LATTE_KERNELS_ABI_VERSION) +
             ": build it again with scripts/build-ascend-kernels.sh";
    return nullptr;
  }
  reason.clear();
  return std::make_unique<KernelPlugin>(*kernels);
}

}  // namespace latte::ascend
