#include "backend/ascend/acl/acl_library.h"

#include <dlfcn.h>
#include <link.h>

#include <cstdlib>
#include <optional>

namespace latte::ascend {

namespace {

/// The names of libraries that together have a set of functions.
using Group = std::vector<const char*>;

/// Whether dlopen()'s message means that the file does not exist.
bool is_absent(const std::string& path, const std::string& message) {
  return message.starts_with(path + ": cannot open shared object file");
}

/// The open libraries of one group. They are never closed: CANN's libraries start threads and
/// install handlers while they are loaded, so unloading them would crash.
class OpenGroup {
 public:
  /// Opens all libraries of the group. On failure returns false and sets the reason in `load`.
  bool open(const std::string& folder, const Group& names, AclLoad& load) {
    for (const char* name : names) {
      const std::string path = folder + name;
      void* library = dlopen(path.c_str(), RTLD_LOCAL | RTLD_NOW | RTLD_NODELETE);
      if (library == nullptr) {
        const char* message = dlerror();
        load.path = path;
        load.loader_message = message == nullptr ? "" : message;
        // If an earlier library of the group opened, the installation is incomplete, not absent.
        load.absent = libraries_.empty() && is_absent(path, load.loader_message);
        return false;
      }
      libraries_.push_back(library);
      paths_.push_back(folder.empty() ? path_of(library, path) : path);
    }
    return true;
  }

  void* find(const char* symbol) const {
    for (void* library : libraries_) {
      if (void* address = dlsym(library, symbol)) return address;
    }
    return nullptr;
  }

  const std::string& path() const { return paths_.front(); }

  /// The files, for a message: 'a.so and b.so'.
  std::string files() const {
    std::string files;
    for (const std::string& path : paths_) files += (files.empty() ? "" : " and ") + path;
    return files;
  }

 private:
  /// The path at which the loader found a library that was named without a folder.
  static std::string path_of(void* library, const std::string& otherwise) {
    struct link_map* map = nullptr;
    if (dlinfo(library, RTLD_DI_LINKMAP, &map) != 0 || map == nullptr) return otherwise;
    return *map->l_name == '\0' ? otherwise : map->l_name;
  }

  std::vector<void*> libraries_;
  std::vector<std::string> paths_;
};

/// The folders in which the libraries may be; "" means the loader's own (LD_LIBRARY_PATH,
/// ld.so.conf).
std::vector<std::string> folders() {
  std::vector<std::string> found;
  for (const char* variable : {"ASCEND_HOME_PATH", "ASCEND_TOOLKIT_HOME"}) {
    const char* home = std::getenv(variable);
    if (home != nullptr && *home != '\0') found.push_back(std::string(home) + "/lib64/");
  }
  found.emplace_back("");
  // Newer releases are installed in the first of these folders, older ones in the second.
  found.emplace_back("/usr/local/Ascend/cann/lib64/");
  found.emplace_back("/usr/local/Ascend/ascend-toolkit/latest/lib64/");
  return found;
}

/// Sets `function` to a symbol of the group. If there is none, returns false and sets the reason in
/// `load`.
template <class Function>
bool resolve(const OpenGroup& group, const char* symbol, Function& function, AclLoad& load) {
  // POSIX allows dlsym's void* to be cast to a function pointer.
  function = reinterpret_cast<Function>(group.find(symbol));
  if (function != nullptr) return true;
  load.path = group.path();
  load.loader_message = group.files() + ": the library lacks " + symbol;
  load.absent = false;
  return false;
}

bool resolve_runtime(const OpenGroup& group, AclFunctions& acl, AclLoad& load) {
  bool all = true;
#define LATTE_RESOLVE(name, result, parameters) all = all && resolve(group, #name, acl.name, load);
  LATTE_ACL_RUNTIME(LATTE_RESOLVE)
#undef LATTE_RESOLVE
#define LATTE_RESOLVE(name, result, parameters) \
  acl.name = reinterpret_cast<decltype(acl.name)>(group.find(#name));
  LATTE_ACL_RUNTIME_OPTIONAL(LATTE_RESOLVE)
#undef LATTE_RESOLVE
  return all;
}

bool resolve_meta(const OpenGroup& group, AclFunctions& acl, AclLoad& load) {
  bool all = true;
#define LATTE_RESOLVE(name, result, parameters) all = all && resolve(group, #name, acl.name, load);
  LATTE_ACL_META(LATTE_RESOLVE)
#undef LATTE_RESOLVE
  return all;
}

bool resolve_operations(const OpenGroup& group, AclFunctions& acl, AclLoad& load) {
  bool all = true;
#define LATTE_RESOLVE(name, ...)                                                             \
  all = all && resolve(group, #name "GetWorkspaceSize", acl.name##GetWorkspaceSize, load) && \
        resolve(group, #name, acl.name, load);
  LATTE_ACLNN_OPERATIONS(LATTE_RESOLVE)
#undef LATTE_RESOLVE
  return all;
}

using Resolve = bool (*)(const OpenGroup&, AclFunctions&, AclLoad&);

/// Uses the first of `groups` that opens and is complete. On failure sets in `load` the reason of
/// the first group that exists but fails. If none exists, it is that of the last group, whose
/// libraries users know best.
bool open_first(const std::string& folder, const std::vector<Group>& groups, Resolve resolve_all,
                AclFunctions& acl, AclLoad& load) {
  std::optional<AclLoad> broken;
  std::string others;
  for (const Group& names : groups) {
    OpenGroup group;
    if (group.open(folder, names, load) && resolve_all(group, acl, load)) {
      load.path = group.path();
      return true;
    }
    if (!load.absent && !broken) broken = load;
    if (&names != &groups.back()) others += std::string(", nor ") + names.front();
  }
  if (broken) {
    load = *broken;
  } else if (!others.empty()) {
    load.loader_message += " (" + others.substr(2) + ")";
  }
  return false;
}

}  // namespace

AclLoad load_acl(AclFunctions& acl) {
  AclLoad first_failure;
  for (const std::string& folder : folders()) {
    // All three groups must come from one folder: parts of two installations are never mixed.
    AclLoad load;
    acl = {};
    std::string runtime;
    if (open_first(folder, {{"libacl_rt.so"}, {"libascendcl.so"}}, resolve_runtime, acl, load)) {
      runtime = load.path;
      load.loader_message.clear();
      if (open_first(folder, {{"libnnopbase.so"}}, resolve_meta, acl, load) &&
          open_first(folder, {{"libopapi_math.so", "libopapi_nn.so"}, {"libopapi.so"}},
                     resolve_operations, acl, load)) {
        return {true, runtime, ""};
      }
    }
    if (first_failure.path.empty() || !runtime.empty() || (first_failure.absent && !load.absent)) {
      first_failure = load;
    }
    if (!runtime.empty()) break;
  }
  acl = {};
  return first_failure;
}

}  // namespace latte::ascend
