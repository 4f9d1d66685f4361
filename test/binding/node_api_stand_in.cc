#include "node_api_stand_in.h"

napi_env__::napi_env__() {
  constexpr int kWorkers = 2;
  for (int i = 0; i < kWorkers; ++i) workers_.emplace_back([this] { run_worker(); });
}

void napi_env__::end() {
  while (works > 0) turn();
  while (!hooks.empty()) {
    const auto [function, data] = hooks.back();
    hooks.pop_back();
    function(data);
  }
  for (const auto& value : values) {
    if (void* const native = std::exchange(value->wrapped, nullptr)) {
      value->finalize(this, native, nullptr);
    }
  }
}

napi_env__::~napi_env__() {
  {
    const std::lock_guard lock(mutex_);
    ending_ = true;
    queued_.notify_all();
  }
  for (auto& worker : workers_) worker.join();
}

napi_value napi_env__::make(napi_valuetype type) {
  values.push_back(std::make_unique<napi_value__>());
  values.back()->type = type;
  return values.back().get();
}

void napi_env__::post(std::function<void()> task) {
  const std::lock_guard lock(mutex_);
  tasks_.push_back(std::move(task));
  posted_.notify_one();
}

void napi_env__::work(std::function<void()> task) {
  const std::lock_guard lock(mutex_);
  works_.push_back(std::move(task));
  queued_.notify_one();
}

void napi_env__::turn() {
  std::deque<std::function<void()>> tasks;
  {
    std::unique_lock lock(mutex_);
    posted_.wait(lock, [&] { return !tasks_.empty(); });
    tasks.swap(tasks_);
  }
  for (const auto& task : tasks) task();
}

void napi_env__::run_worker() {
  for (;;) {
    std::function<void()> work;
    {
      std::unique_lock lock(mutex_);
      queued_.wait(lock, [&] { return ending_ || !works_.empty(); });
      if (works_.empty()) return;
      work = std::move(works_.front());
      works_.pop_front();
    }
    work();
  }
}

struct napi_threadsafe_function__ {
  napi_env env;
  void* context;
  napi_threadsafe_function_call_js call;
};

struct napi_async_work__ {
  napi_async_execute_callback execute;
  napi_async_complete_callback complete;
  void* data;
};

struct napi_ref__ {
  napi_value value;
};

extern "C" {

napi_status napi_get_undefined(napi_env env, napi_value* result) {
  *result = env->make(napi_undefined);
  return napi_ok;
}
napi_status napi_create_object(napi_env env, napi_value* result) {
  *result = env->make(napi_object);
  return napi_ok;
}
napi_status napi_create_array_with_length(napi_env env, size_t length, napi_value* result) {
  *result = env->make(napi_object);
  (*result)->elements.resize(length);
  for (napi_value& element : (*result)->elements) element = env->make(napi_undefined);
  return napi_ok;
}
napi_status napi_create_string_utf8(napi_env env, const char* text, size_t length,
                                    napi_value* result) {
  *result = env->make(napi_string);
  (*result)->text = length == NAPI_AUTO_LENGTH ? std::string(text) : std::string(text, length);
  return napi_ok;
}
napi_status napi_create_error(napi_env env, napi_value code, napi_value, napi_value* result) {
  *result = env->make(napi_object);
  (*result)->text = code->text;
  return napi_ok;
}
napi_status napi_typeof(napi_env, napi_value value, napi_valuetype* result) {
  *result = value->type;
  return napi_ok;
}
napi_status napi_get_array_length(napi_env, napi_value array, uint32_t* result) {
  *result = static_cast<uint32_t>(array->elements.size());
  return napi_ok;
}
napi_status napi_get_element(napi_env, napi_value array, uint32_t index, napi_value* result) {
  *result = array->elements.at(index);
  return napi_ok;
}
/// Of an element by its index: all that a forward defines.
napi_status napi_define_properties(napi_env, napi_value object, size_t,
                                   const napi_property_descriptor* property) {
  object->elements.at(std::stoul(property->name->text)) = property->value;
  return napi_ok;
}
napi_status napi_type_tag_object(napi_env, napi_value object, const napi_type_tag* tag) {
  object->tag = *tag;
  return napi_ok;
}
napi_status napi_check_object_type_tag(napi_env, napi_value object, const napi_type_tag* tag,
                                       bool* result) {
  *result = object->tag.lower == tag->lower && object->tag.upper == tag->upper;
  return napi_ok;
}
napi_status napi_wrap(napi_env, napi_value object, void* native, napi_finalize finalize, void*,
                      napi_ref*) {
  object->wrapped = native;
  object->finalize = finalize;
  return napi_ok;
}
napi_status napi_unwrap(napi_env, napi_value object, void** result) {
  *result = object->wrapped;
  return object->wrapped == nullptr ? napi_invalid_arg : napi_ok;
}
napi_status napi_remove_wrap(napi_env, napi_value object, void** result) {
  *result = std::exchange(object->wrapped, nullptr);
  return *result == nullptr ? napi_invalid_arg : napi_ok;
}
napi_status napi_adjust_external_memory(napi_env, int64_t, int64_t* result) {
  *result = 0;
  return napi_ok;
}
napi_status napi_create_reference(napi_env, napi_value value, uint32_t, napi_ref* result) {
  *result = new napi_ref__{value};
  return napi_ok;
}
napi_status napi_delete_reference(napi_env, napi_ref reference) {
  delete reference;
  return napi_ok;
}
napi_status napi_get_reference_value(napi_env, napi_ref reference, napi_value* result) {
  *result = reference->value;
  return napi_ok;
}
napi_status napi_is_exception_pending(napi_env, bool* result) {
  *result = false;
  return napi_ok;
}

napi_status napi_create_promise(napi_env env, napi_deferred* deferred, napi_value* promise) {
  env->deferreds.push_back(std::make_unique<napi_deferred__>());
  *deferred = env->deferreds.back().get();
  *promise = env->make(napi_object);
  return napi_ok;
}
napi_status napi_resolve_deferred(napi_env, napi_deferred deferred, napi_value) {
  ++deferred->settled;
  deferred->resolved = true;
  return napi_ok;
}
napi_status napi_reject_deferred(napi_env, napi_deferred deferred, napi_value) {
  ++deferred->settled;
  return napi_ok;
}

napi_status napi_add_env_cleanup_hook(napi_env env, void (*function)(void*), void* data) {
  env->hooks.emplace_back(function, data);
  return napi_ok;
}
napi_status napi_remove_env_cleanup_hook(napi_env env, void (*function)(void*), void* data) {
  std::erase(env->hooks, std::pair(function, data));
  return napi_ok;
}

napi_status napi_create_threadsafe_function(napi_env env, napi_value, napi_value, napi_value,
                                            size_t, size_t, void*, napi_finalize, void* context,
                                            napi_threadsafe_function_call_js call,
                                            napi_threadsafe_function* result) {
  *result = new napi_threadsafe_function__{env, context, call};
  // Node frees it by a hook of its own.
  env->hooks.emplace_back(
      [](void* function) { delete static_cast<napi_threadsafe_function>(function); }, *result);
  return napi_ok;
}
napi_status napi_call_threadsafe_function(napi_threadsafe_function function, void* data,
                                          napi_threadsafe_function_call_mode) {
  const napi_threadsafe_function__ called = *function;
  called.env->post([called, data] { called.call(called.env, nullptr, called.context, data); });
  return napi_ok;
}
napi_status napi_ref_threadsafe_function(napi_env, napi_threadsafe_function) { return napi_ok; }
napi_status napi_unref_threadsafe_function(napi_env, napi_threadsafe_function) { return napi_ok; }

napi_status napi_create_async_work(napi_env, napi_value, napi_value,
                                   napi_async_execute_callback execute,
                                   napi_async_complete_callback complete, void* data,
                                   napi_async_work* result) {
  *result = new napi_async_work__{execute, complete, data};
  return napi_ok;
}
napi_status napi_queue_async_work(napi_env env, napi_async_work work) {
  ++env->works;
  env->work([env, work] {
    work->execute(env, work->data);
    env->post([env, work] {
      --env->works;
      work->complete(env, napi_ok, work->data);
    });
  });
  return napi_ok;
}
napi_status napi_delete_async_work(napi_env, napi_async_work work) {
  delete work;
  return napi_ok;
}

}  // extern "C"
