// SharedTicketKeys: ticket keys that all machines of a service have. Time is cut into periods; the
// number of a period is the generation of its key, which every machine computes from its clock.
// Who knows what the others have hands the keys in (Take); this class asks nobody.
//
// Tickets are sealed under the key of the present generation. The key before it opens as well,
// because its last ticket may have been sealed a moment ago, and so does the key after it, because
// another machine's clock may be ahead. So a ticket opens for one period at least, and a key for
// less than three. After that it is wiped: by At, and by Forget where no handshake calls At.
//
// What a newcomer gets wrong: without the key of the present generation no ticket is made. A key
// that only this machine has would open nowhere else, and later nowhere at all.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "kernel_sim/base/mutex.h"
#include "kernel_sim/base/result.h"
#include "tls/handshake/ticket_keys.h"

namespace ktlsim::tls {

class SharedTicketKeys final : public TicketKeys {
 public:
  using Generation = std::int64_t;
  // The oldest ones leave first. There are three generations, and in one of them there can be
  // several keys when the place where machines meet has lost its own.
  static constexpr std::size_t kKeysMax = 12;

  // Null: no memory. `period_s` is not 0.
  static std::shared_ptr<SharedTicketKeys> Create(std::int64_t period_s);

  std::int64_t period_s() const { return period_s_; }
  Generation GenerationAt(std::int64_t now_s) const { return now_s / period_s_; }

  // `key` seals from now on in its generation; what sealed there before still opens. True: it was
  // not here yet, or it did not seal. Its two secrets have TicketKey::kSecretBytes. May throw
  // std::bad_alloc, and has changed nothing then.
  bool Take(Generation generation, const TicketKey& key);
  // What seals in `generation`. Empty: there is no key.
  std::optional<TicketKey> KeyOf(Generation generation);
  // Wipes the keys of the generations before `before`, once no handshake under way has them.
  void Forget(Generation before) noexcept;

  // TicketKeys. A longer lifespan changes nothing: a ticket that no key opens any more costs a full
  // handshake.
  void Cover(std::int64_t /*lifespan_s*/) override {}
  std::shared_ptr<const TicketKeyRing> At(std::int64_t now_s) noexcept override;

  // How often At has found no key to seal with.
  std::uint64_t without_key() const { return without_key_.load(std::memory_order_relaxed); }

 private:
  struct Held {
    Generation generation;
    TicketKey key;
  };

  SharedTicketKeys(std::int64_t period_s, std::shared_ptr<const TicketKeyRing> empty)
      : period_s_(period_s), empty_(std::move(empty)), ring_(empty_) {}
  std::shared_ptr<const TicketKeyRing> RingOf(Generation present) const KTLSIM_REQUIRES(mutex_);

  const std::int64_t period_s_;
  const std::shared_ptr<const TicketKeyRing> empty_;
  std::atomic<std::uint64_t> without_key_{0};

  Mutex mutex_;
  std::vector<Held> held_ KTLSIM_GUARDED_BY(mutex_);  // of a generation, what seals comes first
  // What At returns in `ring_of_`; a negative one: it has to be made.
  std::shared_ptr<const TicketKeyRing> ring_ KTLSIM_GUARDED_BY(mutex_);
  Generation ring_of_ KTLSIM_GUARDED_BY(mutex_) = -1;
};

}  // namespace ktlsim::tls
