#include "io/personalities.h"

#include <cerrno>
#include <new>

#include "kernel_sim/base/assert.h"
#include "kernel_sim/base/thread_identity.h"

namespace ktlsim::io {

std::size_t Personalities::Hash::operator()(const UnixIdentity& identity) const {
  constexpr std::uint64_t kPrime = 0x100000001B3;
  std::uint64_t hash = 0xCBF29CE484222325;
  const auto add = [&hash](std::uint64_t value) { hash = (hash ^ value) * kPrime; };
  add(identity.uid);
  add(identity.gid);
  for (const gid_t group : identity.groups) add(group);
  return hash;
}

int Personalities::Acquire(const UnixIdentity& identity, std::uint64_t now_ns,
                           Personality** personality) {
  DropOld(now_ns);
  const auto found = known_.find(identity);
  if (found == known_.end()) return Add(identity, personality);
  Personality& known = found->second;
  if (known.users++ == 0) spare_.splice(spare_.end(), unused_, known.place);
  *personality = &known;
  return 0;
}

int Personalities::Add(const UnixIdentity& identity, Personality** personality) {
  if (known_.size() >= limits_.count) {
    if (unused_.empty()) return EAGAIN;
    Drop(*unused_.front());
  }
  auto place = spare_.end();
  try {
    // Everything that needs memory comes first.
    place = spare_.insert(spare_.end(), nullptr);
    const auto added = known_.try_emplace(identity).first;
    int number = -EPERM;
    int error_number = ThreadIdentity::RunWith(identity, [&] { number = calls_.Register(); });
    if (error_number == 0 && number < 0) error_number = -number;
    if (error_number != 0) {
      known_.erase(added);
      spare_.erase(place);
      return error_number;
    }
    Personality& made = added->second;
    made = {.number = static_cast<std::uint16_t>(number),
            .users = 1,
            .unused_since_ns = 0,
            .identity = &added->first,
            .place = place};
    *place = &made;
    *personality = &made;
    return 0;
  } catch (const std::bad_alloc&) {
    if (place != spare_.end()) spare_.erase(place);
    return ENOMEM;
  }
}

void Personalities::Release(Personality& personality, std::uint64_t now_ns) {
  KTLSIM_ASSERT(personality.users != 0);
  if (--personality.users != 0) return;
  personality.unused_since_ns = now_ns;
  unused_.splice(unused_.end(), spare_, personality.place);
}

void Personalities::DropOld(std::uint64_t now_ns) {
  while (!unused_.empty() && now_ns - unused_.front()->unused_since_ns >= limits_.unused_ns) {
    Drop(*unused_.front());
  }
}

// Nobody uses it.
void Personalities::Drop(Personality& personality) {
  calls_.Unregister(personality.number);
  unused_.erase(personality.place);
  known_.erase(known_.find(*personality.identity));
}

}  // namespace ktlsim::io
