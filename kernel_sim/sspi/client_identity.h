// ClientIdentity: the client of a server's context as an access token: mapped when a leg has
// authenticated it, and used by whoever impersonates the context.
//
// Any thread, any level; nothing waits.
#pragma once

#include <sspi.h>

#include <cstdint>
#include <memory>

#include "kernel_sim/authorization/handles.h"
#include "kernel_sim/base/mutex.h"
#include "kernel_sim/security/identity_mapper.h"

namespace ktlsim::sspi {

// Who has mapped a client, with which accounts, and for which token.
struct MappedBy {
  std::uint64_t mapper = 0;  // its number; 0: nobody maps
  std::uint64_t generation = 0;
  security::ImpersonationLevel level = security::ImpersonationLevel::kImpersonation;

  friend bool operator==(const MappedBy&, const MappedBy&) = default;
};

// What impersonating a client returns after this outcome.
SECURITY_STATUS StatusOfMapping(security::MappingOutcome outcome);

class ClientIdentity {
 public:
  ClientIdentity() = default;
  ~ClientIdentity();
  ClientIdentity(const ClientIdentity&) = delete;
  ClientIdentity& operator=(const ClientIdentity&) = delete;

  // Whether the outcome that it has is one of `by`, or of nobody where nobody maps. A failure is no
  // verdict on the client, so it is nobody's: the mapper is asked again.
  bool IsOf(const MappedBy& by) const KTLSIM_EXCLUDES(lock_);
  // A token that no mapping may give counts as kFailure. Without memory for it the outcome is
  // kNoMemory.
  void Set(const MappedBy& by, security::MappingOutcome outcome,
           security::Token::Ref token) noexcept KTLSIM_EXCLUDES(lock_);
  // As when nobody maps.
  void Forget() KTLSIM_EXCLUDES(lock_);

  // SEC_E_OK, or why there is no token.
  SECURITY_STATUS GetToken(security::Token::Ref* token) const KTLSIM_EXCLUDES(lock_);
  // A handle of the present token, which belongs to this object; the same one as long as the token
  // is. SEC_E_INSUFFICIENT_MEMORY; otherwise as GetToken.
  SECURITY_STATUS LendHandle(void** handle) KTLSIM_EXCLUDES(lock_);

 private:
  struct Mapped {
    MappedBy by;
    security::MappingOutcome outcome = security::MappingOutcome::kNoMatch;
    security::Token::Ref token;
  };
  // Null: no memory.
  static std::shared_ptr<const Mapped> MakeMapped(const MappedBy& by,
                                                  security::MappingOutcome outcome,
                                                  security::Token::Ref token) noexcept;
  // Gives the handle of `token`, after *opened, if it is not null, has become that one where there
  // was none; *opened is then what is to be closed. False: `token` is not the client's any more, or
  // has no handle.
  bool TakeLent(const security::Token* token, authorization::HandleValue* opened, void** handle)
      KTLSIM_EXCLUDES(lock_);

  mutable SpinLock lock_;
  // Null: nobody has mapped the client. Made when somebody does: most contexts are never mapped.
  std::shared_ptr<const Mapped> mapped_ KTLSIM_GUARDED_BY(lock_);
  bool no_memory_ KTLSIM_GUARDED_BY(lock_) = false;  // for `mapped_`, which is null then
  authorization::HandleValue lent_ KTLSIM_GUARDED_BY(lock_) = nullptr;
  const security::Token* lent_token_ KTLSIM_GUARDED_BY(lock_) = nullptr;
};

}  // namespace ktlsim::sspi
