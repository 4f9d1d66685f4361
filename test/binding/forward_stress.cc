// Forwards of two environments at once, on the host and on simulated NPUs, for ThreadSanitizer.
// They overlap, are cancelled, take inputs from other devices, and still run when their environment
// ends. The exit status is 1 if a promise did not settle exactly once, or if a result is wrong.
//
// --race: reads a result before its promise has settled, which ThreadSanitizer must report.
#include <atomic>
#include <cstdio>
#include <cstring>
#include <random>
#include <thread>

#include "backend/registry.h"
#include "binding/environment.h"
#include "binding/forward.h"
#include "node_api_stand_in.h"

namespace {

using namespace latte;
using namespace latte::binding;

constexpr int64_t kSize = 5;
constexpr int kForwards = 60;

std::atomic<int> wrong{0}, resolved{0}, rejected{0};

/// Written by the thread that computes and read by the JavaScript thread, without a lock.
struct Mark {
  int value = 0;
};

Plan plan_of(const std::shared_ptr<Mark>& mark, int value) {
  Plan plan;
  plan.outputs = {{DType::kFloat32, {kSize}}};
  plan.run = [mark, value](Queue& queue, const Inputs& inputs, const Outputs& outputs) {
    queue.convert(*inputs[0], outputs[0]);
    mark->value = value;
  };
  return plan;
}

Tensor tensor_on(Device& device, float value) {
  const std::vector<float> values(kSize, value);
  Tensor tensor = allocate(device, {DType::kFloat32, {kSize}});
  device.copy_in(tensor.data, values.data(), tensor.bytes());
  return tensor;
}

bool holds(const Tensor& tensor, float value) {
  std::vector<float> values(kSize);
  device_of(tensor).copy_out(values.data(), tensor.data, tensor.bytes());
  for (const float found : values) {
    if (found != value) return false;
  }
  return true;
}

struct Started {
  napi_deferred deferred;
  std::shared_ptr<Mark> mark;
  int value;
  napi_value results;
  bool cancelled = false;
};

/// One environment, from its beginning to its end; `complete`: waits for its forwards.
void run_environment(unsigned seed, bool complete, bool race) {
  std::mt19937 random(seed);
  napi_env__ env;
  auto environment = std::make_unique<Environment>(Napi::Env(&env));
  Device* const devices[] = {&open_device("cpu"), &open_device("npu:0"), &open_device("npu:1")};
  std::vector<Started> started;
  for (int i = 1; i <= kForwards; ++i) {
    napi_value inputs = nullptr, results = nullptr;
    napi_create_array_with_length(&env, 1, &inputs);
    napi_create_array_with_length(&env, 1, &results);
    inputs->elements[0] =
        make_tensor(&env, tensor_on(*devices[random() % 3], static_cast<float>(i)));
    const auto mark = std::make_shared<Mark>();
    const ForwardArguments arguments(&env, inputs, results);
    forward_later(*environment, *devices[random() % 3], plan_of(mark, i), arguments, i);
    started.push_back({env.deferreds.back().get(), mark, i, results});
    if (race && mark->value == i) std::puts("the result came early");
    if (random() % 4 == 0) {
      const auto id = static_cast<size_t>(1 + random() % static_cast<unsigned>(i));
      started[id - 1].cancelled = true;
      environment->schedule.cancel(static_cast<int64_t>(id));
    }
  }
  const auto settled = [&] {
    for (const Started& forward : started) {
      if (forward.deferred->settled == 0) return false;
    }
    return true;
  };
  while (complete && !settled()) env.turn();
  for (const Started& forward : started) {
    if (forward.deferred->settled > 1 || (complete && forward.deferred->settled != 1)) ++wrong;
    if (forward.deferred->resolved) {
      ++resolved;
      const Tensor& result = TensorHandle(&env, forward.results->elements[0]).native().tensor;
      if (forward.mark->value != forward.value || !holds(result, static_cast<float>(forward.value)))
        ++wrong;
    } else {
      ++rejected;
      if (complete && !forward.cancelled) ++wrong;
    }
  }
  env.end();
  environment.reset();
}

}  // namespace

int main(int count, char** arguments) {
  const bool race = count > 1 && std::strcmp(arguments[1], "--race") == 0;
  // The main thread's environment outlives its workers': the devices are closed with it.
  const DeviceUser main_environment;
  for (unsigned round = 0; round < 4; ++round) {
    const bool complete = round % 2 == 0;
    std::thread one([&] { run_environment(2 * round, complete, race); });
    std::thread other([&] { run_environment(2 * round + 1, true, race); });
    one.join();
    other.join();
  }
  std::printf("forwards: %d resolved, %d rejected or left, %d wrong\n", resolved.load(),
              rejected.load(), wrong.load());
  return wrong == 0 ? 0 : 1;
}
