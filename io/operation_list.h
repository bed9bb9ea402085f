// OperationList: operations in flight that wait in one of a ring's lists.
#pragma once

#include <cstddef>

#include "io/operation_state.h"

namespace ktlsim::io {

// First in, first out, with removal from the middle. An operation is in at most one list.
class OperationList {
 public:
  OperationList() = default;
  OperationList(const OperationList&) = delete;
  OperationList& operator=(const OperationList&) = delete;

  bool empty() const { return head_ == nullptr; }
  std::size_t size() const { return size_; }

  void PushBack(Operation& operation) {
    OperationState& state = OperationState::Of(operation);
    KTLSIM_ASSERT(state.next == nullptr && state.previous == nullptr);
    state.previous = tail_;
    (tail_ != nullptr ? OperationState::Of(*tail_).next : head_) = &operation;
    tail_ = &operation;
    ++size_;
  }

  void Remove(Operation& operation) {
    KTLSIM_ASSERT(size_ > 0);
    OperationState& state = OperationState::Of(operation);
    (state.next != nullptr ? OperationState::Of(*state.next).previous : tail_) = state.previous;
    (state.previous != nullptr ? OperationState::Of(*state.previous).next : head_) = state.next;
    state.next = nullptr;
    state.previous = nullptr;
    --size_;
  }

  // The first one goes to the end. Not empty.
  void Rotate() {
    Operation& first = *head_;
    Remove(first);
    PushBack(first);
  }

  // nullptr when empty.
  Operation* front() const { return head_; }
  // nullptr after the last.
  static Operation* Next(const Operation& operation) { return OperationState::Of(operation).next; }

 private:
  Operation* head_ = nullptr;
  Operation* tail_ = nullptr;
  std::size_t size_ = 0;
};

}  // namespace ktlsim::io
