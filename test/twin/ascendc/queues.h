// Buffers, queues and events, whose life cycle is checked.
#pragma once

#include <array>
#include <deque>
#include <exception>
#include <memory>
#include <vector>

#include "tensors.h"

namespace AscendC {

// X(from, to): the events between two pipes.
#define LATTE_MODEL_EVENTS(X) \
  X(MTE2, MTE1)               \
  X(MTE1, MTE2)               \
  X(MTE1, M)                  \
  X(M, MTE1)                  \
  X(MTE2, V)                  \
  X(V, MTE2)                  \
  X(MTE3, V)                  \
  X(V, MTE3)                  \
  X(M, FIX)                   \
  X(FIX, M)                   \
  X(S, V)                     \
  X(V, S)                     \
  X(S, MTE2)                  \
  X(MTE2, S)

#define LATTE_MODEL_EVENT(from, to) from##_##to,
enum class HardEvent { LATTE_MODEL_EVENTS(LATTE_MODEL_EVENT) MAX };
#undef LATTE_MODEL_EVENT

struct EventPipes {
  pipe_t from, to;
};
inline EventPipes pipes_of(HardEvent event) {
#define LATTE_MODEL_EVENT(from, to) {PIPE_##from, PIPE_##to},
  static constexpr EventPipes pipes[] = {LATTE_MODEL_EVENTS(LATTE_MODEL_EVENT)};
#undef LATTE_MODEL_EVENT
  return pipes[static_cast<int>(event)];
}

using TEventID = int8_t;

template <HardEvent event>
inline void SetFlag(int32_t id) {
  set_flag(pipes_of(event).from, pipes_of(event).to, static_cast<event_t>(id));
}
template <HardEvent event>
inline void WaitFlag(int32_t id) {
  wait_flag(pipes_of(event).from, pipes_of(event).to, static_cast<event_t>(id));
}
template <pipe_t pipe>
inline void PipeBarrier() {
  pipe_barrier(pipe);
}

enum class BufferState { kFree, kOccupied, kEnqueued, kDequeued };

struct Buffer {
  uint8_t* pointer = nullptr;
  uint32_t bytes = 0;
  latte::model::Space space = latte::model::Space::kUB;
  BufferState state = BufferState::kFree;
  HardEvent free_event = HardEvent::MAX;
  int free_id = -1;
  int ready_id = -1;
};

class TPipe;
inline thread_local TPipe* current_pipe = nullptr;

class TPipe {
 public:
  TPipe() {
    current_pipe = this;
    if (latte::model::core().kind() != latte::model::CoreKind::kCube) return;
    for (int i = 0; i < kReserved; ++i) SetFlag<HardEvent::M_MTE1>(AllocEventID(HardEvent::M_MTE1));
  }
  TPipe(const TPipe&) = delete;
  ~TPipe() noexcept(false) {
    current_pipe = nullptr;
    if (std::uncaught_exceptions() > 0) return;
    for (const auto& buffer : buffers_) {
      if (buffer->state != BufferState::kFree) {
        throw latte::model::Fault("a tensor of a queue is not freed at the end");
      }
      if (buffer->free_id >= 0) {
        const EventPipes pipes = pipes_of(buffer->free_event);
        wait_flag(pipes.from, pipes.to, static_cast<event_t>(buffer->free_id));
      }
    }
    if (latte::model::core().kind() == latte::model::CoreKind::kCube) {
      for (int i = 0; i < kReserved; ++i) WaitFlag<HardEvent::M_MTE1>(i);
    }
    pipe_barrier(PIPE_ALL);
  }

  template <class Queue>
  bool InitBuffer(Queue& queue, uint8_t count, uint32_t bytes) {
    for (uint8_t i = 0; i < count; ++i) queue.add(allocate(Queue::kSpace, bytes));
    return true;
  }
  template <class Buf>
  bool InitBuffer(Buf& buffer, uint32_t bytes) {
    buffer.set(allocate(Buf::kSpace, bytes));
    return true;
  }

  int AllocEventID(HardEvent event) {
    auto& taken = events_[static_cast<size_t>(event)];
    for (int id = 0; id < latte::model::kEvents; ++id) {
      if (!taken[static_cast<size_t>(id)]) {
        taken[static_cast<size_t>(id)] = true;
        return id;
      }
    }
    throw latte::model::Fault("more than 8 events between two pipes");
  }
  void ReleaseEventID(HardEvent event, int id) {
    events_[static_cast<size_t>(event)][static_cast<size_t>(id)] = false;
  }
  /// Returns an event that is free now, without taking it.
  int FetchEventID(HardEvent event) {
    const int id = AllocEventID(event);
    ReleaseEventID(event, id);
    return id;
  }

 private:
  // On a cube core the toolkit's pipe keeps these flags for its own products.
  static constexpr int kReserved = 3;

  Buffer* allocate(latte::model::Space space, uint32_t bytes) {
    using latte::model::Fault;
    if (bytes == 0) throw Fault("a buffer of no bytes");
    bytes = (bytes + 31) / 32 * 32;
    size_t& used = used_[static_cast<size_t>(space)];
    uint8_t* base = latte::model::core().buffer(space);
    if (used + bytes > latte::model::capacity(space)) {
      throw Fault(std::string("buffers exceed ") + latte::model::space_name(space));
    }
    if (buffers_.size() >= 64) throw Fault("more than 64 buffers");
    buffers_.push_back(std::make_unique<Buffer>());
    Buffer* buffer = buffers_.back().get();
    buffer->pointer = base + used;
    buffer->bytes = bytes;
    buffer->space = space;
    used += bytes;
    return buffer;
  }

  std::vector<std::unique_ptr<Buffer>> buffers_;
  std::array<size_t, latte::model::kSpaces> used_{};
  std::array<std::array<bool, latte::model::kEvents>, static_cast<size_t>(HardEvent::MAX)>
      events_{};
};

/// The two events of a queue: its buffer is filled, and its buffer has been read.
struct QueueEvents {
  HardEvent ready, free;
};
constexpr QueueEvents queue_events(TPosition position) {
  switch (position) {
    case TPosition::A1:
    case TPosition::B1:
      return {HardEvent::MTE2_MTE1, HardEvent::MTE1_MTE2};
    case TPosition::A2:
    case TPosition::B2:
    case TPosition::C2:
      return {HardEvent::MTE1_M, HardEvent::M_MTE1};
    case TPosition::CO1:
      return {HardEvent::M_FIX, HardEvent::FIX_M};
    case TPosition::VECOUT:
      return {HardEvent::V_MTE3, HardEvent::MTE3_V};
    default:
      return {HardEvent::MTE2_V, HardEvent::V_MTE2};
  }
}

template <TPosition position, int depth>
class TQue {
 public:
  static constexpr latte::model::Space kSpace = space_of(position);
  static constexpr QueueEvents kEvents = queue_events(position);

  void add(Buffer* buffer) { buffers_.push_back(buffer); }

  template <class T>
  LocalTensor<T> AllocTensor() {
    if (buffers_.empty()) throw Fault("a queue without buffers");
    Buffer* buffer = buffers_[cursor_];
    cursor_ = (cursor_ + 1) % buffers_.size();
    if (buffer->state != BufferState::kFree) throw Fault("AllocTensor: no buffer is free");
    if (buffer->free_id >= 0) {
      WaitFlag<kEvents.free>(buffer->free_id);
      current_pipe->ReleaseEventID(kEvents.free, buffer->free_id);
      buffer->free_id = -1;
    }
    buffer->state = BufferState::kOccupied;
    return tensor<T>(buffer);
  }
  template <class T>
  bool EnQue(const LocalTensor<T>& tensor) {
    Buffer* buffer = mine(tensor.buffer(), "EnQue");
    if (buffer->state != BufferState::kOccupied && buffer->state != BufferState::kDequeued) {
      throw Fault("EnQue: the tensor was not allocated, or is queued already");
    }
    if (queued_.size() >= static_cast<size_t>(depth)) throw Fault("EnQue: the queue is full");
    buffer->ready_id = current_pipe->AllocEventID(kEvents.ready);
    SetFlag<kEvents.ready>(buffer->ready_id);
    buffer->state = BufferState::kEnqueued;
    queued_.push_back(buffer);
    return true;
  }
  template <class T>
  LocalTensor<T> DeQue() {
    if (queued_.empty()) throw Fault("DeQue: the queue is empty");
    Buffer* buffer = queued_.front();
    queued_.pop_front();
    WaitFlag<kEvents.ready>(buffer->ready_id);
    current_pipe->ReleaseEventID(kEvents.ready, buffer->ready_id);
    buffer->state = BufferState::kDequeued;
    return tensor<T>(buffer);
  }
  template <class T>
  void FreeTensor(LocalTensor<T>& tensor) {
    Buffer* buffer = mine(tensor.buffer(), "FreeTensor");
    if (buffer->state == BufferState::kFree) throw Fault("FreeTensor: the tensor is free already");
    if (buffer->state == BufferState::kEnqueued) throw Fault("FreeTensor: the tensor is queued");
    buffer->free_event = kEvents.free;
    buffer->free_id = current_pipe->AllocEventID(kEvents.free);
    SetFlag<kEvents.free>(buffer->free_id);
    buffer->state = BufferState::kFree;
  }

 private:
  using Fault = latte::model::Fault;
  template <class T>
  static LocalTensor<T> tensor(Buffer* buffer) {
    return {reinterpret_cast<T*>(buffer->pointer), static_cast<uint32_t>(buffer->bytes / sizeof(T)),
            kSpace, buffer};
  }
  Buffer* mine(Buffer* buffer, const char* what) const {
    for (Buffer* own : buffers_) {
      if (own == buffer) return buffer;
    }
    throw Fault(std::string(what) + ": the tensor is of another queue");
  }

  std::vector<Buffer*> buffers_;
  std::deque<Buffer*> queued_;
  size_t cursor_ = 0;
};

template <TPosition position>
class TBuf {
 public:
  static constexpr latte::model::Space kSpace = space_of(position);
  void set(Buffer* buffer) { buffer_ = buffer; }
  template <class T>
  LocalTensor<T> Get() const {
    return {reinterpret_cast<T*>(buffer_->pointer),
            static_cast<uint32_t>(buffer_->bytes / sizeof(T)), kSpace, nullptr};
  }

 private:
  Buffer* buffer_ = nullptr;
};

}  // namespace AscendC
