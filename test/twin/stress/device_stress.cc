// Uses two simulated NPUs from several threads at once, for ThreadSanitizer. Submissions,
// allocations, copies, cancellations, failures and closing overlap as they do with several
// JavaScript environments. Prints what it did; the exit status is 1 if a result was wrong.
#include <dlfcn.h>

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <future>
#include <memory>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "backend/ascend/acl/device_thread.h"
#include "backend/registry.h"

namespace {

using namespace latte;

constexpr int64_t kRows = 7, kIn = 24, kOut = 40;

std::atomic<int> wrong{0}, succeeded{0}, aborted{0}, failed{0};

/// Returns a function that the twin alone exports.
template <class Function>
Function twin(const char* name) {
  static void* const library = dlopen(
      (std::string(std::getenv("ASCEND_HOME_PATH")) + "/lib64/libascendcl.so").c_str(), RTLD_NOW);
  return reinterpret_cast<Function>(dlsym(library, name));
}

/// Lets the next launch on any device fail asynchronously with ACL_ERROR_RT_AICORE_EXCEPTION. The
/// stream that replaces the failed one stops on failure, or does not.
void inject_failure(bool stops_afterwards) {
  static const auto support = twin<void (*)(int)>("latte_twin_support_stop_mode");
  static const auto inject =
      twin<void (*)(const char*, int64_t, int, int, int)>("latte_twin_inject");
  support(stops_afterwards ? 1 : 0);
  inject("launch", 1, 507015, -1, 1);
}

/// x·Wᵀ + b with whole numbers: exact in any order.
struct Layer {
  explicit Layer(Device& on) : device(on), weight(kOut * kIn), bias(kOut) {
    for (size_t i = 0; i < weight.size(); ++i) weight[i] = static_cast<float>(i % 5) - 2;
    for (size_t i = 0; i < bias.size(); ++i) bias[i] = static_cast<float>(i % 3);
    const TensorView weights{{DType::kFloat32, {kOut, kIn}}, weight.data()};
    const TensorView biases{{DType::kFloat32, {kOut}}, bias.data()};
    prepared = device.prepare_linear(weights, &biases, DType::kFloat32);
  }

  Device& device;
  std::vector<float> weight, bias;
  std::shared_ptr<const LinearWeights> prepared;
};

/// One forward: copies in, the layer, and copies out.
struct Forward {
  explicit Forward(const Layer& on, int seed)
      : layer(on), input(kRows * kIn), output(kRows * kOut) {
    for (size_t i = 0; i < input.size(); ++i) {
      input[i] = static_cast<float>((i + static_cast<size_t>(seed)) % 61) - 30;
    }
  }

  void run(Queue& queue) {
    const TensorView in = queue.upload({{DType::kFloat32, {kRows, kIn}}, input.data()});
    const TensorView out{{DType::kFloat32, {kRows, kOut}}, queue.scratch(output.size() * 4)};
    LinearArgs args;
    args.input = in;
    args.weights = layer.prepared.get();
    args.output = LinearOutput::dense(out);
    queue.linear(args);
    queue.download(out, output.data());
  }

  void check() const {
    for (int64_t row = 0; row < kRows; ++row) {
      for (int64_t column = 0; column < kOut; ++column) {
        float expected = layer.bias[static_cast<size_t>(column)];
        for (int64_t k = 0; k < kIn; ++k) {
          expected += input[static_cast<size_t>(row * kIn + k)] *
                      layer.weight[static_cast<size_t>(column * kIn + k)];
        }
        if (output[static_cast<size_t>(row * kOut + column)] != expected) ++wrong;
      }
    }
  }

  const Layer& layer;
  std::vector<float> input, output;
  std::promise<void> finished;
};

class ForwardWork final : public Work {
 public:
  explicit ForwardWork(Forward& forward) : forward_(forward) {}

  void run(Queue& queue) override { forward_.run(queue); }

 protected:
  void done() noexcept override {
    if (!error) {
      forward_.check();
      ++succeeded;
    } else if (error->code() == ErrorCode::kAborted) {
      ++aborted;
    } else if (error->code() == ErrorCode::kDevice && error->status() == 507015) {
      ++failed;
    } else {
      std::fprintf(stderr, "%s\n", error->what());
      ++wrong;
    }
    forward_.finished.set_value();
  }

 private:
  Forward& forward_;
};

void caller(const std::vector<const Layer*>& layers, int seed) {
  std::mt19937 random(static_cast<unsigned>(seed));
  for (int round = 0; round < 40; ++round) {
    const Layer& layer = *layers[random() % layers.size()];
    Forward forward(layer, round * 4 + seed);
    const bool cancel = random() % 5 == 0;
    if (random() % 10 == 0) inject_failure(random() % 2 == 0);
    const auto work = std::make_shared<ForwardWork>(forward);
    layer.device.submit(work);
    if (cancel) work->cancel();
    // Meanwhile the thread uses other memory of the same device.
    const auto buffer = layer.device.allocate(256 + random() % 4096);
    std::vector<char> bytes(buffer->bytes(), static_cast<char>(round)), back(bytes.size());
    try {
      layer.device.copy_in(buffer->data(), bytes.data(), bytes.size());
      layer.device.copy_out(back.data(), buffer->data(), back.size());
      if (back != bytes) ++wrong;
    } catch (const Error& error) {
      // A failure of another work reaches every caller that waits for the stream.
      if (error.code() != ErrorCode::kDevice) ++wrong;
    }
    layer.device.memory_usage();
    forward.finished.get_future().wait();
  }
}

/// Checks that a trial that fails in a context of its own leaves the device's context intact.
void try_in_scratch_context() {
  ascend::AclFunctions acl;
  ascend::load_acl(acl);
  const auto nothing = [] {};
  const auto ended = [](bool) {};
  ascend::DeviceThread thread(acl, 1, {nothing, nothing, nothing, ended, nothing, ended});
  thread.start();
  thread.call([&] {
    constexpr size_t kBytes = 64;
    void* memory = nullptr;
    LATTE_ACL(acl, aclrtMalloc, &memory, kBytes, ascend::ACL_MEM_MALLOC_HUGE_FIRST);
    const auto clear = [&](void* stream) {
      LATTE_ACL(acl, aclrtMemsetAsync, memory, kBytes, 0, kBytes, stream);
    };
    twin<void (*)(const char*, int64_t, int, int, int)>("latte_twin_inject")("aclrtMemsetAsync", 1,
                                                                             507015, 1, 1);
    for (const bool fails : {true, false}) {
      ascend::ScratchContext scratch = thread.scratch_context();
      clear(scratch.stream());
      try {
        if (!scratch.synchronise_within(60000) || fails) ++wrong;
      } catch (const Error& error) {
        if (!fails || error.status() != 507015) ++wrong;
      }
    }
    clear(thread.stream());
    thread.synchronise();
    LATTE_ACL(acl, aclrtFree, memory);
  });
}

}  // namespace

int main() {
  try {
    environment_opened();
    {
      const Layer first(open_device("npu:0")), second(open_device("npu:1"));
      std::vector<std::thread> threads;
      for (int seed = 0; seed < 4; ++seed) {
        threads.emplace_back([&, seed] { caller({&first, &second}, seed); });
      }
      threads.emplace_back([] {
        for (int i = 0; i < 10; ++i) list_devices();
      });
      for (std::thread& thread : threads) thread.join();
    }
    try_in_scratch_context();
    environment_closed(true);
  } catch (const Error& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
  std::printf("%d done, %d aborted, %d failed, %d wrong\n", succeeded.load(), aborted.load(),
              failed.load(), wrong.load());
  return wrong == 0 ? 0 : 1;
}
