#include "kernel_sim/sspi/packages/digest_index.h"

#include <cstring>
#include <span>
#include <utility>

#include "kernel_sim/base/fork_gate.h"

namespace ktlsim::sspi {
namespace {

// Without random numbers there are no opaque values either.
std::array<std::uint64_t, 2> DrawKeys() {
  const ForkGate::Scope inside;
  std::array<std::uint8_t, 16> bytes{};
  static_cast<void>(digest::FillRandom(bytes));
  std::array<std::uint64_t, 2> keys{};
  std::memcpy(keys.data(), bytes.data(), bytes.size());
  return keys;
}

}  // namespace

std::size_t DigestIndex::Hash::operator()(const digest::Opaque& opaque) const {
  std::array<std::uint64_t, 2> halves{};
  std::memcpy(halves.data(), opaque.bytes().data(), digest::Opaque::kBytes);
  __extension__ using Wide = unsigned __int128;
  const Wide product = static_cast<Wide>(halves[0] ^ keys[0]) * (halves[1] ^ keys[1]);
  return static_cast<std::size_t>(product) ^ static_cast<std::size_t>(product >> 64);
}

DigestIndex::DigestIndex(std::size_t partial_max, std::size_t established_max)
    : partial_max_(partial_max),
      established_max_(established_max),
      entries_(0, Hash{std::array<std::uint64_t, 2>{}}) {}

void DigestIndex::Drop(Entries::iterator entry) {
  OrderOf(entry->second.place).erase(entry->second.order);
  entries_.erase(entry);
}

// Two at a time, so that a look-up takes a bounded time: more than come, on the whole.
void DigestIndex::DropOver(Order& order, std::size_t max, std::uint64_t now_ns, Ended* ended) {
  for (int i = 0; i < 2 && !order.empty() && ended->count < ended->handles.size(); ++i) {
    const auto first = entries_.find(order.front());
    if (order.size() <= max && first->second.until_ns > now_ns) return;
    ended->handles[ended->count++] = first->second.place.handle;
    Drop(first);
  }
}

bool DigestIndex::Add(const digest::Opaque& opaque, std::string_view identity, const Place& place,
                      std::uint64_t now_ns, std::uint64_t until_ns, Ended* ended) {
  Order added;
  added.push_back(opaque);
  Entry entry = {.identity = std::string(identity),
                 .place = place,
                 .until_ns = until_ns,
                 .order = added.begin()};
  std::array<std::uint64_t, 2> keys{};
  if (!keyed_.load(std::memory_order_acquire)) keys = DrawKeys();
  const MutexLock lock(lock_);
  if (!keyed_.load(std::memory_order_relaxed)) {
    entries_ = Entries(0, Hash{keys});
    keyed_.store(true, std::memory_order_release);
  }
  if (!entries_.try_emplace(opaque, std::move(entry)).second) return false;
  Order& order = OrderOf(place);
  order.splice(order.end(), added);
  DropOver(partial_, partial_max_, now_ns, ended);
  DropOver(established_, established_max_, now_ns, ended);
  return true;
}

std::optional<DigestIndex::Place> DigestIndex::Find(const digest::Opaque& opaque,
                                                    std::string_view identity, std::uint64_t now_ns,
                                                    Ended* ended) {
  const MutexLock lock(lock_);
  DropOver(partial_, partial_max_, now_ns, ended);
  DropOver(established_, established_max_, now_ns, ended);
  const auto found = entries_.find(opaque);
  if (found == entries_.end() || found->second.identity != identity) return std::nullopt;
  if (found->second.until_ns > now_ns) return found->second.place;
  if (ended->count == ended->handles.size()) return std::nullopt;
  ended->handles[ended->count++] = found->second.place.handle;
  Drop(found);
  return std::nullopt;
}

bool DigestIndex::Update(const digest::Opaque& opaque, const Place& place, std::uint64_t until_ns) {
  const MutexLock lock(lock_);
  const auto found = entries_.find(opaque);
  if (found == entries_.end() || !SameHandle(found->second.place.handle, place.handle))
    return false;
  Entry& entry = found->second;
  Order& from = OrderOf(entry.place);
  Order& to = OrderOf(place);
  to.splice(to.end(), from, entry.order);
  entry.place = place;
  entry.until_ns = until_ns;
  return true;
}

bool DigestIndex::Remove(const digest::Opaque& opaque, const SecHandle& handle) {
  const MutexLock lock(lock_);
  const auto found = entries_.find(opaque);
  if (found == entries_.end() || !SameHandle(found->second.place.handle, handle)) return false;
  Drop(found);
  return true;
}

std::size_t DigestIndex::partial() const {
  const MutexLock lock(lock_);
  return partial_.size();
}

std::size_t DigestIndex::established() const {
  const MutexLock lock(lock_);
  return established_.size();
}

}  // namespace ktlsim::sspi
