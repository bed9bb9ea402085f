#include "kernel_sim/base/call_trace.h"

#include <algorithm>
#include <utility>

#include "kernel_sim/base/assert.h"

namespace ktlsim {

CallTrace::CallTrace(std::uint32_t sample, std::size_t shelves)
    : sample_(std::max<std::uint32_t>(sample, 1)) {
  const std::size_t count = std::max<std::size_t>(shelves, 1);
  shelves_.reserve(count);
  for (std::size_t i = 0; i < count; ++i) {
    auto shelf = std::make_unique<Shelf>();
    SpinLockHolder lock(shelf->lock);
    std::size_t place = i * kRecordsOfShelf;
    for (CallRecord& record : shelf->records) {
      record.place_ = static_cast<std::uint32_t>(++place);
      record.next_ = std::exchange(shelf->free, &record);
    }
    shelves_.push_back(std::move(shelf));
  }
}

CallTrace::~CallTrace() {
  for (const auto& shelf : shelves_) {
    SpinLockHolder lock(shelf->lock);
    std::size_t back = 0;
    for (const CallRecord* at : {shelf->free, shelf->finished}) {
      for (; at != nullptr; at = at->next_) ++back;
    }
    KTLSIM_ASSERT(back == kRecordsOfShelf);
  }
}

CallRecord* CallTrace::Take(std::size_t processor) {
  CallRecord* record = nullptr;
  {
    Shelf& shelf = *shelves_[processor % shelves_.size()];
    SpinLockHolder lock(shelf.lock);
    record = shelf.free;
    if (record != nullptr) shelf.free = record->next_;
  }
  if (record == nullptr) {
    dropped_.fetch_add(1, std::memory_order_relaxed);
    return nullptr;
  }
  const std::uint32_t place = record->place_;
  *record = {};
  record->place_ = place;
  record->number = numbers_.fetch_add(1, std::memory_order_relaxed);
  return record;
}

void CallTrace::Finish(CallRecord& record) {
  Shelf& shelf = ShelfOf(record);
  SpinLockHolder lock(shelf.lock);
  record.next_ = std::exchange(shelf.finished, &record);
}

void CallTrace::TakeFinished(Taken* taken) {
  for (const auto& shelf : shelves_) {
    CallRecord* finished = nullptr;
    {
      SpinLockHolder lock(shelf->lock);
      finished = std::exchange(shelf->finished, nullptr);
    }
    while (finished != nullptr) {
      CallRecord* const record = finished;
      finished = record->next_;
      record->next_ = std::exchange(taken->first_, record);
    }
  }
}

CallTrace::Taken::~Taken() {
  while (first_ != nullptr) {
    CallRecord* const record = first_;
    first_ = record->next_;
    Shelf& shelf = trace_.ShelfOf(*record);
    SpinLockHolder lock(shelf.lock);
    record->next_ = std::exchange(shelf.free, record);
  }
}

}  // namespace ktlsim
