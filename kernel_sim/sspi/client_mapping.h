// ClientMapping: a call has authenticated the client of a server's context, and at its end asks the
// mapper for that client's account.
//
// What a newcomer gets wrong: whatever becomes of it, the call's own outcome stays as it is. The
// connection is as good as without a mapping; only impersonating the client tells.
#pragma once

#include <cstdint>
#include <memory>

#include "kernel_sim/executive/request.h"
#include "kernel_sim/sspi/client_identity.h"

namespace ktlsim::sspi {

class ContextObject;

class ClientMapping {
 public:
  enum class Step : std::uint8_t {
    kWaits,  // the call is to be suspended; it then asks again
    kInTime,
    kLate,  // the limit, a stop or the lack of memory came first; the client has no token
  };

  ClientMapping() = default;
  ClientMapping(ClientMapping&&) = default;
  ClientMapping& operator=(ClientMapping&&) = delete;
  ~ClientMapping() {
    if (mapping_ != nullptr) mapping_->GiveUp();
  }

  // All under the strand of `context`, and without exceptions. Asks, unless the client is mapped
  // already: with the accounts as they are, and at the level that the context's last leg asked for.
  void Begin(ContextObject& context);
  // It has begun, and is not over.
  bool under_way() const { return mapping_ != nullptr; }
  // While it is under way: the next step of the call, whose present run has this `request`. With
  // kWaits the limit of the suspension is set, from now on: what the call has waited for before is
  // not counted.
  Step Next(executive::Request& request, ContextObject& context);

 private:
  std::shared_ptr<security::IdentityMapping> mapping_;
  MappedBy by_;
  bool waited_ = false;
};

}  // namespace ktlsim::sspi
