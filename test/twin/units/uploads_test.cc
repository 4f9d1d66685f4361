// Tests of native/backend/ascend/uploads.h. Without arguments, lists the cases. With the name of a
// case, runs it; the exit status is 0 if it passes.
#include "backend/ascend/uploads.h"

#include <cstdio>
#include <cstring>
#include <functional>

namespace {

using latte::DType;
using latte::TensorView;
using latte::ascend::Uploads;
using Upload = Uploads::Upload;

/// Addresses for uploads; nothing reads or writes this memory.
char device[4096];
char host[4096];

TensorView floats(int64_t offset, int64_t count) {
  return {{DType::kFloat32, {count}}, device + offset};
}

/// The offsets from `device`, in bytes, at which `uploads` begin.
std::vector<int64_t> places(const std::vector<Upload>& uploads) {
  std::vector<int64_t> found;
  for (const Upload& upload : uploads) found.push_back(static_cast<char*>(upload.device) - device);
  return found;
}

using Places = std::vector<int64_t>;

struct Case {
  const char* name;
  std::function<bool()> holds;
};

const Case cases[] = {
    {"an upload is copied once, by the first operation that reads any byte of it",
     [] {
       Uploads uploads;
       uploads.add(floats(64, 4), host);
       return uploads.read(device, 64).empty() && uploads.read(device + 80, 64).empty() &&
              places(uploads.read(device + 79, 1)) == Places{64} &&
              uploads.read(device + 64, 16).empty();
     }},
    {"a read copies all uploads that it meets, in ascending order, and no neighbour",
     [] {
       Uploads uploads;
       for (const int64_t at : {48, 16, 0, 32}) uploads.add(floats(at, 4), host + at);
       return places(uploads.read(device + 16, 17)) == Places{16, 32} &&
              places(uploads.read(device, 64)) == Places{0, 48};
     }},
    {"a copied upload between others hides none of them",
     [] {
       Uploads uploads;
       for (const int64_t at : {0, 16, 32}) uploads.add(floats(at, 4), host + at);
       uploads.read(device + 16, 4);
       return places(uploads.read(device, 48)) == Places{0, 32};
     }},
    {"an upload says what is to be copied, and where to",
     [] {
       Uploads uploads;
       uploads.add(floats(4, 3), host + 8);
       const std::vector<Upload> pending = uploads.read(device + 4, 12);
       if (pending.size() != 1) return false;
       const TensorView tensor = pending[0].tensor();
       return pending[0].host == host + 8 && tensor.data == device + 4 &&
              tensor.dtype == DType::kFloat32 && tensor.shape == latte::Shape{3};
     }},
    {"a read of no bytes copies nothing",
     [] {
       Uploads uploads;
       uploads.add(floats(0, 4), host);
       return uploads.read(device + 4, 0).empty() && uploads.overwrite(device + 4, 0).empty() &&
              uploads.host_copy(device, 16) == host;
     }},
    {"a tensor of no elements is no upload",
     [] {
       Uploads uploads;
       uploads.add(floats(0, 4), host);
       uploads.add(floats(16, 0), host + 16);
       uploads.add(floats(16, 4), host + 16);
       return places(uploads.read(device, 64)) == Places{0, 16};
     }},
    {"the host's copy is found at any offset, and not beyond the upload's end",
     [] {
       Uploads uploads;
       uploads.add(floats(64, 4), host + 256);
       return uploads.host_copy(device + 68, 12) == host + 260 &&
              uploads.host_copy(device + 68, 13) == nullptr &&
              uploads.host_copy(device + 63, 4) == nullptr &&
              uploads.host_copy(device + 80, 1) == nullptr;
     }},
    {"the host's copy stays when the upload was copied: the two are equal",
     [] {
       Uploads uploads;
       uploads.add(floats(64, 4), host);
       uploads.read(device + 64, 16);
       return uploads.host_copy(device + 64, 16) == host;
     }},
    {"a write makes uploads that it meets, and forgets their host copies alone",
     [] {
       Uploads uploads;
       for (const int64_t at : {0, 16, 32}) uploads.add(floats(at, 4), host + at);
       const bool made = places(uploads.overwrite(device + 20, 4)) == Places{16};
       return made && uploads.host_copy(device + 16, 16) == nullptr &&
              uploads.host_copy(device, 16) == host &&
              uploads.host_copy(device + 32, 16) == host + 32;
     }},
    {"a write to an upload that was copied makes nothing, and forgets it",
     [] {
       Uploads uploads;
       uploads.add(floats(0, 4), host);
       uploads.read(device, 16);
       return uploads.overwrite(device, 16).empty() && uploads.host_copy(device, 16) == nullptr;
     }},
    {"what a write forgot may be uploaded again",
     [] {
       Uploads uploads;
       uploads.add(floats(0, 8), host);
       uploads.overwrite(device, 32);
       uploads.add(floats(0, 4), host + 512);
       return uploads.host_copy(device, 16) == host + 512 &&
              places(uploads.read(device, 32)) == Places{0};
     }},
    {"an upload is continued by one of its dtype that begins where it ends",
     [] {
       Uploads uploads;
       uploads.add(floats(0, 4), host);
       const Upload* before = uploads.before(floats(16, 4));
       return before != nullptr && before->device == device && before->bytes == 16;
     }},
    {"an upload is not continued across a gap, by another dtype, or after it was copied",
     [] {
       Uploads uploads;
       uploads.add(floats(0, 4), host);
       if (uploads.before(floats(20, 4)) != nullptr) return false;
       if (uploads.before(floats(0, 4)) != nullptr) return false;
       if (uploads.before({{DType::kInt32, {4}}, device + 16}) != nullptr) return false;
       uploads.read(device, 4);
       return uploads.before(floats(16, 4)) == nullptr;
     }},
    {"a joined upload takes the place of the one that it continues",
     [] {
       Uploads uploads;
       uploads.add(floats(0, 4), host);
       uploads.add(floats(0, 8), host + 1024);
       const std::vector<Upload> pending = uploads.read(device + 28, 4);
       return pending.size() == 1 && pending[0].host == host + 1024 && pending[0].bytes == 32;
     }},
    // This once crashed. The copy of an upload to an address where no copy may begin uses an
    // operation, which reports its own reads and writes while the uploads are iterated.
    {"uploads may be added, read and overwritten while pending ones are being copied",
     [] {
       Uploads uploads;
       for (const int64_t at : {4, 36, 68}) uploads.add(floats(at, 4), host + at);
       Places copied;
       for (const Upload& upload : uploads.read(device, 256)) {
         uploads.add(floats(1024 + 64 * static_cast<int64_t>(copied.size()), 4), host);
         uploads.overwrite(upload.device, upload.bytes);
         uploads.read(upload.device, upload.bytes);
         copied.push_back(static_cast<char*>(upload.device) - device);
       }
       return copied == Places{4, 36, 68};
     }},
};

}  // namespace

int main(int count, char** arguments) {
  for (const Case& test : cases) {
    if (count < 2) {
      std::printf("%s\n", test.name);
    } else if (std::strcmp(test.name, arguments[1]) == 0) {
      return test.holds() ? 0 : 1;
    }
  }
  return count < 2 ? 0 : 2;
}
