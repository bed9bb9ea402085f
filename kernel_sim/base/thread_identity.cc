#include "kernel_sim/base/thread_identity.h"

namespace ktlsim {
namespace {

constinit thread_local std::uint32_t last_error_number = 0;

}  // namespace

// A thread that ends while it impersonates takes its identity along.
struct ThreadIdentity::Slot {
  Slot() = default;
  ~Slot() { present_ = nullptr; }
  Slot(const Slot&) = delete;
  Slot& operator=(const Slot&) = delete;

  static Slot& Here() {
    static thread_local Slot slot;
    return slot;
  }

  IdentityRef identity;
};

IdentityRef ThreadIdentity::Kept() { return Slot::Here().identity; }

IdentityRef ThreadIdentity::ExchangeKept(IdentityRef identity) {
  present_ = identity.get();
  Slot::Here().identity.swap(identity);
  return identity;
}

std::uint32_t LastError() { return last_error_number; }
void SetLastError(std::uint32_t error) { last_error_number = error; }

}  // namespace ktlsim
