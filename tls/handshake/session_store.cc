#include "tls/handshake/session_store.h"

#include <new>
#include <optional>
#include <string_view>
#include <utility>

#include "tls/record/secret.h"

namespace ktlsim::tls {
namespace {

std::string_view KeyOf(std::span<const std::byte> id) {
  return {reinterpret_cast<const char*>(id.data()), id.size()};
}

}  // namespace

// ---- A look-up

bool SessionLookUp::WakeBy(std::function<void()> wake) {
  const SpinLockHolder holder(lock_);
  if (done()) return false;
  wake_.swap(wake);
  return true;
}

void SessionLookUp::GiveUp() {
  std::function<void()> wake;  // destroyed without the lock
  {
    const SpinLockHolder holder(lock_);
    if (done() || given_up_) return;
    given_up_ = true;
    wake.swap(wake_);
  }
  OnGivenUp();
}

bool SessionLookUp::Finish(std::span<const std::byte> session) {
  std::function<void()> wake;
  bool wanted = false;
  {
    const SpinLockHolder holder(lock_);
    wanted = !given_up_;
    wake.swap(wake_);
    session_ = session;
    done_.store(true, std::memory_order_release);
  }
  if (wake) wake();
  return wanted;
}

// ---- In memory

MemorySessionStore::Secrets::~Secrets() { Wipe(std::span(bytes)); }

class MemorySessionStore::Found final : public SessionLookUp {
 public:
  explicit Found(std::shared_ptr<const Secrets> session)
      : SessionLookUp(0), kept_(std::move(session)) {
    Finish(kept_ != nullptr ? std::span<const std::byte>(kept_->bytes)
                            : std::span<const std::byte>());
  }

 private:
  const std::shared_ptr<const Secrets> kept_;
};

void MemorySessionStore::Put(std::span<const std::byte> id, std::span<const std::byte> session,
                             std::int64_t lifetime_s) noexcept {
  try {
    cache_.Put(KeyOf(id), {.session = std::make_shared<const Secrets>(session),
                           .expires_at = cache_.NowS() + lifetime_s,
                           .single_use = false,
                           .bytes = session.size()});
  } catch (const std::bad_alloc&) {
    return;  // lost
  }
}

std::shared_ptr<SessionLookUp> MemorySessionStore::Get(std::span<const std::byte> id) noexcept {
  try {
    std::optional<Kept> kept = cache_.Get(KeyOf(id));
    return std::make_shared<Found>(kept ? std::move(kept->session) : nullptr);
  } catch (const std::bad_alloc&) {
    return nullptr;
  }
}

void MemorySessionStore::Remove(std::span<const std::byte> id) noexcept {
  cache_.Remove(KeyOf(id));
}

}  // namespace ktlsim::tls
