// ThreadIdentity: as whom the calling thread acts, where that is not the process itself; and the
// thread's last error, a Win32 error number. Both belong to the thread, neither to a call.
//
// With a UnixSwitch the thread acts as the identity's Unix user, too, for the operating system.
// Processors do not: they belong to everybody. What their ring opens for somebody carries the Unix
// user along instead (io/loop.h).
//
// What a newcomer gets wrong: work that goes to another thread does not take the slot's content
// along by itself. Whoever hands the work over captures it there and then, and whoever runs the
// work applies it around the run and empties the slot after it. The kernel is different: a thread
// that is started has the Unix user of whoever starts it. Start threads inside a Scope.
//
// Any level; nothing waits.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <utility>

#include "kernel_sim/base/unix_identity.h"

namespace ktlsim {

// Who somebody is: an access token, of which nothing is known here. kernel_sim/security alone
// derives from it.
class Identity {
 public:
  virtual ~Identity() = default;

  // Whose rights with the operating system it has. Null: the process's. Lives as long as this.
  virtual const UnixIdentity* unix_identity() const noexcept { return nullptr; }

 protected:
  Identity() = default;
  Identity(const Identity&) = default;
  Identity& operator=(const Identity&) = default;
};

using IdentityRef = std::shared_ptr<Identity>;

class ThreadIdentity {
 public:
  // False: the process acts.
  static bool IsSet() { return present_ != nullptr; }
  // To compare only: null, when the process acts.
  static const Identity* Present() { return present_; }
  // The content of the slot, which stays where it is.
  static IdentityRef Get() { return present_ != nullptr ? Kept() : nullptr; }
  // Null: the process acts from now on. Returns what was there. For identities that the thread has
  // had before, and on processors: where their Unix user cannot be taken on, the process ends.
  static IdentityRef Exchange(IdentityRef identity) {
    if (present_ == nullptr && identity == nullptr) return nullptr;
    return ExchangeKept(std::move(identity));
  }
  // The thread acts as `identity` from now on: 0. An errno value: its Unix user could not be taken
  // on, and the process acts.
  [[nodiscard]] static int Assume(IdentityRef identity);

  // While it lives the thread acts as `identity`, or as the process; then as before.
  class Scope {
   public:
    explicit Scope(IdentityRef identity = nullptr) : outer_(Exchange(std::move(identity))) {}
    ~Scope() { Exchange(std::move(outer_)); }
    Scope(const Scope&) = delete;
    Scope& operator=(const Scope&) = delete;

   private:
    IdentityRef outer_;
  };

  // From now on threads that act as an identity have its Unix user, by `unix_switch`, which lives
  // as long as the process. Null: none begins to. Who has one goes on until it acts as another.
  static void UseSwitch(UnixSwitch* unix_switch) {
    switch_.store(unix_switch, std::memory_order_release);
  }
  static bool Switches() { return switch_.load(std::memory_order_acquire) != nullptr; }
  // The calling thread has the process's Unix user for good, whomever it acts as.
  static void KeepProcessRights() { keeps_process_rights_ = true; }
  // Whose rights with the operating system are to be used for `identity`. Null: the process's.
  static const UnixIdentity* RightsOf(const Identity* identity) noexcept {
    return identity != nullptr && Switches() ? identity->unix_identity() : nullptr;
  }
  // Calls `what`, which does not fail, with the rights of `identity`, on a thread that has the
  // process's. An errno value: it is not called.
  template <typename What>
  [[nodiscard]] static int RunWith(const UnixIdentity& identity, const What& what) noexcept {
    UnixSwitch* const unix_switch = switch_.load(std::memory_order_acquire);
    if (unix_switch == nullptr) return kNoSwitch;
    if (const int error_number = unix_switch->Take(identity); error_number != 0) {
      return error_number;
    }
    what();
    unix_switch->Return();
    return 0;
  }

 private:
  struct Slot;

  static const int kNoSwitch;  // an errno value

  static IdentityRef Kept();
  // Afterwards `identity` is what was there; after an error the process acts.
  static int Swap(IdentityRef& identity);
  static IdentityRef ExchangeKept(IdentityRef identity);

  // As in the slot, which has a destructor and is only touched where there is something in it.
  static inline constinit thread_local Identity* present_ = nullptr;
  static inline constinit thread_local bool keeps_process_rights_ = false;
  static inline constinit std::atomic<UnixSwitch*> switch_ = nullptr;
};

// 0 when the thread starts, and when a callback is entered.
std::uint32_t LastError();
void SetLastError(std::uint32_t error);

}  // namespace ktlsim
