// A first-in-first-out list whose links live in the elements, so that adding one never allocates.
// Not thread-safe: for one thread, or under its owner's lock.
#pragma once

#include <cstddef>

#include "kernel_sim/base/assert.h"

namespace ktlsim {

// `next` is the element's link member. An element is in at most one list per link member.
template <typename T, T* T::* next>
class IntrusiveQueue {
 public:
  bool empty() const { return head_ == nullptr; }
  std::size_t size() const { return size_; }
  T* front() const { return head_; }
  // The element that has `index` others before it, or nullptr. Takes time in proportion to `index`.
  T* At(std::size_t index) const {
    if (index >= size_) return nullptr;
    T* element = head_;
    for (; index != 0; --index) element = element->*next;
    return element;
  }

  void PushBack(T& element) {
    KTLSIM_ASSERT(element.*next == nullptr);
    if (tail_ != nullptr) {
      tail_->*next = &element;
    } else {
      head_ = &element;
    }
    tail_ = &element;
    ++size_;
  }

  void PushFront(T& element) {
    KTLSIM_ASSERT(element.*next == nullptr);
    element.*next = head_;
    head_ = &element;
    if (tail_ == nullptr) tail_ = &element;
    ++size_;
  }

  // Returns nullptr when the list is empty.
  T* PopFront() {
    T* element = head_;
    if (element == nullptr) return nullptr;
    head_ = element->*next;
    if (head_ == nullptr) tail_ = nullptr;
    element->*next = nullptr;
    --size_;
    return element;
  }

  // Takes `element` out, wherever it is. False: it is not in this list. Takes time in proportion to
  // the elements before it.
  bool Remove(T& element) {
    T* before = nullptr;
    for (T* at = head_; at != nullptr; before = at, at = at->*next) {
      if (at != &element) continue;
      (before != nullptr ? before->*next : head_) = element.*next;
      if (tail_ == &element) tail_ = before;
      element.*next = nullptr;
      --size_;
      return true;
    }
    return false;
  }

 private:
  T* head_ = nullptr;
  T* tail_ = nullptr;
  std::size_t size_ = 0;
};

}  // namespace ktlsim
