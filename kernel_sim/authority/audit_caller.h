// What the audit functions are told, copied, and who acts. Private to authority/.
#pragma once

#include <ktlsim/security.h>

#include <cstdint>
#include <string>
#include <string_view>

#include "kernel_sim/audit/object_audit.h"
#include "kernel_sim/authority/local_trail.h"
#include "kernel_sim/authorization/impersonation.h"
#include "kernel_sim/security/fault.h"
#include "kernel_sim/security/token.h"

namespace ktlsim::authority {

// False: it is no UTF-8. A text without an end is read no further than a record has room; null is
// empty. In UTF-16 what is malformed becomes U+FFFD.
bool ReadAuditText(const char* text, std::string* out);
bool ReadAuditText(const WCHAR* text, std::string* out);

// What the caller says about the object.
struct ObjectTexts {
  // kInvalidParameter: one of them is no UTF-8.
  template <typename Unit>
  security::Fault Read(const Unit* subsystem_text, const Unit* type_text, const Unit* name_text) {
    return ReadAuditText(subsystem_text, &subsystem) && ReadAuditText(type_text, &type) &&
                   ReadAuditText(name_text, &name)
               ? security::Fault::kNone
               : security::Fault::kInvalidParameter;
  }
  audit::AuditedObject With(LPVOID handle_id) const {
    return {.subsystem = subsystem,
            .handle_id = reinterpret_cast<std::uintptr_t>(handle_id),
            .type = type,
            .name = name};
  }

  std::string subsystem{};
  std::string type{};
  std::string name{};
};

// Who acts: this process, and a client or none.
class Parties {
 public:
  // The client: `token`, or null.
  explicit Parties(const security::Token::Ref& token);

  // False: no memory.
  bool complete() const { return process_ != nullptr; }
  audit::AuditParties get() const;

 private:
  std::string_view ClientName() const;

  const LocalTrail::Use use_;
  security::TokenStateRef process_;
  security::TokenStateRef client_;
};

// `call(parties)`, with the thread's client.
template <typename Call>
security::Fault AsThread(const Call& call) {
  const Parties parties(authorization::ThreadToken());
  return parties.complete() ? call(parties.get()) : security::Fault::kNoMemory;
}

}  // namespace ktlsim::authority
