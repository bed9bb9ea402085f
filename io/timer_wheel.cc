#include "io/timer_wheel.h"

#include <algorithm>
#include <bit>

namespace ktlsim::io {

TimerWheel::~TimerWheel() { KTLSIM_ASSERT(armed_ == 0); }

std::uint32_t TimerWheel::SlotFor(std::uint64_t deadline_ns) const {
  const std::uint64_t tick = std::max(deadline_ns >> kTickBits, tick_);
  const std::uint64_t differs = (tick ^ tick_) | (kSlots - 1);
  const unsigned level = static_cast<unsigned>(std::bit_width(differs) - 1) / kSlotBits;
  const std::uint64_t index = (tick >> (level * kSlotBits)) & (kSlots - 1);
  return static_cast<std::uint32_t>(level * kSlots + index);
}

std::uint32_t TimerWheel::FirstFilledSlot() const {
  for (unsigned level = 0; level < kLevels; ++level) {
    if (filled_[level] == 0) continue;
    const auto index = static_cast<unsigned>(std::countr_zero(filled_[level]));
    return static_cast<std::uint32_t>(level * kSlots + index);
  }
  return kDue;
}

std::uint64_t TimerWheel::FirstTickOf(std::uint32_t slot) const {
  const unsigned level = slot / kSlots;
  const unsigned shift = level * kSlotBits;
  // Above this level the slot shares all bits with the wheel's own tick.
  const unsigned above = shift + kSlotBits;
  const std::uint64_t common = above >= 64 ? 0 : tick_ >> above << above;
  return common | (static_cast<std::uint64_t>(slot % kSlots) << shift);
}

void TimerWheel::Link(Timer& timer, std::uint32_t slot) {
  List& list = lists_[slot];
  timer.slot_ = slot;
  timer.next_ = nullptr;
  timer.previous_ = list.tail;
  (list.tail != nullptr ? list.tail->next_ : list.head) = &timer;
  list.tail = &timer;
  if (slot != kDue) filled_[slot / kSlots] |= std::uint64_t{1} << (slot % kSlots);
}

void TimerWheel::Unlink(Timer& timer) {
  List& list = lists_[timer.slot_];
  (timer.next_ != nullptr ? timer.next_->previous_ : list.tail) = timer.previous_;
  (timer.previous_ != nullptr ? timer.previous_->next_ : list.head) = timer.next_;
  timer.next_ = nullptr;
  timer.previous_ = nullptr;
  if (list.head == nullptr && timer.slot_ != kDue) {
    filled_[timer.slot_ / kSlots] &= ~(std::uint64_t{1} << (timer.slot_ % kSlots));
  }
}

void TimerWheel::Start(Timer& timer, std::uint64_t deadline_ns) {
  Stop(timer);
  timer.deadline_ns_ = deadline_ns;
  timer.armed_ = true;
  ++armed_;
  Link(timer, SlotFor(deadline_ns));
  if (next_known_) next_deadline_ns_ = std::min(next_deadline_ns_, deadline_ns);
}

void TimerWheel::Stop(Timer& timer) {
  if (!timer.armed_) return;
  Unlink(timer);
  timer.armed_ = false;
  --armed_;
  if (timer.deadline_ns_ == next_deadline_ns_) next_known_ = false;
}

std::size_t TimerWheel::Expire(std::uint64_t now_ns) {
  if (armed_ == 0 || NextDeadlineNs() > now_ns) {
    // Nothing is due, but the wheel keeps up, so that later starts land in near slots.
    Advance(now_ns);
    return 0;
  }
  Advance(now_ns);
  std::size_t called = 0;
  // Only Advance fills this list, so it ends although handlers start timers.
  while (Timer* timer = lists_[kDue].head) {
    Stop(*timer);
    ++called;
    timer->OnTimer();
  }
  return called;
}

// Brings the wheel to `now_ns`: due timers go to the due list in order of their deadlines, and
// slots that begin on the way are spread over the levels below.
void TimerWheel::Advance(std::uint64_t now_ns) {
  const std::uint64_t now_tick = now_ns >> kTickBits;
  KTLSIM_ASSERT(now_tick >= tick_);
  for (;;) {
    const std::uint32_t slot = FirstFilledSlot();
    if (slot == kDue) break;
    const std::uint64_t first_tick = FirstTickOf(slot);
    if (first_tick > now_tick) break;
    tick_ = std::max(tick_, first_tick);
    if (slot < kSlots) {
      MoveDue(slot, now_ns);
      if (lists_[slot].head != nullptr) break;  // the current tick's rest is not due yet
      continue;
    }
    while (Timer* timer = lists_[slot].head) {
      Unlink(*timer);
      Link(*timer, SlotFor(timer->deadline_ns_));
    }
  }
  tick_ = std::max(tick_, now_tick);
}

void TimerWheel::MoveDue(std::uint32_t slot, std::uint64_t now_ns) {
  Timer* due = nullptr;
  for (Timer* timer = lists_[slot].tail; timer != nullptr;) {
    Timer* previous = timer->previous_;
    if (timer->deadline_ns_ <= now_ns) {
      Unlink(*timer);
      timer->next_ = due;
      due = timer;
    }
    timer = previous;
  }
  for (Timer* timer = Sort(due); timer != nullptr;) {
    Timer* next = timer->next_;
    Link(*timer, kDue);
    timer = next;
  }
}

// Stable merge sort over next_: a full slot costs n log n, whatever order it was filled in.
Timer* TimerWheel::Sort(Timer* first) {
  if (first == nullptr || first->next_ == nullptr) return first;
  Timer* middle = first;
  for (Timer* end = first->next_; end != nullptr && end->next_ != nullptr;
       end = end->next_->next_) {
    middle = middle->next_;
  }
  Timer* second = middle->next_;
  middle->next_ = nullptr;
  return Merge(Sort(first), Sort(second));
}

Timer* TimerWheel::Merge(Timer* a, Timer* b) {
  Timer* head = nullptr;
  Timer** link = &head;
  while (a != nullptr && b != nullptr) {
    Timer*& earlier = b->deadline_ns_ < a->deadline_ns_ ? b : a;
    *link = earlier;
    link = &earlier->next_;
    earlier = earlier->next_;
  }
  *link = a != nullptr ? a : b;
  return head;
}

std::uint64_t TimerWheel::NextDeadlineNs() {
  if (next_known_) return next_deadline_ns_;
  const std::uint32_t slot = lists_[kDue].head != nullptr ? kDue : FirstFilledSlot();
  next_deadline_ns_ = kNever;
  for (Timer* timer = lists_[slot].head; timer != nullptr; timer = timer->next_) {
    next_deadline_ns_ = std::min(next_deadline_ns_, timer->deadline_ns_);
  }
  next_known_ = true;
  return next_deadline_ns_;
}

}  // namespace ktlsim::io
