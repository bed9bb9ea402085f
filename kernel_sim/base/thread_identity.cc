#include "kernel_sim/base/thread_identity.h"

#include <cerrno>
#include <utility>

#include "kernel_sim/base/assert.h"

namespace ktlsim {
namespace {

constinit thread_local std::uint32_t last_error_number = 0;

}  // namespace

const int ThreadIdentity::kNoSwitch = EPERM;

// A thread that ends while it impersonates takes its identity along; what runs on it after that,
// such as other destructors, is the process's.
struct ThreadIdentity::Slot {
  Slot() = default;
  ~Slot() {
    present_ = nullptr;
    if (worn != nullptr) std::exchange(worn_by, nullptr)->Return();
    worn = nullptr;
  }
  Slot(const Slot&) = delete;
  Slot& operator=(const Slot&) = delete;

  static Slot& Here() {
    static thread_local Slot slot;
    return slot;
  }

  int Wear(const UnixIdentity* wanted, UnixSwitch* by);

  IdentityRef identity;
  // As whom the thread acts with the operating system: lives as long as `identity`. Null: as the
  // process.
  const UnixIdentity* worn = nullptr;
  UnixSwitch* worn_by = nullptr;  // who made it so
};

// After an error the process acts.
int ThreadIdentity::Slot::Wear(const UnixIdentity* wanted, UnixSwitch* by) {
  if (worn != nullptr && wanted != nullptr && *worn == *wanted) {
    worn = wanted;
    return 0;
  }
  if (worn != nullptr) {
    worn_by->Return();
    worn = nullptr;
  }
  if (wanted == nullptr) return 0;
  const int error_number = by->Take(*wanted);
  if (error_number != 0) return error_number;
  worn = wanted;
  worn_by = by;
  return 0;
}

IdentityRef ThreadIdentity::Kept() { return Slot::Here().identity; }

int ThreadIdentity::Swap(IdentityRef& identity) {
  Slot& slot = Slot::Here();
  UnixSwitch* const by = keeps_process_rights_ ? nullptr : switch_.load(std::memory_order_acquire);
  const UnixIdentity* const wanted =
      by != nullptr && identity != nullptr ? identity->unix_identity() : nullptr;
  const int error_number = slot.Wear(wanted, by);
  if (error_number != 0) identity.reset();
  present_ = identity.get();
  slot.identity.swap(identity);
  return error_number;
}

int ThreadIdentity::Assume(IdentityRef identity) { return Swap(identity); }

IdentityRef ThreadIdentity::ExchangeKept(IdentityRef identity) {
  const int error_number = Swap(identity);
  KTLSIM_CHECK(error_number == 0);
  return identity;
}

std::uint32_t LastError() { return last_error_number; }
void SetLastError(std::uint32_t error) { last_error_number = error; }

}  // namespace ktlsim
