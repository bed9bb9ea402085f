#include "kernel_sim/base/thread_identity.h"

#include <pthread.h>

#include <array>
#include <cerrno>
#include <cstddef>
#include <cstdlib>
#include <new>
#include <optional>
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

  static Slot& Here();
  int Wear(const UnixIdentity* wanted, UnixSwitch* by);

  IdentityRef identity;
  // As whom the thread acts with the operating system: lives as long as `identity`. Null: as the
  // process.
  const UnixIdentity* worn = nullptr;
  UnixSwitch* worn_by = nullptr;  // who made it so

 private:
  static void EndOfThread(void* slot) {
    static_cast<Slot*>(slot)->~Slot();
    here_ = nullptr;
  }
  // exit() calls it on a thread that may act as a client. Threads' own ends do not come then.
  static void EndOfProcess() {
    if (here_ != nullptr) EndOfThread(here_);
  }

  static constinit thread_local Slot* here_;
};

constinit thread_local ThreadIdentity::Slot* ThreadIdentity::Slot::here_ = nullptr;

// No thread_local with a destructor: the C library needs memory to remember that, and ends the
// process where there is none. The value of a key needs none.
ThreadIdentity::Slot& ThreadIdentity::Slot::Here() {
  if (here_ != nullptr) return *here_;
  alignas(Slot) static constinit thread_local std::array<std::byte, sizeof(Slot)> room{};
  here_ = new (room.data()) Slot;
  // Without a key, or a value, nothing is lost but what the slot holds when the thread ends.
  static const std::optional<pthread_key_t> key = []() -> std::optional<pthread_key_t> {
    pthread_key_t made{};
    if (pthread_key_create(&made, &EndOfThread) != 0) return std::nullopt;
    return made;
  }();
  if (key) static_cast<void>(pthread_setspecific(*key, here_));
  return *here_;
}

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
  static const bool returns_at_exit = std::atexit(&EndOfProcess) == 0;
  if (!returns_at_exit) return ENOMEM;
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
