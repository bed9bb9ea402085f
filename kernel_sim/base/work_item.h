// WorkItem: something to run once, later, on a loop's thread. WorkQueue: other threads leave work
// items in it for one consumer, which may be asleep.
//
// The link is part of the item, so posting never allocates and never fails. An item must not be
// posted again before its routine has been entered; from then on its owner may free or post it.
#pragma once

#include <atomic>

#include "kernel_sim/base/assert.h"

namespace ktlsim {

class WorkItem {
 public:
  using Routine = void (*)(WorkItem&);
  explicit WorkItem(Routine routine) : routine_(routine) {}
  WorkItem(const WorkItem&) = delete;
  WorkItem& operator=(const WorkItem&) = delete;

  void Run() { routine_(*this); }

 private:
  friend class WorkQueue;
  WorkItem* next_ = nullptr;
  Routine routine_;
};

// Many producers, one consumer. Items of one producer come out in the order they went in.
//
// One atomic word is both the list and the sleep flag: the consumer replaces "empty" by "asleep",
// and the producer that finds "asleep" must wake it. Every step is a read-modify-write, so no
// separate fence is needed, and no wake-up is lost or doubled.
class WorkQueue {
 public:
  // Any thread, any level. True: the consumer was asleep and the caller must wake it.
  [[nodiscard]] bool Push(WorkItem& item) {
    WorkItem* head = head_.load(std::memory_order_relaxed);
    do {
      item.next_ = head == asleep() ? nullptr : head;
      // Release pairs with the acquire in TakeAll: the item's content goes with it.
    } while (!head_.compare_exchange_weak(head, &item, std::memory_order_acq_rel,
                                          std::memory_order_relaxed));
    return head == asleep();
  }

  // Consumer only. False: there is work, do not sleep. True: the next Push returns true.
  [[nodiscard]] bool PrepareToSleep() {
    WorkItem* expected = nullptr;
    return head_.compare_exchange_strong(expected, asleep(), std::memory_order_acq_rel,
                                         std::memory_order_acquire) ||
           expected == asleep();
  }

  // Consumer only. Takes all items, oldest first, as a chain for Next(). Also ends a sleep.
  WorkItem* TakeAll() {
    WorkItem* newest = head_.exchange(nullptr, std::memory_order_acq_rel);
    if (newest == asleep()) return nullptr;
    WorkItem* oldest = nullptr;
    while (newest != nullptr) {
      WorkItem* older = newest->next_;
      newest->next_ = oldest;
      oldest = newest;
      newest = older;
    }
    return oldest;
  }

  // Detaches `item` from its chain and returns the one after it. Call it before item.Run().
  static WorkItem* Next(WorkItem& item) {
    WorkItem* following = item.next_;
    item.next_ = nullptr;
    return following;
  }

  bool empty() const {
    WorkItem* head = head_.load(std::memory_order_acquire);
    return head == nullptr || head == asleep();
  }

 private:
  // An address that no item has.
  static WorkItem* asleep() { return reinterpret_cast<WorkItem*>(alignof(WorkItem)); }

  std::atomic<WorkItem*> head_{nullptr};
};

}  // namespace ktlsim
