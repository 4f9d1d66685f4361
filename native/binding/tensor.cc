#include "binding/tensor.h"

#include <utility>

#include "backend/registry.h"
#include "binding/environment.h"

namespace latte::binding {

namespace {

constexpr napi_type_tag kTensorTag = {0x6c617474652d656d, 0x74656e736f722d31};

constexpr const char* kDataProperty = "data";

/// What the constructor takes from inside the addon.
struct Made {
  Tensor tensor;
  bool foreign;
};

Napi::Object construct(Napi::Env env, Made made) {
  Napi::FunctionReference& constructor = Environment::of(env).tensor_class;
  return constructor.New({Napi::External<Made>::New(env, &made)});
}

}  // namespace

/// Keeps a tensor's memory alive for an ArrayBuffer over it.
struct TensorObject::ArrayOwner {
  std::shared_ptr<Buffer> buffer;
};

Device& place(const Tensor& tensor) {
  return tensor.device == nullptr ? open_device("cpu") : *tensor.device;
}

DType dtype_argument(const Napi::Value& value) {
  const auto dtype = dtype_from_name(value.As<Napi::String>().Utf8Value());
  if (!dtype) throw Napi::TypeError::New(value.Env(), "not a dtype");
  return *dtype;
}

Shape shape_argument(const Napi::Value& value) {
  const auto array = value.As<Napi::Array>();
  Shape shape(array.Length());
  for (uint32_t i = 0; i < shape.size(); ++i) {
    shape[i] = array.Get(i).As<Napi::Number>().Int64Value();
  }
  return shape;
}

Napi::Function TensorObject::define(Napi::Env env) {
  return DefineClass(
      env, "Tensor",
      {InstanceAccessor<&TensorObject::dtype>("dtype"),
       InstanceAccessor<&TensorObject::shape>("shape"),
       InstanceAccessor<&TensorObject::device>("device"),
       InstanceAccessor<&TensorObject::device_pointer>("devicePointer"),
       InstanceMethod<&TensorObject::array_buffer>("arrayBuffer"),
       InstanceMethod<&TensorObject::alias>("alias"), InstanceMethod<&TensorObject::rows>("rows"),
       InstanceMethod<&TensorObject::dispose>("dispose")});
}

Napi::Object TensorObject::make(Napi::Env env, Tensor tensor) {
  return construct(env, {std::move(tensor), false});
}

Napi::Object TensorObject::make_foreign(Napi::Env env, Tensor tensor) {
  return construct(env, {std::move(tensor), true});
}

Napi::Object TensorObject::make_alike(Napi::Env env, Tensor tensor) const {
  return construct(env, {std::move(tensor), foreign_});
}

TensorObject& TensorObject::unwrap(const Napi::Value& value) {
  if (!value.IsObject() || !value.As<Napi::Object>().CheckTypeTag(&kTensorTag)) {
    throw Napi::TypeError::New(value.Env(), "not a tensor of this library");
  }
  return *Unwrap(value.As<Napi::Object>());
}

TensorObject::TensorObject(const Napi::CallbackInfo& info) : ObjectWrap(info) {
  if (info.Length() == 1 && info[0].IsExternal()) {
    Made& made = *info[0].As<Napi::External<Made>>().Data();
    tensor_ = std::move(made.tensor);
    foreign_ = made.foreign;
    if (!foreign_) account(static_cast<int64_t>(tensor_.bytes()));
  } else {
    if (info.Length() != 3 || !info[0].IsString() || !info[1].IsArray() ||
        !info[2].IsTypedArray()) {
      throw Napi::TypeError::New(info.Env(), "Tensor(dtype, shape, data)");
    }
    tensor_.dtype = dtype_argument(info[0]);
    tensor_.shape = shape_argument(info[1]);
    guarded(info.Env(), [&] { return tensor_.size(); });
    // As a property, not as a reference: the collector sees through it.
    info.This().As<Napi::Object>().Set(kDataProperty, info[2]);
  }
  info.This().As<Napi::Object>().TypeTag(&kTensorTag);
}

TensorObject::~TensorObject() { account(-accounted_); }

void TensorObject::account(int64_t bytes) {
  if (bytes == 0) return;
  accounted_ += bytes;
  Napi::MemoryManagement::AdjustExternalMemory(Env(), bytes);
}

Tensor TensorObject::resolve() {
  if (disposed_) fail(ErrorCode::kDisposed, "a tensor was used after it was disposed");
  Tensor resolved = tensor_;
  if (!borrowed()) return resolved;
  const auto array = Value().Get(kDataProperty).As<Napi::TypedArray>();
  void* data = nullptr;
  size_t length = 0;
  napi_typedarray_type type;
  if (napi_get_typedarray_info(Env(), array, &type, &length, &data, nullptr, nullptr) != napi_ok) {
    throw Napi::Error::New(Env());
  }
  if (length * array.ElementSize() < resolved.bytes()) {
    fail(ErrorCode::kState, "the array behind a tensor of shape ", ShowShape{resolved.shape},
         " was detached or shrunk");
  }
  resolved.data = data;
  return resolved;
}

Napi::Value TensorObject::dtype(const Napi::CallbackInfo& info) {
  return Napi::String::New(info.Env(), dtype_name(tensor_.dtype));
}

Napi::Value TensorObject::shape(const Napi::CallbackInfo& info) {
  auto shape = Napi::Array::New(info.Env(), tensor_.shape.size());
  for (uint32_t i = 0; i < tensor_.shape.size(); ++i) {
    shape.Set(i, static_cast<double>(tensor_.shape[i]));
  }
  return shape;
}

Napi::Value TensorObject::device(const Napi::CallbackInfo& info) {
  return Napi::String::New(info.Env(), place(tensor_).name());
}

Napi::Value TensorObject::device_pointer(const Napi::CallbackInfo& info) {
  const Tensor tensor = guarded(info.Env(), [&] { return resolve(); });
  if (place(tensor).runs_on_caller()) {
    throw Napi::TypeError::New(info.Env(), "the memory is the host's");
  }
  return Napi::BigInt::New(info.Env(),
                           static_cast<uint64_t>(reinterpret_cast<uintptr_t>(tensor.data)));
}

Napi::Value TensorObject::array_buffer(const Napi::CallbackInfo& info) {
  const Tensor tensor = guarded(info.Env(), [&] { return resolve(); });
  if (borrowed() || owner_ != nullptr || !place(tensor).runs_on_caller()) {
    throw Napi::TypeError::New(info.Env(), "there is no memory to give");
  }
  auto* owner = new ArrayOwner{tensor.buffer};
  const auto buffer = Napi::ArrayBuffer::New(
      info.Env(), tensor.data, tensor.bytes(),
      [](Napi::Env, void*, ArrayOwner* hint) { delete hint; }, owner);
  owner_ = owner;
  // From here on V8 counts these bytes itself.
  account(-accounted_);
  return buffer;
}

Napi::Value TensorObject::alias(const Napi::CallbackInfo& info) {
  if (borrowed()) throw Napi::TypeError::New(info.Env(), "the memory belongs to the caller");
  return make_alike(info.Env(), guarded(info.Env(), [&] { return resolve(); }));
}

/// (begin, count)
Napi::Value TensorObject::rows(const Napi::CallbackInfo& info) {
  if (borrowed()) throw Napi::TypeError::New(info.Env(), "the memory belongs to the caller");
  return guarded(info.Env(), [&] {
    Tensor part = resolve();
    const int64_t begin = info[0].As<Napi::Number>().Int64Value();
    const int64_t count = info[1].As<Napi::Number>().Int64Value();
    if (part.shape.empty() || begin < 0 || count < 0 || count > part.shape[0] - begin) {
      fail(ErrorCode::kValue, "there are no ", count, " rows from ", begin,
           " in a tensor of shape ", ShowShape{part.shape});
    }
    const size_t row_bytes = part.shape[0] == 0 ? 0 : part.bytes() / part.shape[0];
    part.shape[0] = count;
    part.data = static_cast<char*>(part.data) + static_cast<size_t>(begin) * row_bytes;
    return make_alike(info.Env(), std::move(part));
  });
}

void TensorObject::dispose(const Napi::CallbackInfo& info) {
  if (disposed_) return;
  disposed_ = true;
  if (owner_ != nullptr && info[0].IsArrayBuffer()) {
    auto buffer = info[0].As<Napi::ArrayBuffer>();
    // One that was transferred is detached already: its memory has another owner, and stays.
    if (!buffer.IsDetached() && buffer.Data() == tensor_.data) {
      ArrayOwner* owner = std::exchange(owner_, nullptr);
      std::shared_ptr<Buffer> last = std::move(owner->buffer);
      buffer.Detach();
    }
  }
  tensor_.buffer.reset();
  account(-accounted_);
}

}  // namespace latte::binding
