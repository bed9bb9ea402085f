// OperationList: operations in flight that wait in one of a ring's lists.
#pragma once

#include <cstddef>

#include "io/loop.h"

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
    KTLSIM_ASSERT(operation.next_ == nullptr && operation.previous_ == nullptr);
    operation.previous_ = tail_;
    (tail_ != nullptr ? tail_->next_ : head_) = &operation;
    tail_ = &operation;
    ++size_;
  }

  void Remove(Operation& operation) {
    KTLSIM_ASSERT(size_ > 0);
    (operation.next_ != nullptr ? operation.next_->previous_ : tail_) = operation.previous_;
    (operation.previous_ != nullptr ? operation.previous_->next_ : head_) = operation.next_;
    operation.next_ = nullptr;
    operation.previous_ = nullptr;
    --size_;
  }

  // nullptr when empty.
  Operation* front() const { return head_; }
  Operation* PopFront() {
    Operation* operation = head_;
    if (operation != nullptr) Remove(*operation);
    return operation;
  }

 private:
  Operation* head_ = nullptr;
  Operation* tail_ = nullptr;
  std::size_t size_ = 0;
};

}  // namespace ktlsim::io
