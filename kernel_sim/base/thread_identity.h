// ThreadIdentity: as whom the calling thread acts, where that is not the process itself; and the
// thread's last error, a Win32 error number. Both belong to the thread, neither to a call.
//
// What a newcomer gets wrong: work that goes to another thread does not take the slot's content
// along by itself. Whoever hands the work over captures it there and then, and whoever runs the
// work applies it around the run and empties the slot after it.
//
// Any level; nothing waits.
#pragma once

#include <cstdint>
#include <memory>
#include <utility>

namespace ktlsim {

// Who somebody is: an access token, of which nothing is known here. kernel_sim/security alone
// derives from it.
class Identity {
 public:
  virtual ~Identity() = default;

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
  // Null: the process acts from now on. Returns what was there.
  static IdentityRef Exchange(IdentityRef identity) {
    if (present_ == nullptr && identity == nullptr) return nullptr;
    return ExchangeKept(std::move(identity));
  }

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

 private:
  struct Slot;

  static IdentityRef Kept();
  static IdentityRef ExchangeKept(IdentityRef identity);

  // As in the slot, which has a destructor and is only touched where there is something in it.
  static inline constinit thread_local Identity* present_ = nullptr;
};

// 0 when the thread starts, and when a callback is entered.
std::uint32_t LastError();
void SetLastError(std::uint32_t error);

}  // namespace ktlsim
