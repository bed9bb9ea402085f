// CredentialSource: from where a server path takes the credential of each connection, by the name
// that the client asks for. A path with a source listens without a credential (SSPI, server context
// initialisation: the server can "wait in a listen state until a connection request arrives and
// then acquire").
//
// What a newcomer gets wrong: a connection that waits can end meanwhile. Withdraw then says whether
// its waiter is free at once, or is still told.
#pragma once

#include <sspi.h>

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

namespace ktlsim::transport {

// A credential's handle. The last reference frees it, on any thread, at any level.
using CredentialRef = std::shared_ptr<const CredHandle>;

struct CredentialOutcome {
  CredentialRef credential;  // null: there is none, and `status` says why
  SECURITY_STATUS status = SEC_E_OK;
};

// A connection that waits: one node, in memory of its own.
class CredentialWaiter {
 public:
  CredentialWaiter() = default;
  CredentialWaiter(const CredentialWaiter&) = delete;
  CredentialWaiter& operator=(const CredentialWaiter&) = delete;

  // Once for each Take that returned kLater and was not withdrawn, on any thread; must not block.
  // `outcome` has been set, and the source does not touch the waiter again.
  virtual void OnCredential() = 0;

  CredentialOutcome outcome;

  // The source's, from Take until it tells the outcome.
  std::string name;
  unsigned step = 0;
  bool named = false;
  bool withdrawn = false;
  void* queue = nullptr;  // where it waits; null: nowhere
  CredentialWaiter* next = nullptr;
  CredentialWaiter* previous = nullptr;

 protected:
  ~CredentialWaiter() = default;
};

class CredentialSource {
 public:
  enum class When : std::uint8_t { kNow, kLater };

  // The credential for a client that asks for `name`, which is hostile: any bytes, and empty where
  // it asks for none. kNow: the waiter's outcome is set. kLater: it will be told, and many waiters
  // may wait for one acquisition. Any thread, any level: never blocks.
  //
  // SEC_E_TARGET_UNKNOWN: there is none for this name. SEC_E_NO_CREDENTIALS: none for a client that
  // asks for no name.
  virtual When Take(std::string_view name, CredentialWaiter& waiter) = 0;
  // The waiter, whose Take returned kLater, does not need it any more. True: it is not told. False:
  // it is told soon, or is being told. On one thread with what frees the waiter; any level.
  virtual bool Withdraw(CredentialWaiter& waiter) = 0;
  // Lets go of what has not been used for long. Returns after how many nanoseconds there may be
  // more; 0: nothing is kept. Any thread, any level.
  virtual std::uint64_t FreeUnused() = 0;

 protected:
  ~CredentialSource() = default;
};

}  // namespace ktlsim::transport
