#include "backend/ascend/acl_library.h"

#include <dlfcn.h>

#include <cstdlib>

namespace latte::ascend {

namespace {

/// Libraries that hold a set of functions between them.
using Group = std::vector<const char*>;

/// The open libraries of one group. They are closed only where the group turned out incomplete:
/// CANN's libraries do not survive being unloaded once they were used.
class OpenGroup {
 public:
  bool open(const std::string& folder, const Group& names, AclLoad& load) {
    for (const char* name : names) {
      const std::string path = folder + name;
      void* library = dlopen(path.c_str(), RTLD_LOCAL | RTLD_NOW);
      if (library == nullptr) {
        const char* message = dlerror();
        note(load, path, message == nullptr ? "" : message);
        close();
        return false;
      }
      libraries_.push_back(library);
    }
    path_ = folder + names.front();
    return true;
  }

  void* find(const char* symbol) const {
    for (void* library : libraries_) {
      if (void* address = dlsym(library, symbol)) return address;
    }
    return nullptr;
  }

  void close() {
    for (void* library : libraries_) dlclose(library);
    libraries_.clear();
  }

  const std::string& path() const { return path_; }

  /// The first failure is the one that names the installation a person meant, except that a library
  /// which is there and does not open (for want of the driver's, say) tells more than one that is
  /// not there: each installation has but one of two names.
  static void note(AclLoad& load, const std::string& path, const std::string& message) {
    if (!load.loader_message.empty() && !load.absent) return;
    const bool absent = message.starts_with(path + ": cannot open shared object file");
    if (!load.loader_message.empty() && absent) return;
    load.path = path;
    load.loader_message = message;
    load.absent = absent;
  }

 private:
  std::vector<void*> libraries_;
  std::string path_;
};

/// Where the libraries may lie; "" leaves it to the loader (LD_LIBRARY_PATH, ld.so.conf).
std::vector<std::string> folders() {
  std::vector<std::string> found;
  for (const char* variable : {"ASCEND_HOME_PATH", "ASCEND_TOOLKIT_HOME"}) {
    const char* home = std::getenv(variable);
    if (home != nullptr && *home != '\0') found.push_back(std::string(home) + "/lib64/");
  }
  found.emplace_back("");
  found.emplace_back("/usr/local/Ascend/ascend-toolkit/latest/lib64/");
  return found;
}

template <class Function>
bool resolve(const OpenGroup& group, const char* symbol, Function& function, AclLoad& load) {
  // POSIX has dlsym's result stand for functions, too.
  function = reinterpret_cast<Function>(group.find(symbol));
  if (function != nullptr) return true;
  OpenGroup::note(load, group.path(), std::string("the library lacks ") + symbol);
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

/// The first of `groups` that opens and is complete.
bool open_first(const std::string& folder, const std::vector<Group>& groups, Resolve resolve_all,
                AclFunctions& acl, AclLoad& load) {
  for (const Group& names : groups) {
    OpenGroup group;
    if (!group.open(folder, names, load)) continue;
    if (resolve_all(group, acl, load)) {
      load.path = group.path();
      return true;
    }
    group.close();
  }
  return false;
}

}  // namespace

AclLoad load_acl(AclFunctions& acl) {
  AclLoad first_failure;
  for (const std::string& folder : folders()) {
    // One installation has all three: parts of two are never mixed.
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
